//! Who need not pay: holders of a key, and address blocks.

use super::refusals::refused;
use crate::support::client::Ask;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

/// SHA-256 of `a-key-of-32-random-bytes`, as `sha256sum` prints it.
const DIGEST: &str = "8d6b703749a4f4cdcb2c9f6f1d65d7ef3554a0b43bd66d7006cb8295caaa7678";
const KEY: &str = "a-key-of-32-random-bytes";

fn asks(gateway: &Gateway, from: &str) -> Ask {
    gateway.ask("POST", "/paid").header("x-forwarded-for", from).body("the body")
}

async fn start(upstream: &Upstream, section: &str) -> Gateway {
    let plan = Plan::to(upstream.address).server("trusted_proxies = [\"127.0.0.1/32\"]");
    plan.section(&format!("[[bypass]]\nname = \"friends\"\n{section}")).start().await
}

#[tokio::test]
async fn a_key_passes_for_nothing_and_goes_no_further() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream, &format!("keys = [\"sha256:{DIGEST}\"]")).await;
    let answer = asks(&gateway, "192.0.2.1").header("x-tollgate-key", KEY).send().await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    assert_eq!(answer.header("payment-response"), "");
    let [seen] = upstream.seen().try_into().unwrap();
    assert_eq!(seen.header("x-tollgate-key"), "");
    assert_eq!(seen.header("x-tollgate-payer"), "");
    assert!(!seen.header("x-tollgate-exchange").is_empty());
    let line = gateway.logged("the exchange", |line| line["bypass"] == "friends").await;
    assert_eq!((&line["outcome"], &line["status"]), (&"bypass".into(), &200.into()));
    assert!(!gateway.said().contains(KEY));

    let other = asks(&gateway, "192.0.2.1").header("x-tollgate-key", "another-key").send().await;
    refused(&other, "payment_required");
    let both = asks(&gateway, "192.0.2.1").header("x-tollgate-key", KEY);
    let both = both.header("x-tollgate-key", "another-key").send().await;
    refused(&both, "payment_required");
}

/// A payment that comes along is not taken.
#[tokio::test]
async fn whoever_passes_does_not_pay() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream, "addresses = [\"192.0.2.0/24\"]").await;
    let payment = Wallet::new(1).pays();
    assert_eq!(asks(&gateway, "192.0.2.1").pays(&payment).send().await.status, 200);
    assert_eq!(gateway.transfers().len(), 0);
    refused(&asks(&gateway, "198.51.100.1").send().await, "payment_required");
    // It is as good as new elsewhere.
    assert_eq!(asks(&gateway, "198.51.100.1").pays(&payment).send().await.status, 200);
    assert_eq!(gateway.transfers().len(), 1);
}

#[tokio::test]
async fn routes_that_are_not_named_cost_what_they_cost() {
    let upstream = Upstream::start().await;
    let section = "addresses = [\"192.0.2.0/24\"]\nroutes = [\"other\"]";
    let plan = Plan::to(upstream.address).server("trusted_proxies = [\"127.0.0.1/32\"]");
    let other = format!("name = \"other\"\n{}", crate::support::plan::PRICED);
    let plan = plan.route("match = \"POST /other\"", &other);
    let gateway = plan.section(&format!("[[bypass]]\nname = \"friends\"\n{section}")).start().await;
    refused(&asks(&gateway, "192.0.2.1").send().await, "payment_required");
    let other = gateway.ask("POST", "/other").header("x-forwarded-for", "192.0.2.1");
    assert_eq!(other.send().await.status, 200);

    // Who is let in is exchanged with the file.
    let (status, said) =
        gateway.reloaded(|text| text.replace("192.0.2.0/24", "192.0.3.0/24")).await;
    assert_eq!(status, 200, "{said}");
    let other = gateway.ask("POST", "/other").header("x-forwarded-for", "192.0.2.1");
    refused(&other.send().await, "payment_required");
}
