//! The images of `deploy/Dockerfile`, run as `deploy/` runs them: by nobody, with no capability, on
//! a file system that cannot be written. `tests/run images` builds them first.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::ImageFormat;
use serde_json::Value;
use tempfile::TempDir;

use super::ingress::free;
use crate::deploy::rendered::{kustomize, kustomized};
use crate::support::client::{self, Answer, Ask};
use crate::support::eventually;
use crate::support::gateway::FILE;
use crate::support::plan::{PRICED, Plan};
use crate::support::wallet::{Payment, Wallet};

/// What runs containers, `docker` or `podman`, is told here by `tests/run`.
const CONTAINERS: &str = "CONTAINERS";
const GATEWAY: &str = "tollgate";
const WORKER: &str = "tollgate-worker";

#[tokio::test]
#[ignore = "needs the images: `tests/run images`"]
async fn two_containers_sell_a_cut_out() {
    let (address, images) = (free(), free());
    let worker = Container::run(WORKER, &[], &["--listen", &images.to_string()]);
    let books = Volume::new();
    let folder = configured(address, images);
    let start = async || {
        let file = mounted(&folder.path().join(FILE), "/etc/tollgate/gateway.toml");
        let gateway =
            Container::run(GATEWAY, &["-v", &file, "-v", &format!("{}:/data", books.0)], &[]);
        gateway.listens("tollgate listening on").await;
        gateway
    };
    let payment = Wallet::new(1).pays();

    let gateway = start().await;
    for container in [&gateway, &worker] {
        container.is_nobody();
    }
    assert_eq!(buy(address, None).await.status, 402);
    is_cut_out(&buy(address, Some(&payment)).await);
    assert_eq!(gateway.stop(), "0");
    drop(gateway);

    // The next one has the books of the one before.
    let gateway = start().await;
    let list = ["/tollgate", "ledger", "list", "--json", "/etc/tollgate/gateway.toml"];
    let listed: Value = serde_json::from_str(&gateway.does(&list)).unwrap();
    assert_eq!((&listed["state"], &listed["nonce"]), (&"settled".into(), &payment.nonce().into()));
    assert_eq!((gateway.stop(), worker.stop()), ("0".to_owned(), "0".to_owned()));
}

/// A static program could not load it.
#[cfg(feature = "worker")]
#[tokio::test]
#[ignore = "needs the images: `tests/run images`"]
async fn the_worker_loads_the_onnx_runtime_that_is_mounted() {
    let address = free();
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models");
    let models = mounted(Path::new(models), "/models");
    let library = mounted(Path::new(&super::cutouts::library()), "/libonnxruntime.so");
    let options = ["-v", &models, "-v", &library, "-e", "ORT_DYLIB_PATH=/libonnxruntime.so"];
    let (listen, model) = (address.to_string(), "/models/any-size.onnx");
    let arguments = ["--listen", &listen, "--model", model, "--engine", "onnxruntime"];
    let worker = Container::run(WORKER, &options, &arguments);
    let url = format!("http://{address}/readyz");
    let probe = eventually("it is warm", async || {
        assert!(worker.runs(), "{}", worker.said());
        let probe = Ask::new(&client::client(), "GET", &url).try_send().await.ok()?;
        (probe.status == 200).then_some(probe)
    })
    .await;
    let probe: Value = probe.json();
    assert_eq!(probe["engine"], "onnxruntime");
    is_cut_out(&cut(&format!("http://{address}{PATH}"), None).await);
}

