//! Paid requests that go well: the answer, the receipt, what the upstream and the log get to know.

use alloy_primitives::Address;
use serde_json::Value;
use std::fs;

use crate::support::client::Answer;
use crate::support::facilitator::Facilitator;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::server::{Reply, Seen, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::{NETWORK, NETWORK_V1, PRICE, Payment, Wallet};

/// Checks a good answer and its receipt in `header`, and gives the transaction.
#[track_caller]
fn served(answer: &Answer, header: &str, network: &str, payer: Address) -> String {
    assert_eq!((answer.status, answer.text().as_str()), (200, "served"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let receipt = answer.object(header);
    assert_eq!(receipt["success"], true);
    assert_eq!(receipt["network"], network);
    assert_eq!(receipt["payer"], payer.to_checksum(None));
    assert_eq!(receipt["amount"], PRICE.to_string());
    let transaction = receipt["transaction"].as_str().unwrap();
    assert!(transaction.len() == 66 && transaction.starts_with("0x"), "{transaction}");
    transaction.to_owned()
}

/// Checks that ledger and chain agree that one payment was settled with this transaction.
async fn settled(gateway: &Gateway, payment: &Payment, transaction: &str) {
    let line = gateway.comes_to(payment, "settled").await;
    assert_eq!((line.transaction(), line.amount()), (transaction, PRICE));
    assert_eq!(gateway.transfers(), [(payment.nonce(), transaction.to_owned())]);
}

#[tokio::test]
async fn version_2_is_served_with_its_receipt() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let wallet = Wallet::new(1);
    let payment = wallet.pays();
    let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
    let transaction = served(&answer, "payment-response", NETWORK, wallet.address());
    assert!(!answer.headers.contains_key("x-payment-response"));
    let timing = answer.header("server-timing");
    let stages: Vec<_> = timing.split(", ").filter_map(|one| one.split_once(";dur=")).collect();
    let names: Vec<_> = stages.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["verify", "upstream", "settle"]);
    assert!(stages.iter().all(|(_, millis)| millis.parse::<f64>().is_ok()), "{timing}");
    let unpaid = gateway.ask("POST", "/paid").send().await;
    assert!(!unpaid.headers.contains_key("server-timing"));
    settled(&gateway, &payment, &transaction).await;
}

#[tokio::test]
async fn version_1_is_served_with_both_receipts() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let wallet = Wallet::new(1);
    let payment = wallet.pays();
    let answer = gateway.ask("POST", "/paid").pays_v1(&payment).send().await;
    let transaction = served(&answer, "x-payment-response", NETWORK_V1, wallet.address());
    assert_eq!(served(&answer, "payment-response", NETWORK_V1, wallet.address()), transaction);
    settled(&gateway, &payment, &transaction).await;
}

/// Some published APIs tell their clients to send the proof under this name.
#[tokio::test]
async fn the_third_spelling_of_the_payment_header_is_taken() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    for payment in [Wallet::new(1).pays().v1(), Wallet::new(1).pays().v2()] {
        let ask = gateway.ask("POST", "/paid").header("X-PAYMENT-RESPONSE", &payment);
        assert_eq!(ask.send().await.status, 200);
    }
}

#[tokio::test]
async fn the_same_payment_in_two_headers_is_one_payment() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let answer = gateway.ask("POST", "/paid").pays(&payment).pays_v1(&payment).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(gateway.transfers().len(), 1);
}

#[tokio::test]
async fn get_and_head_are_paid_for_too() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    for method in ["GET", "HEAD"] {
        let payment = Wallet::new(1).pays();
        let answer = gateway.ask(method, "/paid?a=b").pays(&payment).send().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.object("payment-response")["success"], true);
    }
    let targets: Vec<_> = upstream.seen().iter().map(|seen| seen.target.clone()).collect();
    assert_eq!(targets, ["/paid?a=b", "/paid?a=b"]);
}

