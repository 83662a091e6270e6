//! Clients that leave, at every step of an exchange: nothing is held for ever, nothing moves twice.

use super::refusals::refused;
use crate::support::eventually;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::raw::Raw;
use crate::support::server::{Reply, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};

/// A gateway whose upstream and facilitator the test answers by hand.
async fn gateway() -> (Gateway, Server, Facilitator) {
    let upstream = Server::start().await;
    let facilitator = Facilitator::start().await;
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    (gateway, upstream, facilitator)
}

/// A connection with a paid request on it, of which so many body bytes are missing.
async fn paid(gateway: &Gateway, payment: &Payment, missing: usize) -> Raw {
    let mut raw = Raw::open(gateway.public).await;
    let (header, length) = (payment.v2(), missing + 4);
    let head = format!(
        "POST /paid HTTP/1.1\r\nHost: a\r\nPAYMENT-SIGNATURE: {header}\r\n\
         Content-Length: {length}\r\n\r\nbody"
    );
    raw.send(head).await;
    raw
}

/// The payment has bought its answer, whoever reads it, and buys no second one.
async fn is_spent(gateway: &Gateway, payment: &Payment, facilitator: &Facilitator) {
    let line = gateway.comes_to(payment, "settled").await;
    gateway.runs(0).await;
    assert_eq!(facilitator.moved(), [(payment.nonce(), line.transaction().to_owned())].into());
    let again = gateway.ask("POST", "/paid").pays(payment).send().await;
    refused(&again, "payment_used");
    assert_eq!(again.json()["transaction"], line.transaction());
    assert_eq!(facilitator.asked(), (1, 1));
}

/// The payment was let go, and is good for another try.
async fn is_good(gateway: &Gateway, payment: &Payment, upstream: &mut Server) {
    let again = gateway.ask("POST", "/paid").pays(payment).send();
    let answers = async { upstream.call().await.answer(Reply::new(200)).await };
    let (again, ()) = tokio::join!(again, answers);
    assert_eq!(again.status, 200);
}

#[tokio::test]
async fn while_it_sends_its_headers() {
    let (gateway, mut upstream, facilitator) = gateway().await;
    let payment = Wallet::new(1).pays();
    let mut raw = Raw::open(gateway.public).await;
    let half = format!("POST /paid HTTP/1.1\r\nHost: a\r\nPAYMENT-SIGNATURE: {}", payment.v2());
    raw.send(half).await;
    raw.finish().await;
    raw.rest().await;
    assert_eq!(gateway.state(&payment).await, "none");
    assert_eq!(facilitator.asked(), (0, 0));
    is_good(&gateway, &payment, &mut upstream).await;
    gateway.runs(0).await;
}

#[tokio::test]
async fn while_it_sends_its_body() {
    let (gateway, mut upstream, facilitator) = gateway().await;
    let payment = Wallet::new(1).pays();
    let raw = paid(&gateway, &payment, 1_000).await;
    upstream.begun(1).await;
    assert_eq!(gateway.state(&payment).await, "held");
    drop(raw);
    gateway.comes_to(&payment, "released").await;
    gateway.runs(0).await;
    assert_eq!(facilitator.asked(), (1, 0));
    is_good(&gateway, &payment, &mut upstream).await;
}

/// Verification goes on, and with it the exchange, as if the client were there.
#[tokio::test]
async fn while_its_payment_is_verified() {
    let (gateway, mut upstream, mut facilitator) = gateway().await;
    facilitator.on_verify(Habit::Waits);
    let payment = Wallet::new(1).pays();
    let raw = paid(&gateway, &payment, 0).await;
    let question = facilitator.waiting().await;
    assert_eq!(gateway.state(&payment).await, "held");
    drop(raw);
    facilitator.answers_honestly(question).await;
    upstream.call().await.answer(Reply::new(200).body("for nobody")).await;
    is_spent(&gateway, &payment, &facilitator).await;
}

