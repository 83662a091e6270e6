//! Payers who name what they buy: it is bought once, whatever they sign under the name.

use serde_json::json;

use super::again::is_written;
use super::refusals::refused;
use crate::support::client::{Answer, Ask};
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::server::{Reply, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};
use crate::support::{in_time, together};

/// As the published clients make one.
const NAME: &str = "pay_7d5d747be160e280504c099d984bcfe0";

fn pays() -> Payment {
    Wallet::new(1).pays().named(NAME)
}

fn asks(gateway: &Gateway, payment: &Payment) -> Ask {
    gateway.ask_alone("POST", "/paid?a=b").pays(payment).body("the body")
}

async fn pay(gateway: &Gateway, payment: &Payment) -> Answer {
    asks(gateway, payment).send().await
}

/// Asks, and the upstream answers so.
async fn answered(
    gateway: &Gateway,
    upstream: &mut Server,
    payment: &Payment,
    reply: Reply,
) -> Answer {
    let answers = async { upstream.call().await.answer(reply).await };
    tokio::join!(pay(gateway, payment), answers).0
}

#[tokio::test]
async fn the_402_says_that_names_are_understood() {
    let upstream = Upstream::start().await;
    let must = format!("{PRICED}\npayment_identifier = \"required\"");
    let off = format!("{PRICED}\npayment_identifier = \"off\"");
    let forgets = format!("{PRICED}\nkeep_answer = \"off\"");
    let plan = Plan::to(upstream.address).route("match = \"POST /must\"", &must);
    let plan = plan.route("match = \"POST /off\"", &off);
    let gateway = plan.route("match = \"POST /forgets\"", &forgets).start().await;
    for (path, required) in [("/paid", json!(false)), ("/must", json!(true))] {
        let answer = gateway.ask("POST", path).send().await;
        let required_payment = answer.object("payment-required");
        let declared = &required_payment["extensions"]["payment-identifier"];
        assert_eq!(declared["info"], json!({ "required": required }));
        assert_eq!(declared["schema"]["properties"]["id"]["minLength"], 16);
    }
    for path in ["/off", "/forgets"] {
        let answer = gateway.ask("POST", path).send().await;
        let told = answer.object("payment-required");
        assert_eq!(told["extensions"].get("payment-identifier"), None);
        // What is not understood is no mistake.
        let badly = Wallet::new(1).pays().named("?");
        assert_eq!(gateway.ask("POST", path).pays(&badly).send().await.status, 200);
    }
}

#[tokio::test]
async fn what_has_a_name_is_bought_once_however_often_it_is_signed() {
    let (upstream, facilitator) = (Upstream::start().await, Facilitator::start().await);
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    let first = pay(&gateway, &pays()).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, ""));
    let second = pays();
    for _ in 0..3 {
        let again = pay(&gateway, &second).await;
        assert_eq!((again.status, again.text()), (200, first.text()));
        assert_eq!(again.header("idempotent-replayed"), "true");
        // The receipt is the one for the money that moved.
        assert_eq!(again.object("payment-response"), first.object("payment-response"));
    }
    // The second was let go before anyone was asked, and may buy something else.
    gateway.comes_to(&second, "released").await;
    assert_eq!((facilitator.asked(), upstream.seen().len()), ((1, 1), 1));
    let elsewhere = gateway.ask("GET", "/paid").pays(&second.named("another_name_for_it"));
    assert_eq!(elsewhere.send().await.header("idempotent-replayed"), "");
    assert_eq!(facilitator.moved().len(), 2);
    // The name is its payer's, and nobody else's.
    let theirs = pay(&gateway, &Wallet::new(2).pays().named(NAME)).await;
    assert_eq!((theirs.status, theirs.header("idempotent-replayed")), (200, ""));
    assert_eq!(facilitator.moved().len(), 3);
}

#[tokio::test]
async fn a_name_stands_for_one_request() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    assert_eq!(pay(&gateway, &pays()).await.status, 200);
    for (method, path, body) in
        [("POST", "/paid?a=b", "another"), ("GET", "/paid?a=b", "the body"), ("POST", "/paid", "")]
    {
        let payment = pays();
        let answer = gateway.ask(method, path).pays(&payment).body(body).send().await;
        refused(&answer, "payment_id_used");
        gateway.comes_to(&payment, "released").await;
    }
    assert_eq!((upstream.seen().len(), gateway.transfers().len()), (1, 1));
}

#[tokio::test]
async fn while_the_first_is_served_the_second_waits() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let first = pays();
    let open = asks(&gateway, &first).open();
    let begin = async {
        let call = upstream.call().await;
        refused(&pay(&gateway, &pays()).await, "payment_in_use");
        call.stream(Reply::new(200)).await
    };
    let (answer, mut stream) = tokio::join!(open, begin);
    stream.send("one").await;
    refused(&pay(&gateway, &pays()).await, "answer_under_way");
    stream.end().await;
    assert_eq!(answer.text().await.unwrap(), "one");
    assert_eq!(pay(&gateway, &pays()).await.text(), "one");
    assert_eq!((upstream.count(), gateway.transfers().len()), (1, 1));
}