/// The API behind us learns who paid, and nothing with which it could pay itself or be fooled.
#[tokio::test]
async fn the_upstream_sees_who_paid_and_no_proof() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address)
        .upstream("headers = { authorization = { file = \"key\" }, x-plain = \"plain\" }");
    let gateway = with_secret(gateway).await;
    let wallet = Wallet::new(1);
    let payment = wallet.pays();
    let answer = gateway
        .ask("POST", "/paid?q=1")
        .pays(&payment)
        .header("X-PAYMENT", &payment.v1())
        .header("X_Payment", "a")
        .header("Payment_Signature", "a")
        .header("X-Payment-Response", &payment.v1())
        .header("PAYMENT-RESPONSE", "a")
        .header("X-Tollgate-Payer", "0xme")
        .header("X_Tollgate_Payer", "0xme")
        .header("X-Tollgate-Admin", "yes")
        .header("authorization", "Bearer mine")
        .header("X-Own", "kept")
        .header("connection", "X-Tollgate-Payer, X-Tollgate-Amount, X-Hop")
        .header("X-Hop", "mine")
        .body("the body")
        .send()
        .await;
    assert_eq!(answer.status, 200);
    let seen = upstream.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/paid?q=1"));
    assert_eq!(seen.body, b"the body");
    assert_eq!(seen.header("x-tollgate-payer"), wallet.address().to_checksum(None));
    assert_eq!(seen.header("x-tollgate-amount"), PRICE.to_string());
    assert_eq!(seen.header("x-tollgate-network"), NETWORK);
    let line = gateway.comes_to(&payment, "settled").await;
    assert_eq!(seen.header("x-tollgate-exchange"), line.exchange());
    assert_eq!((seen.header("x-plain"), seen.header("x-own")), ("plain", "kept"));
    assert_eq!(headers_like(&seen, "authorization"), [format!("Bearer {SECRET}")]);
    assert_eq!(seen.header("x-forwarded-for"), "127.0.0.1");
    assert_eq!(seen.header("host"), upstream.address.to_string());
    assert_eq!(headers_like(&seen, "payment"), [""; 0], "{seen:?}");
    assert_eq!(headers_like(&seen, "tollgate").len(), 4, "{seen:?}");
    // Whoever stands behind us would take off what a client names as its hop's own.
    assert!(!seen.header("connection").to_ascii_lowercase().contains("tollgate"), "{seen:?}");
    assert_eq!(headers_like(&seen, "x-hop"), [""; 0], "{seen:?}");
}

/// Values of the headers whose names contain this, whatever stands between the words.
fn headers_like(seen: &Seen, part: &str) -> Vec<String> {
    let fits = |name: &str| name.to_ascii_lowercase().replace('_', "-").contains(part);
    let found = seen.headers.iter().filter(|(name, _)| fits(name));
    found.map(|(_, value)| value.clone()).collect()
}

/// Starts a gateway that has a secret in the file `key`.
async fn with_secret(plan: Plan) -> Gateway {
    let write = |dir: &std::path::Path| {
        fs::write(dir.join("key"), format!("Bearer {SECRET}\n")).unwrap();
    };
    plan.start_after(write).await
}

#[tokio::test]
async fn a_free_route_tells_the_upstream_of_no_payer() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let ask = gateway.ask("GET", "/free").header("X-Tollgate-Payer", "0xme");
    let answer = ask.header("X-PAYMENT", "a").send().await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "served"));
    let seen = upstream.seen().remove(0);
    assert_eq!(headers_like(&seen, "payment"), [""; 0]);
    assert_eq!(headers_like(&seen, "tollgate"), [seen.header("x-tollgate-exchange")]);
}

