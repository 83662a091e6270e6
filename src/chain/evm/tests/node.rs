//! A node that speaks JSON-RPC to one gateway, over a line that loses, delays and garbles.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::RpcUrl;
use super::super::receipt::Log;
use super::super::rpc::{Node, Posted};
use super::block::{Block, Mined, tx};
use super::ground::{Ground, Pool};
use super::power::{Act, Chance, Power};
use crate::facilitator::scripted::Dice;
use crate::fault::{Fault, Retry, Side};

/// The chain that all nodes look at.
pub(crate) type Shared = Arc<Mutex<Ground>>;

/// The way from one life of a gateway to one node.
pub(crate) struct Line {
    pub(crate) ground: Shared,
    pub(crate) at: usize,
    pub(crate) chance: Arc<Chance>,
    pub(crate) power: Arc<Power>,
    /// Of a thousand questions, so many go wrong.
    pub(crate) faults: u64,
}

/// Where the gateway asks it.
pub(crate) fn url(line: Line) -> RpcUrl {
    let mut url: RpcUrl = format!("http://node-{}.example", line.at).parse().unwrap();
    url.node = Some(Arc::new(line));
    url
}

/// How one question goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Luck {
    Good,
    /// It never arrives.
    NotHeard,
    /// It is answered, and the answer never arrives.
    AnswerLost,
    /// The same request arrives twice.
    HeardTwice,
    /// What arrives is no answer.
    Garbled,
    /// It is heard, and called refused.
    CalledRefused,
    /// A machine that is some blocks behind answers.
    Behind(usize),
}

impl Node for Line {
    fn post(self: Arc<Self>, body: Vec<u8>) -> Posted {
        Box::pin(async move { self.carry(&String::from_utf8(body).unwrap()).await })
    }
}

impl Line {
    async fn carry(&self, body: &str) -> Result<Vec<u8>, Fault> {
        let mut dice = self.chance.about((self.at, name(body)));
        let luck = self.luck(&mut dice);
        tracing::debug!(
            at = self.at,
            ?luck,
            body = body.get(..BODY_SHOWN).unwrap_or(body),
            "asked"
        );
        let act = self.power.act();
        if act == Act::CutBefore {
            std::future::pending::<()>().await;
        }
        sleep(Duration::from_millis(2 + dice.below(40))).await;
        if luck == Luck::NotHeard || !self.ground.lock().nodes[self.at].answers {
            return self.nothing(&mut dice).await;
        }
        let mut answer = self.ground.lock().answer(self.at, body, luck, &mut dice);
        if luck == Luck::HeardTwice {
            answer = self.ground.lock().answer(self.at, body, luck, &mut dice);
        }
        if act == Act::CutAfter {
            std::future::pending::<()>().await;
        }
        let slow = if self.chance.strikes(&mut dice, self.faults) { 3_000 } else { 40 };
        sleep(Duration::from_millis(2 + dice.below(slow))).await;
        if self.power.is_off() {
            std::future::pending::<()>().await;
        }
        let shown = String::from_utf8_lossy(answer.get(..BODY_SHOWN).unwrap_or(&answer));
        tracing::debug!(at = self.at, %shown, "answered");
        match luck {
            Luck::AnswerLost => self.nothing(&mut dice).await,
            Luck::Garbled => {
                answer.truncate(answer.len() / 2);
                Ok(answer)
            }
            _ => Ok(answer),
        }
    }

    fn luck(&self, dice: &mut Dice) -> Luck {
        if !self.chance.strikes(dice, self.faults) {
            return Luck::Good;
        }
        match dice.below(8) {
            0 => Luck::NotHeard,
            1 | 2 => Luck::AnswerLost,
            3 => Luck::HeardTwice,
            4 => Luck::Garbled,
            5 => Luck::CalledRefused,
            behind => Luck::Behind(usize::try_from(behind).unwrap() - 5),
        }
    }

    /// No answer: at once, or never.
    async fn nothing(&self, dice: &mut Dice) -> Result<Vec<u8>, Fault> {
        if dice.below(2) == 0 {
            std::future::pending::<()>().await;
        }
        Err(Fault::new(Side::Chain, Retry::Later, "as the dice say"))
    }
}

