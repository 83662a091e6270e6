//! Models that an operator brings along: which are taken, which are refused, and by what.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use super::*;

/// A model of `tests/models`, where `make.py` says what it finds.
pub(super) fn model(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models");
    PathBuf::from(folder).join(name).to_string_lossy().into_owned()
}

/// What a worker says that does not start.
fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let Output { status, stderr, .. } = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["worker", "background-removal", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!status.success());
    String::from_utf8(stderr).unwrap()
}

#[track_caller]
fn is_refused(arguments: &[&str], said: &[&str]) {
    let text = refused(arguments, &[]);
    for said in said {
        assert!(text.contains(said), "{text}");
    }
}

#[tokio::test]
async fn a_model_cuts_out_what_it_finds_and_the_probe_names_it() {
    let model = model("any-size.onnx");
    let worker = Worker::start(&["--model", &model, "--engine", "rten"]);
    is_cut_photo(&worker.cut(PATH, "image/png", png()).await);
    is_cut_photo(&worker.cut(PATH, "image/jpeg", jpeg()).await);
    let probe = worker.get("/readyz").await;
    assert_eq!(probe.status(), StatusCode::OK);
    let probe: Value = serde_json::from_slice(&probe.bytes().await.unwrap()).unwrap();
    assert_eq!(probe["engine"], "rten");
    assert_eq!(probe["model"], model);
}

#[tokio::test]
async fn without_a_model_the_probe_says_so() {
    let probe = Worker::start(&[]).get("/readyz").await.bytes().await.unwrap();
    assert_eq!(&probe[..], br#"{"model":"built in","engine":"rten"}"#);
}

#[tokio::test]
async fn a_model_of_one_size_takes_photos_of_any() {
    let model = model("fixed-size.onnx");
    let worker = Worker::start(&["--model", &model, "--engine", "rten", "--parallel", "2"]);
    let mut done = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let url = format!("http://{}{PATH}?output=mask", worker.address);
        let request = client().post(url).header(CONTENT_TYPE, "image/png").body(png());
        done.spawn(async move { request.send().await.unwrap().bytes().await.unwrap() });
    }
    for file in done.join_all().await {
        let mask = image::load_from_memory(&file).unwrap().into_luma8();
        assert_eq!(mask.dimensions(), (128, 96));
        assert_eq!((mask.get_pixel(36, 40)[0], mask.get_pixel(100, 80)[0]), (255, 0));
    }
}

#[tokio::test]
async fn edges_are_the_photos_when_they_are_guided_and_when_they_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let model = model("fixed-size.onnx");
    for edges in ["guided", "cut"] {
        let manifest = folder.path().join(format!("{edges}.toml"));
        let text = fs::read_to_string(self::model("fixed-size.toml")).unwrap();
        fs::write(&manifest, text.replace("plain", edges)).unwrap();
        let manifest = manifest.to_string_lossy();
        let named = ["--model", &model, "--manifest", &manifest, "--engine", "rten"];
        is_cut_photo(&Worker::start(&named).cut(PATH, "image/png", png()).await);
    }
}

#[test]
fn a_model_of_another_size_than_its_manifest_says_is_refused() {
    let arguments = ["--model", &model("fixed-size.onnx"), "--manifest", "u2netp"];
    is_refused(
        &[&arguments[..], &["--engine", "rten"]].concat(),
        &[
            "the model's input is not as its manifest says",
            "expected one tensor of 32-bit floats, 1 × 3 × 320 × 320",
            "found 1 × 3 × 64 × 64",
        ],
    );
}

#[test]
fn an_output_that_is_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("second.toml");
    let text = fs::read_to_string(model("any-size.toml")).unwrap();
    fs::write(&manifest, format!("{text}output = 1\n")).unwrap();
    let arguments = ["--model", &model("any-size.onnx"), "--manifest", &manifest.to_string_lossy()];
    is_refused(
        &[&arguments[..], &["--engine", "rten"]].concat(),
        &["expected a mask at number 1, counted from 0", "found 1 outputs"],
    );
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    let manifest = ["--manifest", "u2netp", "--engine", "rten"];
    let (text, nowhere) = (model("make.py"), model("nowhere.onnx"));
    is_refused(&[&["--model", &text][..], &manifest].concat(), &["rten does not take the model"]);
    is_refused(&[&["--model", &nowhere][..], &manifest].concat(), &["cannot be read"]);
}

#[test]
fn a_model_without_a_manifest_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lonely = folder.path().join("lonely.onnx");
    fs::copy(model("any-size.onnx"), &lonely).unwrap();
    is_refused(&["--model", &lonely.to_string_lossy()], &["lonely.toml", "birefnet-general"]);
}

#[test]
fn a_library_that_is_named_and_not_there_is_refused() {
    let model = model("any-size.onnx");
    let nowhere = [("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so")];
    for arguments in [&["--model", &model][..], &["--model", &model, "--engine", "onnxruntime"]] {
        let text = refused(arguments, &nowhere);
        assert!(text.contains("ONNX Runtime cannot be loaded"), "{text}");
        assert!(text.contains("/nowhere/libonnxruntime.so"), "{text}");
    }
}

/// What `tollgate check` says of a gateway with this model.
fn checked(model: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.toml");
    fs::copy(self::model("any-size.toml"), folder.path().join("own.toml")).unwrap();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/gateway.toml");
    let bundled = "bundled = \"background-removal\"";
    let text = fs::read_to_string(root).unwrap();
    fs::write(&config, text.replace(bundled, &format!("{bundled}\nmodel = \"{model}\""))).unwrap();
    Command::new(env!("CARGO_BIN_EXE_tollgate")).arg("check").arg(config).output().unwrap()
}

#[test]
fn the_check_names_a_models_licence_and_warns_of_one_that_forbids_to_sell() {
    let said = |model: &str| {
        let output = checked(model);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let free = said("/models/u2netp.onnx");
    let licence = "upstream `images`: the licence of /models/u2netp.onnx is Apache-2.0\n";
    assert!(free.contains(licence) && !free.contains("be sold"), "{free}");
    let bound = said("/models/rmbg-2.0.onnx");
    assert!(bound.contains("the licence of /models/rmbg-2.0.onnx is CC BY-NC 4.0\n"), "{bound}");
    assert!(bound.contains("it does not let what /models/rmbg-2.0.onnx makes be sold"), "{bound}");
}

#[test]
fn a_model_is_looked_for_from_the_folder_of_its_gateway() {
    let output = checked("own.onnx");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("own.onnx is ") && said.contains("upstream `images`"), "{said}");
}

#[test]
fn the_check_asks_for_a_manifest() {
    let output = checked("/models/mine.onnx");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("needs a manifest"), "{said}");
}
