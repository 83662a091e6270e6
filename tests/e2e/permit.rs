//! Payments by Permit2, which the gateway settles with its own signer on a real EVM node.

use std::fs;

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, B256, U256, hex};
use serde_json::json;
use tollgate::x402::payload::OutgoingPayload;
use tollgate::x402::permit2::{Approval, EXACT_PROXY, PERMIT2, Permit};
use tollgate::x402::requirements::PaymentRequired;
use tollgate::x402::{
    Authorization, Eip712Domain, Form, PaymentRequirements, SignedAuthorization, encoding,
};

use super::chain::{Chain, SIGNER_KEY, Transfer};
use super::own::{KEY_FILE, settles_itself};
use crate::support::client::Answer;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{ASSET, PAY_TO, PRICE, Payment, Wallet, unix_seconds};
use crate::support::{eventually, together};

alloy::sol! {
    function approve(address spender, uint256 value) external returns (bool);
}

async fn gateway(upstream: &Upstream, chain: &Chain, more: &str) -> Gateway {
    let plan = Plan::to(upstream.address).facilitator(&settles_itself(&[chain.url()], more));
    let plan = plan.network("transfer_method = \"permit2\"\ngas_sponsoring = \"eip2612\"");
    let gateway = plan.start_after(|dir| fs::write(dir.join(KEY_FILE), SIGNER_KEY).unwrap()).await;
    gateway.ready().await;
    gateway
}

/// What the gateway asks for.
async fn due(gateway: &Gateway) -> PaymentRequirements {
    let asked = gateway.ask("GET", "/paid").send().await.object("payment-required");
    let asked: PaymentRequired = serde_json::from_value(asked).unwrap();
    assert!(asked.extensions.eip2612_gas_sponsoring.is_some());
    asked.accepts.into_iter().next().unwrap()
}

fn signer(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(number)).unwrap()
}

/// A permit for what is due, by the wallet of this number.
fn permit(number: u8, due: &PaymentRequirements) -> Payment {
    let payment = Wallet::new(number).pays();
    let authorization = Authorization {
        valid_before: U256::from(unix_seconds() + 600),
        form: Form::Permit2(Permit { token: due.asset, spender: EXACT_PROXY }),
        ..payment.signed.authorization.clone()
    };
    let hash = Eip712Domain::permit2(84_532).signing_hash(&authorization);
    let signature = signer(number).sign_hash_sync(&hash).unwrap().as_bytes().into();
    let signed = SignedAuthorization { authorization, signature, approval: None };
    payment.then(|payment| payment.signed = signed)
}

/// The same with an approval, the first that its payer signs.
fn approved(number: u8, payment: Payment) -> Payment {
    let mut approval = Approval {
        owner: signer(number).address(),
        token: ASSET,
        spender: PERMIT2,
        value: U256::from(PRICE),
        nonce: U256::ZERO,
        deadline: U256::from(unix_seconds() + 600),
        signature: Box::default(),
    };
    let hash = approval.signing_hash(&Eip712Domain::new("USDC", "2", 84_532, ASSET));
    approval.signature = signer(number).sign_hash_sync(&hash).unwrap().as_bytes().into();
    payment.then(|payment| payment.signed.approval = Some(approval.into()))
}

async fn pay(gateway: &Gateway, due: &PaymentRequirements, payment: &Payment) -> Answer {
    let header = encoding::encode_json(&OutgoingPayload::v2(due, &payment.signed)).unwrap();
    gateway.ask("GET", "/paid").header("payment-signature", &header).send().await
}

/// Lets Permit2 have what `payer` has.
async fn approve(chain: &Chain, payer: Address) {
    chain.ask("anvil_setBalance", json!([payer, "0xde0b6b3a7640000"])).await;
    chain.ask("anvil_impersonateAccount", json!([payer])).await;
    let call = approveCall { spender: PERMIT2, value: U256::MAX }.abi_encode();
    let sent = json!([{ "from": payer, "to": ASSET, "data": hex::encode_prefixed(call) }]);
    chain.ask("eth_sendTransaction", sent).await;
}

