//! Nonces and replacements against a node with a script.

use std::collections::VecDeque;
use std::time::Duration;

use alloy::consensus::Transaction;
use alloy::eips::eip2718::Decodable2718;
use serde_json::Value;
use tokio::net::TcpListener;

use super::*;
use crate::chain::evm::fees::FeeCaps;
use crate::chain::rpc::socket::{heard, say};

/// What a node does with one question.
enum Act {
    Says(Value),
    Refuses(&'static str),
    /// Hears it and says nothing.
    Closes,
}

/// A node that does one act after the other, and the transactions it was sent.
struct Node {
    rpc: Rpc,
    sent: Arc<Mutex<Vec<TxEnvelope>>>,
}

impl Node {
    async fn start(script: impl IntoIterator<Item = Act>) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let mut script: VecDeque<Act> = script.into_iter().collect();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Some(act) = script.pop_front() {
                let (mut socket, _) = listener.accept().await.unwrap();
                let question = heard(&mut socket).await;
                if question["method"] == "eth_sendRawTransaction" {
                    let raw: Bytes = question["params"][0].as_str().unwrap().parse().unwrap();
                    taken.lock().push(TxEnvelope::decode_2718(&mut raw.as_ref()).unwrap());
                }
                let answer = match act {
                    Act::Says(result) => json!({ "id": 0, "result": result }),
                    Act::Refuses(message) => {
                        json!({ "id": 0, "error": { "code": -32000, "message": message } })
                    }
                    Act::Closes => continue,
                };
                say(&mut socket, &answer.to_string()).await.unwrap();
            }
        });
        Self { rpc: Rpc::unchecked(vec![url], Duration::from_secs(5)), sent }
    }

    fn nonces(&self) -> Vec<u64> {
        self.sent.lock().iter().map(Transaction::nonce).collect()
    }
}

fn lane() -> Arc<Lane> {
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(0x42)).unwrap();
    Arc::new(Lane::new(signer, 84532, 16))
}

async fn send(lane: &Arc<Lane>, node: &Node) -> Result<Flight, Fault> {
    let call = Call { to: Address::repeat_byte(1), data: Bytes::new() };
    let place = lane.place().unwrap();
    Arc::clone(lane).send(&node.rpc, (call, 50_000, FEES), place).await
}

const FEES: Fees = Fees { market: Market::BaseFee, fee: 800, tip: 80 };

fn taken() -> Act {
    Act::Says(json!(format!("{:#x}", B256::ZERO)))
}

#[tokio::test]
async fn where_there_is_one_price_it_is_offered_as_before_eip_1559() {
    let (lane, node) = (lane(), Node::start([Act::Says(json!("0x7")), taken()]).await);
    let call = Call { to: Address::repeat_byte(1), data: Bytes::new() };
    let fees = Fees { market: Market::OnePrice, fee: 800, tip: 800 };
    let place = lane.place().unwrap();
    let flight = Arc::clone(&lane).send(&node.rpc, (call, 50_000, fees), place).await.unwrap();
    let sent = node.sent.lock();
    assert!(sent[0].is_legacy());
    assert_eq!((sent[0].gas_price(), sent[0].chain_id()), (Some(800), Some(84532)));
    assert_eq!(*sent[0].tx_hash(), flight.hash());
}

