//! Payments that are not good: refused by ourselves, at no cost to the facilitator or the ledger.

use alloy_primitives::{Address, U256};

use super::refusals::refused;
use crate::support::facilitator::Facilitator;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet, unix_seconds};

/// A gateway, its facilitator and its upstream, neither of which may be asked.
async fn untouched() -> (Gateway, Facilitator, Upstream) {
    let upstream = Upstream::start().await;
    let facilitator = Facilitator::start().await;
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    (gateway, facilitator, upstream)
}

/// Sends a payment in both versions and expects this reason.
async fn check(payment: Payment, reason: &str) {
    let (gateway, facilitator, upstream) = untouched().await;
    for ask in [
        gateway.ask("POST", "/paid").pays(&payment),
        gateway.ask("POST", "/paid").pays_v1(&payment),
    ] {
        let answer = ask.send().await;
        refused(&answer, "payment_invalid");
        assert_eq!(answer.json()["reason"], reason);
        let offer = answer.object("payment-required");
        assert_eq!(offer["error"], "payment_invalid");
        assert_eq!(offer["accepts"].as_array().unwrap().len(), 1, "it can be paid again");
    }
    assert_eq!(facilitator.asked(), (0, 0));
    assert!(upstream.seen().is_empty());
    assert!(gateway.ledger().await.is_empty());
}

/// The same with terms that only version 2 has a place for.
async fn check_v2(payment: Payment, reason: &str) {
    let (gateway, facilitator, _upstream) = untouched().await;
    let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
    refused(&answer, "payment_invalid");
    assert_eq!(answer.json()["reason"], reason);
    assert_eq!(facilitator.asked(), (0, 0));
}

const SIGNATURE: &str = "invalid_exact_evm_payload_signature";
const VALUE: &str = "invalid_exact_evm_payload_authorization_value_mismatch";

#[tokio::test]
async fn signed_by_another_key() {
    let payer = Wallet::new(2).address();
    let forged = Wallet::new(1).pays().then(|it| it.signed.authorization.from = payer);
    check(forged, SIGNATURE).await;
}

#[tokio::test]
async fn changed_after_it_was_signed() {
    let changed = |it: &mut Payment| it.signed.authorization.nonce.0[0] ^= 1;
    check(Wallet::new(1).pays().then(changed), SIGNATURE).await;
}

#[tokio::test]
async fn signed_in_the_form_that_is_not_canonical() {
    check(Wallet::new(1).pays().high_s(), SIGNATURE).await;
}

#[tokio::test]
async fn signed_with_too_few_bytes() {
    let short = |it: &mut Payment| it.signed.signature = it.signed.signature[..64].into();
    check(Wallet::new(1).pays().then(short), SIGNATURE).await;
}

#[tokio::test]
async fn expired() {
    let late = Wallet::new(1).signs(|it| it.valid_before = U256::from(unix_seconds() - 1));
    check(late, "invalid_exact_evm_payload_authorization_valid_before").await;
}

/// The upstream may take 60 seconds: what ends before that could not be settled.
#[tokio::test]
async fn ends_before_the_upstream_may_have_answered() {
    let soon = Wallet::new(1).signs(|it| it.valid_before = U256::from(unix_seconds() + 60));
    check(soon, "invalid_exact_evm_payload_authorization_valid_before").await;
}

#[tokio::test]
async fn not_valid_yet() {
    let early = Wallet::new(1).signs(|it| it.valid_after = U256::from(unix_seconds() + 300));
    check(early, "invalid_exact_evm_payload_authorization_valid_after").await;
}

#[tokio::test]
async fn pays_too_little() {
    check(Wallet::new(1).signs(|it| it.value -= U256::ONE), VALUE).await;
}

#[tokio::test]
async fn pays_too_much() {
    check(Wallet::new(1).signs(|it| it.value += U256::ONE), VALUE).await;
}

