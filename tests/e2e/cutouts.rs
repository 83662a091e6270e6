//! Masks of the background remover beside rembg's, by one model with random weights.
//!
//! rembg stands for what a network's users expect before and after the network itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use image::{GrayImage, ImageFormat};

use super::install::{PYTHON_REMBG, file};
use crate::worker::Worker;

#[tokio::test]
async fn masks_are_those_of_rembg() {
    let folder = tempfile::tempdir().unwrap();
    let (model, photos) = (folder.path().join("u2netp.onnx"), folder.path().join("photos"));
    fs::create_dir(&photos).unwrap();
    for name in PHOTOS {
        let photo = image::open(root().join("tests/photos").join(name)).unwrap();
        let png = photos.join(name).with_extension("png");
        photo.save_with_format(png, ImageFormat::Png).unwrap();
    }
    python(&[&root().join("tests/models/make.py"), Path::new("u2netp"), &model]);
    python(&[&file("masks.py"), &model, &photos]);
    let manifest = folder.path().join("plain.toml");
    fs::write(&manifest, MANIFEST).unwrap();

    let (model, manifest) = (model.to_string_lossy(), manifest.to_string_lossy());
    let library = library();
    for (engine, variables) in
        [("rten", None), ("onnxruntime", Some(("ORT_DYLIB_PATH", library.as_str())))]
    {
        let wish = ["--model", &model, "--manifest", &manifest, "--engine", engine];
        let worker = Worker::start_with(&wish, variables.as_slice());
        for name in PHOTOS {
            let photo = photos.join(name).with_extension("png");
            let body = fs::read(&photo).unwrap();
            let path = "/v1/remove-background?output=mask";
            let ours = worker.cut(path, "image/png", body).await.into_luma8();
            let theirs = image::open(photo.with_extension("mask.png")).unwrap().into_luma8();
            is_near(&format!("{name} by {engine}"), &ours, &theirs);
        }
    }
}

/// At most 1 in 255 apart on average, and 3 in 99 of 100 pixels.
fn is_near(what: &str, ours: &GrayImage, theirs: &GrayImage) {
    assert_eq!(ours.dimensions(), theirs.dimensions(), "{what}");
    let pairs = ours.as_raw().iter().zip(theirs.as_raw());
    let mut apart: Vec<u8> = pairs.map(|(one, other)| one.abs_diff(*other)).collect();
    apart.sort_unstable();
    let sum: u64 = apart.iter().map(|apart| u64::from(*apart)).sum();
    let (pixels, most) = (apart.len(), apart[apart.len() * 99 / 100]);
    eprintln!("{what}: {sum} in {pixels} pixels, {most} in 99 of 100");
    assert!(sum <= u64::try_from(pixels).unwrap() && most <= 3, "{what}");
    // A mask of one grey would be equal, too.
    let (least, greatest) = (theirs.iter().min().unwrap(), theirs.iter().max().unwrap());
    assert!(greatest - least > 200, "{what}: the model sees nothing");
}

fn python(arguments: &[&Path]) {
    assert!(Command::new(file(PYTHON_REMBG)).args(arguments).status().unwrap().success());
}

/// The engine that rembg itself uses.
pub(super) fn library() -> String {
    let tell = "import glob, os, onnxruntime as o; \
                print(glob.glob(os.path.dirname(o.__file__) + '/capi/libonnxruntime.so.*')[0])";
    let told = Command::new(file(PYTHON_REMBG)).args(["-c", tell]).output().unwrap();
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// That of `u2netp`, without the edges that rembg does not follow.
const MANIFEST: &str = r#"
license = "ours"
commercial_use = true
size.fixed = [320, 320]
white = "brightest"
mean = [0.485, 0.456, 0.406]
deviation = [0.229, 0.224, 0.225]
range = "stretched"
edges = "plain"
"#;

const PHOTOS: [&str; 3] = ["sample.jpg", "astronaut.jpg", "chelsea.jpg"];