#[test]
fn the_fewer_places_are_left_the_longer_a_batch_waits_for_company() {
    let lane = lane();
    let windows = |_| {
        let place = lane.place().unwrap();
        (lane.windows(), place)
    };
    let (windows, _places): (Vec<_>, Vec<_>) = (0..16).map(windows).unzip();
    assert_eq!(windows, (1..=16).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_transaction_that_every_node_refuses_leaves_no_gap() {
    let script = [Act::Says(json!("0x7")), Act::Refuses("insufficient funds"), taken(), taken()];
    let (lane, node) = (lane(), Node::start(script).await);
    assert!(send(&lane, &node).await.is_err());
    let (first, second) = (send(&lane, &node).await.unwrap(), send(&lane, &node).await.unwrap());
    assert_eq!((first.nonce, second.nonce), (7, 8));
    assert_eq!(node.nonces(), [7, 7, 8]);
    assert_eq!(lane.places_left(), 14);
}

#[tokio::test]
async fn a_transaction_that_a_node_may_have_keeps_its_nonce() {
    let script = [Act::Says(json!("0x7")), Act::Closes, taken()];
    let (lane, node) = (lane(), Node::start(script).await);
    let doubtful = send(&lane, &node).await.unwrap();
    let next = send(&lane, &node).await.unwrap();
    assert_eq!((doubtful.nonce, next.nonce), (7, 8));
}

#[tokio::test]
async fn a_used_nonce_is_asked_for_again_but_never_one_that_flies() {
    let low = || Act::Refuses("nonce too low");
    let script = [Act::Says(json!("0x7")), taken(), low(), Act::Says(json!("0x5")), taken()];
    let (lane, node) = (lane(), Node::start(script).await);
    let flying = send(&lane, &node).await.unwrap();
    let next = send(&lane, &node).await.unwrap();
    assert_eq!((flying.nonce, next.nonce), (7, 8));
    assert_eq!(node.nonces(), [7, 8, 8]);
}

#[tokio::test]
async fn a_replacement_has_the_same_nonce_and_pays_an_eighth_more() {
    const CAPS: FeeCaps = FeeCaps { fee_max: 1_000, tip_max: 100 };
    let script = [Act::Says(json!("0x7")), taken(), taken(), taken()];
    let (lane, node) = (lane(), Node::start(script).await);
    let mut flight = send(&lane, &node).await.unwrap();
    flight.push(&node.rpc, |fees| fees.raised(None, CAPS)).await;
    // No room is left below the cap: what is out is sent again.
    flight.push(&node.rpc, |fees| fees.raised(None, CAPS)).await;
    let sent = node.sent.lock();
    let offers: Vec<_> = sent
        .iter()
        .map(|sent| (sent.nonce(), sent.max_fee_per_gas(), sent.max_priority_fee_per_gas()))
        .collect();
    assert_eq!(offers, [(7, 800, Some(80)), (7, 900, Some(90)), (7, 900, Some(90))]);
    assert_eq!(flight.hashes().count(), 2);
    assert_eq!(flight.hash(), *sent[2].tx_hash());
}

#[tokio::test]
async fn what_flies_lowest_fills_the_lost_nonce_below_it() {
    let dear = || Act::Refuses("replacement transaction underpriced");
    let script = [Act::Says(json!("0x7")), taken(), taken(), dear(), dear(), taken(), taken()];
    let (lane, node) = (lane(), Node::start(script).await);
    let (low, high) = (send(&lane, &node).await.unwrap(), send(&lane, &node).await.unwrap());
    let caps = FeeCaps { fee_max: low.fees.fee * 5 / 4, tip_max: u128::MAX };
    let fills = |count| low.fill(&node.rpc, count, |fees| fees.raised_to(None, caps));
    // Nothing is lost, or it is for another to fill.
    fills(7).await;
    high.fill(&node.rpc, 6, |fees| fees).await;
    assert_eq!(node.nonces(), [7, 8]);
    // What waits there of an earlier life may be as dear as this: each attempt offers more, as far
    // as the caps go.
    for _ in 0..3 {
        fills(6).await;
    }
    fills(5).await;
    let sent = node.sent.lock();
    assert_eq!((sent[2].to(), sent[2].gas_limit()), (Some(lane.address()), 21_000));
    let offered = sent[2..].iter().map(|sent| (sent.nonce(), sent.max_fee_per_gas()));
    let fee = low.fees.fee;
    let most = caps.fee_max;
    assert_eq!(offered.collect::<Vec<_>>(), [(6, fee), (6, most), (6, most), (5, fee)]);
}
