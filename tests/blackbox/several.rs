//! Two facilitators for one network: what one does not take, the other may, and nothing else.

use super::refusals::refused;
use crate::support::client::Answer;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};
use crate::support::{eventually, in_time};

/// A gateway with a first facilitator and a spare one.
async fn gateway(upstream: &Upstream, first: &Facilitator, spare: &Facilitator) -> Gateway {
    let url = first.url();
    let section = format!("http = {{ url = \"{url}\", verify_timeout = \"3s\" }}");
    Plan::to(upstream.address).facilitator(&section).spare(spare).start().await
}

async fn pay(gateway: &Gateway, payment: &Payment) -> Answer {
    gateway.ask("POST", "/paid").pays(payment).send().await
}

async fn circuit(gateway: &Gateway, name: &str, question: &str) -> Option<String> {
    let labels = format!("{{facilitator=\"{name}\",question=\"{question}\"}}");
    gateway.metric(&format!("tollgate_facilitator_circuit{labels}")).await
}

#[tokio::test]
async fn while_the_first_is_gone_the_second_serves_and_the_first_is_left_alone() {
    let (upstream, spare) = (Upstream::start().await, Facilitator::start().await);
    let first = Facilitator::start().await;
    first.on_verify(Habit::Says(502, String::new()));
    first.on_supported(Habit::Says(502, String::new()));
    let gateway = gateway(&upstream, &first, &spare).await;
    for payer in 1..=20 {
        let payment = Wallet::new(payer).pays();
        assert_eq!(pay(&gateway, &payment).await.status, 200);
        assert_eq!(gateway.comes_to(&payment, "settled").await.facilitator(), "spare");
    }
    assert_eq!(spare.asked(), (20, 20));
    let (verified, settled) = first.asked();
    assert!((5..=7).contains(&verified) && settled == 0, "{verified} {settled}");
    eventually("an open circuit in the metrics", async || {
        circuit(&gateway, "peer", "verify").await.filter(|level| level == "2")
    })
    .await;
    assert_eq!(circuit(&gateway, "spare", "verify").await.as_deref(), Some("0"));
    assert_eq!(circuit(&gateway, "peer", "settle").await.as_deref(), Some("0"));
    // One that is away does not take down what another serves, and it is told.
    let (status, text) = gateway.admin("/readyz").await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("facilitator peer: verify circuit"), "{text}");
    assert!(!text.contains("facilitator spare"), "{text}");

    // Back again, it is found and used.
    first.on_verify(Habit::Honest);
    first.on_supported(Habit::Honest);
    eventually("the first settles again", async || {
        let payment = Wallet::new(1).pays();
        assert_eq!(pay(&gateway, &payment).await.status, 200);
        (gateway.comes_to(&payment, "settled").await.facilitator() == "peer").then_some(())
    })
    .await;
    assert!(gateway.said().contains(r#""state":"closed""#));
}

#[tokio::test]
async fn a_first_that_hangs_delays_only_those_who_find_out() {
    let (upstream, spare) = (Upstream::start().await, Facilitator::start().await);
    let first = Facilitator::start().await;
    first.on_verify(Habit::Waits);
    first.on_supported(Habit::Waits);
    let gateway = gateway(&upstream, &first, &spare).await;
    let finding_out =
        (1..=5).map(async |payer| pay(&gateway, &Wallet::new(payer).pays()).await.status);
    assert_eq!(crate::support::together(finding_out).await, [200; 5]);
    let asked = first.asked().0;
    assert_eq!(asked, 5);
    for payer in 6..=15 {
        assert_eq!(pay(&gateway, &Wallet::new(payer).pays()).await.status, 200);
    }
    assert_eq!(first.asked().0, asked, "a request waited for one that was known to hang");
}

#[tokio::test]
async fn a_payer_whose_payments_break_the_first_keeps_it_from_nobody_else() {
    let (upstream, spare) = (Upstream::start().await, Facilitator::start().await);
    let first = Facilitator::start().await;
    let gateway = gateway(&upstream, &first, &spare).await;
    first.on_verify(Habit::Says(500, String::new()));
    for _ in 0..20 {
        assert_eq!(pay(&gateway, &Wallet::new(1).pays()).await.status, 200);
    }
    assert_eq!(spare.asked(), (20, 20));
    let asked = first.asked().0;
    assert!((5..=7).contains(&asked), "it was asked {asked} times for one payer");
    first.on_verify(Habit::Honest);
    let payment = Wallet::new(2).pays();
    assert_eq!(pay(&gateway, &payment).await.status, 200);
    assert_eq!(gateway.comes_to(&payment, "settled").await.facilitator(), "peer");
    assert_eq!(circuit(&gateway, "peer", "verify").await.as_deref(), Some("0"));
}

#[tokio::test]
async fn an_order_that_was_not_taken_goes_to_the_next() {
    let (upstream, spare) = (Upstream::start().await, Facilitator::start().await);
    let first = Facilitator::start().await;
    first.on_settle(Habit::Says(429, String::new()));
    let gateway = gateway(&upstream, &first, &spare).await;
    let payment = Wallet::new(1).pays();
    let answer = pay(&gateway, &payment).await;
    assert_eq!(answer.status, 200);
    let line = gateway.comes_to(&payment, "settled").await;
    assert_eq!(line.facilitator(), "spare");
    assert_eq!(line.transaction(), answer.object("payment-response")["transaction"]);
    assert_eq!((first.asked(), spare.asked()), ((1, 1), (0, 1)));
    assert_eq!((first.moved().len(), spare.moved().len()), (0, 1));
    assert_eq!(upstream.seen().len(), 1);
    assert_eq!(pay(&gateway, &payment).await.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn an_order_that_may_be_under_way_goes_to_nobody_else() {
    let (upstream, spare) = (Upstream::start().await, Facilitator::start().await);
    let first = Facilitator::start().await;
    first.on_settle(Habit::MovesAndSays(500, String::new()));
    let gateway = gateway(&upstream, &first, &spare).await;
    let payment = Wallet::new(1).pays();
    refused(&pay(&gateway, &payment).await, "outcome_unknown");
    assert_eq!(gateway.comes_to(&payment, "unknown").await.facilitator(), "peer");
    // Not when the payer comes back, not when the first is away for good, not after a crash.
    first.on_verify(Habit::Says(502, String::new()));
    for _ in 0..6 {
        assert_eq!(pay(&gateway, &Wallet::new(2).pays()).await.status, 200);
        refused(&pay(&gateway, &payment).await, "outcome_unknown");
    }
    let gateway = gateway.killed_and_restarted().await;
    refused(&pay(&gateway, &payment).await, "outcome_unknown");
    assert_eq!((first.asked().1, first.moved().len()), (1, 1));
    assert_eq!(spare.asked(), (6, 6));
    assert!(!spare.moved().contains_key(&payment.nonce()));
}

/// The process dies while the second is asked: recovery must not take the first's word for it.
#[tokio::test]
async fn the_ledger_names_the_second_before_it_is_asked() {
    let (upstream, mut spare) = (Upstream::start().await, Facilitator::start().await);
    let first = Facilitator::start().await;
    first.on_settle(Habit::Says(403, String::new()));
    spare.on_settle(Habit::MovesAndWaits);
    let gateway = gateway(&upstream, &first, &spare).await;
    let payment = Wallet::new(1).pays();
    let asking = gateway.ask("POST", "/paid").pays(&payment).try_send();
    let dies = async {
        let _question = spare.waiting().await;
        let line = gateway.comes_to(&payment, "settling").await;
        assert_eq!(line.facilitator(), "spare");
        gateway.kill();
    };
    let (answer, ()) = tokio::join!(asking, dies);
    assert!(answer.is_err(), "{answer:?}");
    let gateway = gateway.killed_and_restarted().await;
    assert_eq!(gateway.comes_to(&payment, "unknown").await.facilitator(), "spare");
    refused(&pay(&gateway, &payment).await, "outcome_unknown");
    assert_eq!((first.asked().1, spare.asked().1), (1, 1));
}

#[tokio::test]
async fn while_all_are_away_nothing_is_lost_and_everything_else_is_served() {
    let (upstream, spare) = (Upstream::start().await, Facilitator::start().await);
    let first = Facilitator::start().await;
    let gateway = gateway(&upstream, &first, &spare).await;
    gateway.ready().await;
    let bought = Wallet::new(1).pays();
    assert_eq!(pay(&gateway, &bought).await.status, 200);
    for facilitator in [&first, &spare] {
        facilitator.on_verify(Habit::Says(503, String::new()));
        facilitator.on_supported(Habit::Says(503, String::new()));
    }
    let payments: Vec<Payment> = (2..7).map(|payer| Wallet::new(payer).pays()).collect();
    for payment in &payments {
        let answer = pay(&gateway, payment).await;
        refused(&answer, "facilitator_unavailable");
        let seconds: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        gateway.comes_to(payment, "released").await;
    }
    // With all circuits open nothing is written for whoever comes now.
    let late = Wallet::new(8).pays();
    refused(&pay(&gateway, &late).await, "facilitator_unavailable");
    assert_eq!(gateway.state(&late).await, "none");
    // What was bought is still known, and what needs nobody is served.
    assert_eq!(pay(&gateway, &bought).await.header("idempotent-replayed"), "true");
    assert_eq!(gateway.ask("GET", "/free").send().await.status, 200);
    assert_eq!(gateway.ask("POST", "/paid").send().await.status, 402);
    assert_eq!(gateway.admin("/readyz").await.0, 200);

    for facilitator in [&first, &spare] {
        facilitator.on_verify(Habit::Honest);
        facilitator.on_supported(Habit::Honest);
    }
    eventually("somebody is back", async || {
        (pay(&gateway, &payments[0]).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(first.moved().len() + spare.moved().len(), 2);
}

#[tokio::test]
async fn check_online_says_who_settles_where() {
    let (upstream, first) = (Upstream::start().await, Facilitator::start().await);
    let spare = Facilitator::start().await;
    let ours = r#"{"kinds":[{"x402Version":1,"scheme":"exact","network":"base-sepolia"}]}"#;
    first.on_supported(Habit::Says(200, ours.to_owned()));
    spare.on_supported(Habit::Says(200, r#"{"kinds":[]}"#.to_owned()));
    let plan = Plan::to(upstream.address).settled_by(&first).spare(&spare);
    let dir = plan.folder();
    let check = async || {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(["check", "--online"]).arg(dir.path().join("gateway.toml"));
        let output = in_time("the check", command.output()).await.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = check().await;
    assert_eq!(code, Some(0), "{said}");
    let first_line = format!("    by       peer: {}", first.url());
    let then_line = format!("    else by  spare: {}", spare.url());
    for line in [
        first_line.as_str(),
        then_line.as_str(),
        "base-sepolia (eip155:84532)",
        "  peer       settles `exact` here, in version 1 only",
        "  spare      answers, and does not settle `exact` here",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}\n---\n{said}");
    }
    first.on_supported(Habit::Says(503, String::new()));
    let (code, said) = check().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("peer       does not say what it settles: facilitator: "), "{said}");
    assert!(said.contains("nobody is known to settle here now"), "{said}");
}