fn of(payer: Address) -> Transfer {
    Transfer { from: payer, to: PAY_TO, value: U256::from(PRICE) }
}

#[track_caller]
fn transaction(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.object("payment-response")["transaction"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn who_has_not_approved_permit2_pays_with_an_approval_and_once() {
    let payer = signer(1).address();
    let chain = Chain::start_alone(&[payer]).await;
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, &chain, "").await;
    let due = due(&gateway).await;
    let payment = permit(1, &due);
    let refused = pay(&gateway, &due, &payment).await;
    assert_eq!(refused.status, 402);
    assert!(refused.text().contains("permit2_allowance_required"), "{}", refused.text());
    assert_eq!(upstream.seen().len(), 0);

    let payment = approved(1, payment);
    let moved = transaction(&pay(&gateway, &due, &payment).await);
    assert_eq!(chain.transfers(&moved).await, [of(payer)]);
    assert_eq!(gateway.comes_to(&payment, "settled").await.transaction(), moved);
    // The number is used up, and so is the approval.
    assert_ne!(pay(&gateway, &due, &payment).await.status, 402);
    assert_eq!(pay(&gateway, &due, &permit(1, &due)).await.status, 402);
    assert_eq!(chain.balance(PAY_TO).await, U256::from(PRICE));
}

#[tokio::test]
async fn payments_alike_go_in_transactions_of_their_own_and_others_together() {
    let payers: Vec<Address> = (1..=6).map(|number| signer(number).address()).collect();
    let chain = Chain::start_alone(&payers).await;
    for payer in &payers {
        approve(&chain, *payer).await;
    }
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, &chain, ", batch = { window = \"300ms\" }").await;
    let due = due(&gateway).await;
    let payments: Vec<Payment> = (1..=6).chain(1..=6).map(|number| permit(number, &due)).collect();
    let answers = together(payments.iter().map(|payment| pay(&gateway, &due, payment))).await;
    let mut transactions: Vec<String> = answers.iter().map(transaction).collect();
    for (at, payer) in payers.iter().enumerate() {
        assert_ne!(transactions[at], transactions[at + 6], "twins share a transaction");
        for moved in [&transactions[at], &transactions[at + 6]] {
            let moved = chain.transfers(moved).await;
            assert_eq!(moved.iter().filter(|transfer| **transfer == of(*payer)).count(), 1);
        }
    }
    transactions.sort();
    transactions.dedup();
    assert!(transactions.len() < 12, "each went alone");
    assert_eq!(chain.balance(PAY_TO).await, U256::from(12 * PRICE));
}

#[tokio::test]
async fn what_a_gateway_that_died_has_sent_is_found_by_its_number_and_its_words() {
    let payer = signer(1).address();
    let chain = Chain::start_alone(&[payer]).await;
    approve(&chain, payer).await;
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, &chain, "").await;
    let due = due(&gateway).await;
    // Its twin, which is settled, must not be taken for it.
    let twin = transaction(&pay(&gateway, &due, &permit(1, &due)).await);
    chain.mine_by_hand().await;
    let payment = permit(1, &due);
    let sent = async {
        eventually("a transaction", async || (chain.waiting().await > U256::ZERO).then_some(()))
            .await;
    };
    tokio::select! {
        answer = pay(&gateway, &due, &payment) => panic!("{}", answer.text()),
        () = sent => {}
    }
    assert_eq!(gateway.state(&payment).await, "settling");
    let gateway = gateway.killed_and_restarted().await;
    assert_eq!(pay(&gateway, &due, &payment).await.status, 503);
    chain.mine(2).await;
    let line = gateway.comes_to(&payment, "settled").await;
    assert_ne!(line.transaction(), twin);
    assert_eq!(chain.transfers(line.transaction()).await, [of(payer)]);
    assert_eq!(pay(&gateway, &due, &payment).await.status, 409);
    assert_eq!(chain.balance(PAY_TO).await, U256::from(2 * PRICE));
}