/// What is asked for, in whatever order: tokio wakes those who wait for a block at random.
fn name(body: &str) -> String {
    let asked: Value = serde_json::from_str(body).unwrap();
    let one = |ask: &Value| format!("{} {}", ask["method"], ask["params"]);
    let mut all: Vec<String> = match &asked {
        Value::Array(asks) => asks.iter().map(one).collect(),
        ask => vec![one(ask)],
    };
    all.sort();
    all.concat()
}

/// What the machine that answers knows.
struct Seen<'a> {
    blocks: &'a [Arc<Block>],
    pool: &'a Pool,
}

/// An error of a node: code and words, as geth has them.
type Refusal = (i64, &'static str);

impl Ground {
    fn answer(&mut self, at: usize, body: &str, luck: Luck, dice: &mut Dice) -> Vec<u8> {
        let asked: Value = serde_json::from_str(body).unwrap();
        let behind = if let Luck::Behind(blocks) = luck { blocks } else { 0 };
        let mut one = |ask: &Value| {
            let method = ask["method"].as_str().unwrap();
            let said = match method {
                "eth_sendRawTransaction" => {
                    let said = self.take(at, &ask["params"][0]);
                    match luck {
                        Luck::CalledRefused if said.is_ok() && dice.below(2) == 0 => {
                            Err((-32002, "request timed out"))
                        }
                        Luck::CalledRefused if said.is_ok() => Err((-32603, "Internal error")),
                        _ => said,
                    }
                }
                _ if luck == Luck::CalledRefused => Err((-32005, "too many requests")),
                _ => self.tell(at, behind, (method, &ask["params"])),
            };
            match said {
                Ok(result) => json!({ "jsonrpc": "2.0", "id": ask["id"], "result": result }),
                Err((code, message)) => json!({
                    "jsonrpc": "2.0", "id": ask["id"],
                    "error": { "code": code, "message": message },
                }),
            }
        };
        let answer = match &asked {
            Value::Array(asks) => Value::Array(asks.iter().map(one).collect()),
            ask => one(ask),
        };
        answer.to_string().into_bytes()
    }

    /// Takes a signed transaction, as geth does.
    fn take(&mut self, at: usize, raw: &Value) -> Result<Value, Refusal> {
        let raw: Bytes = raw.as_str().unwrap().parse().unwrap();
        let tx = tx(&raw, self.nature.chain_id).ok_or((-32000, "invalid sender"))?;
        let (tx, place) = (Arc::new(tx), &mut self.nodes[at]);
        let state = &place.blocks.last().unwrap().state;
        if tx.nonce < state.nonce(tx.sender) {
            return Err((-32000, "nonce too low"));
        }
        match place.pool.get(&tx.place()) {
            Some(there) if there.hash == tx.hash => {
                // It was swallowed before; now it is passed on.
                self.spread(&tx);
                return Err((-32000, "already known"));
            }
            Some(there) if !tx.replaces(there) => {
                return Err((-32000, "replacement transaction underpriced"));
            }
            Some(_) | None => place.pool.insert(tx.place(), Arc::clone(&tx)),
        };
        // Now and then one swallows it.
        let [lot, ..] = tx.hash.0;
        if usize::from(lot) % 20 != at {
            self.spread(&tx);
        }
        Ok(json!(tx.hash))
    }

    fn tell(
        &self,
        at: usize,
        behind: usize,
        (method, params): (&str, &Value),
    ) -> Result<Value, Refusal> {
        let place = &self.nodes[at];
        let nobody = Pool::new();
        let seen = Seen {
            blocks: &place.blocks[..place.blocks.len() - behind],
            pool: if behind > 0 { &nobody } else { &place.pool },
        };
        let text = |at: usize| params[at].as_str().unwrap_or_default();
        Ok(match method {
            "eth_chainId" => json!(format!("{:#x}", self.nature.chain_id)),
            "eth_blockNumber" => json!(format!("{:#x}", seen.last().number)),
            "eth_getBalance" => json!("0xde0b6b3a7640000"),
            "eth_maxPriorityFeePerGas" => json!("0x3b9aca00"),
            "eth_getTransactionCount" => {
                let signer: Address = text(0).parse().unwrap();
                json!(format!("{:#x}", seen.count(signer, text(1))))
            }
            "eth_getTransactionReceipt" => {
                let hash: B256 = text(0).parse().unwrap();
                seen.receipt(hash)
            }
            "eth_getTransactionByHash" => {
                let hash: B256 = text(0).parse().unwrap();
                let found = seen.blocks.iter().rev().find_map(|block| block.find(hash));
                found.map_or(Value::Null, |mined| json!({ "input": mined.input(&self.law) }))
            }
            "eth_getBlockByNumber" => seen.at(self, text(0))?.map_or(Value::Null, told),
            "eth_call" => {
                let block = seen.at(self, text(1))?.ok_or((-32000, "header not found"))?;
                let data = hex::decode(params[0]["data"].as_str().unwrap()).unwrap();
                let answer = block.state.probe(&self.law, block.timestamp, &data);
                json!(answer.ok_or((-32000, "execution reverted"))?)
            }
            "eth_getLogs" => seen.logs(&params[0]),
            _ => return Err((-32601, "the method does not exist")),
        })
    }
}

impl Seen<'_> {
    fn last(&self) -> &Block {
        self.blocks.last().unwrap()
    }

    fn at(&self, ground: &Ground, tag: &str) -> Result<Option<&Block>, Refusal> {
        let last = self.last().number;
        let number = match tag {
            "latest" | "pending" => last,
            "safe" if ground.nature.knows_safe => last - SAFE_DEPTH,
            "safe" => return Err((-32602, "invalid argument 1: hex string without 0x prefix")),
            number => u64::from_str_radix(number.strip_prefix("0x").unwrap(), 16).unwrap(),
        };
        Ok(self.blocks.iter().rev().find(|block| block.number == number).map(|block| &**block))
    }

    fn count(&self, signer: Address, tag: &str) -> u64 {
        let mut count = self.last().state.nonce(signer);
        while tag == "pending" && self.pool.contains_key(&(signer, count)) {
            count += 1;
        }
        count
    }

    fn receipt(&self, hash: B256) -> Value {
        let found = |block: &Arc<Block>| Some((Arc::clone(block), block.find(hash)?.logs.clone()));
        let Some((block, logs)) = self.blocks.iter().rev().find_map(found) else {
            return Value::Null;
        };
        let status = if block.find(hash).is_some_and(|mined| mined.ok) { "0x1" } else { "0x0" };
        json!({
            "transactionHash": hash, "blockNumber": format!("{:#x}", block.number),
            "blockHash": block.hash, "status": status,
            "logs": logs.iter().map(|log| event(&block, hash, log)).collect::<Vec<_>>(),
        })
    }

    fn logs(&self, filter: &Value) -> Value {
        let number = |name: &str| -> u64 {
            let text = filter[name].as_str().unwrap();
            u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
        };
        let range = number("fromBlock")..=number("toBlock");
        let address: Address = filter["address"].as_str().unwrap().parse().unwrap();
        let wanted = |at: usize, topic: &B256| match &filter["topics"][at] {
            Value::Null => true,
            Value::Array(several) => several.contains(&json!(topic)),
            one => *one == json!(topic),
        };
        let fits = |log: &&Log| {
            log.address == address && log.topics.iter().enumerate().all(|(at, t)| wanted(at, t))
        };
        let blocks = self.blocks.iter().filter(|block| range.contains(&block.number));
        let of = |block: &Arc<Block>, mined: &Mined| -> Vec<Value> {
            mined.logs.iter().filter(fits).map(|log| event(block, mined.hash, log)).collect()
        };
        blocks.flat_map(|block| block.mined.iter().flat_map(|mined| of(block, mined))).collect()
    }
}

fn event(block: &Block, transaction: B256, log: &Log) -> Value {
    json!({
        "address": log.address, "topics": log.topics, "data": log.data,
        "transactionHash": transaction, "blockHash": block.hash,
        "blockNumber": format!("{:#x}", block.number),
    })
}

fn told(block: &Block) -> Value {
    json!({
        "number": format!("{:#x}", block.number), "hash": block.hash,
        "timestamp": format!("{:#x}", block.timestamp),
        "baseFeePerGas": format!("{:#x}", U256::from(block.base_fee)),
        "transactions": block.mined.iter().map(|mined| mined.hash).collect::<Vec<_>>(),
    })
}

/// Of what is said, in the log.
const BODY_SHOWN: usize = 400;

/// Deeper than any reorganization.
const SAFE_DEPTH: u64 = 6;
