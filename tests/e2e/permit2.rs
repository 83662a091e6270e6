//! Permit2 as published and x402's proxy as published, on a real EVM node: tokens without EIP-3009.

use std::fs;

use alloy::sol_types::SolCall;
use alloy_primitives::{Address, B256, U256};
use serde_json::{Value, json};
use tollgate::x402::permit2::{EXACT_PROXY, PERMIT2};
use tollgate::x402::{Authorization, Eip712Domain};

use super::chain::{Chain, PERMIT_TOKEN, PLAIN_TOKEN};
use super::own::{of, pay, pay_and_leave, settles, transaction};
use super::sdk::{CLIENTS, Client};
use crate::support::client::Answer;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{PAY_TO, PRICE, Payment, Wallet};
use crate::support::{eventually, together};

alloy::sol! {
    function approveFor(address owner, address spender, uint256 value) external;
    function allowance(address owner, address spender) external view returns (uint256);
    function invalidateUnorderedNonces(uint256 word, uint256 mask) external;
    function permit(
        address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r,
        bytes32 s) external;

    struct TokenPermissions {
        address token;
        uint256 amount;
    }
    struct PermitTransferFrom {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }
    struct Witness {
        address to;
        uint256 validAfter;
    }
    function settle(
        PermitTransferFrom permit, address owner, Witness witness, bytes signature) external;
}

/// `/paid` is paid in a token of the chain, moved as `more` says.
fn plan(upstream: &Upstream, token: Address, more: &str) -> Plan {
    let section = format!(
        "[networks.token]\npay_to = \"{PAY_TO}\"\nfacilitator = \"peer\"\nchain_id = 84532\n\
         asset = \"{token}\"\ndecimals = 6\ntransfer_method = \"permit2\"\n{more}"
    );
    let priced = "price = \"$0.05\"\nnetworks = [\"token\"]";
    Plan::to(upstream.address)
        .no_routes()
        .section(&section)
        .route("match = \"GET,POST /paid\"", priced)
}

const SPONSORED: &str =
    "gas_sponsoring = \"eip2612\"\neip712 = { name = \"Permit Token\", version = \"1\" }";

/// A chain on which these hold 1,000 of a token that Permit2 may take.
async fn chain(token: Address, payers: &[Address]) -> Chain {
    let chain = Chain::start_alone(&[]).await;
    for payer in payers {
        chain.mint(token, *payer, THOUSAND).await;
        approve(&chain, token, *payer, U256::MAX).await;
    }
    chain
}

const THOUSAND: u64 = 1_000_000_000;

async fn approve(chain: &Chain, token: Address, owner: Address, value: U256) {
    chain.send(token, approveForCall { owner, spender: PERMIT2, value }.abi_encode()).await;
}

async fn paid(chain: &Chain, token: Address) -> U256 {
    chain.balance_in(token, PAY_TO).await
}

#[track_caller]
fn refused(answer: &Answer, reason: &str) {
    assert_eq!(answer.status, 402, "{}", answer.text());
    assert!(answer.text().contains(reason), "{}", answer.text());
}

#[tokio::test]
async fn published_clients_pay_by_permit2_a_gateway_that_settles_by_itself() {
    let clients = [CLIENTS[0], CLIENTS[2], CLIENTS[3]];
    let chain = chain(PLAIN_TOKEN, &clients.map(Client::payer)).await;
    let upstream = Upstream::start().await;
    let gateway = settles(plan(&upstream, PLAIN_TOKEN, ""), &[chain.url()], "").await;

    let asked = gateway.ask("GET", "/paid").send().await;
    let required = asked.object("payment-required");
    assert_eq!(required["accepts"][0]["extra"], json!({ "assetTransferMethod": "permit2" }));
    assert_eq!(required["extensions"]["eip2612GasSponsoring"], Value::Null);
    assert_eq!(asked.json()["accepts"], json!([]), "version 1 has no words for it");

    for client in clients {
        let moved = buy(client, &gateway, &[("X402_ASSET", &PLAIN_TOKEN.to_string())]).await;
        assert_eq!(chain.transfers_of(PLAIN_TOKEN, &moved).await, [of(client.payer())]);
    }
    assert_eq!(paid(&chain, PLAIN_TOKEN).await, U256::from(3 * PRICE));
}

