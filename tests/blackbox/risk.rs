//! Routes that answer before their money has moved, for payers who do not owe too much already.

use crate::support::client::Answer;
use crate::support::eventually;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::upstream::Upstream;
use crate::support::wallet::{NETWORK, Payment, Wallet};

/// `POST /fast` costs $0.05 and gives a payer two answers before payment.
fn plan(upstream: &Upstream, facilitator: &Facilitator) -> Plan {
    let risky = format!("name = \"fast\"\n{PRICED}\nrisk = \"$0.10\"");
    Plan::to(upstream.address).settled_by(facilitator).route("match = \"POST /fast\"", &risky)
}

async fn pay(gateway: &Gateway, payment: &Payment) -> Answer {
    gateway.ask("POST", "/fast").pays(payment).send().await
}

/// An answer whose payment is not settled yet says nothing of a settlement.
fn at_risk(answer: &Answer) {
    assert_eq!((answer.status, answer.header("payment-response")), (200, ""));
    assert_eq!(answer.header("cache-control"), "no-store");
}

async fn amount(gateway: &Gateway, name: &str) -> Option<String> {
    let labels = format!("{{network=\"{NETWORK}\",route=\"fast\"}}");
    gateway.metric(&format!("tollgate_{name}_amount_total{labels}")).await
}

async fn comes_to(gateway: &Gateway, name: &str, units: &str) {
    eventually("money counted", async || {
        amount(gateway, name).await.filter(|counted| counted == units)
    })
    .await;
}

#[tokio::test]
async fn the_answer_does_not_wait_and_its_receipt_is_there_for_who_comes_again() {
    let (upstream, mut facilitator) = (Upstream::start().await, Facilitator::start().await);
    facilitator.on_settle(Habit::Waits);
    let gateway = plan(&upstream, &facilitator).start().await;
    let payment = Wallet::new(1).pays();
    at_risk(&pay(&gateway, &payment).await);
    let settlement = facilitator.waiting().await;
    assert_eq!(gateway.state(&payment).await, "settling");
    assert_eq!(pay(&gateway, &payment).await.status, 503, "its outcome is not known yet");
    assert_eq!(amount(&gateway, "settled").await, None);

    facilitator.answers_honestly(settlement).await;
    gateway.comes_to(&payment, "settled").await;
    comes_to(&gateway, "settled", "50000").await;
    let again = pay(&gateway, &payment).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    assert_eq!(again.object("payment-response")["success"], true);
    assert_eq!((upstream.seen().len(), facilitator.asked()), (1, (1, 1)));
    gateway.logged("its line", |line| line["outcome"] == "at_risk").await;
}

#[tokio::test]
async fn who_owes_too_much_waits_and_nobody_else_does() {
    let (upstream, mut facilitator) = (Upstream::start().await, Facilitator::start().await);
    facilitator.on_settle(Habit::Waits);
    let gateway = plan(&upstream, &facilitator).start().await;
    let (first, second, third) = (Wallet::new(1), Wallet::new(1), Wallet::new(1));
    at_risk(&pay(&gateway, &first.pays()).await);
    at_risk(&pay(&gateway, &second.pays()).await);
    let mut waiting = vec![facilitator.waiting().await, facilitator.waiting().await];
    at_risk(&pay(&gateway, &Wallet::new(2).pays()).await);
    waiting.push(facilitator.waiting().await);
    let settles = async {
        let question = facilitator.waiting().await;
        facilitator.answers_honestly(question).await;
    };
    let payment = third.pays();
    let (answer, ()) = tokio::join!(pay(&gateway, &payment), settles);
    assert_eq!(answer.object("payment-response")["success"], true);

    for question in waiting {
        facilitator.answers_honestly(question).await;
    }
    comes_to(&gateway, "settled", "200000").await;
    at_risk(&pay(&gateway, &Wallet::new(1).pays()).await);
}

#[tokio::test]
async fn what_is_lost_is_counted_and_counts_against_its_payer() {
    let (upstream, facilitator) = (Upstream::start().await, Facilitator::start().await);
    let refusal = r#"{"success":false,"errorReason":"insufficient_funds","transaction":""}"#;
    facilitator.on_settle(Habit::Says(200, refusal.into()));
    let gateway = plan(&upstream, &facilitator).start().await;
    for lost in ["50000", "100000"] {
        let payment = Wallet::new(1).pays();
        at_risk(&pay(&gateway, &payment).await);
        gateway.comes_to(&payment, "refused").await;
        comes_to(&gateway, "lost", lost).await;
    }
    let waits = pay(&gateway, &Wallet::new(1).pays()).await;
    assert_eq!(waits.status, 402, "{}", waits.text());
    at_risk(&pay(&gateway, &Wallet::new(2).pays()).await);
    comes_to(&gateway, "lost", "150000").await;
    assert_eq!(amount(&gateway, "settled").await, None);
}

#[tokio::test]
async fn a_settlement_that_nobody_takes_is_tried_again() {
    let (upstream, facilitator) = (Upstream::start().await, Facilitator::start().await);
    facilitator.on_settle(Habit::Says(429, String::new()));
    let gateway = plan(&upstream, &facilitator).start().await;
    let payment = Wallet::new(1).pays();
    at_risk(&pay(&gateway, &payment).await);
    eventually("a second try", async || (facilitator.asked().1 >= 2).then_some(())).await;
    assert_eq!(gateway.state(&payment).await, "settling");
    facilitator.on_settle(Habit::Honest);
    gateway.comes_to(&payment, "settled").await;
    comes_to(&gateway, "settled", "50000").await;
    assert_eq!((amount(&gateway, "lost").await, facilitator.moved().len()), (None, 1));
}

#[tokio::test]
async fn a_gateway_that_ends_settles_first() {
    let (upstream, mut facilitator) = (Upstream::start().await, Facilitator::start().await);
    facilitator.on_settle(Habit::Waits);
    let mut gateway = plan(&upstream, &facilitator).server("grace = \"1h\"").start().await;
    let payment = Wallet::new(1).pays();
    at_risk(&pay(&gateway, &payment).await);
    let settlement = facilitator.waiting().await;
    gateway.terminate();
    eventually("no new connections", async || {
        tokio::net::TcpStream::connect(gateway.public).await.is_err().then_some(())
    })
    .await;
    facilitator.answers_honestly(settlement).await;
    assert_eq!(gateway.ended().await.code(), Some(0));
    assert_eq!(gateway.state(&payment).await, "settled");
}
