//! A cluster in this process: a block every 400 ms of stopped time, and one node with moods.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::chain::rpc::{Node, Posted, RpcUrl};
use crate::clock::{UnixMillis, steady};
use crate::fault::{Fault, Retry, Side};
use crate::x402::svm::programs::TOKEN;
use crate::x402::svm::{SvmPayment, fixture, signature_text};

/// What is done with the next transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// It is in the next block.
    Takes,
    /// It is, and the answer is lost.
    LosesAnswer,
    /// Its fee is paid, and it fails.
    Fails,
    /// It is called taken, and forgotten.
    Drops,
    /// It is refused.
    Refuses,
}

/// All there is.
pub(super) struct Cluster {
    began: Instant,
    state: Mutex<State>,
}

pub(super) struct State {
    /// For the next transactions; the last one for all others.
    pub(super) moods: VecDeque<Mood>,
    /// Each one that was handed in.
    pub(super) sent: Vec<Vec<u8>>,
    /// Each one that was to be tried.
    pub(super) tried: Vec<Vec<u8>>,
    /// What a trial ends with.
    pub(super) trial: Value,
    pub(super) trial_takes: Duration,
    pub(super) fee: Value,
    /// In lamports, of the fee payer.
    pub(super) balance: u64,
    /// Source, destination, mint.
    pub(super) accounts: [Value; 3],
    /// No block is made since this one.
    pub(super) stands_still: Option<u64>,
    /// The node knows nothing of blocks before.
    pub(super) first_block: u64,
    pub(super) genesis: &'static str,
    landed: HashMap<String, Landed>,
}

#[derive(Clone)]
struct Landed {
    slot: u64,
    wire: Vec<u8>,
    failed: bool,
}

impl Cluster {
    pub(super) fn new() -> Self {
        let token = |amount: u64| {
            let mut data = vec![0; 165];
            data[64..72].copy_from_slice(&amount.to_le_bytes());
            data[108] = 1;
            account(&TOKEN.to_string(), &data)
        };
        let mut mint = vec![0; 82];
        (mint[44], mint[45]) = (6, 1);
        let state = State {
            moods: [Mood::Takes].into(),
            sent: Vec::new(),
            tried: Vec::new(),
            trial: Value::Null,
            trial_takes: Duration::from_millis(10),
            fee: json!(10_001),
            balance: 1_000_000_000,
            accounts: [token(1_000_000), token(0), account(&TOKEN.to_string(), &mint)],
            stands_still: None,
            first_block: 0,
            genesis: GENESIS,
            landed: HashMap::new(),
        };
        Self { began: steady(), state: Mutex::new(state) }
    }