#[tokio::test]
async fn of_twenty_at_once_one_is_charged_and_all_are_served() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let all = (0..20).map(async |_| {
        loop {
            let answer = pay(&gateway, &pays()).await;
            match answer.status {
                200 => return answer.text(),
                status => assert!(matches!(status, 409 | 503), "{answer:?}"),
            }
        }
    });
    let texts = in_time("every answer", together(all)).await;
    assert!(texts.iter().all(|text| text == "served"));
    assert_eq!((upstream.seen().len(), gateway.transfers().len()), (1, 1));
}

/// Whatever keeps the first from being settled, the name is free then.
#[tokio::test]
async fn what_was_not_bought_has_no_name() {
    let mut upstream = Server::start().await;
    let facilitator = Facilitator::start().await;
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    let failed = answered(&gateway, &mut upstream, &pays(), Reply::new(500)).await;
    assert_eq!(failed.status, 500);
    let no = r#"{"success":false,"errorReason":"insufficient_funds","transaction":""}"#;
    facilitator.on_settle(Habit::Says(200, no.to_owned()));
    let rejected = answered(&gateway, &mut upstream, &pays(), Reply::new(200)).await;
    refused(&rejected, "settlement_rejected");
    facilitator.on_settle(Habit::Honest);
    let good = Reply::new(200).body("served");
    let (other_request, payment) = ("/paid?another", pays());
    let ask = gateway.ask("POST", other_request).pays(&payment).send();
    let (served, ()) = tokio::join!(ask, async { upstream.call().await.answer(good).await });
    assert_eq!((served.status, served.text().as_str()), (200, "served"));
    let again = gateway.ask("POST", other_request).pays(&pays()).send().await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!((upstream.count(), facilitator.moved().len()), (3, 1));
}

#[tokio::test]
async fn while_it_is_not_known_whether_the_first_was_taken_nobody_pays() {
    let (upstream, facilitator) = (Upstream::start().await, Facilitator::start().await);
    facilitator.on_settle(Habit::Says(500, String::new()));
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    refused(&pay(&gateway, &pays()).await, "outcome_unknown");
    facilitator.on_settle(Habit::Honest);
    let second = pays();
    refused(&pay(&gateway, &second).await, "outcome_unknown");
    gateway.comes_to(&second, "released").await;
    assert_eq!((upstream.seen().len(), facilitator.moved().len()), (1, 0));
}

#[tokio::test]
async fn a_restart_forgets_no_name() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let first = pay(&gateway, &pays()).await;
    is_written(&gateway).await;
    let gateway = gateway.killed_and_restarted().await;
    let again = pay(&gateway, &pays()).await;
    assert_eq!((again.text(), again.header("idempotent-replayed")), (first.text(), "true"));
    assert_eq!((upstream.seen().len(), gateway.transfers().len()), (1, 1));
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_before_anything_is_taken() {
    let upstream = Upstream::start().await;
    let must = format!("{PRICED}\npayment_identifier = \"required\"");
    let plan = Plan::to(upstream.address).route("match = \"POST /must\"", &must);
    let gateway = plan.start().await;
    for bad in ["fifteen_letters", "sixteen letters!", ""] {
        let payment = Wallet::new(1).pays().named(bad);
        refused(&pay(&gateway, &payment).await, "payment_id_malformed");
        assert_eq!(gateway.state(&payment).await, "none");
    }
    let unnamed = Wallet::new(1).pays();
    for ask in [
        gateway.ask("POST", "/must").pays(&unnamed),
        gateway.ask("POST", "/must").pays_v1(&unnamed),
    ] {
        refused(&ask.send().await, "payment_id_required");
    }
    assert_eq!(gateway.state(&unnamed).await, "none");
    let named = gateway.ask("POST", "/must").pays(&pays()).send().await;
    assert_eq!(named.status, 200);
}

/// A debt is its name's too.
#[tokio::test]
async fn what_is_owed_under_a_name_is_given_for_another_signature() {
    let mut upstream = Server::start().await;
    let early = format!("{PRICED}\nsettle = \"before-upstream\"");
    let plan = Plan::to(upstream.address).route("match = \"POST /early\"", &early);
    let gateway = plan.start().await;
    let early = |payment: &Payment| gateway.ask_alone("POST", "/early").pays(payment);
    let first = pays();
    let fails = async { upstream.call().await.answer(Reply::new(500)).await };
    let (answer, ()) = tokio::join!(early(&first).send(), fails);
    refused(&answer, "paid_not_served");
    let serves = async { upstream.call().await.answer(Reply::new(200).body("served")).await };
    let (served, ()) = tokio::join!(early(&pays()).send(), serves);
    assert_eq!((served.status, served.text().as_str()), (200, "served"));
    // Both signatures get it again.
    for payment in [first, pays()] {
        let again = early(&payment).send().await;
        assert_eq!(
            (again.text().as_str(), again.header("idempotent-replayed")),
            ("served", "true")
        );
    }
    assert_eq!((upstream.count(), gateway.transfers().len()), (2, 1));
}