#[tokio::test]
async fn published_clients_without_an_allowance_have_it_paid_for() {
    let clients = [CLIENTS[0], CLIENTS[2], CLIENTS[3]];
    let chain = chain(PERMIT_TOKEN, &[]).await;
    for client in clients {
        chain.mint(PERMIT_TOKEN, client.payer(), THOUSAND).await;
    }
    let upstream = Upstream::start().await;
    let gateway = settles(plan(&upstream, PERMIT_TOKEN, SPONSORED), &[chain.url()], "").await;
    let (rpc, asset) = (chain.url(), PERMIT_TOKEN.to_string());
    let sees = [("X402_RPC", rpc.as_str()), ("X402_ASSET", asset.as_str())];
    for client in clients {
        // Twice: the approval of the first payment is used up, and its number is the next.
        for _ in 0..2 {
            let moved = buy(client, &gateway, &sees).await;
            assert_eq!(chain.transfers_of(PERMIT_TOKEN, &moved).await, [of(client.payer())]);
        }
    }
    assert_eq!(paid(&chain, PERMIT_TOKEN).await, U256::from(6 * PRICE));
}

/// Lets a client pay for the answer, and gives back the transaction.
async fn buy(client: Client, gateway: &Gateway, more: &[(&str, &str)]) -> String {
    let (body, out) = (gateway.dir().join("body"), gateway.dir().join("out"));
    fs::write(&body, "a question").unwrap();
    let url = gateway.url("/paid");
    let answer = client.post_with(more, &url, (body.as_path(), "text/plain"), &out).await;
    assert_eq!((answer.status, answer.paid), (200, true), "{}: {answer:?}", client.name);
    answer.transaction.unwrap()
}

#[tokio::test]
async fn what_cannot_be_moved_is_refused_with_its_reason() {
    let (rich, poor) = (Wallet::new(1), Wallet::new(2));
    let chain = chain(PLAIN_TOKEN, &[rich.address()]).await;
    approve(&chain, PLAIN_TOKEN, poor.address(), U256::MAX).await;
    let upstream = Upstream::start().await;
    let gateway = settles(plan(&upstream, PLAIN_TOKEN, ""), &[chain.url()], "").await;

    refused(&pay(&gateway, &poor.permits(PLAIN_TOKEN)).await, "insufficient_funds");
    approve(&chain, PLAIN_TOKEN, rich.address(), U256::from(PRICE - 1)).await;
    let payment = rich.permits(PLAIN_TOKEN);
    refused(&pay(&gateway, &payment).await, "permit2_allowance_required");
    gateway.comes_to(&payment, "released").await;

    approve(&chain, PLAIN_TOKEN, rich.address(), U256::from(PRICE)).await;
    transaction(&pay(&gateway, &payment).await);
    // The same again is the same answer, not another settlement; for another request it is used.
    assert_eq!(pay(&gateway, &payment).await.status, 200);
    let elsewhere = gateway.ask("POST", "/paid").pays(&payment).body("x").send().await;
    assert_eq!(elsewhere.status, 409, "{}", elsewhere.text());

    // A number that another transaction has used.
    approve(&chain, PLAIN_TOKEN, rich.address(), U256::MAX).await;
    let used = rich.permits(PLAIN_TOKEN);
    chain.send(EXACT_PROXY, settlement(&used)).await;
    refused(&pay(&gateway, &used).await, "duplicate_settlement");

    for broken in [
        rich.permits(PLAIN_TOKEN).high_s(),
        rich.permits(PLAIN_TOKEN).then(|it| it.signed.authorization.nonce.0[0] ^= 1),
    ] {
        let reason = "invalid_exact_evm_payload_signature";
        refused(&pay(&gateway, &broken).await, reason);
    }
    assert_eq!(upstream.seen().len(), 1);
    assert_eq!(paid(&chain, PLAIN_TOKEN).await, U256::from(2 * PRICE));
}

