//! Known points: the test sees where the exchange stands, or keeps it from going further.
//!
//! While the test holds the ledger's file, nothing is written: a gateway that is killed then has
//! not made its next write, wherever it was.

use crate::blackbox::refusals::refused;
use crate::support::client::Answer;
use crate::support::eventually;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::ledger::locked;
use crate::support::plan::Plan;
use crate::support::raw::Raw;
use crate::support::server::{Reply, Server};
use crate::support::wallet::{Payment, Wallet};

/// A paid request whose answer nobody reads yet.
async fn asks(gateway: &Gateway, payment: &Payment) -> Raw {
    let mut raw = Raw::open(gateway.public).await;
    let header = payment.v2();
    raw.send(format!("GET /paid HTTP/1.1\r\nHost: a\r\nPAYMENT-SIGNATURE: {header}\r\n\r\n")).await;
    raw
}

async fn pay(gateway: &Gateway, payment: &Payment) -> Answer {
    gateway.ask("POST", "/paid").pays(payment).send().await
}

/// The payment was let go and has not moved; it buys an answer now, once.
async fn was_let_go(gateway: &Gateway, payment: &Payment, upstream: &mut Server) {
    assert!(matches!(gateway.state(payment).await.as_str(), "released" | "none"));
    assert_eq!(gateway.transfers(), []);
    let answers = async { upstream.call().await.answer(Reply::new(200)).await };
    let (answer, ()) = tokio::join!(pay(gateway, payment), answers);
    assert_eq!(answer.status, 200);
    was_spent(gateway, payment).await;
}

/// The payment has moved once, the ledger knows with which transaction, and it buys nothing more
/// than the answer it has bought, if that was written in time.
async fn was_spent(gateway: &Gateway, payment: &Payment) {
    let line = gateway.comes_to(payment, "settled").await;
    assert_eq!(gateway.transfers(), [(payment.nonce(), line.transaction().to_owned())]);
    let again = pay(gateway, payment).await;
    let told = if again.header("idempotent-replayed") == "true" {
        again.object("payment-response")
    } else {
        refused(&again, "payment_used");
        again.json()
    };
    assert_eq!(told["transaction"], line.transaction());
    assert_eq!(gateway.transfers().len(), 1);
}

/// The payment has moved once, and whoever paid and was cut off gets its answer now, for nothing
/// more.
async fn was_owed(gateway: &Gateway, payment: &Payment, upstream: &mut Server) {
    let serves = async {
        loop {
            upstream.call().await.answer(Reply::new(200)).await;
        }
    };
    let answer = tokio::select! {
        answer = pay(gateway, payment) => answer,
        () = serves => unreachable!("it serves for ever"),
    };
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (transfers, receipt) = (gateway.transfers(), answer.object("payment-response"));
    assert_eq!(transfers.len(), 1);
    assert_eq!(receipt["transaction"], transfers[0].1.as_str());
    was_spent(gateway, payment).await;
}

#[tokio::test]
async fn before_the_claim_is_written() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let lock = locked(&gateway).await;
    let _raw = asks(&gateway, &payment).await;
    gateway.runs(1).await;
    gateway.kill();
    lock.release().await;
    let gateway = gateway.killed_and_restarted().await;
    assert_eq!(upstream.count(), 0);
    was_let_go(&gateway, &payment, &mut upstream).await;
}

#[tokio::test]
async fn after_the_claim_is_written() {
    let mut upstream = Server::start().await;
    let slow = "simulated = { journal = \"JOURNAL\", delay = { verify = \"3s\" } }";
    let gateway = Plan::to(upstream.address).facilitator(slow).start().await;
    let payment = Wallet::new(1).pays();
    let _raw = asks(&gateway, &payment).await;
    gateway.comes_to(&payment, "held").await;
    let gateway = gateway.killed_and_restarted().await;
    was_let_go(&gateway, &payment, &mut upstream).await;
}

#[tokio::test]
async fn while_the_upstream_works() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let _raw = asks(&gateway, &payment).await;
    let call = upstream.call().await;
    assert_eq!(gateway.state(&payment).await, "held");
    let gateway = gateway.killed_and_restarted().await;
    drop(call);
    was_let_go(&gateway, &payment, &mut upstream).await;
}

