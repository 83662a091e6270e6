//! Settlements that fail, or that nobody hears of: what moved is never asked for again.

use super::refusals::refused;
use crate::support::client::Answer;
use crate::support::eventually;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::ledger::locked;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};

/// A facilitator with these habits, behind a gateway that waits for it no longer than a moment.
async fn gateway(
    upstream: &Upstream,
    on_verify: Habit,
    on_settle: Habit,
) -> (Gateway, Facilitator) {
    let facilitator = Facilitator::start().await;
    facilitator.on_verify(on_verify);
    facilitator.on_settle(on_settle);
    let section = format!(
        "http = {{ url = \"{}\", verify_timeout = \"{MOMENT}\", settle_timeout = \"{MOMENT}\" }}",
        facilitator.url()
    );
    let gateway = Plan::to(upstream.address).facilitator(&section).start().await;
    (gateway, facilitator)
}

/// Long enough for an honest answer on a busy machine.
const MOMENT: &str = "3s";

async fn pay(gateway: &Gateway, payment: &Payment) -> Answer {
    gateway.ask("POST", "/paid").pays(payment).send().await
}

/// The money may have moved: 503 now and for every later try, and no second settlement.
async fn stays_unknown(on_settle: Habit, moved: usize, transaction: &str) {
    let upstream = Upstream::start().await;
    let (gateway, facilitator) = gateway(&upstream, Habit::Honest, on_settle).await;
    let payment = Wallet::new(1).pays();
    let answer = pay(&gateway, &payment).await;
    refused(&answer, "outcome_unknown");
    assert_eq!(answer.json()["transaction"].as_str().unwrap_or_default(), transaction);
    assert_eq!(facilitator.moved().len(), moved);
    let line = gateway.comes_to(&payment, "unknown").await;
    assert_eq!(line.transaction(), transaction);

    facilitator.on_settle(Habit::Honest);
    for again in
        [gateway.ask("POST", "/paid").pays(&payment), gateway.ask("GET", "/paid").pays_v1(&payment)]
    {
        let answer = again.send().await;
        refused(&answer, "outcome_unknown");
        assert_eq!(answer.json()["transaction"].as_str().unwrap_or_default(), transaction);
    }
    assert_eq!(facilitator.asked(), (1, 1), "never asked twice");
    assert_eq!(upstream.seen().len(), 1);
    let gateway = gateway.killed_and_restarted().await;
    refused(&pay(&gateway, &payment).await, "outcome_unknown");
    assert_eq!(facilitator.asked(), (1, 1));
}

#[tokio::test]
async fn a_facilitator_that_never_answers_leaves_the_outcome_unknown() {
    stays_unknown(Habit::Waits, 0, "").await;
}

#[tokio::test]
async fn a_500_after_the_money_has_moved_leaves_the_outcome_unknown() {
    stays_unknown(Habit::MovesAndSays(500, "oops".into()), 1, "").await;
}