#[tokio::test]
async fn many_at_once_each_have_their_own_result() {
    let wallets: Vec<Wallet> = (1..=8).map(Wallet::new).collect();
    let payers: Vec<Address> = wallets.iter().map(Wallet::address).collect();
    let chain = chain(PLAIN_TOKEN, &payers).await;
    let upstream = Upstream::start().await;
    let more = ", batch = { window = \"300ms\" }";
    let gateway = settles(plan(&upstream, PLAIN_TOKEN, ""), &[chain.url()], more).await;
    chain.mine_by_hand().await;
    // The first payer pays three times the same: events alone would not tell which has failed.
    let payments: Vec<Payment> = wallets.iter().map(|wallet| wallet.permits(PLAIN_TOKEN)).collect();
    let twins = [wallets[0].permits(PLAIN_TOKEN), wallets[0].permits(PLAIN_TOKEN)];
    let blocks = async {
        eventually("a batch", async || (chain.waiting().await > U256::ZERO).then_some(())).await;
        // Between simulation and block, one payer takes the allowance back: its part fails.
        approve(&chain, PLAIN_TOKEN, payers[7], U256::ZERO).await;
        chain.ask("evm_setIntervalMining", json!([1])).await;
    };
    let paying = together(payments.iter().chain(&twins).map(|payment| pay(&gateway, payment)));
    let (answers, ()) = tokio::join!(paying, blocks);

    assert_eq!(answers[7].status, 402, "{}", answers[7].text());
    assert_eq!(gateway.state(&payments[7]).await, "refused");
    let good = answers.iter().enumerate().filter(|(at, _)| *at != 7).map(|(_, answer)| answer);
    let transactions: Vec<String> = good.map(transaction).collect();
    for (payer, transaction) in payers[..7].iter().zip(&transactions) {
        let moved = chain.transfers_of(PLAIN_TOKEN, transaction).await;
        assert_eq!(moved.iter().filter(|transfer| **transfer == of(*payer)).count(), 1);
    }
    assert_eq!(paid(&chain, PLAIN_TOKEN).await, U256::from(9 * PRICE));
    let mut first = vec![&transactions[0], &transactions[7], &transactions[8]];
    first.sort();
    first.dedup();
    assert_eq!(first.len(), 3, "twins share no transaction");
    let mut different = transactions.clone();
    different.sort();
    different.dedup();
    assert!(different.len() <= 6, "{} transactions", different.len());
}

#[tokio::test]
async fn an_approval_that_somebody_has_sent_before_does_no_harm() {
    let wallet = Wallet::new(1);
    let chain = chain(PERMIT_TOKEN, &[]).await;
    chain.mint(PERMIT_TOKEN, wallet.address(), THOUSAND).await;
    let upstream = Upstream::start().await;
    let gateway = settles(plan(&upstream, PERMIT_TOKEN, SPONSORED), &[chain.url()], "").await;
    let asked = gateway.ask("GET", "/paid").send().await.object("payment-required");
    let declared = &asked["extensions"]["eip2612GasSponsoring"];
    assert_eq!(
        (&declared["info"]["version"], &asked["accepts"][0]["extra"]["name"]),
        (&json!("1"), &json!("Permit Token"))
    );

    let domain = Eip712Domain::new("Permit Token", "1", 84_532, PERMIT_TOKEN);
    let approved = |nonce| {
        wallet.permits(PERMIT_TOKEN).then(|it| {
            it.signed.approval = Some(wallet.approves(it, &domain, nonce).into());
        })
    };
    // An approval whose number is not the next one approves nothing.
    refused(&pay(&gateway, &approved(7)).await, "permit2_allowance_required");

    let payment = approved(0);
    let approval = payment.signed.approval.as_ref().unwrap();
    let call = permitCall {
        owner: approval.owner,
        spender: approval.spender,
        value: approval.value,
        deadline: approval.deadline,
        v: approval.signature[64],
        r: B256::from_slice(&approval.signature[..32]),
        s: B256::from_slice(&approval.signature[32..64]),
    };
    chain.send(PERMIT_TOKEN, call.abi_encode()).await;
    let moved = transaction(&pay(&gateway, &payment).await);
    assert_eq!(chain.transfers_of(PERMIT_TOKEN, &moved).await, [of(wallet.address())]);
    let asked = allowanceCall { owner: wallet.address(), spender: PERMIT2 }.abi_encode();
    assert_eq!(chain.call(PERMIT_TOKEN, asked).await, [0_u8; 32], "nothing is left over");
}

