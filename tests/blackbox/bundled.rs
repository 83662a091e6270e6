//! The bundled worker behind a priced route: a photo in, a cut-out back, and what its death does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use image::ImageFormat;
use nix::sys::signal::{Signal, kill};

use super::refusals::refused;
use crate::support::client::Answer;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::wallet::{Payment, Wallet};

fn plan() -> Plan {
    let body = "body = { types = [\"image/png\", \"image/jpeg\", \"image/webp\"], max = \"25MB\" }";
    Plan::to_upstream("bundled = \"background-removal\"\nparallel = 1")
        .no_routes()
        .route("match = \"POST /v1/remove-background\"", &format!("{PRICED}\n{body}"))
}

async fn cut(gateway: &Gateway, query: &str, payment: &Payment) -> Answer {
    let photo = fs::read(PHOTO).unwrap();
    let ask = gateway.ask("POST", &format!("/v1/remove-background{query}")).pays(payment);
    ask.header("content-type", "image/jpeg").body(photo).send().await
}

/// An image of the photo's size of which something was removed and something left.
#[track_caller]
fn is_cut_out(answer: &Answer, format: ImageFormat) {
    assert_eq!((answer.status, answer.header("content-type")), (200, format.to_mime_type()));
    assert_eq!(answer.object("payment-response")["success"], true);
    let image = image::load_from_memory_with_format(&answer.body, format).unwrap();
    let size = image::image_dimensions(PHOTO).unwrap();
    assert_eq!((image.width(), image.height()), size);
    assert!(image.color().has_alpha());
    let image = image.to_rgba8();
    let count = |fits: fn(u8) -> bool| image.pixels().filter(|pixel| fits(pixel.0[3])).count();
    let whole = image.pixels().len();
    assert!(count(|alpha| alpha < 32) > whole / 20, "nothing was removed");
    assert!(count(|alpha| alpha > 223) > whole / 20, "nothing was left");
}

#[tokio::test]
async fn a_paid_photo_comes_back_cut_out() {
    let gateway = plan().start().await;
    gateway.ready().await;
    let payment = Wallet::new(1).pays();
    is_cut_out(&cut(&gateway, "", &payment).await, ImageFormat::Png);
    gateway.comes_to(&payment, "settled").await;
    is_cut_out(&cut(&gateway, "?format=webp", &Wallet::new(1).pays()).await, ImageFormat::WebP);
}

/// Its contract is served on, for nothing.
#[tokio::test]
async fn a_free_route_gives_out_what_the_worker_takes() {
    let gateway = plan().route("match = \"GET /openapi.json\"", "price = \"free\"").start().await;
    gateway.ready().await;
    let answer = gateway.ask("GET", "/openapi.json").send().await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    assert!(answer.json()["paths"]["/v1/remove-background"]["post"].is_object(), "{answer:?}");
}

/// What the worker refuses costs nothing, and its words reach the client.
#[tokio::test]
async fn what_is_no_image_costs_nothing() {
    let gateway = plan().start().await;
    gateway.ready().await;
    let payment = Wallet::new(1).pays();
    let ask = gateway.ask("POST", "/v1/remove-background").pays(&payment);
    let answer = ask.header("content-type", "image/png").body("no image").send().await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["retryable"], false, "{answer:?}");
    gateway.comes_to(&payment, "released").await;
    is_cut_out(&cut(&gateway, "", &payment).await, ImageFormat::Png);
}

/// The worker dies and cannot come back, because its binary is gone; then it can.
#[tokio::test]
async fn without_its_worker_the_gateway_takes_no_payment_and_waits_for_it() {
    let folder = plan().folder();
    let (binary, away) = (folder.path().join("tollgate"), folder.path().join("away"));
    put_binary(&binary);
    let gateway = Gateway::start_as(&binary, Rc::new(folder)).await;
    gateway.ready().await;
    let exchanged = Wallet::new(1).pays();
    is_cut_out(&cut(&gateway, "", &exchanged).await, ImageFormat::Png);

    fs::rename(&binary, &away).unwrap();
    for worker in gateway.children() {
        kill(worker, Signal::SIGKILL).unwrap();
    }
    eventually("the worker is missed", async || {
        (gateway.admin("/readyz").await == (503, AWAY.to_owned())).then_some(())
    })
    .await;
    let up = "tollgate_upstream_up{upstream=\"api\"}";
    assert_eq!(gateway.metric(up).await.as_deref(), Some("0"));
    let payment = Wallet::new(1).pays();
    let answer = cut(&gateway, "", &payment).await;
    refused(&answer, "upstream_away");
    assert_eq!(answer.json()["retryable"], true);
    assert_eq!(gateway.state(&payment).await, "none");

    fs::rename(&away, &binary).unwrap();
    gateway.ready().await;
    is_cut_out(&cut(&gateway, "", &payment).await, ImageFormat::Png);
    gateway.comes_to(&payment, "settled").await;
}

/// The planes of one image are the next one's, unless the operator says otherwise.
#[tokio::test]
async fn the_worker_keeps_for_a_while_what_it_frees() {
    for (said, expected) in [(None, "300"), (Some("0"), "0")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.env_remove("MIMALLOC_PURGE_DELAY");
        command.envs(said.map(|said| ("MIMALLOC_PURGE_DELAY", said)));
        let gateway = Gateway::start_with(&mut command, Rc::new(plan().folder())).await;
        gateway.ready().await;
        let worker = gateway.children()[0];
        let environment = fs::read_to_string(format!("/proc/{worker}/environ")).unwrap();
        let expected = format!("MIMALLOC_PURGE_DELAY={expected}");
        assert!(environment.split('\0').any(|said| said == expected), "{expected}");
    }
}

/// A gateway that is killed leaves no worker behind.
#[tokio::test]
async fn the_worker_ends_with_its_gateway() {
    let gateway = plan().start().await;
    gateway.ready().await;
    let workers = gateway.children();
    assert_eq!(workers.len(), 1);
    // The worker holds the other end of the gateway's error output: this waits for both.
    gateway.killed().await;
    for worker in workers {
        eventually("the worker's end", async || kill(worker, None).is_err().then_some(())).await;
    }
}

/// The tested binary under another name: a link where that can be, a copy elsewhere.
fn put_binary(at: &Path) {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_tollgate"));
    fs::hard_link(&binary, at).or_else(|_| fs::copy(&binary, at).map(drop)).unwrap();
}

const AWAY: &str = "upstream api has no address\n";
const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos/sample.jpg");
