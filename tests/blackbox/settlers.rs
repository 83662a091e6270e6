//! Who settles, and who is paid, changes while the gateway runs.

use super::refusals::refused;
use crate::support::client::Answer;
use crate::support::eventually;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{PAY_TO, Payment, Wallet};

const OTHER: &str = "0x000000000000000000000000000000000000bEEF";

async fn buys(gateway: &Gateway, payment: &Payment) -> Answer {
    gateway.ask("POST", "/paid").pays(payment).send().await
}

async fn reloads(gateway: &Gateway, from: &str, to: &str) {
    let (status, said) = gateway.reloaded(|text| text.replace(from, to)).await;
    assert_eq!(status, 200, "{said}");
}

#[tokio::test]
async fn another_facilitator_takes_what_comes_and_the_first_ends_what_it_has() {
    let upstream = Upstream::start().await;
    let (mut first, second) = (Facilitator::start().await, Facilitator::start().await);
    let gateway = Plan::to(upstream.address).settled_by(&first).start().await;
    assert_eq!(buys(&gateway, &Wallet::new(1).pays()).await.status, 200);

    // One is under way at the first while the second takes its place.
    first.on_settle(Habit::Waits);
    let (early, late) = (Wallet::new(1).pays(), Wallet::new(2).pays());
    let meanwhile = async {
        let call = first.waiting().await;
        reloads(&gateway, first.url(), second.url()).await;
        assert_eq!(buys(&gateway, &late).await.status, 200);
        first.answers_honestly(call).await;
    };
    let (answer, ()) = tokio::join!(buys(&gateway, &early), meanwhile);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let nonces = |facilitator: &Facilitator| facilitator.moved().into_keys().collect::<Vec<_>>();
    assert!(nonces(&first).contains(&early.nonce()));
    assert_eq!(nonces(&second), [late.nonce()]);
    assert_eq!((first.asked().1, second.asked().1), (2, 1));
    for payment in [&early, &late] {
        assert_eq!(gateway.comes_to(payment, "settled").await.amount(), 50_000);
    }
}

/// What is told the same stays what it was: its circuit, and what it said it settles.
#[tokio::test]
async fn a_reload_closes_no_circuit() {
    let upstream = Upstream::start().await;
    let facilitator = Facilitator::start().await;
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    facilitator.on_supported(Habit::Says(502, String::new()));
    facilitator.on_verify(Habit::Says(502, String::new()));
    let circuit = "tollgate_facilitator_circuit{facilitator=\"peer\",question=\"verify\"}";
    for payer in 1..=8 {
        buys(&gateway, &Wallet::new(payer).pays()).await;
    }
    eventually("the circuit is open", async || {
        (gateway.metric(circuit).await.as_deref() == Some("2")).then_some(())
    })
    .await;
    let asked = facilitator.asked();
    reloads(&gateway, "$0.05", "$0.06").await;
    refused(&buys(&gateway, &Wallet::new(9).pays()).await, "facilitator_unavailable");
    assert_eq!(facilitator.asked(), asked, "nobody has asked it");
}

#[tokio::test]
async fn another_recipient_is_told_at_once_and_the_one_before_is_paid_for_a_while() {
    let upstream = Upstream::start().await;
    let facilitator = Facilitator::start().await;
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    let before = Wallet::new(1).pays();
    reloads(&gateway, &PAY_TO.to_string(), OTHER).await;
    let told = gateway.ask("POST", "/paid").send().await.object("payment-required");
    assert_eq!(told["accepts"][0]["payTo"].as_str().unwrap().to_lowercase(), OTHER.to_lowercase());
    assert_eq!(buys(&gateway, &before).await.status, 200);
    let [_, settled] = facilitator.questions();
    assert_eq!(settled["paymentRequirements"]["payTo"], PAY_TO.to_string());
    let now = Wallet::new(2).signs(|authorization| authorization.to = OTHER.parse().unwrap());
    let now = now.then(|payment| payment.accepted["payTo"] = OTHER.into());
    assert_eq!(buys(&gateway, &now).await.status, 200);
    let [_, settled] = facilitator.questions();
    assert_eq!(
        settled["paymentRequirements"]["payTo"].as_str().unwrap().to_lowercase(),
        OTHER.to_lowercase()
    );
}

#[tokio::test]
async fn one_more_is_asked_after_the_first_and_one_that_is_gone_is_told_of_no_more() {
    let upstream = Upstream::start().await;
    let (first, spare) = (Facilitator::start().await, Facilitator::start().await);
    let gateway = Plan::to(upstream.address).settled_by(&first).spare(&spare).start().await;
    let circuits = async |name| {
        let circuit = "tollgate_facilitator_circuit";
        let label = format!("{circuit}{{facilitator=\"{name}\",question=\"settle\"}}");
        gateway.metric(&label).await.is_some()
    };
    let is_told = async |name, told: bool| {
        eventually(name, async || (circuits(name).await == told).then_some(())).await;
    };
    is_told("spare", true).await;
    let text = std::fs::read_to_string(gateway.file()).unwrap();
    let section = format!("[facilitators.spare]\nhttp = {{ url = \"{}\" }}", spare.url());
    assert!(text.contains(&section), "{text}");
    let (status, said) = gateway
        .reloaded(|text| text.replace(&section, "").replace("[\"peer\", \"spare\"]", "\"peer\""))
        .await;
    assert_eq!(status, 200, "{said}");
    is_told("spare", false).await;
    assert_eq!(gateway.reloaded(|_| text).await.0, 200);
    is_told("spare", true).await;
    first.on_verify(Habit::Says(502, String::new()));
    assert_eq!(buys(&gateway, &Wallet::new(1).pays()).await.status, 200);
    assert_eq!(spare.asked(), (1, 1));
}

#[tokio::test]
async fn whoever_moves_money_by_itself_is_read_at_the_start_only() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let dearer = |text: String| text.replace("journal = ", "balance = \"$1\", journal = ");
    let (status, said) = gateway.reloaded(dearer).await;
    assert_eq!(status, 409);
    assert!(said.starts_with("[facilitators.NAME.simulated] changed"), "{said}");
    // Another recipient is no matter of its.
    let text = std::fs::read_to_string(gateway.file()).unwrap();
    let text = text.replace("balance = \"$1\", ", "");
    assert_eq!(gateway.reloaded(|_| text).await.0, 200);
    reloads(&gateway, &PAY_TO.to_string(), OTHER).await;
}