#[tokio::test]
async fn a_published_facilitator_takes_permits_and_their_approvals() {
    let wallet = Wallet::new(1);
    let chain = Chain::start(&[]).await;
    chain.mint(PERMIT_TOKEN, wallet.address(), THOUSAND).await;
    let upstream = Upstream::start().await;
    let peer = format!("http = {{ url = \"http://{}\" }}", chain.facilitator());
    let gateway = plan(&upstream, PERMIT_TOKEN, SPONSORED).facilitator(&peer).start().await;

    let without = wallet.permits(PERMIT_TOKEN);
    refused(&pay(&gateway, &without).await, "permit2_allowance_required");
    let domain = Eip712Domain::new("Permit Token", "1", 84_532, PERMIT_TOKEN);
    let with = wallet.permits(PERMIT_TOKEN).then(|it| {
        it.signed.approval = Some(wallet.approves(it, &domain, 0).into());
    });
    for payment in [with, without] {
        let moved = transaction(&pay(&gateway, &payment).await);
        assert_eq!(chain.transfers_of(PERMIT_TOKEN, &moved).await, [of(wallet.address())]);
        approve(&chain, PERMIT_TOKEN, wallet.address(), U256::MAX).await;
    }
    assert_eq!(paid(&chain, PERMIT_TOKEN).await, U256::from(2 * PRICE));
}

#[tokio::test]
async fn a_contract_wallet_pays_by_permit2() {
    let owner = Wallet::new(1);
    let chain = chain(PLAIN_TOKEN, &[]).await;
    let upstream = Upstream::start().await;
    let gateway = settles(plan(&upstream, PLAIN_TOKEN, ""), &[chain.url()], "").await;
    let wallet = chain.wallet_of(owner.address()).await;
    chain.mint(PLAIN_TOKEN, wallet, THOUSAND).await;
    approve(&chain, PLAIN_TOKEN, wallet, U256::MAX).await;
    let by = |signer: &Wallet| signer.signs_permit(PLAIN_TOKEN, |signed| signed.from = wallet);
    let reason = "invalid_exact_evm_payload_signature";
    refused(&pay(&gateway, &by(&owner)).await, reason);

    chain.deploy(owner.address()).await;
    let moved = transaction(&pay(&gateway, &by(&owner)).await);
    assert_eq!(chain.transfers_of(PLAIN_TOKEN, &moved).await, [of(wallet)]);
    refused(&pay(&gateway, &by(&Wallet::new(2))).await, reason);
}

