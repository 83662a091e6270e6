//! Payments by Permit2 without a chain: what is offered, taken once, and refused.

use alloy_primitives::{Address, U256};
use serde_json::json;
use tollgate::x402::Form;
use tollgate::x402::permit2::{EXACT_PROXY, Permit};

use crate::support::client::Answer;
use crate::support::facilitator::Facilitator;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{ASSET, Payment, Wallet};

async fn gateway(upstream: &Upstream) -> Gateway {
    Plan::to(upstream.address).network("transfer_method = \"permit2\"").start().await
}

async fn pay(gateway: &Gateway, payment: &Payment) -> Answer {
    gateway.ask("POST", "/paid").pays(payment).send().await
}

#[track_caller]
fn refused(answer: &Answer, reason: &str) {
    assert_eq!((answer.status, answer.json()["reason"].as_str()), (402, Some(reason)));
}

#[tokio::test]
async fn a_permit_buys_one_answer() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let asked = gateway.ask("POST", "/paid").send().await;
    let extra = json!({ "assetTransferMethod": "permit2", "name": "USDC", "version": "2" });
    assert_eq!(asked.object("payment-required")["accepts"][0]["extra"], extra);
    assert_eq!(asked.json()["accepts"], json!([]));

    let wallet = Wallet::new(1);
    let payment = wallet.permits(ASSET);
    let answer = pay(&gateway, &payment).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.object("payment-response")["success"], true);
    gateway.comes_to(&payment, "settled").await;

    // The same again is the same answer; another permit of this number is a used one.
    assert_eq!(pay(&gateway, &payment).await.status, 200);
    let nonce = payment.signed.authorization.nonce;
    let other = wallet.signs_permit(ASSET, |signed| {
        (signed.nonce, signed.valid_after) = (nonce, U256::from(1));
    });
    assert_eq!(pay(&gateway, &other).await.status, 409);
    assert_eq!((upstream.seen().len(), gateway.transfers().len()), (1, 1));

    let gateway = gateway.killed_and_restarted().await;
    assert_eq!(pay(&gateway, &other).await.status, 409);
    assert_eq!(gateway.transfers().len(), 1);
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_and_nobody_is_asked() {
    let upstream = Upstream::start().await;
    let peer = Facilitator::start().await;
    let plan = Plan::to(upstream.address).network("transfer_method = \"permit2\"");
    let gateway = plan.settled_by(&peer).start().await;
    let wallet = Wallet::new(1);
    let form = |token, spender| Form::Permit2(Permit { token, spender, facilitator: None });
    let other = Address::repeat_byte(9);
    let rows = [
        (wallet.signs_permit(ASSET, |it| it.form = form(ASSET, other)), "invalid_permit2_spender"),
        (
            wallet.signs_permit(ASSET, |it| it.form = form(other, EXACT_PROXY)),
            "permit2_token_mismatch",
        ),
        (
            wallet.signs_permit(ASSET, |it| it.to = other),
            "invalid_exact_evm_payload_recipient_mismatch",
        ),
        (
            wallet.signs_permit(ASSET, |it| it.value -= U256::ONE),
            "invalid_exact_evm_payload_authorization_value_mismatch",
        ),
        (
            wallet.signs_permit(ASSET, |it| it.valid_after = U256::MAX),
            "invalid_exact_evm_payload_authorization_valid_after",
        ),
        (
            wallet.signs_permit(ASSET, |it| it.valid_before = U256::from(1)),
            "invalid_exact_evm_payload_authorization_valid_before",
        ),
        (wallet.permits(ASSET).high_s(), "invalid_exact_evm_payload_signature"),
        (
            wallet.permits(ASSET).then(|it| it.signed.authorization.from = other),
            "invalid_exact_evm_payload_signature",
        ),
        // The other method, whose terms are the same but for that.
        (wallet.pays(), "invalid_payment_requirements"),
    ];
    for (payment, reason) in rows {
        refused(&pay(&gateway, &payment).await, reason);
    }
    let in_v1 = gateway.ask("POST", "/paid").pays_v1(&wallet.permits(ASSET)).send().await;
    refused(&in_v1, "invalid_network");
    assert_eq!(peer.asked(), (0, 0));
    assert!(upstream.seen().is_empty());

    let payment = wallet.permits(ASSET);
    assert_eq!(pay(&gateway, &payment).await.status, 200);
    assert_eq!(peer.asked(), (1, 1));
}
