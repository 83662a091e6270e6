//! What is free at first: so many requests of each address, and then 402 as always.

use super::refusals::refused;
use crate::support::client::{Answer, Ask};
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::redis::Redis;
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

const TWO: &str = "free = { rate = \"2/day\", by = \"ip\" }";

fn plan(upstream: &Upstream) -> Plan {
    let plan = Plan::to(upstream.address).server("trusted_proxies = [\"127.0.0.1\"]");
    let png = format!("{PRICED}\n{TWO}\nbody = {{ types = [\"image/png\"] }}");
    let priced = "price = \"$0.05\"\nnetworks = [\"base-sepolia\"]";
    let by_field = "price_rules = [{ header = \"x-mode\", is = \"fast\", price = \"$0.01\" }]";
    plan.route("match = \"POST /some\"", &format!("{PRICED}\n{TWO}"))
        .route("match = \"POST /png\"", &png)
        .route("match = \"POST /rules\"", &format!("{priced}\n{TWO}\n{by_field}"))
}

fn asks(gateway: &Gateway, path: &str, from: &str) -> Ask {
    gateway.ask("POST", path).header("x-forwarded-for", from).body("the body")
}

async fn status(gateway: &Gateway, path: &str, from: &str) -> u16 {
    asks(gateway, path, from).send().await.status
}

#[tokio::test]
async fn so_many_pass_for_nothing_and_then_it_is_402() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    for path in ["/some", "/rules"] {
        for _ in 0..2 {
            let answer: Answer = asks(&gateway, path, "192.0.2.1").send().await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "served"));
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("access-control-allow-origin"), "*");
            assert_eq!(answer.header("payment-response"), "");
        }
        refused(&asks(&gateway, path, "192.0.2.1").send().await, "payment_required");
        assert_eq!(status(&gateway, path, "192.0.2.2").await, 200, "each address has its own");
        // Of IPv6, the /64 is one address.
        for (host, expected) in [(1, 200), (2, 200), (3, 402)] {
            assert_eq!(status(&gateway, path, &format!("2001:db8::{host}")).await, expected);
        }
    }
    for seen in upstream.seen() {
        assert_eq!(
            (seen.header("x-tollgate-free"), seen.header("x-tollgate-payer")),
            ("first", "")
        );
    }
    assert!(gateway.ledger().await.is_empty(), "nothing is taken");
    let line = gateway.logged("it", |line| line["outcome"] == "free_first").await;
    assert_eq!((&line["route"], &line["status"]), (&"POST /some".into(), &200.into()));
    let count = "tollgate_exchanges_total{outcome=\"free_first\",route=\"POST /some\"}";
    gateway.counts(count, "5").await;
    // What nobody gives away costs what it says.
    assert_eq!(status(&gateway, "/paid", "192.0.2.3").await, 402);
}

#[tokio::test]
async fn a_payment_is_never_taken_for_nothing_nor_nothing_for_a_payment() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let payment = Wallet::new(1).pays();
    let paid = asks(&gateway, "/some", "192.0.2.1").pays(&payment).send().await;
    assert_eq!(paid.status, 200);
    assert_ne!(paid.header("payment-response"), "");
    let forged = Wallet::new(1).pays().then(|payment| payment.signed.signature[5] ^= 1);
    let answer = asks(&gateway, "/some", "192.0.2.1").pays(&forged).send().await;
    refused(&answer, "payment_invalid");
    let claimed = asks(&gateway, "/some", "192.0.2.1").header("x-tollgate-free", "first");
    assert_eq!(claimed.send().await.status, 200);
    assert_eq!(status(&gateway, "/some", "192.0.2.1").await, 200, "two were left");
    let claimed = asks(&gateway, "/some", "192.0.2.1").header("x-tollgate-free", "first");
    refused(&claimed.send().await, "payment_required");
}

#[tokio::test]
async fn what_would_not_be_served_takes_nothing() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    for _ in 0..5 {
        let ask = asks(&gateway, "/png", "192.0.2.1").header("content-type", "text/plain");
        refused(&ask.send().await, "payment_required");
    }
    for expected in [200, 200, 402] {
        let ask = asks(&gateway, "/png", "192.0.2.1").header("content-type", "image/png");
        assert_eq!(ask.send().await.status, expected);
    }
}

#[tokio::test]
async fn gateways_give_away_together_and_a_reload_gives_nothing_more() {
    let (upstream, redis) = (Upstream::start().await, Redis::start());
    let store = format!("store = \"{}\"\ntimeout = \"20s\"\nreplicas = 2", redis.url());
    let start = || plan(&upstream).limits(&store).start();
    let (one, two) = (start().await, start().await);
    let mut passed = 0;
    for _ in 0..4 {
        for gateway in [&one, &two] {
            passed += usize::from(status(gateway, "/some", "192.0.2.1").await == 200);
        }
    }
    assert_eq!(passed, 2);
    assert_eq!(one.reloaded(|text| text).await.0, 200);
    assert_eq!(status(&one, "/some", "192.0.2.1").await, 402);
    let alone = plan(&upstream).section(&format!("[defaults]\n{TWO}")).start().await;
    for expected in [200, 200, 402] {
        assert_eq!(status(&alone, "/paid", "192.0.2.1").await, expected);
    }
    assert_eq!(alone.reloaded(|text| text).await.0, 200);
    assert_eq!(status(&alone, "/paid", "192.0.2.1").await, 402, "no bucket is refilled");
}