#[tokio::test]
async fn a_permit_cut_off_in_the_mempool_is_found_on_the_chain() {
    let wallet = Wallet::new(1);
    let chain = chain(PLAIN_TOKEN, &[wallet.address()]).await;
    let upstream = Upstream::start().await;
    let gateway = settles(plan(&upstream, PLAIN_TOKEN, ""), &[chain.url()], "").await;
    // One like it that is settled: it must not be taken for the other.
    let before = transaction(&pay(&gateway, &wallet.permits(PLAIN_TOKEN)).await);
    chain.mine_by_hand().await;
    let payment = wallet.permits(PLAIN_TOKEN);
    pay_and_leave(&gateway, &chain, &payment).await;
    assert_eq!(gateway.state(&payment).await, "settling");
    let gateway = gateway.killed_and_restarted().await;
    assert_eq!(pay(&gateway, &payment).await.status, 503);
    chain.mine(2).await;
    let line = gateway.comes_to(&payment, "settled").await;
    assert_ne!(line.transaction(), before);
    let moved = chain.transfers_of(PLAIN_TOKEN, line.transaction()).await;
    assert_eq!(moved, [of(wallet.address())]);
    assert_eq!(paid(&chain, PLAIN_TOKEN).await, U256::from(2 * PRICE));
}

#[tokio::test]
async fn a_permit_whose_number_is_spent_on_nothing_is_released() {
    let wallet = Wallet::new(1);
    let chain = chain(PLAIN_TOKEN, &[wallet.address()]).await;
    let upstream = Upstream::start().await;
    let gateway = settles(plan(&upstream, PLAIN_TOKEN, ""), &[chain.url()], "").await;
    transaction(&pay(&gateway, &wallet.permits(PLAIN_TOKEN)).await);
    chain.mine_by_hand().await;
    let payment = wallet.permits(PLAIN_TOKEN);
    pay_and_leave(&gateway, &chain, &payment).await;
    gateway.kill();
    chain.ask("anvil_dropAllTransactions", json!([])).await;
    let gateway = gateway.killed_and_restarted().await;
    // The payer takes the number back.
    let nonce = U256::from_be_bytes(payment.signed.authorization.nonce.0);
    let mask = U256::ONE << usize::from(nonce.byte(0));
    let call = invalidateUnorderedNoncesCall { word: nonce >> 8_usize, mask }.abi_encode();
    chain.send_as(wallet.address(), PERMIT2, call).await;
    chain.mine(100).await;
    gateway.comes_to(&payment, "released").await;
    assert_eq!(paid(&chain, PLAIN_TOKEN).await, U256::from(PRICE));
}

#[tokio::test]
async fn what_a_hosted_facilitator_does_not_tell_of_a_permit_is_read_from_the_chain() {
    let wallet = Wallet::new(1);
    let chain = chain(PLAIN_TOKEN, &[wallet.address()]).await;
    let upstream = Upstream::start().await;
    let peer = Facilitator::start().await;
    peer.on_settle(Habit::Says(500, String::new()));
    let node = format!("rpc = [\"{}\"]", chain.url());
    let gateway = plan(&upstream, PLAIN_TOKEN, &node).settled_by(&peer).start().await;
    let payment = wallet.permits(PLAIN_TOKEN);
    assert_eq!(pay(&gateway, &payment).await.status, 503);
    assert_eq!(gateway.state(&payment).await, "unknown");

    // One like it comes first; only the calls tell them apart.
    chain.send(EXACT_PROXY, settlement(&wallet.permits(PLAIN_TOKEN))).await;
    let moved = chain.send(EXACT_PROXY, settlement(&payment)).await;
    chain.mine(5).await;
    assert_eq!(gateway.comes_to(&payment, "settled").await.transaction(), moved);
}

/// What anybody may tell the proxy about a payment.
fn settlement(payment: &Payment) -> Vec<u8> {
    let Authorization { from, to, value, valid_after, valid_before, nonce, .. } =
        payment.signed.authorization;
    let permitted = TokenPermissions { token: PLAIN_TOKEN, amount: value };
    let permit = PermitTransferFrom { permitted, nonce: nonce.into(), deadline: valid_before };
    let witness = Witness { to, validAfter: valid_after };
    let signature = payment.signed.signature.to_vec().into();
    settleCall { permit, owner: from, witness, signature }.abi_encode()
}