#[tokio::test]
async fn before_the_settlement_is_announced() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let _raw = asks(&gateway, &payment).await;
    let call = upstream.call().await;
    let lock = locked(&gateway).await;
    call.answer(Reply::new(200)).await;
    gateway.kill();
    lock.release().await;
    let gateway = gateway.killed_and_restarted().await;
    was_let_go(&gateway, &payment, &mut upstream).await;
}

/// A simulated chain tells what became of a payment; the ledger is set right before anybody asks.
#[tokio::test]
async fn after_the_money_has_moved_and_before_anybody_says_so() {
    let mut upstream = Server::start().await;
    let slow = "simulated = { journal = \"JOURNAL\", delay = { settle = \"1h\" } }";
    let gateway = Plan::to(upstream.address).facilitator(slow).start().await;
    let payment = Wallet::new(1).pays();
    let _raw = asks(&gateway, &payment).await;
    upstream.call().await.answer(Reply::new(200)).await;
    eventually("a transfer", async || gateway.transfers().pop()).await;
    assert_eq!(gateway.state(&payment).await, "settling");
    let gateway = gateway.killed_and_restarted().await;
    assert_eq!(gateway.state(&payment).await, "settled");
    was_owed(&gateway, &payment, &mut upstream).await;
}

#[tokio::test]
async fn before_the_outcome_is_written() {
    let mut upstream = Server::start().await;
    let slow = "simulated = { journal = \"JOURNAL\", delay = { settle = \"3s\" } }";
    let gateway = Plan::to(upstream.address).facilitator(slow).start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = asks(&gateway, &payment).await;
    upstream.call().await.answer(Reply::new(200)).await;
    eventually("a transfer", async || gateway.transfers().pop()).await;
    let lock = locked(&gateway).await;
    // The receipt goes out when the writer has given up.
    assert_eq!(raw.head().await.unwrap().status, 200);
    gateway.kill();
    lock.release().await;
    let gateway = gateway.killed_and_restarted().await;
    assert_eq!(gateway.state(&payment).await, "settled");
    was_owed(&gateway, &payment, &mut upstream).await;
}

#[tokio::test]
async fn after_the_outcome_is_written() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = asks(&gateway, &payment).await;
    let mut stream = upstream.call().await.stream(Reply::new(200)).await;
    stream.send("half of it").await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    let gateway = gateway.killed_and_restarted().await;
    was_owed(&gateway, &payment, &mut upstream).await;
}

#[tokio::test]
async fn before_a_release_is_written() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = asks(&gateway, &payment).await;
    let call = upstream.call().await;
    let lock = locked(&gateway).await;
    call.answer(Reply::new(500)).await;
    assert_eq!(raw.head().await.unwrap().status, 500);
    gateway.kill();
    lock.release().await;
    let gateway = gateway.killed_and_restarted().await;
    was_let_go(&gateway, &payment, &mut upstream).await;
}

/// Of a facilitator over HTTP nobody can ask what became of a payment: it stays unknown, whether
/// the money has moved or not, and is never sent again.
async fn stays_unknown(on_settle: Habit) {
    let mut upstream = Server::start().await;
    let mut facilitator = Facilitator::start().await;
    facilitator.on_settle(on_settle);
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    let payment = Wallet::new(1).pays();
    let _raw = asks(&gateway, &payment).await;
    upstream.call().await.answer(Reply::new(200)).await;
    let _question = facilitator.waiting().await;
    assert_eq!(gateway.state(&payment).await, "settling");
    let mut gateway = gateway.killed_and_restarted().await;
    facilitator.on_settle(Habit::Honest);
    for _ in 0..2 {
        assert_eq!(gateway.state(&payment).await, "unknown");
        refused(&pay(&gateway, &payment).await, "outcome_unknown");
        gateway = gateway.killed_and_restarted().await;
    }
    assert_eq!(facilitator.asked(), (1, 1));
}

#[tokio::test]
async fn before_the_facilitator_has_moved_the_money() {
    stays_unknown(Habit::Waits).await;
}

#[tokio::test]
async fn after_the_facilitator_has_moved_the_money() {
    stays_unknown(Habit::MovesAndWaits).await;
}
