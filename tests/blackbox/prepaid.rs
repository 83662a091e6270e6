//! Routes that are settled before the upstream is asked: who has paid is owed an answer.

use super::refusals::refused;
use crate::support::client::Ask;
use crate::support::eventually;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::raw::Raw;
use crate::support::server::{Reply, Server};
use crate::support::wallet::{Payment, Wallet};

fn plan(upstream: &Server) -> Plan {
    let early = format!("{PRICED}\nsettle = \"before-upstream\"");
    Plan::to(upstream.address).route("match = \"POST /early\"", &early)
}

fn asks(gateway: &Gateway, payment: &Payment) -> Ask {
    gateway.ask_alone("POST", "/early").pays(payment).body("the body")
}

/// Asks, and the upstream answers so.
async fn answered(
    gateway: &Gateway,
    upstream: &mut Server,
    payment: &Payment,
    reply: Reply,
) -> crate::support::client::Answer {
    let answers = async { upstream.call().await.answer(reply).await };
    tokio::join!(asks(gateway, payment).send(), answers).0
}

#[tokio::test]
async fn money_moves_before_the_upstream_is_asked() {
    let mut upstream = Server::start().await;
    let mut facilitator = Facilitator::start().await;
    facilitator.on_settle(Habit::Waits);
    let gateway = plan(&upstream).settled_by(&facilitator).start().await;
    let payment = Wallet::new(1).pays();
    let settles = async {
        let question = facilitator.waiting().await;
        assert_eq!(upstream.count(), 0);
        facilitator.answers_honestly(question).await;
        upstream.call().await.answer(Reply::new(200).body("served")).await;
    };
    let (answer, ()) = tokio::join!(asks(&gateway, &payment).send(), settles);
    assert_eq!((answer.status, answer.text().as_str()), (200, "served"));
    assert_eq!(answer.object("payment-response")["success"], true);
    let again = asks(&gateway, &payment).send().await;
    assert_eq!((again.status, again.text().as_str()), (200, "served"));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!((upstream.count(), facilitator.moved().len()), (1, 1));
}

/// Whatever keeps the answer away, the payer is told that it has paid, and served for nothing.
#[tokio::test]
async fn who_was_not_served_comes_again_for_nothing() {
    let mut upstream = Server::start().await;
    let gateway = plan(&upstream).start().await;
    let payment = Wallet::new(1).pays();
    let first = answered(&gateway, &mut upstream, &payment, Reply::new(500)).await;
    refused(&first, "paid_not_served");
    let transaction = first.json()["transaction"].clone();
    assert!(transaction.is_string());
    let cut = async { upstream.call().await.say_and_close(b"HTTP/1.1 2").await };
    let (second, ()) = tokio::join!(asks(&gateway, &payment).send(), cut);
    refused(&second, "paid_not_served");
    assert_eq!(second.json()["transaction"], transaction);

    // What the upstream says of the request is passed on, with the receipt; the debt stands.
    let third = answered(&gateway, &mut upstream, &payment, Reply::new(422)).await;
    assert_eq!(third.status, 422);
    assert_eq!(third.object("payment-response")["transaction"], transaction);

    let gateway = gateway.killed_and_restarted().await;
    let served = Reply::new(200).body("served");
    let fourth = answered(&gateway, &mut upstream, &payment, served).await;
    assert_eq!((fourth.status, fourth.text().as_str()), (200, "served"));
    assert_eq!(fourth.header("idempotent-replayed"), "");
    assert_eq!(fourth.object("payment-response")["transaction"], transaction);
    let fifth = asks(&gateway, &payment).send().await;
    assert_eq!((fifth.status, fifth.header("idempotent-replayed")), (200, "true"));
    assert_eq!((upstream.count(), gateway.transfers().len()), (4, 1));
}

/// The process dies between the settlement and the answer.
#[tokio::test]
async fn a_crash_forgets_no_debt() {
    let mut upstream = Server::start().await;
    let gateway = plan(&upstream).start().await;
    let payment = Wallet::new(1).pays();
    let first = asks(&gateway, &payment).try_send();
    let dies = async {
        let call = upstream.call().await;
        assert_eq!(gateway.state(&payment).await, "settled");
        gateway.kill();
        call
    };
    let (first, call) = tokio::join!(first, dies);
    assert!(first.is_err());
    drop(call);
    let gateway = gateway.killed_and_restarted().await;
    let served = Reply::new(200).body("served");
    let again = answered(&gateway, &mut upstream, &payment, served).await;
    assert_eq!((again.status, again.text().as_str()), (200, "served"));
    assert_eq!(gateway.transfers().len(), 1);
}

/// One debt is one answer: while somebody is at it, others wait, and another route owes nothing.
#[tokio::test]
async fn a_debt_is_paid_once_and_where_it_was_made() {
    let mut upstream = Server::start().await;
    let gateway = plan(&upstream).start().await;
    let payment = Wallet::new(1).pays();
    let first = answered(&gateway, &mut upstream, &payment, Reply::new(503)).await;
    refused(&first, "paid_not_served");
    let elsewhere = gateway.ask("POST", "/paid").pays(&payment).body("the body").send().await;
    refused(&elsewhere, "payment_used");
    let others = async {
        let call = upstream.call().await;
        let other = asks(&gateway, &payment).send().await;
        refused(&other, "answer_under_way");
        call.answer(Reply::new(200).body("served")).await;
    };
    let (second, ()) = tokio::join!(asks(&gateway, &payment).send(), others);
    assert_eq!(second.status, 200);
    assert_eq!(upstream.count(), 2);
}

#[tokio::test]
async fn a_client_that_leaves_finds_its_answer_here_too() {
    let mut upstream = Server::start().await;
    let gateway = plan(&upstream).start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = Raw::open(gateway.public).await;
    let (host, header) = (gateway.public, payment.v2());
    raw.send(format!(
        "POST /early HTTP/1.1\r\nHost: {host}\r\nPAYMENT-SIGNATURE: {header}\r\n\
         Content-Length: 8\r\n\r\nthe body"
    ))
    .await;
    let call = upstream.call().await;
    drop(raw);
    call.answer(Reply::new(200).body("served")).await;
    eventually("its answer", async || {
        let again = asks(&gateway, &payment).send().await;
        (again.status == 200).then(|| assert_eq!(again.text(), "served"))
    })
    .await;
    assert_eq!((upstream.count(), gateway.transfers().len()), (1, 1));
}

/// A settlement that fails serves nobody, and asks no upstream.
#[tokio::test]
async fn who_cannot_pay_is_not_served() {
    let upstream = Server::start().await;
    let facilitator = Facilitator::start().await;
    let no = r#"{"success":false,"errorReason":"insufficient_funds","transaction":""}"#;
    facilitator.on_settle(Habit::Says(200, no.to_owned()));
    let gateway = plan(&upstream).settled_by(&facilitator).start().await;
    let payment = Wallet::new(1).pays();
    refused(&asks(&gateway, &payment).send().await, "settlement_rejected");
    facilitator.on_settle(Habit::Says(500, String::new()));
    refused(&asks(&gateway, &payment).send().await, "outcome_unknown");
    refused(&asks(&gateway, &payment).send().await, "outcome_unknown");
    assert_eq!(upstream.count(), 0);
}
