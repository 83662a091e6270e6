//! One authorization, sent again and again in every spelling: it buys one answer.

use std::collections::BTreeMap;

use super::again::is_written;
use super::refusals::refused;
use crate::support::client::Answer;
use crate::support::dialect::{dialects, write};
use crate::support::facilitator::Facilitator;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::server::{Reply, Server};
use crate::support::together;
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};

/// Header names and values that all carry this payment; fifty or a few more.
fn spellings(payment: &Payment) -> Vec<(&'static str, String)> {
    let in_v1 = dialects().map(|(keys, base64)| (keys, base64, payment.json_v1()));
    let in_v2 = dialects().map(|(keys, base64)| (keys, base64, payment.json_v2()));
    let names = ["PAYMENT-SIGNATURE", "X-PAYMENT", "X-PAYMENT-RESPONSE"];
    let all = in_v1.chain(in_v2).map(|(keys, base64, json)| write(&json, keys, base64));
    all.flat_map(|value| names.map(|name| (name, value.clone()))).collect()
}

/// Sends all spellings at once, each over a connection of its own.
async fn storm(gateway: &Gateway, payment: &Payment) -> Vec<Answer> {
    let asks = spellings(payment)
        .into_iter()
        .take(50)
        .map(|(name, value)| gateway.ask_alone("POST", "/paid").header(name, &value).send());
    together(asks).await
}

/// How often each status came.
fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut count = BTreeMap::new();
    answers.iter().for_each(|answer| *count.entry(answer.status).or_default() += 1);
    count
}

#[tokio::test]
async fn of_fifty_at_once_one_is_served_and_one_settled() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let answers = storm(&gateway, &payment).await;
    let statuses = statuses(&answers);
    assert_eq!(statuses.values().sum::<usize>(), 50);
    // Whoever comes when it has been answered gets the same answer.
    assert!(statuses.keys().all(|status| [200, 409].contains(status)), "{statuses:?}");
    let first = |answer: &&Answer| answer.status == 200 && answer.header(AGAIN).is_empty();
    assert_eq!(answers.iter().filter(first).count(), 1);
    assert_eq!(upstream.seen().len(), 1);
    assert_eq!(gateway.transfers().len(), 1);
    let line = gateway.comes_to(&payment, "settled").await;

    for (name, value) in spellings(&payment) {
        let late = gateway.ask("POST", "/paid").header(name, &value).send().await;
        assert_eq!((late.status, late.text().as_str()), (200, "served"));
        assert_eq!(late.header(AGAIN), "true");
        assert_eq!(late.object("payment-response")["transaction"], line.transaction());
    }
    assert_eq!(gateway.transfers().len(), 1);
}

#[tokio::test]
async fn a_facilitator_is_asked_once_for_fifty() {
    let upstream = Upstream::start().await;
    let facilitator = Facilitator::start().await;
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    let payment = Wallet::new(1).pays();
    let answers = storm(&gateway, &payment).await;
    assert!(statuses(&answers)[&200] >= 1);
    assert_eq!(facilitator.asked(), (1, 1));
    assert_eq!(facilitator.moved().len(), 1);
    assert_eq!(upstream.seen().len(), 1);
}

/// While the first is being served, the rest hear that it is; none of them waits for it.
#[tokio::test]
async fn the_others_hear_at_once_that_it_is_in_use() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let first = gateway.ask_alone("POST", "/paid").pays(&payment).send();
    let others = async {
        let call = upstream.call().await;
        let others = storm(&gateway, &payment).await;
        call.answer(Reply::new(200)).await;
        others
    };
    let (first, others) = tokio::join!(first, others);
    assert_eq!(first.status, 200);
    others.iter().for_each(|answer| refused(answer, "payment_in_use"));
    assert_eq!(upstream.count(), 1);
}

/// Who holds a signature can make its twin; the contract takes either, so we take one.
#[tokio::test]
async fn the_high_s_twin_buys_nothing_before_or_after() {
    let upstream = Upstream::start().await;
    let facilitator = Facilitator::start().await;
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    let payment = Wallet::new(1).pays();
    let twin = payment.clone().high_s();
    let before = gateway.ask("POST", "/paid").pays(&twin).send().await;
    refused(&before, "payment_invalid");
    assert_eq!(facilitator.asked(), (0, 0));
    assert_eq!(gateway.ask("POST", "/paid").pays(&payment).send().await.status, 200);
    let after = gateway.ask("POST", "/paid").pays(&twin).send().await;
    refused(&after, "payment_invalid");
    assert_eq!(facilitator.asked(), (1, 1));
}

/// A payment is for an amount to somebody, so two routes of one price can be paid with it, once.
#[tokio::test]
async fn another_method_or_query_is_no_other_payment() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    assert_eq!(gateway.ask("POST", "/paid").pays(&payment).send().await.status, 200);
    for (method, path) in [("GET", "/paid"), ("POST", "/paid?again=1")] {
        refused(&gateway.ask(method, path).pays(&payment).send().await, "payment_used");
    }
}

/// The ledger remembers, not the process.
#[tokio::test]
async fn a_restart_forgets_no_payment() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    assert_eq!(gateway.ask("POST", "/paid").pays(&payment).send().await.status, 200);
    // Whose answer was not written yet would be owed one.
    is_written(&gateway).await;
    let gateway = gateway.killed_and_restarted().await;
    let late = gateway.ask("POST", "/paid?other").pays_v1(&payment).send().await;
    refused(&late, "payment_used");
    assert_eq!(gateway.transfers().len(), 1);
}

/// Says of an answer that it was given before.
const AGAIN: &str = "idempotent-replayed";
