//! Who gets what a payment has bought: whoever paid, and not whoever has read it on the chain.

use super::again::is_written;
use super::refusals::refused;
use crate::support::client::{Answer, Ask};
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::server::{Reply, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};

/// Clients come from where the header says that the test sends.
fn plan(to: std::net::SocketAddr) -> Plan {
    Plan::to(to).server("trusted_proxies = [\"127.0.0.1/32\"]")
}

const PAYER: &str = "192.0.2.1";
const READER: &str = "192.0.2.2";

fn asks(gateway: &Gateway, payment: &Payment, from: &str, key: &str) -> Ask {
    let ask = gateway.ask("POST", "/paid").pays(payment).header("x-forwarded-for", from);
    if key.is_empty() { ask } else { ask.header("idempotency-key", key) }
}

fn again(answer: &Answer) {
    assert_eq!((answer.status, answer.header("idempotent-replayed")), (200, "true"));
}

#[tokio::test]
async fn a_kept_answer_is_given_where_it_was_bought_from() {
    let upstream = Upstream::start().await;
    let gateway = plan(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    assert_eq!(asks(&gateway, &payment, PAYER, "").send().await.status, 200);
    let read = asks(&gateway, &payment, READER, "").send().await;
    refused(&read, "payment_used");
    let told = read.json()["message"].as_str().unwrap().to_owned();
    assert!(told.contains("whoever sent this payment first"), "{told}");
    refused(&asks(&gateway, &payment, READER, "any-key-of-a-reader").send().await, "payment_used");
    again(&asks(&gateway, &payment, PAYER, "").send().await);
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn an_idempotency_key_is_as_good_as_an_address_if_it_cannot_be_guessed() {
    let upstream = Upstream::start().await;
    let gateway = plan(upstream.address).start().await;
    let (payment, key) = (Wallet::new(1).pays(), "0b8f0e4e-0c1d-4d2b-9a51");
    assert_eq!(asks(&gateway, &payment, PAYER, key).send().await.status, 200);
    again(&asks(&gateway, &payment, READER, key).send().await);
    for wrong in ["", "0b8f0e4e-0c1d-4d2b-9a52"] {
        refused(&asks(&gateway, &payment, PAYER, wrong).send().await, "payment_used");
    }
    let payment = Wallet::new(1).pays();
    assert_eq!(asks(&gateway, &payment, PAYER, "1").send().await.status, 200);
    refused(&asks(&gateway, &payment, READER, "1").send().await, "payment_used");
    again(&asks(&gateway, &payment, PAYER, "1").send().await);
}

fn early(upstream: &Server) -> Plan {
    let early = format!("{PRICED}\nsettle = \"before-upstream\"");
    plan(upstream.address).no_routes().route("match = \"POST /paid\"", &early)
}

/// Pays, and the upstream fails: an answer is owed.
async fn is_owed(gateway: &Gateway, upstream: &mut Server) -> Payment {
    let payment = Wallet::new(1).pays();
    let fails = async { upstream.call().await.answer(Reply::new(500)).await };
    let (answer, ()) = tokio::join!(asks(gateway, &payment, PAYER, "").send(), fails);
    refused(&answer, "paid_not_served");
    payment
}

async fn is_served(gateway: &Gateway, upstream: &mut Server, payment: &Payment) {
    let serves = async { upstream.call().await.answer(Reply::new(200)).await };
    let (answer, ()) = tokio::join!(asks(gateway, payment, PAYER, "").send(), serves);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.object("payment-response")["success"], true);
}

#[tokio::test]
async fn what_is_owed_is_owed_to_who_paid() {
    let mut upstream = Server::start().await;
    let gateway = early(&upstream).start().await;
    let payment = is_owed(&gateway, &mut upstream).await;
    refused(&asks(&gateway, &payment, READER, "").send().await, "payment_used");
    assert_eq!(upstream.count(), 1);
    is_served(&gateway, &mut upstream, &payment).await;
}

#[tokio::test]
async fn what_is_owed_waits_for_an_upstream_that_is_known_to_be_away() {
    let mut upstream = Server::start().await;
    let gateway = early(&upstream).start().await;
    let payment = is_owed(&gateway, &mut upstream).await;
    let (here, away) = (upstream.address.to_string(), "nowhere.invalid:9000");
    assert_eq!(gateway.reloaded(|text| text.replace(&here, away)).await.0, 200);
    for _ in 0..70 {
        let answer = asks(&gateway, &payment, PAYER, "").send().await;
        refused(&answer, "answer_unavailable");
    }
    assert_eq!(gateway.reloaded(|text| text.replace(away, &here)).await.0, 200);
    is_served(&gateway, &mut upstream, &payment).await;
    // What was given is not owed any more, and is there while the upstream is away again.
    assert_eq!(gateway.reloaded(|text| text.replace(&here, away)).await.0, 200);
    again(&asks(&gateway, &payment, PAYER, "").send().await);
}

/// The gateway dies when half of an answer has gone out: whoever paid gets a whole one, once.
#[tokio::test]
async fn what_a_crash_cut_off_is_owed_to_who_paid() {
    let mut upstream = Server::start().await;
    let gateway = plan(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let dies = async {
        let half = Reply::new(200).header("content-length", "8").body("half");
        let streaming = upstream.call().await.stream(half).await;
        assert_eq!(gateway.comes_to(&payment, "settled").await.state(), "settled");
        gateway.kill();
        streaming
    };
    let (cut_off, streaming) = tokio::join!(asks(&gateway, &payment, PAYER, "").try_send(), dies);
    assert!(cut_off.is_err());
    drop(streaming);
    let gateway = gateway.killed_and_restarted().await;
    refused(&asks(&gateway, &payment, READER, "").send().await, "payment_used");
    is_served(&gateway, &mut upstream, &payment).await;
    again(&asks(&gateway, &payment, PAYER, "").send().await);
    assert_eq!((upstream.count(), gateway.transfers().len()), (2, 1));
}

/// What was given is not owed once more, whoever was killed since.
#[tokio::test]
async fn what_was_given_before_a_crash_is_not_made_again() {
    let mut upstream = Server::start().await;
    let long = format!("{PRICED}\nkeep_answer = \"1KiB\"");
    let plan = plan(upstream.address).no_routes().route("match = \"POST /paid\"", &long);
    let gateway = plan.start().await;
    let payment = Wallet::new(1).pays();
    let long = Reply::new(200).body(vec![b'x'; 2_000]);
    let serves = async { upstream.call().await.answer(long).await };
    let (answer, ()) = tokio::join!(asks(&gateway, &payment, PAYER, "").send(), serves);
    assert_eq!(answer.status, 200);
    refused(&asks(&gateway, &payment, PAYER, "").send().await, "payment_used");
    // What was not written yet when the process died would be owed.
    is_written(&gateway).await;
    let gateway = gateway.killed_and_restarted().await;
    refused(&asks(&gateway, &payment, PAYER, "").send().await, "payment_used");
    assert_eq!(upstream.count(), 1);
}