/// Not in a cluster: podman makes pods, volumes and files of the manifests, and neither probes them
/// nor leads anybody there by a name.
#[tokio::test]
#[ignore = "needs the images: `tests/run images`"]
async fn the_pods_of_an_overlay_come_up() {
    if engine().get_program() != "podman" || kustomize().is_none() {
        eprintln!("SKIPPED: podman, and kubectl or kustomize, are needed to start pods");
        return;
    }
    for image in [GATEWAY, WORKER] {
        let name = format!("localhost/{image}:{}", env!("CARGO_PKG_VERSION"));
        told(engine().args(["tag", image, &name]));
    }
    let manifests = kustomized("gateway-one").replace("registry.example.com/", "localhost/");
    let pods = Pods::of(&manifests);
    let asks = [
        ("POST", format!("http://127.0.0.1:8402{PATH}"), 402),
        ("GET", "http://127.0.0.1:9402/livez".to_owned(), 200),
        ("GET", "http://127.0.0.1:8410/readyz".to_owned(), 200),
    ];
    for (method, url, status) in asks {
        eventually(&url, async || {
            let answer = Ask::new(&client::client(), method, &url).try_send().await.ok()?;
            (answer.status == status).then_some(())
        })
        .await;
    }
    for name in ["tollgate-pod-0-gateway", "tollgate-worker-pod-0-worker"] {
        // The pod ends it.
        ManuallyDrop::new(Container(name.to_owned())).is_nobody();
    }
    drop(pods);
}

#[test]
#[ignore = "needs the images: `tests/run images`"]
fn there_is_nothing_else_in_them() {
    let own = ["libc.so.6", "libm.so.6", "libgcc_s.so.1"];
    let gateway = ["tollgate", "ca-certificates.crt", "nsswitch.conf"];
    assert_eq!(files(GATEWAY), names(&[&own, &gateway]));
    // What ONNX Runtime is linked with.
    let more = ["tollgate", "libstdc++.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0"];
    assert_eq!(files(WORKER), names(&[&own, &more]));
}

/// The names of its files, but for the loader's, which tells the machine.
fn files(image: &str) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("files.tar");
    let container = Container(told(engine().args(["create", image])).trim().to_owned());
    told(engine().args(["export", "-o"]).arg(&archive).arg(&container.0));
    let listed = told(Command::new("tar").arg("-tf").arg(&archive));
    // What the engine itself puts into every container.
    let engines = |path: &&str| {
        ["dev/", "proc/", "sys/", "run/", ".dockerenv", "etc/hosts", "etc/hostname"]
            .into_iter()
            .chain(["etc/resolv.conf", "etc/mtab"])
            .any(|own| path.starts_with(own))
    };
    let files = listed.lines().filter(|path| !path.ends_with('/') && !engines(path));
    let names = files.filter_map(|path| path.rsplit('/').next());
    names.filter(|name| !name.starts_with("ld-linux")).map(str::to_owned).collect()
}

fn names(lists: &[&[&str]]) -> BTreeSet<String> {
    lists.iter().copied().flatten().map(|name| (*name).to_owned()).collect()
}

