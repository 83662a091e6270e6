//! Payments that would fail, against a node with a script: what is said of them, and of whom.

use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{Revert, SolError, SolEvent, SolValue};
use alloy_primitives::{Bytes, U256, hex};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::chain::evm::abi::{ProbeResult, Token};
use crate::chain::evm::payment::tests::payment;
use crate::chain::evm::receipt::tests::sought;
use crate::chain::evm::{Bounds, Evm, FeeCaps, Lanes, Settings};
use crate::chain::rpc::socket::{heard, say};
use crate::fault::Reach;

/// Its simulation, and each look at the state of the authorization, with the clock of the block.
struct Script {
    probes: VecDeque<Bytes>,
    /// The events of the transaction that has used the authorization.
    used_by: Vec<Value>,
}

/// What one call came to, in a block of this clock.
fn probed(clock: u64, sizes: usize, ok: bool, data: Vec<u8>) -> Bytes {
    let result = ProbeResult { ok, gasUsed: U256::from(50_000), data: data.into() };
    (U256::from(clock), vec![U256::ZERO; sizes], vec![result]).abi_encode_params().into()
}

fn reverts(clock: u64, words: &str) -> Bytes {
    probed(clock, 2, false, Revert { reason: words.to_owned() }.abi_encode())
}

fn state(clock: u64, used: bool) -> Bytes {
    probed(clock, 0, true, used.abi_encode())
}

fn event(topics: Vec<B256>, data: Vec<u8>) -> Value {
    let address = sought(1).asset;
    json!({ "address": address, "topics": topics, "data": hex::encode_prefixed(data),
        "transactionHash": USER })
}

fn cancelled() -> Vec<Value> {
    let identity = sought(1).identity;
    let topics = [Token::AuthorizationCanceled::SIGNATURE_HASH, identity.payer.into_word()];
    vec![event([topics.as_slice(), &[identity.nonce]].concat(), Vec::new())]
}

fn paid() -> Vec<Value> {
    let Sought { identity, pay_to, amount, .. } = sought(1);
    let payer = identity.payer.into_word();
    let used = vec![Token::AuthorizationUsed::SIGNATURE_HASH, payer, identity.nonce];
    let transfer = vec![Token::Transfer::SIGNATURE_HASH, payer, pay_to.into_word()];
    vec![event(used, Vec::new()), event(transfer, U256::from(amount.units()).to_be_bytes_vec())]
}

impl Script {
    fn answer(&mut self, question: &Value) -> Value {
        let receipt = |logs: &[Value]| {
            json!({ "transactionHash": USER, "blockNumber": "0x63", "blockHash": USER,
                "status": "0x1", "logs": logs })
        };
        let result = match question["method"].as_str().unwrap() {
            "eth_chainId" => json!("0x14a34"),
            "eth_call" => json!(self.probes.pop_front().unwrap()),
            "eth_blockNumber" => json!("0x64"),
            "eth_getBlockByNumber" => json!({ "timestamp": "0x3e8" }),
            "eth_getLogs" => json!(self.used_by[..1]),
            "eth_getTransactionReceipt" => receipt(&self.used_by),
            other => panic!("{other}"),
        };
        json!({ "jsonrpc": "2.0", "id": question["id"], "result": result })
    }

    /// What becomes of a settlement; everything in the script is asked for.
    async fn settle(self) -> Outcome {
        rustls::crypto::ring::default_provider().install_default().ok();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let script = Arc::new(Mutex::new(self));
        let answers = Arc::clone(&script);
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let asked = heard(&mut socket).await;
                let answer = match asked.as_array() {
                    Some(several) => several.iter().map(|one| answers.lock().answer(one)).collect(),
                    None => answers.lock().answer(&asked),
                };
                say(&mut socket, &answer.to_string()).await.unwrap();
            }
        });
        let signers = vec![PrivateKeySigner::from_bytes(&B256::repeat_byte(0x43)).unwrap()];
        let settings = Settings { chain_id: 84532, rpc: vec![url], signers, bounds: BOUNDS };
        let outcome =
            Evm::start(settings, &Lanes::default()).unwrap().settle(payment(1), sought(1)).await;
        assert!(script.lock().probes.is_empty());
        outcome
    }
}

async fn check<const N: usize>(probes: [Bytes; N], used_by: Vec<Value>, expected: &str) {
    let outcome = Script { probes: probes.into(), used_by }.settle().await;
    let said = match &outcome {
        Outcome::Rejected(reason) => reason.code().to_owned(),
        Outcome::Unknown { transaction, fault } if fault.reach() == Reach::OnePayment => {
            format!("unknown to one{}", if transaction.is_some() { ", named" } else { "" })
        }
        other => format!("{other:?}"),
    };
    assert_eq!(said, expected);
}

const USER: B256 = B256::repeat_byte(0x77);
const NOW: u64 = 1_000;
const USED: &str = "FiatTokenV2: authorization is used or canceled";
const EXPIRED: &str = "FiatTokenV2: authorization is expired";
const PAUSED: &str = "Pausable: paused";
const LONG: Duration = Duration::from_secs(20);
const BOUNDS: Bounds = Bounds {
    confirmations: 1,
    batch_window: Duration::ZERO,
    batch_max: 1,
    in_flight_max: 1,
    gas_max: 500_000,
    caps: FeeCaps { fee_max: 1_000, tip_max: 100 },
    balance_low: 0,
    rpc_timeout: LONG,
    settle_timeout: LONG,
    replace_after: LONG,
    poll: LONG,
};

#[tokio::test]
async fn what_a_payer_uses_or_cancels_itself_is_told_of_this_payment_alone() {
    check([reverts(NOW, USED), state(NOW, true)], cancelled(), "unknown to one").await;
    check([reverts(NOW, USED), state(NOW, true)], paid(), "unknown to one, named").await;
}

#[tokio::test]
async fn a_window_that_is_over_is_no_proof_that_nothing_was_taken() {
    for said in [EXPIRED, PAUSED] {
        let used = [reverts(NOW, said), state(NOW, true), state(NOW, true)];
        check(used, paid(), "unknown to one, named").await;
    }
}

#[tokio::test]
async fn an_unused_authorization_is_refused_for_what_the_asset_says() {
    let expired = "invalid_exact_evm_payload_authorization_valid_before";
    check([reverts(NOW, EXPIRED), state(NOW, false)], Vec::new(), expired).await;
    let paused = "invalid_transaction_state";
    check([reverts(NOW, PAUSED), state(NOW + 2, false)], Vec::new(), paused).await;
}

#[tokio::test]
async fn a_node_that_lags_does_not_say_that_nothing_was_taken() {
    let (said, lags) = (reverts(NOW, EXPIRED), state(NOW - 1, false));
    check([said, lags, state(NOW, true)], paid(), "unknown to one, named").await;
}
