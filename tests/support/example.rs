//! A configuration of `deploy/examples` as it is tried out, and the API that is tried with it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use super::facilitator::Facilitator;
use super::gateway::{FILE, Gateway};
use super::lines::Lines;
use super::plan::LEDGER;
use super::wallet::PAY_TO;

/// `tollgate demo-upstream`; killed when dropped.
pub struct Demo {
    pub address: SocketAddr,
    child: Child,
}

impl Demo {
    pub async fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(["demo-upstream", "--listen", "127.0.0.1:0", "--pause", "300"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let address = |line: &str| {
            line.strip_prefix("demo upstream listening on ").and_then(|text| text.parse().ok())
        };
        let lines = Lines::of(child.stdout.take().unwrap());
        let address = lines.find("the demo upstream's address", address).await.unwrap();
        Self { address, child }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text of an example on free ports, in front of this upstream, settled by the facilitator at
/// this URL. Nothing else is changed.
fn tried(name: &str, upstream: SocketAddr, facilitator: &str) -> String {
    let mut text = fs::read_to_string(examples().join(name)).unwrap();
    let behind = text.lines().find_map(|line| line.strip_prefix("url = \"http://127"));
    let behind = behind.unwrap().split('"').next().unwrap().to_owned();
    for (from, to) in [
        ("0.0.0.0:8402", "127.0.0.1:0"),
        ("127.0.0.1:9402", "127.0.0.1:0"),
        ("0x70997970C51812dc3A010C7d01b50e0d17dc79C8", &*PAY_TO.to_checksum(None)),
        ("https://facilitator.example.com", facilitator),
        ("{ env = \"FACILITATOR_TOKEN\" }", "\"a token\""),
        (&format!("http://127{behind}"), &format!("http://{upstream}")),
    ] {
        assert!(text.contains(from), "{name} has no {from}");
        text = text.replace(from, to);
    }
    text.replace("openapi = \"", &format!("openapi = \"{}/", examples().display()))
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples")
}

/// A gateway with an example in front of the demo upstream.
pub async fn gateway(name: &str, demo: &Demo, facilitator: &Facilitator) -> Gateway {
    gateway_after(name, demo, facilitator.url(), |_, text| text).await
}

/// The same after a change, with what belongs beside the file.
pub async fn gateway_after(
    name: &str,
    demo: &Demo,
    facilitator: &str,
    change: impl FnOnce(&Path, String) -> String,
) -> Gateway {
    let dir = tempfile::tempdir().unwrap();
    // Its ledger is looked into from elsewhere.
    let ledger = format!("sqlite://{}", dir.path().join(LEDGER).display());
    let text = tried(name, demo.address, facilitator).replace("sqlite://tollgate.db", &ledger);
    fs::write(dir.path().join(FILE), change(dir.path(), text)).unwrap();
    Gateway::start(Rc::new(dir)).await
}