/// A configuration that everybody may read.
fn configured(address: SocketAddr, images: SocketAddr) -> TempDir {
    // By name, which is to be looked up.
    let plan = Plan::to_upstream(&format!("url = \"http://localhost:{}\"", images.port()))
        .listen(address)
        .ledger("sqlite:///data/tollgate.db")
        .facilitator("simulated = { journal = \"/data/chain.jsonl\" }")
        .route(&format!("match = \"POST {PATH}\""), PRICED);
    let folder = plan.folder();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn buy(address: SocketAddr, payment: Option<&Payment>) -> Answer {
    cut(&format!("http://{address}{PATH}"), payment).await
}

async fn cut(url: &str, payment: Option<&Payment>) -> Answer {
    let photo = fs::read(super::PHOTO).unwrap();
    let ask = Ask::new(&client::client(), "POST", url).header("content-type", "image/jpeg");
    let ask = payment.into_iter().fold(ask, Ask::pays);
    ask.body(photo).send().await
}

#[track_caller]
fn is_cut_out(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found = image::load_from_memory_with_format(&answer.body, ImageFormat::Png).unwrap();
    let photo = image::image_dimensions(super::PHOTO).unwrap();
    assert_eq!((found.width(), found.height()), photo);
    let alphas: BTreeSet<u8> = found.into_rgba8().pixels().map(|pixel| pixel[3]).collect();
    assert!(alphas.contains(&0) && alphas.contains(&255), "{alphas:?}");
}

/// What runs until it is dropped.
struct Container(String);

impl Container {
    fn run(image: &str, options: &[&str], arguments: &[&str]) -> Self {
        let confined = ["--read-only", "--cap-drop=ALL", "--security-opt", "no-new-privileges"];
        let mut run = engine();
        run.args(["run", "--detach", "--network", "host"]).args(confined).args(options);
        Self(told(run.arg(image).args(arguments)).trim().to_owned())
    }

    async fn listens(&self, ready: &str) {
        eventually(ready, async || {
            assert!(self.runs(), "{}", self.said());
            self.said().contains(ready).then_some(())
        })
        .await;
    }

    fn runs(&self) -> bool {
        self.is("{{.State.Running}}") == "true"
    }

    /// What its process is to the system.
    fn is_nobody(&self) {
        let file = format!("/proc/{}/status", self.is("{{.State.Pid}}"));
        let status = fs::read_to_string(file).unwrap();
        let line = |name: &str| {
            let found = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            found.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(line("Uid:"), ["65532"; 4], "{}", self.said());
        assert_eq!(line("Gid:"), ["65532"; 4]);
        assert_eq!(line("CapPrm:"), ["0000000000000000"]);
        assert_eq!(line("NoNewPrivs:"), ["1"]);
    }

    /// What a program in it says.
    fn does(&self, command: &[&str]) -> String {
        told(engine().args(["exec", &self.0]).args(command))
    }

    /// Ends it as an orchestrator does; its exit code.
    fn stop(&self) -> String {
        told(engine().args(["stop", "-t", "40", &self.0]));
        self.is("{{.State.ExitCode}}")
    }

    fn is(&self, what: &str) -> String {
        told(engine().args(["inspect", "--format", what, &self.0])).trim().to_owned()
    }

    fn said(&self) -> String {
        let Output { stdout, stderr, .. } = engine().args(["logs", &self.0]).output().unwrap();
        String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may have gone.
        let _ = engine().args(["rm", "--force", &self.0]).output();
    }
}

/// What manifests describe; ended with all that they have made when dropped.
struct Pods {
    folder: TempDir,
    volumes: BTreeSet<String>,
}

impl Pods {
    fn of(manifests: &str) -> Self {
        let names =
            manifests.split_whitespace().filter(|word| word.starts_with("tollgate-config-"));
        let volumes = names.chain(["tollgate-ledger"]).map(str::to_owned).collect();
        let pods = Self { folder: tempfile::tempdir().unwrap(), volumes };
        fs::write(pods.file(), manifests).unwrap();
        // A test that was killed may have left some.
        pods.end();
        told(engine().args(["kube", "play"]).arg(pods.file()));
        pods
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("pods.yaml")
    }

    fn end(&self) {
        // What is not there need not go.
        let _ = engine().args(["kube", "play", "--down"]).arg(self.file()).output();
        let _ = engine().args(["volume", "rm", "--force"]).args(&self.volumes).output();
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        self.end();
    }
}

/// A volume that an engine has made, with what the image has at its place.
struct Volume(String);

impl Volume {
    fn new() -> Self {
        let name = format!("tollgate-test-{}", std::process::id());
        told(engine().args(["volume", "create", &name]));
        Self(name)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = engine().args(["volume", "rm", "--force", &self.0]).output();
    }
}

fn mounted(from: &Path, to: &str) -> String {
    format!("{}:{to}:ro", from.display())
}

fn engine() -> Command {
    Command::new(std::env::var_os(CONTAINERS).expect("tests/run says what runs containers"))
}

/// What a command says that succeeds.
#[track_caller]
fn told(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

const PATH: &str = "/v1/remove-background";