/// And where the payment turns out to be bad, it is let go.
#[tokio::test]
async fn while_its_bad_payment_is_verified() {
    let (gateway, mut upstream, mut facilitator) = gateway().await;
    facilitator.on_verify(Habit::Waits);
    let payment = Wallet::new(1).pays();
    let raw = paid(&gateway, &payment, 0).await;
    let question = facilitator.waiting().await;
    drop(raw);
    question.answer(Reply::new(200).body(r#"{"isValid":false}"#)).await;
    gateway.comes_to(&payment, "released").await;
    gateway.runs(0).await;
    facilitator.on_verify(Habit::Honest);
    is_good(&gateway, &payment, &mut upstream).await;
}

/// Work that was asked for is paid for: leaving early is no way to have it for nothing.
#[tokio::test]
async fn while_the_upstream_works() {
    let (gateway, mut upstream, facilitator) = gateway().await;
    let payment = Wallet::new(1).pays();
    let raw = paid(&gateway, &payment, 0).await;
    let call = upstream.call().await;
    drop(raw);
    call.answer(Reply::new(200).body("for nobody")).await;
    is_spent(&gateway, &payment, &facilitator).await;
    let line = gateway.logged("it", |line| line["payment"]["transaction"].is_string()).await;
    assert_eq!(line["outcome"], "paid");
}

/// A failure is not charged to a client that has left either.
#[tokio::test]
async fn while_the_upstream_fails() {
    let (gateway, mut upstream, facilitator) = gateway().await;
    let payment = Wallet::new(1).pays();
    let raw = paid(&gateway, &payment, 0).await;
    let call = upstream.call().await;
    drop(raw);
    call.answer(Reply::new(500)).await;
    gateway.comes_to(&payment, "released").await;
    gateway.runs(0).await;
    assert_eq!(facilitator.asked(), (1, 0));
}

#[tokio::test]
async fn while_its_payment_is_settled() {
    let (gateway, mut upstream, mut facilitator) = gateway().await;
    facilitator.on_settle(Habit::MovesAndWaits);
    let payment = Wallet::new(1).pays();
    let raw = paid(&gateway, &payment, 0).await;
    upstream.call().await.answer(Reply::new(200).body("for nobody")).await;
    let question = facilitator.waiting().await;
    assert_eq!(gateway.state(&payment).await, "settling");
    drop(raw);
    let transaction = facilitator.moved()[&payment.nonce()].clone();
    let told =
        format!(r#"{{"success":true,"transaction":"{transaction}","network":"eip155:84532"}}"#);
    question.answer(Reply::new(200).body(told)).await;
    is_spent(&gateway, &payment, &facilitator).await;
}

/// A release that comes while the money moves would let the payment be used twice.
#[tokio::test]
async fn while_a_settlement_is_under_way_the_payment_stays_taken() {
    let (gateway, mut upstream, mut facilitator) = gateway().await;
    facilitator.on_settle(Habit::Waits);
    let payment = Wallet::new(1).pays();
    let raw = paid(&gateway, &payment, 0).await;
    upstream.call().await.answer(Reply::new(200)).await;
    let question = facilitator.waiting().await;
    drop(raw);
    let again = gateway.ask("POST", "/paid").pays(&payment).send().await;
    refused(&again, "outcome_unknown");
    facilitator.answers_honestly(question).await;
    is_spent(&gateway, &payment, &facilitator).await;
}

/// Where its answer is not kept, nobody reads it on.
#[tokio::test]
async fn while_it_reads_the_answer() {
    let mut upstream = Server::start().await;
    let facilitator = Facilitator::start().await;
    let plan = Plan::to(upstream.address).section("[answers]\nmax = \"off\"");
    let gateway = plan.settled_by(&facilitator).start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = paid(&gateway, &payment, 0).await;
    let mut stream = upstream.call().await.stream(Reply::new(200)).await;
    stream.send("first").await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    drop(raw);
    // What is sent into the void meets a closed connection in the end.
    eventually("the upstream is let go", async || stream.refused("more").await.then_some(())).await;
    is_spent(&gateway, &payment, &facilitator).await;
}

/// Sixty clients that all leave take nothing with them that others need.
#[tokio::test]
async fn many_at_once() {
    let upstream = Upstream::start().await;
    let facilitator = Facilitator::start().await;
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    for _ in 0..60 {
        drop(paid(&gateway, &Wallet::new(1).pays(), 0).await);
    }
    // Some left before their request was read, some after; none is held.
    let fresh = Wallet::new(1).pays();
    assert_eq!(gateway.ask("POST", "/paid").pays(&fresh).send().await.status, 200);
    gateway.runs(0).await;
    let ledger = gateway.ledger().await;
    let states: Vec<_> = ledger.values().map(|line| line.state()).collect();
    assert!(states.iter().all(|state| matches!(*state, "settled" | "released")), "{states:?}");
    let settled = states.iter().filter(|state| **state == "settled").count();
    assert_eq!(facilitator.moved().len(), settled);
}
