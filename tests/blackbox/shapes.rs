//! Refusals in the words of the published assistant API, which every SDK can still pay.

use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::upstream::Upstream;
use crate::support::wallet::{NETWORK_V1, PAY_TO, PRICE, Payment, Wallet};

fn plan(upstream: &Upstream) -> Plan {
    let route = format!("{PRICED}\nrefusals = \"assistant\"\nbody = {{ max = \"100B\" }}");
    Plan::to(upstream.address).route("match = \"POST /chat\"", &route)
}

async fn ask(gateway: &Gateway, header: &str, value: &str) -> Answer {
    gateway.ask("POST", "/chat").header(header, value).send().await
}

/// Checks status and code, and that both versions' terms come along.
#[track_caller]
fn payable(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.header("content-type")), (status, "application/json"));
    let (body, header) = (answer.json(), answer.object("payment-required"));
    assert_eq!((&body["error"], &header["error"]), (&json!(code), &json!(code)), "{body}");
    assert!(body["message"].as_str().is_some_and(|text| text.len() > 8), "{body}");
    let recipient = PAY_TO.to_checksum(None);
    let told = json!({
        "amount": "0.05", "currency": "USDC", "recipient": recipient, "chain": NETWORK_V1
    });
    assert_eq!(body["paymentInstructions"], told);
    assert_eq!((&body["x402Version"], &header["x402Version"]), (&json!(1), &json!(2)));
    assert_eq!(body["accepts"][0]["maxAmountRequired"], PRICE.to_string());
    assert_eq!(header["accepts"][0]["amount"], PRICE.to_string());
    assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401);
}

#[tokio::test]
async fn no_proof_is_402_and_a_bad_one_is_401_and_both_can_be_paid() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    payable(&gateway.ask("POST", "/chat").send().await, 402, "payment_required");
    let forged = Wallet::new(1).pays().then(|payment| payment.signed.signature[5] ^= 1);
    let late = Wallet::new(1).signs(|signed| signed.valid_before = signed.valid_after);
    let cheap = Wallet::new(1).pays_units(1);
    for payment in [&forged, &late, &cheap] {
        payable(&ask(&gateway, "PAYMENT-SIGNATURE", &payment.v2()).await, 401, "unauthorized");
        payable(&ask(&gateway, "X-PAYMENT", &payment.v1()).await, 401, "unauthorized");
    }
    payable(&ask(&gateway, "X-PAYMENT", "!").await, 401, "unauthorized");
    assert_eq!(upstream.seen().len(), 0);
    // Elsewhere the protocol's own words are spoken.
    let forged = gateway.ask("POST", "/paid").pays(&forged).send().await;
    assert_eq!((forged.status, forged.json()["error"].clone()), (402, json!("payment_invalid")));
    assert_eq!(forged.json()["paymentInstructions"], Value::Null);
}

#[tokio::test]
async fn a_proof_is_taken_under_three_names_in_either_version() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    for name in ["PAYMENT-SIGNATURE", "X-PAYMENT", "X-PAYMENT-RESPONSE"] {
        for written in [Payment::v1, Payment::v2] {
            let payment = Wallet::new(1).pays();
            let answer = ask(&gateway, name, &written(&payment)).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "served"), "{name}");
            gateway.comes_to(&payment, "settled").await;
        }
    }
    for seen in upstream.seen() {
        let proofs = |(name, _): &&(String, String)| name.to_lowercase().contains("payment");
        assert_eq!(seen.headers.iter().find(proofs), None);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_a_bad_request_and_the_rest_keeps_its_name() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).section("[defaults]\nrefusals = \"assistant\"").start().await;
    let told = |answer: &Answer| {
        assert_eq!(answer.headers.contains_key("payment-required"), answer.status == 402);
        let body = answer.json();
        assert_eq!(body["paymentInstructions"].is_object(), answer.status == 402);
        (answer.status, body["error"].as_str().unwrap().to_owned())
    };
    let (one, other) = (Wallet::new(1).pays(), Wallet::new(1).pays());
    let both = gateway.ask("POST", "/chat").pays(&one).pays_v1(&other).send().await;
    assert_eq!(told(&both), (400, "bad_request".to_owned()));
    let long = gateway.ask("POST", "/chat").pays(&one).body("x".repeat(101)).send().await;
    assert_eq!(told(&long), (413, "body_too_large".to_owned()));
    for (path, status, code) in [
        ("/Paid", 400, "bad_request"),
        ("/nothing", 404, "not_found"),
        ("/paid", 402, "payment_required"),
    ] {
        let answer = gateway.ask("POST", path).send().await;
        assert_eq!(told(&answer), (status, code.to_owned()), "{path}");
    }
}
