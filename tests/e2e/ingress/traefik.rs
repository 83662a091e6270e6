//! Traefik, which `tests/run traefik` compiles, and what it does in its own way.

use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::process::Command;

use super::{Kind, Proxy, RECEIPTS, SIMULATED, example, gateway, header};
use crate::blackbox::refusals::refused;
use crate::support::eventually;
use crate::support::raw::exchange;
use crate::support::server::Reply;
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

/// Traefik, where it was compiled; tells the terminal if not.
pub(super) fn found() -> Option<Kind> {
    let found = program().is_some();
    if !found {
        // Without a terminal there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "SKIPPED: Traefik, which `tests/run traefik` compiles");
    }
    let examples = &["traefik.yaml", "traefik.dynamic.yaml"];
    found.then_some(Kind { name: "traefik", examples })
}

pub(super) fn command() -> Command {
    Command::new(program().unwrap())
}

/// Waits until it knows its routes, which it reads after it has begun to listen.
pub(super) async fn is_configured(proxy: &Proxy) {
    eventually("its routes", async || {
        (proxy.ask("GET", "/openapi.json").send().await.status == 200).then_some(())
    })
    .await;
}

/// Whether a request has a path that Traefik makes another of before it asks.
pub(super) fn cleans(request: &str) -> bool {
    CLEANED.iter().any(|path| request.starts_with(&format!("GET {path} ")))
}

#[tokio::test]
async fn traefik_forwards_the_path_that_it_has_asked_about() {
    let Some(kind) = found() else { return };
    let api = super::api().await;
    let gateway = gateway(kind, SIMULATED).await;
    let proxy = Proxy::start(kind, &gateway, api.address).await;
    let send = async |method: &str, path: &str| {
        let rest = "Host: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        exchange(proxy.address, &format!("{method} {path} HTTP/1.1\r\n{rest}")).await.unwrap()
    };
    for path in CLEANED {
        assert_eq!(send("GET", path).await.0, 200, "{path}");
        let [seen] = &*api.taken() else { panic!("asked once") };
        assert_eq!(seen.target, "/status", "{path}");
    }
    for path in ["//v1/answer", "/status/../v1/answer", "/v1/./answer", "/v1/%61nswer"] {
        assert_eq!(send("POST", path).await.0, 402, "{path}");
    }
    assert!(api.seen().is_empty());
}

/// It hands no header of ours to its client: the API is told the receipt, and may.
#[tokio::test]
async fn a_receipt_of_traefik_is_the_apis_to_give() {
    let Some(kind) = found() else { return };
    let api = Upstream::answering(|_| Reply::new(200).body("served")).await;
    let gateway = gateway(kind, SIMULATED).await;
    let proxy = Proxy::start(kind, &gateway, api.address).await;
    let payment = Wallet::new(1).pays();
    let paid = proxy.ask("POST", "/v1/answer").pays(&payment).send().await;
    assert_eq!((paid.status, &*paid.text()), (200, "served"));
    assert_eq!(RECEIPTS.map(|name| paid.header(name)), ["", ""]);
    let [seen] = &*api.taken() else { panic!("asked once") };
    assert!(header(seen, "payment-response").is_some());

    // One that a client brings is not an API's to believe.
    let brought = proxy.ask("POST", "/v1/answer").pays(&Wallet::new(1).pays());
    refused(&brought.header("payment-response", "e30=").send().await, "bad_request");
    let brought = proxy.ask("GET", "/status").header("x-payment-response", "e30=");
    assert_eq!(brought.send().await.status, 200);
    let [seen] = &*api.taken() else { panic!("asked once") };
    assert_eq!(header(seen, "x-payment-response"), None);
}

/// What is told to Traefik in Kubernetes is what it was tried with.
#[test]
fn the_middleware_is_the_examples() {
    let example = example("traefik.dynamic.yaml");
    let place = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/deploy/kubernetes/overlays/check-traefik/middleware.yaml"
    );
    let middleware = std::fs::read_to_string(place).unwrap();
    let lines: Vec<_> = example.lines().map(bare).collect();
    let (specs, mut compared) = (middleware.split("\nspec:\n").skip(1), 0);
    for line in specs.flat_map(|spec| spec.split("\n---").next().unwrap().lines()).map(bare) {
        if !line.is_empty() && !line.starts_with("address:") {
            assert!(lines.contains(&line), "the example has no `{line}`");
            compared += 1;
        }
    }
    assert!(compared > 10, "the Middleware has moved");
}

/// A line of YAML without its comment.
fn bare(line: &str) -> &str {
    let code = line.split(" #").next().unwrap().trim();
    if code.starts_with('#') { "" } else { code }
}

/// The program, as `tests/run traefik` names it.
fn program() -> Option<OsString> {
    env::var_os("TRAEFIK")
}

const CLEANED: [&str; 3] = ["//status", "/v1/../status", "/%73tatus"];