    /// Changes something.
    pub(super) fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
    }

    pub(super) fn moods(&self, moods: &[Mood]) {
        self.set(|state| state.moods = moods.iter().copied().collect());
    }

    pub(super) fn sent(&self) -> Vec<Vec<u8>> {
        self.state.lock().sent.clone()
    }

    /// Somebody else's transaction, which is in the next block.
    pub(super) fn lands(&self, wire: &[u8]) -> String {
        let slot = self.slot();
        self.state.lock().land(wire, slot, false)
    }

    pub(super) fn slot(&self) -> u64 {
        let stands_still = self.state.lock().stands_still;
        stands_still.unwrap_or_else(|| {
            let age = steady().saturating_duration_since(self.began).as_millis();
            FIRST_SLOT + u64::try_from(age).unwrap() / SLOT_MS
        })
    }

    /// Our clock, which is the cluster's.
    pub(super) fn now(&self) -> UnixMillis {
        let age = steady().saturating_duration_since(self.began);
        UnixMillis::new(i64::try_from(time_of(FIRST_SLOT) * 1_000).unwrap()).plus(age)
    }

    async fn answer(&self, ask: &Value) -> Result<Value, Fault> {
        let params = &ask["params"];
        let slot = self.slot();
        let context = json!({ "slot": slot });
        let value = |value: Value| json!({ "context": context, "value": value });
        let finalized = slot - FINAL_DEPTH;
        let takes = self.state.lock().trial_takes;
        Ok(match ask["method"].as_str().unwrap() {
            "getGenesisHash" => json!(self.state.lock().genesis),
            "getSlot" if params[0]["commitment"] == "finalized" => json!(finalized),
            "getSlot" => json!(slot),
            "getBalance" => value(json!(self.state.lock().balance)),
            "getFeeForMessage" => value(self.state.lock().fee.clone()),
            "getAccountInfo" => {
                let is_mint = params[0] == fixture::due(&fixture::extra()).asset.to_string();
                let place = if is_mint { 2 } else { 1 };
                value(self.state.lock().accounts[place].clone())
            }
            "getMultipleAccounts" => value(json!(self.state.lock().accounts)),
            "simulateTransaction" => {
                self.state.lock().tried.push(decoded(&params[0]));
                tokio::time::sleep(takes).await;
                value(json!({ "err": self.state.lock().trial }))
            }
            "isBlockhashValid" => value(json!(slot <= FIRST_SLOT + TAKEN_FOR)),
            "getBlocks" => {
                let first = params[0].as_u64().unwrap();
                let blocks = first..=params[1].as_u64().unwrap().min(finalized);
                blocks.map(|block| json!(block)).collect()
            }
            "getBlockTime" => json!(time_of(params[0].as_u64().unwrap())),
            "getFirstAvailableBlock" => json!(self.state.lock().first_block),
            "getSignatureStatuses" => value(json!([self.status(&params[0][0], slot)])),
            "getTransaction" => match self.state.lock().landed.get(params[0].as_str().unwrap()) {
                Some(landed) => json!({ "transaction": [STANDARD.encode(&landed.wire), "base64"] }),
                None => Value::Null,
            },
            "getSignaturesForAddress" => self.listed(params[0].as_str().unwrap()),
            "sendTransaction" => return self.take(decoded(&params[0])),
            other => panic!("{other} is not asked"),
        })
    }

    fn status(&self, name: &Value, slot: u64) -> Value {
        let state = self.state.lock();
        let Some(landed) = state.landed.get(name.as_str().unwrap()) else { return Value::Null };
        if landed.slot < state.first_block || landed.slot > slot {
            return Value::Null;
        }
        let depth = match slot - landed.slot {
            0 => "processed",
            1..FINAL_DEPTH => "confirmed",
            _ => "finalized",
        };
        let err = if landed.failed { json!({ "InstructionError": [2, {}] }) } else { Value::Null };
        json!({ "slot": landed.slot, "err": err, "confirmationStatus": depth })
    }

    fn listed(&self, payer: &str) -> Value {
        let state = self.state.lock();
        let mut all: Vec<_> = state.landed.iter().collect();
        all.sort_by_key(|(_, landed)| std::cmp::Reverse(landed.slot));
        let pays = |landed: &Landed| {
            let payment = SvmPayment::decode(&landed.wire).unwrap();
            payment.payer().to_string() == payer && landed.slot >= state.first_block
        };
        let entry = |(name, landed): (&String, &Landed)| {
            let Landed { slot, .. } = landed;
            json!({ "signature": name, "slot": slot, "blockTime": time_of(*slot) })
        };
        all.into_iter().filter(|(_, landed)| pays(landed)).map(entry).collect()
    }

    fn take(&self, wire: Vec<u8>) -> Result<Value, Fault> {
        let slot = self.slot();
        let mut state = self.state.lock();
        state.sent.push(wire.clone());
        let mood = match state.moods.len() {
            1 => state.moods[0],
            _ => state.moods.pop_front().unwrap(),
        };
        let young = slot <= FIRST_SLOT + TAKEN_FOR;
        let name = match mood {
            Mood::Takes | Mood::LosesAnswer if young => state.land(&wire, slot, false),
            Mood::Fails if young => state.land(&wire, slot, true),
            _ => signature_text(wire[1..65].try_into().unwrap()),
        };
        match mood {
            Mood::Takes | Mood::Fails | Mood::Drops => Ok(json!(name)),
            Mood::LosesAnswer => Err(Fault::new(Side::Chain, Retry::Later, "lost")),
            Mood::Refuses => Ok(json!({ "refused": true })),
        }
    }
}

impl State {
    fn land(&mut self, wire: &[u8], slot: u64, failed: bool) -> String {
        let name = signature_text(wire[1..65].try_into().unwrap());
        let landed = Landed { slot: slot + 1, wire: wire.to_vec(), failed };
        self.landed.entry(name.clone()).or_insert(landed);
        name
    }
}

impl Node for Cluster {
    fn post(self: Arc<Self>, body: Vec<u8>) -> Posted {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let asked: Value = serde_json::from_slice(&body).unwrap();
            let asks = asked.as_array().cloned().unwrap_or_else(|| vec![asked]);
            let mut answers = Vec::new();
            for ask in asks {
                let said = self.answer(&ask).await?;
                answers.push(match said.get("refused") {
                    Some(_) => json!({ "id": ask["id"], "error": { "code": -32002,
                        "message": "Transaction signature verification failure" } }),
                    None => json!({ "id": ask["id"], "result": said }),
                });
            }
            Ok(serde_json::to_vec(&answers).unwrap())
        })
    }
}

/// Where a gateway asks it.
pub(super) fn url(cluster: &Arc<Cluster>) -> RpcUrl {
    let mut url: RpcUrl = "http://node.example".parse().unwrap();
    let node = Arc::clone(cluster);
    url.node = Some(node);
    url
}

/// An account as nodes show it.
pub(super) fn account(program: &str, data: &[u8]) -> Value {
    let data = STANDARD.encode(data);
    json!({ "lamports": 2_039_280, "owner": program, "data": [data, "base64"] })
}

/// When a block was made, in Unix seconds.
fn time_of(slot: u64) -> u64 {
    1_700_000_000 + slot * SLOT_MS / 1_000
}

fn decoded(text: &Value) -> Vec<u8> {
    STANDARD.decode(text.as_str().unwrap()).unwrap()
}

pub(super) const GENESIS: &str = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG";
/// The one that every payment here names.
pub(super) const FIRST_SLOT: u64 = 1_000;
const SLOT_MS: u64 = 400;
const TAKEN_FOR: u64 = 150;
const FINAL_DEPTH: u64 = 32;