/// One line tells who paid what for which exchange; no output tells how to pay again.
#[tokio::test]
async fn the_log_has_the_payment_and_no_secret() {
    let upstream = Upstream::start().await;
    let facilitator = Facilitator::start().await;
    let section = format!(
        "http = {{ url = \"{}\", headers = {{ authorization = {{ file = \"key\" }} }} }}",
        facilitator.url()
    );
    let plan = Plan::to(upstream.address)
        .upstream("headers = { authorization = { file = \"key\" } }")
        .facilitator(&section);
    let gateway = with_secret(plan).await;
    let wallet = Wallet::new(1);
    let payment = wallet.pays();
    let forged = wallet.pays().then(|payment| payment.signed.signature[5] ^= 1);
    let answer = gateway.ask("POST", "/paid").pays(&payment).body("12345").send().await;
    gateway.ask("POST", "/paid").pays(&forged).send().await;
    gateway.ask("POST", "/paid").pays_v1(&payment).send().await;

    let line = gateway.logged("the paid exchange", |line| line["outcome"] == "paid").await;
    assert_eq!(line["status"], 200);
    assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&5.into(), &6.into()));
    assert_eq!(line["payment"]["payer"], wallet.address().to_checksum(None));
    assert_eq!(line["payment"]["amount"], PRICE);
    assert_eq!(line["payment"]["network"], NETWORK);
    let transaction = &answer.object("payment-response")["transaction"];
    assert_eq!(&line["payment"]["transaction"], transaction);
    for stage in ["verify_us", "upstream_us", "settle_us"] {
        assert!(line["stages"][stage].is_u64(), "{line}");
    }
    gateway.logged("the forged one", |line| line["outcome"] == "payment_invalid").await;
    gateway.logged("the used one", |line| line["outcome"] == "payment_used").await;

    let said = gateway.said();
    for payment in [&payment, &forged] {
        for secret in [payment.signature(), payment.v2(), payment.v1(), SECRET.to_owned()] {
            assert!(!said.contains(&secret), "{secret} is in\n{said}");
        }
    }
}

#[tokio::test]
async fn metrics_count_what_was_paid() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    for _ in 0..2 {
        gateway.ask("POST", "/paid").pays(&Wallet::new(1).pays()).send().await;
    }
    let exchanges = r#"tollgate_exchanges_total{outcome="paid",route="GET,POST /paid"}"#;
    gateway.counts(exchanges, "2").await;
    let amount =
        format!(r#"tollgate_settled_amount_total{{network="{NETWORK}",route="GET,POST /paid"}}"#);
    gateway.counts(&amount, &(2 * PRICE).to_string()).await;
    let count = r#"tollgate_stage_seconds_count{stage="settle"}"#;
    gateway.counts(count, "2").await;
    assert_eq!(gateway.admin("/livez").await.0, 200);
    assert_eq!(gateway.admin("/nothing").await.0, 404);
}

/// The first piece is at the client before the upstream has made the second.
#[tokio::test]
async fn an_answer_is_streamed_event_by_event() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let open = gateway.ask("POST", "/paid").pays(&payment).open();
    let begin = async {
        let reply = Reply::new(200).header("content-type", "text/event-stream");
        let mut stream = upstream.call().await.stream(reply).await;
        stream.send("data: 1\n\n").await;
        stream
    };
    let (mut answer, mut stream) = tokio::join!(open, begin);
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("payment-response"));
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "data: 1\n\n");
    stream.send("data: 2\n\n").await;
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "data: 2\n\n");
    stream.end().await;
    assert_eq!(answer.chunk().await.unwrap(), None);
}

/// What the upstream says of caching and payments is not believed.
#[tokio::test]
async fn what_only_we_may_say_is_taken_off_the_upstreams_answer() {
    let upstream = Upstream::answering(|_| {
        Reply::new(200)
            .header("PAYMENT-RESPONSE", "eyJzdWNjZXNzIjpmYWxzZX0=")
            .header("X-PAYMENT-RESPONSE", "eyJzdWNjZXNzIjpmYWxzZX0=")
            .header("X_Payment_Response", "e30=")
            .header("PAYMENT-REQUIRED", "e30=")
            .header("X-Tollgate-Payer", "0xme")
            .header("cache-control", "public, max-age=600")
            .header("x-own", "kept")
    })
    .await;
    let gateway = Plan::to(upstream.address).start().await;
    let answer = gateway.ask("POST", "/paid").pays(&Wallet::new(1).pays()).send().await;
    assert_eq!(answer.status, 200);
    let receipts: Vec<_> = answer.headers.get_all("payment-response").iter().collect();
    assert_eq!(receipts.len(), 1);
    assert_eq!(answer.object("payment-response")["success"], Value::Bool(true));
    for name in ["x-payment-response", "x_payment_response", "payment-required", "x-tollgate-payer"]
    {
        assert!(!answer.headers.contains_key(name), "{name}");
    }
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-own"), "kept");

    let free = gateway.ask("GET", "/free").send().await;
    assert_eq!(free.header("cache-control"), "public, max-age=600", "free answers may be kept");
    assert!(!free.headers.contains_key("payment-response"));
}

const SECRET: &str = "sk-4f1c0ffee2b7";