#[tokio::test]
async fn pays_somebody_else() {
    let elsewhere = Wallet::new(1).signs(|it| it.to = Address::repeat_byte(9));
    check(elsewhere, "invalid_exact_evm_payload_recipient_mismatch").await;
}

#[tokio::test]
async fn on_a_network_that_is_not_offered() {
    let payment = Wallet::new(1).pays().on("exact", ("base", "eip155:8453"));
    check(payment, "invalid_network").await;
}

#[tokio::test]
async fn in_a_scheme_that_is_not_offered() {
    let payment = Wallet::new(1).pays().on("upto", ("base-sepolia", "eip155:84532"));
    check(payment, "invalid_scheme").await;
}

/// A client echoes the terms it accepted; they must be the ones of now.
#[tokio::test]
async fn accepted_terms_that_are_not_ours() {
    let asset = Address::repeat_byte(8).to_string();
    for (field, value) in [("amount", "1"), ("asset", &asset), ("payTo", &asset)] {
        let payment = Wallet::new(1).pays().then(|it| it.accepted[field] = value.into());
        check_v2(payment, "invalid_payment_requirements").await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_costs_nothing_either() {
    let (gateway, facilitator, upstream) = untouched().await;
    let good = Wallet::new(1).pays();
    let mut without = good.json_v2();
    without["payload"]["authorization"].as_object_mut().unwrap().remove("nonce");
    let mut number = good.json_v2();
    number["payload"]["authorization"]["value"] = 50_000.into();
    let long = "A".repeat(17 * 1024);
    let encoded = |json: serde_json::Value| {
        use crate::support::dialect::{Base64, Keys, write};
        write(&json, Keys::AsIs, Base64::Standard)
    };
    for header in ["", "{}", "AAAA", &long, &encoded(without), &encoded(number)] {
        let ask = gateway.ask("POST", "/paid").header("PAYMENT-SIGNATURE", header);
        refused(&ask.send().await, "payment_malformed");
    }
    let disagreeing = gateway.ask("POST", "/paid").pays(&good).pays_v1(&Wallet::new(1).pays());
    refused(&disagreeing.send().await, "payments_disagree");
    assert_eq!(facilitator.asked(), (0, 0));
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_version_that_nobody_speaks() {
    let (gateway, facilitator, _upstream) = untouched().await;
    let mut json = Wallet::new(1).pays().json_v2();
    json["x402Version"] = 3.into();
    use crate::support::dialect::{Base64, Keys, write};
    let header = write(&json, Keys::AsIs, Base64::Standard);
    let answer = gateway.ask("POST", "/paid").header("PAYMENT-SIGNATURE", &header).send().await;
    refused(&answer, "payment_invalid");
    assert_eq!(answer.json()["reason"], "invalid_x402_version");
    assert_eq!(facilitator.asked(), (0, 0));
}

#[tokio::test]
async fn without_the_money() {
    let upstream = Upstream::start().await;
    let poor = "simulated = { balance = \"$0.07\", journal = \"JOURNAL\" }";
    let gateway = Plan::to(upstream.address).facilitator(poor).start().await;
    let wallet = Wallet::new(1);
    assert_eq!(gateway.ask("POST", "/paid").pays(&wallet.pays()).send().await.status, 200);
    let second = wallet.pays();
    let answer = gateway.ask("POST", "/paid").pays(&second).send().await;
    refused(&answer, "payment_invalid");
    assert_eq!(answer.json()["reason"], "insufficient_funds");
    gateway.comes_to(&second, "released").await;
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_replayed_payment_costs_no_further_question() {
    let (gateway, facilitator, _upstream) = untouched().await;
    let payment = Wallet::new(1).pays();
    assert_eq!(gateway.ask("POST", "/paid").pays(&payment).send().await.status, 200);
    refused(&gateway.ask("POST", "/paid?other").pays(&payment).send().await, "payment_used");
    assert_eq!(gateway.ask("POST", "/paid").pays(&payment).send().await.status, 200);
    assert_eq!(facilitator.asked(), (1, 1));
}
