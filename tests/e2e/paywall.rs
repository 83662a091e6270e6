//! The page of a paid URL in a real browser, with a wallet that really signs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use super::install::{self, NODE};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::server::Reply;
use crate::support::upstream::Upstream;

const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos/sample.jpg");
const DESCRIPTION: &str = "A picture of the day </script><script>alert(1)</script>";

/// Where the screenshots go: `PICTURES` keeps them for a person to look at.
pub(super) fn pictures(folder: &Path) -> PathBuf {
    std::env::var_os("PICTURES").map_or_else(|| folder.to_owned(), PathBuf::from)
}

/// What a person sees who opens a URL with such a wallet.
async fn opens(gateway: &Gateway, path: &str, wallet: &[&str]) -> Value {
    let mut command = Command::new(install::file(NODE));
    let screenshot = pictures(gateway.dir()).join(format!("paywall-{}", wallet.join("-")));
    command.arg(install::file("clients/paywall.mjs")).arg(gateway.url(path)).arg(&screenshot);
    command.args(wallet).env("X402_PRIVATE_KEY", format!("0x{}", "11".repeat(32)));
    let output = command.output().await.unwrap();
    let broke = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{broke}"))
}

async fn start(upstream: &Upstream) -> Gateway {
    let picture = format!(
        "price = \"$0.05\"\nnetworks = [\"base-sepolia\"]\ndescription = \"{DESCRIPTION}\""
    );
    Plan::to(upstream.address).route("match = \"GET /picture\"", &picture).start().await
}

#[tokio::test]
async fn a_person_pays_and_sees_the_answer() {
    let photo = fs::read(PHOTO).unwrap();
    let upstream = Upstream::answering(move |_| {
        Reply::new(200).header("content-type", "image/jpeg").body(photo.clone())
    });
    let upstream = upstream.await;
    let gateway = start(&upstream).await;
    for (wallet, button) in [("old", "Pay"), ("announced", "Pay with Test Wallet")] {
        let told = opens(&gateway, "/picture", &[wallet]).await;
        assert_eq!(told["status"], 402, "{told}");
        assert_eq!((&told["what"], &told["price"]), (&DESCRIPTION.into(), &"$0.05".into()));
        assert_eq!(told["buttons"], serde_json::json!([button]), "{told}");
        assert_eq!(told["before"], "", "there is a wallet: {told}");
        assert!(!told["header"].as_str().unwrap().is_empty(), "programs can pay as well");
        assert!(told["said"].as_str().unwrap().starts_with("Paid."), "{told}");
        assert!(told["answer"]["image"].as_u64().unwrap() > 100, "{told}");
        // Nothing was asked of any third host, and the policy let everything through.
        assert_eq!(told["elsewhere"], serde_json::json!([]), "{told}");
        let complaints = told["complaints"].as_array().unwrap();
        let harmless = |one: &Value| one.as_str().unwrap().contains("402");
        assert!(complaints.iter().all(harmless), "{told}");
        assert!(!told["policy"].as_str().unwrap().contains("unsafe"), "{told}");
        assert_eq!((&told["signed"], &told["open"]), (&1.into(), &false.into()), "{told}");
    }
    assert_eq!(gateway.transfers().len(), 2);
}

#[tokio::test]
async fn whoever_does_not_sign_pays_nothing() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream).await;
    let told = opens(&gateway, "/picture", &["old", "refuses"]).await;
    assert_eq!(told["said"], "Not signed; nothing was paid.", "{told}");
    let told = opens(&gateway, "/picture", &["none"]).await;
    assert_eq!(told["buttons"], serde_json::json!([]), "{told}");
    assert!(told["said"].as_str().unwrap().contains("No wallet"), "{told}");
    assert_eq!(gateway.transfers().len(), 0);
    assert_eq!(upstream.seen().len(), 0);
}

/// The upstream breaks after the payment was signed: it is not taken, and the same one is good for
/// another try.
#[tokio::test]
async fn a_payment_whose_outcome_is_open_is_kept_for_another_try() {
    let upstream = Upstream::answering(|_| Reply::new(500).body("broken")).await;
    let gateway = start(&upstream).await;
    let told = opens(&gateway, "/picture", &["announced"]).await;
    assert_eq!((&told["signed"], &told["open"]), (&1.into(), &true.into()), "{told}");
    assert_eq!(gateway.transfers().len(), 0);
}