#[tokio::test]
async fn a_cut_off_answer_leaves_the_outcome_unknown() {
    stays_unknown(Habit::MovesAndSays(200, r#"{"success":tr"#.into()), 1, "").await;
}

/// As a proxy that repeats the order when the first answer was lost.
#[tokio::test]
async fn a_payment_that_was_used_before_is_not_asked_for_again() {
    let said = r#"{"success":false,"errorReason":"duplicate_settlement","transaction":""}"#;
    stays_unknown(Habit::MovesAndSays(200, said.into()), 1, "").await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_leaves_the_outcome_unknown() {
    stays_unknown(Habit::MovesAndSays(307, String::new()), 1, "").await;
}

#[tokio::test]
async fn a_success_on_another_network_is_not_believed() {
    let hash = format!("0x{}", "ab".repeat(32));
    let said = format!(r#"{{"success":true,"transaction":"{hash}","network":"eip155:1"}}"#);
    stays_unknown(Habit::MovesAndSays(200, said), 1, &hash).await;
}

#[tokio::test]
async fn a_success_without_a_transaction_is_not_believed() {
    let said = r#"{"success":true,"transaction":"","network":"eip155:84532"}"#;
    stays_unknown(Habit::MovesAndSays(200, said.into()), 1, "").await;
}

#[tokio::test]
async fn a_success_for_another_payer_is_not_believed() {
    let (hash, other) = (format!("0x{}", "ab".repeat(32)), format!("0x{}", "cd".repeat(20)));
    let said = format!(
        r#"{{"success":true,"transaction":"{hash}","network":"eip155:84532","payer":"{other}"}}"#
    );
    stays_unknown(Habit::MovesAndSays(200, said), 1, &hash).await;
}

/// The chain would not have it, and says so with any status. Nothing was taken; the answer is not
/// given away either.
#[tokio::test]
async fn a_rejected_settlement_gives_no_answer_and_takes_no_money() {
    let upstream = Upstream::start().await;
    let said = r#"{"success":false,"errorReason":"insufficient_funds","transaction":""}"#;
    let rejects = Habit::Says(200, said.to_owned());
    let (gateway, facilitator) = gateway(&upstream, Habit::Honest, rejects).await;
    let payment = Wallet::new(1).pays();
    let answer = pay(&gateway, &payment).await;
    refused(&answer, "settlement_rejected");
    assert!(!answer.text().contains("served"));
    let told = answer.object("payment-response");
    assert_eq!((&told["success"], &told["transaction"]), (&false.into(), &"".into()));
    assert_eq!(told["errorReason"], "insufficient_funds");
    let line = gateway.comes_to(&payment, "refused").await;
    assert_eq!(line.reason(), "insufficient_funds");

    // Nothing moved, so the payer may fund the account and send the same payment again.
    facilitator.on_settle(Habit::Honest);
    assert_eq!(pay(&gateway, &payment).await.status, 200);
    assert_eq!(facilitator.moved().len(), 1);
    gateway.comes_to(&payment, "settled").await;
}

/// Turned away at the door, the question was not heard: released, and good for another try.
#[tokio::test]
async fn a_settlement_that_was_turned_away_is_released() {
    let upstream = Upstream::start().await;
    let busy = Habit::Says(429, String::new());
    let (gateway, facilitator) = gateway(&upstream, Habit::Honest, busy).await;
    let payment = Wallet::new(1).pays();
    refused(&pay(&gateway, &payment).await, "facilitator_unavailable");
    gateway.comes_to(&payment, "released").await;
    facilitator.on_settle(Habit::Honest);
    assert_eq!(pay(&gateway, &payment).await.status, 200);
}

/// Verification moves nothing, so whatever goes wrong there is released and served nobody.
async fn cannot_verify(on_verify: Habit, code: &str) {
    let upstream = Upstream::start().await;
    let (gateway, facilitator) = gateway(&upstream, on_verify, Habit::Honest).await;
    let payment = Wallet::new(1).pays();
    refused(&pay(&gateway, &payment).await, code);
    gateway.comes_to(&payment, "released").await;
    assert!(upstream.seen().is_empty());
    facilitator.on_verify(Habit::Honest);
    assert_eq!(pay(&gateway, &payment).await.status, 200);
    assert_eq!(facilitator.asked(), (2, 1));
}

#[tokio::test]
async fn a_verification_that_is_never_answered_is_released() {
    cannot_verify(Habit::Waits, "facilitator_unavailable").await;
}

#[tokio::test]
async fn a_verification_that_is_garbage_is_released() {
    cannot_verify(Habit::Says(200, "<html>".into()), "facilitator_unavailable").await;
}

#[tokio::test]
async fn a_verification_for_another_payer_is_not_believed() {
    let said = format!(r#"{{"isValid":true,"payer":"0x{}"}}"#, "cd".repeat(20));
    cannot_verify(Habit::Says(200, said), "facilitator_unavailable").await;
}

#[tokio::test]
async fn a_facilitators_no_is_told_with_its_reason() {
    let no = r#"{"isValid":false,"invalidReason":"insufficient_funds"}"#;
    cannot_verify(Habit::Says(400, no.into()), "payment_invalid").await;
}

/// The disk was away when the word came: it is written as soon as it can be, not only at the next
/// start, and nobody is asked to pay again meanwhile.
#[tokio::test]
async fn an_outcome_that_could_not_be_written_is_written_later() {
    let upstream = Upstream::start().await;
    let mut facilitator = Facilitator::start().await;
    facilitator.on_settle(Habit::Waits);
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    let payment = Wallet::new(1).pays();
    let meanwhile = async {
        let question = facilitator.waiting().await;
        let lock = locked(&gateway).await;
        facilitator.answers_honestly(question).await;
        lock
    };
    let (answer, lock) = tokio::join!(pay(&gateway, &payment), meanwhile);
    assert_eq!(answer.status, 200, "the money has moved: {answer:?}");
    assert_eq!(gateway.state(&payment).await, "settling");
    lock.release().await;
    let line = gateway.comes_to(&payment, "settled").await;
    assert_eq!(answer.object("payment-response")["transaction"], line.transaction());
    let again = pay(&gateway, &payment).await;
    assert_eq!((again.status, &again.body), (200, &answer.body), "it finds its answer");
}

/// The disk stalls while a payment is on its way: it waits, and whoever watches sees since when.
#[tokio::test]
async fn a_ledger_that_stalls_is_seen_while_payments_wait_for_it() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let behind = async || -> f64 {
        gateway.metric("tollgate_ledger_lag_seconds").await.unwrap().parse().unwrap()
    };
    assert!(behind().await == 0.0);
    let payment = Wallet::new(1).pays();
    let lock = locked(&gateway).await;
    let watched = async {
        let first =
            eventually("the lag", async || Some(behind().await).filter(|lag| *lag > 0.0)).await;
        let second = behind().await;
        assert!(first < second && second < 60.0, "{first} {second}");
        lock.release().await;
    };
    let (answer, ()) = tokio::join!(pay(&gateway, &payment), watched);
    assert_eq!(answer.status, 200, "{answer:?}");
    eventually("no lag", async || (behind().await == 0.0).then_some(())).await;
    gateway.comes_to(&payment, "settled").await;
}

/// What recovery cannot find out is shown to whoever looks after the gateway.
#[tokio::test]
async fn unknown_payments_are_counted() {
    let upstream = Upstream::start().await;
    let oops = Habit::MovesAndSays(500, String::new());
    let (gateway, _facilitator) = gateway(&upstream, Habit::Honest, oops).await;
    refused(&pay(&gateway, &Wallet::new(1).pays()).await, "outcome_unknown");
    gateway.counts("tollgate_payments_unknown", "1").await;
    let fault = gateway.logged("its line", |line| line["outcome"] == "outcome_unknown").await;
    assert!(fault["fault"].as_str().is_some_and(|text| text.starts_with("facilitator")), "{fault}");
}
