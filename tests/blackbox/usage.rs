//! Answers that say at their end what they cost: reserved at most, settled for what was used.

use std::net::SocketAddr;

use alloy_primitives::Address;
use serde_json::{Value, json};
use tollgate::x402::Form;
use tollgate::x402::permit2::{Permit, UPTO_PROXY};

use crate::support::client::Answer;
use crate::support::eventually;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::raw::Raw;
use crate::support::server::{Reply, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::{ASSET, Payment, Wallet};

/// $0.002 for 1,000 tokens, and $0.10 at most.
const USAGE: &str = "price = { max = \"$0.10\", per = \"1k tokens\", rate = \"$0.002\", \
     from = \"usage.total_tokens\" }\nnetworks = [\"base-sepolia\"]";
const OR_ALL: &str = "price = { max = \"$0.10\", per = \"1k tokens\", rate = \"$0.002\", \
     from = \"usage.total_tokens\", missing = \"max\" }\nnetworks = [\"base-sepolia\"]";
const MAX: u64 = 100_000;

fn plan(upstream: SocketAddr) -> Plan {
    Plan::to(upstream)
        .no_routes()
        .route("match = \"GET,POST /chat\"", USAGE)
        .route("match = \"POST /chat-or-all\"", OR_ALL)
}

/// One that answers with this JSON, and names an amount if it is to.
async fn upstream(body: Value, named: Option<&'static str>) -> Upstream {
    Upstream::answering(move |_| {
        let reply = Reply::new(200).header("content-type", "application/json");
        let reply = match named {
            Some(named) => reply.header("Settlement-Overrides", named),
            None => reply,
        };
        reply.body(body.to_string())
    })
    .await
}

fn used(tokens: Value) -> Value {
    json!({ "choices": [{ "text": "Hi" }], "usage": { "total_tokens": tokens } })
}

/// The offer of a route, once it is known who settles.
async fn offer(gateway: &Gateway, path: &str) -> Value {
    eventually("an offer", async || {
        let answer = gateway.ask("POST", path).send().await;
        let offer = (answer.status == 402).then(|| answer.object("payment-required"));
        offer.map(|required| required["accepts"][0].clone())
    })
    .await
}

async fn pay(gateway: &Gateway, path: &str, payment: &Payment) -> Answer {
    gateway.ask("POST", path).pays(payment).body("{}").send().await
}

/// Pays what this upstream answers, and gives the answer and its receipt.
async fn bought(gateway: &Gateway, path: &str) -> (Payment, Answer) {
    let payment = Wallet::new(1).permits_up_to(&offer(gateway, path).await);
    let answer = pay(gateway, path, &payment).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    (payment, answer)
}

/// Its money has moved, so much of it.
#[track_caller]
fn says(answer: &Answer, amount: u64) {
    let receipt = answer.object("payment-response");
    assert_eq!(receipt["success"], true);
    assert_eq!(receipt["amount"], amount.to_string());
    assert_eq!(receipt["transaction"].as_str().unwrap().is_empty(), amount == 0);
}

async fn settled(gateway: &Gateway, payment: &Payment, amount: u64) {
    let line = gateway.comes_to(payment, "settled").await;
    assert_eq!((line.amount(), line.reserved()), (amount, MAX));
}

#[tokio::test]
async fn what_was_used_is_settled_before_the_answer_goes_out() {
    let upstream = upstream(used(1_501.into()), None).await;
    let gateway = plan(upstream.address).start().await;
    let asked = gateway.ask("POST", "/chat").send().await;
    assert_eq!(asked.json()["accepts"], json!([]), "version 1 has no words for it");
    let offer = offer(&gateway, "/chat").await;
    assert_eq!(offer["scheme"], "upto");
    assert_eq!(offer["amount"], MAX.to_string());
    let extra = &offer["extra"];
    assert_eq!([&extra["assetTransferMethod"], &extra["name"]], ["permit2", "USDC"]);
    assert!(extra["facilitatorAddress"].as_str().unwrap().starts_with("0x"));

    let (payment, answer) = bought(&gateway, "/chat").await;
    assert_eq!(answer.json(), used(1_501.into()));
    says(&answer, 3_002);
    settled(&gateway, &payment, 3_002).await;
    let again = pay(&gateway, "/chat", &payment).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    says(&again, 3_002);
    assert_eq!((upstream.seen().len(), gateway.transfers().len()), (1, 1));
    let metric = "tollgate_settled_amount_total{network=\"eip155:84532\",route=\"GET,POST /chat\"}";
    gateway.counts(metric, "3002").await;

    let seen = &upstream.seen()[0];
    assert_eq!((seen.header("x-tollgate-amount"), &*seen.body), ("100000", &b"{}"[..]));
    assert_eq!(
        (seen.header("accept-encoding"), seen.header("payment-signature")),
        ("identity", "")
    );
}

#[tokio::test]
async fn no_more_is_settled_than_was_signed() {
    let upstream = upstream(used(9_999_999.into()), None).await;
    let gateway = plan(upstream.address).start().await;
    let (payment, answer) = bought(&gateway, "/chat").await;
    says(&answer, MAX);
    settled(&gateway, &payment, MAX).await;
}

#[tokio::test]
async fn what_the_upstream_names_counts_and_stays_between_us() {
    for (named, amount) in
        [(r#"{"amount":"700"}"#, 700), (r#"{"amount":"50%"}"#, 50_000), (r#"{"amount":"$9"}"#, MAX)]
    {
        let upstream = upstream(used(1_000.into()), Some(named)).await;
        let gateway = plan(upstream.address).start().await;
        let (payment, answer) = bought(&gateway, "/chat").await;
        assert_eq!(answer.header("settlement-overrides"), "");
        says(&answer, amount);
        settled(&gateway, &payment, amount).await;
    }
}

#[tokio::test]
async fn of_nothing_nothing_is_moved_and_the_payment_stays_good() {
    let upstream = upstream(used(0.into()), None).await;
    let gateway = plan(upstream.address).start().await;
    let (payment, answer) = bought(&gateway, "/chat").await;
    says(&answer, 0);
    gateway.comes_to(&payment, "released").await;
    assert_eq!(pay(&gateway, "/chat", &payment).await.status, 200);
    assert_eq!((upstream.seen().len(), gateway.transfers().len()), (2, 0));
}

#[tokio::test]
async fn an_answer_that_does_not_say_it_costs_what_the_route_says() {
    for (body, reason) in [(json!({}), "missing"), (used("many".into()), "not_a_number")] {
        let upstream = upstream(body, None).await;
        let gateway = plan(upstream.address).start().await;
        let (payment, answer) = bought(&gateway, "/chat").await;
        says(&answer, 0);
        gateway.comes_to(&payment, "released").await;
        let (payment, answer) = bought(&gateway, "/chat-or-all").await;
        says(&answer, MAX);
        settled(&gateway, &payment, MAX).await;
        for route in ["GET,POST /chat", "POST /chat-or-all"] {
            let name = "tollgate_usage_unread_total";
            let metric = format!("{name}{{reason=\"{reason}\",route=\"{route}\"}}");
            gateway.counts(&metric, "1").await;
        }
    }
}

#[tokio::test]
async fn no_good_answer_costs_nothing() {
    let upstream = Upstream::answering(|_| Reply::new(500).body("sorry")).await;
    let gateway = plan(upstream.address).start().await;
    let payment = Wallet::new(1).permits_up_to(&offer(&gateway, "/chat-or-all").await);
    let answer = pay(&gateway, "/chat-or-all", &payment).await;
    assert_eq!((answer.status, &*answer.text()), (500, "sorry"));
    gateway.comes_to(&payment, "released").await;
    drop(upstream);
    assert_eq!(pay(&gateway, "/chat-or-all", &payment).await.status, 502);
    gateway.comes_to(&payment, "released").await;
    assert!(gateway.transfers().is_empty());
}

#[tokio::test]
async fn json_that_breaks_off_is_not_given_and_costs_nothing() {
    let mut upstream = Server::start().await;
    let gateway = plan(upstream.address).start().await;
    let payment = Wallet::new(1).permits_up_to(&offer(&gateway, "/chat-or-all").await);
    let asked = pay(&gateway, "/chat-or-all", &payment);
    let answers = async {
        let half =
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"usage\":{\"total_tokens\":5}}";
        upstream.call().await.say_and_close(half).await;
    };
    let (answer, ()) = tokio::join!(asked, answers);
    assert_eq!(answer.status, 502);
    gateway.comes_to(&payment, "released").await;
}

fn events() -> Reply {
    Reply::new(200).header("content-type", "text/event-stream")
}

const LAST: &str = "data: {\"usage\":{\"total_tokens\":2000}}\n\n";

#[tokio::test]
async fn events_pass_one_by_one_and_the_last_says_what_they_cost() {
    let mut upstream = Server::start().await;
    let gateway = plan(upstream.address).start().await;
    let payment = Wallet::new(1).permits_up_to(&offer(&gateway, "/chat").await);
    let asked = gateway.ask("POST", "/chat").pays(&payment).open();
    let begins = async { upstream.call().await.stream(events()).await };
    let (mut answer, mut streaming) = tokio::join!(asked, begins);
    assert_eq!(answer.headers().get("payment-response"), None);
    for piece in ["data: {\"usage\":null}\n\n", "data: {\"a\":", "1}\n\n", LAST, "data: [DONE]\n\n"]
    {
        streaming.send(piece).await;
        assert_eq!(answer.chunk().await.unwrap().unwrap(), piece);
    }
    assert_eq!(gateway.state(&payment).await, "held");
    streaming.end().await;
    assert_eq!(answer.chunk().await.unwrap(), None);
    settled(&gateway, &payment, 4_000).await;

    let again = gateway.ask("POST", "/chat").pays(&payment).send().await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    says(&again, 4_000);
    assert!(again.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn events_that_break_off_cost_what_they_have_said() {
    let mut upstream = Server::start().await;
    let gateway = plan(upstream.address).start().await;
    for (said, amount) in [(LAST, 4_000), ("data: {}\n\n", 0)] {
        let payment = Wallet::new(1).permits_up_to(&offer(&gateway, "/chat-or-all").await);
        let asked = gateway.ask_alone("POST", "/chat-or-all").pays(&payment).open();
        let begins = async { upstream.call().await.stream(events()).await };
        let (mut answer, mut streaming) = tokio::join!(asked, begins);
        streaming.send(said).await;
        assert_eq!(answer.chunk().await.unwrap().unwrap(), said);
        drop(streaming);
        assert!(answer.chunk().await.is_err(), "whoever reads it has to learn that");
        match amount {
            0 => drop(gateway.comes_to(&payment, "released").await),
            amount => settled(&gateway, &payment, amount).await,
        }
    }
}

#[tokio::test]
async fn who_leaves_before_the_end_pays_what_it_says() {
    let mut upstream = Server::start().await;
    let gateway = plan(upstream.address).start().await;
    let payment = Wallet::new(1).permits_up_to(&offer(&gateway, "/chat").await);
    let mut raw = Raw::open(gateway.public).await;
    let head = format!(
        "POST /chat HTTP/1.1\r\nHost: a\r\nPAYMENT-SIGNATURE: {}\r\nContent-Length: 2\r\n\r\n{{}}",
        payment.v2()
    );
    raw.send(head).await;
    let mut streaming = upstream.call().await.stream(events()).await;
    streaming.send("data: {}\n\n").await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    raw.reset();
    for _ in 0..20 {
        streaming.send("data: {\"more\":true}\n\n").await;
    }
    streaming.send(LAST).await;
    streaming.end().await;
    settled(&gateway, &payment, 4_000).await;
}

#[tokio::test]
async fn who_leaves_before_the_answer_pays_what_it_says() {
    let mut upstream = Server::start().await;
    let gateway = plan(upstream.address).start().await;
    let payment = Wallet::new(1).permits_up_to(&offer(&gateway, "/chat").await);
    let mut raw = Raw::open(gateway.public).await;
    let head = format!(
        "POST /chat HTTP/1.1\r\nHost: {}\r\nPAYMENT-SIGNATURE: {}\r\nContent-Length: 2\r\n\r\n{{}}",
        gateway.public,
        payment.v2()
    );
    raw.send(head).await;
    let call = upstream.call().await;
    raw.reset();
    call.answer(Reply::new(200).body(used(2_000.into()).to_string())).await;
    settled(&gateway, &payment, 4_000).await;
    let again = pay(&gateway, "/chat", &payment).await;
    assert_eq!((again.status, again.json()), (200, used(2_000.into())));
}

#[tokio::test]
async fn a_long_answer_is_passed_on_before_it_is_settled() {
    let filler = "x".repeat(1_500_000);
    let body = json!({ "a": filler, "usage": { "total_tokens": 2_000 }, "b": filler });
    let upstream = upstream(body.clone(), None).await;
    let gateway = plan(upstream.address).start().await;
    let (payment, answer) = bought(&gateway, "/chat").await;
    assert_eq!(answer.header("payment-response"), "");
    assert_eq!(answer.json(), body);
    settled(&gateway, &payment, 4_000).await;
}

/// One balance is there for each of many permits that are verified at once.
#[tokio::test]
async fn who_owes_for_a_stream_gets_the_next_one_settled() {
    let mut upstream = Server::start().await;
    let gateway = plan(upstream.address).start().await;
    let offer = offer(&gateway, "/chat").await;
    let permit = || Wallet::new(1).permits_up_to(&offer);
    let (first, second, third) = (permit(), permit(), permit());
    let asked = gateway.ask("POST", "/chat").pays(&first).open();
    let begins = async { upstream.call().await.stream(events()).await };
    let (mut open, mut streaming) = tokio::join!(asked, begins);
    streaming.send("data: 1\n\n").await;
    assert_eq!(open.chunk().await.unwrap().unwrap(), "data: 1\n\n");

    let asked = gateway.ask("POST", "/chat").pays(&second).send();
    let answers = async { upstream.call().await.answer(events().body(LAST)).await };
    let (held, ()) = tokio::join!(asked, answers);
    assert_eq!((held.status, held.text().as_str()), (200, LAST));
    says(&held, 4_000);
    settled(&gateway, &second, 4_000).await;

    let asked = gateway.ask("POST", "/chat").pays(&third).send();
    let long = format!("data: {}\n\n{LAST}", "x".repeat(1_500_000));
    let answers = async { upstream.call().await.answer(events().body(long)).await };
    let (refused, ()) = tokio::join!(asked, answers);
    crate::blackbox::refusals::refused(&refused, "others_unsettled");
    gateway.comes_to(&third, "released").await;

    streaming.send(LAST).await;
    streaming.end().await;
    settled(&gateway, &first, 4_000).await;
    // What is paid is owed no more.
    eventually("a stream before it is settled", async || {
        let payment = permit();
        let asked = gateway.ask("POST", "/chat").pays(&payment).send();
        let answers = async { upstream.call().await.answer(events().body(LAST)).await };
        let (answer, ()) = tokio::join!(asked, answers);
        assert_eq!((answer.status, answer.text().as_str()), (200, LAST));
        answer.header("payment-response").is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_permit_for_another_settler_or_proxy_is_refused() {
    let upstream = upstream(used(1.into()), None).await;
    let gateway = plan(upstream.address).start().await;
    let (wallet, offer) = (Wallet::new(1), offer(&gateway, "/chat").await);
    let form = |spender, facilitator| {
        Form::Permit2(Permit { token: ASSET, spender, facilitator: Some(facilitator) })
    };
    let other = Address::repeat_byte(9);
    for (payment, reason) in [
        (
            wallet.signs_up_to(&offer, |it| it.form = form(UPTO_PROXY, other)),
            "upto_facilitator_mismatch",
        ),
        (wallet.signs_up_to(&offer, |it| it.form = form(other, other)), "invalid_permit2_spender"),
        (
            wallet.signs_up_to(&offer, |it| it.value /= it.value),
            "invalid_exact_evm_payload_authorization_value_mismatch",
        ),
        (
            wallet.permits_up_to(&offer).then(|it| it.signed.authorization.from = other),
            "invalid_exact_evm_payload_signature",
        ),
        (
            wallet.permits(ASSET).then(|it| it.accepted = offer.clone()),
            "invalid_payment_requirements",
        ),
    ] {
        let answer = pay(&gateway, "/chat", &payment).await;
        assert_eq!((answer.status, answer.json()["reason"].as_str()), (402, Some(reason)));
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_hosted_facilitator_verifies_the_most_and_settles_what_was_used() {
    let upstream = upstream(used(1_500.into()), None).await;
    let facilitator = Facilitator::start().await;
    let gateway = plan(upstream.address).settled_by(&facilitator).start().await;
    let (payment, answer) = bought(&gateway, "/chat").await;
    says(&answer, 3_000);
    settled(&gateway, &payment, 3_000).await;
    let [verified, taken] = facilitator.questions();
    for (question, amount) in [(&verified, "100000"), (&taken, "3000")] {
        assert_eq!(question["paymentRequirements"]["amount"], amount);
        assert_eq!(question["paymentRequirements"]["scheme"], "upto");
        assert_eq!(question["paymentPayload"]["accepted"]["amount"], "100000");
        let permit = &question["paymentPayload"]["payload"]["permit2Authorization"];
        assert_eq!(permit["permitted"]["amount"], "100000");
        let named = payment.accepted["extra"]["facilitatorAddress"].as_str().unwrap();
        let told = permit["witness"]["facilitator"].as_str().unwrap();
        assert_eq!(told.to_lowercase(), named.to_lowercase());
    }

    let said = json!({
        "success": true, "transaction": format!("0x{}", "ab".repeat(32)),
        "network": "eip155:84532", "amount": "100000",
    });
    facilitator.on_settle(Habit::Says(200, said.to_string()));
    let payment = Wallet::new(2).permits_up_to(&offer(&gateway, "/chat").await);
    let answer = pay(&gateway, "/chat", &payment).await;
    assert_eq!(answer.status, 503, "it says that it has moved more than it was asked for");
    let line = gateway.comes_to(&payment, "unknown").await;
    assert_eq!(line.amount(), 3_000);
}

#[tokio::test]
async fn a_crash_before_the_end_lets_go_and_one_behind_it_knows_what_was_used() {
    let mut upstream = Server::start().await;
    let delayed = "simulated = { journal = \"JOURNAL\", delay = { settle = \"60s\" } }";
    let gateway = plan(upstream.address).facilitator(delayed).start().await;
    let offer = offer(&gateway, "/chat").await;
    let [before, behind] = [1, 2].map(|number| Wallet::new(number).permits_up_to(&offer));
    for (payment, ends) in [(&behind, true), (&before, false)] {
        let asked = gateway.ask_alone("POST", "/chat").pays(payment).open();
        let begins = async { upstream.call().await.stream(events()).await };
        let (mut answer, mut streaming) = tokio::join!(asked, begins);
        streaming.send(LAST).await;
        assert_eq!(answer.chunk().await.unwrap().unwrap(), LAST);
        if ends {
            streaming.end().await;
            let line = gateway.comes_to(payment, "settling").await;
            assert_eq!((line.amount(), line.reserved()), (4_000, MAX));
            eventually("it has moved", async || (gateway.transfers().len() == 1).then_some(()))
                .await;
        } else {
            assert_eq!(gateway.state(payment).await, "held");
        }
        std::mem::forget(answer);
    }
    let gateway = gateway.killed_and_restarted().await;
    gateway.comes_to(&before, "released").await;
    settled(&gateway, &behind, 4_000).await;
    assert_eq!(gateway.transfers().len(), 1);
}
