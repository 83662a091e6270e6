//! What is asked of Solana's nodes, and what they say to its transactions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Depth;
use crate::chain::fault;
use crate::chain::rpc::{Ask, Home, Rpc, RpcError, Said, Taken};
use crate::fault::Fault;
use crate::x402::Network;

/// What a node knows of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) depth: Depth,
    pub(super) result: Executed,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Executed {
    Well,
    /// The fee is paid, and nothing else has happened.
    Failed,
}

impl Rpc {
    /// Hands a signed transaction to the nodes, who do not try it first and do not repeat it.
    pub(super) async fn send(&self, wire: &[u8]) -> Taken {
        let how = json!({ "encoding": "base64", "skipPreflight": true, "maxRetries": 0 });
        self.hand_in(Ask::new("sendTransaction", json!([base64(wire), how])), means).await
    }

    /// Asks every endpoint for its cluster and its height.
    pub(super) async fn look_at_cluster(&self) -> Result<(), Fault> {
        self.look_at_each(slot(Depth::Processed), number, SLOTS_BEHIND_MAX).await
    }
}

impl Home {
    /// The cluster that a network names.
    pub(super) fn of_cluster(network: &Network) -> Self {
        // How the hash of the first block begins. Source: CAIP-30.
        let genesis: Box<str> = network.as_str().rsplit(':').next().unwrap_or_default().into();
        let is_it =
            move |told: &Value| told.as_str().is_some_and(|hash| hash.starts_with(&*genesis));
        Self { ask: Ask::new("getGenesisHash", json!([])), is_told: Box::new(is_it) }
    }
}

/// The question for a height.
pub(super) fn slot(depth: Depth) -> Ask {
    Ask::new("getSlot", json!([{ "commitment": depth.name() }]))
}

/// The question for one transaction's status: among the recent ones, or among all.
pub(super) fn status_of(name: &str, among: Among) -> Ask {
    let all = among == Among::All;
    Ask::new("getSignatureStatuses", json!([[name], { "searchTransactionHistory": all }]))
}

/// Where a transaction is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    /// Those of the last minutes, which nodes have in memory.
    Recent,
    /// All that the node has.
    All,
}

/// The status of the one transaction that was asked for, and how high the node was.
pub(super) fn status(value: &Value) -> Result<(u64, Option<Status>), Fault> {
    let height = value.pointer("/context/slot").map(number);
    let height = height.ok_or_else(|| fault("a status without a height"))??;
    let status = value.pointer("/value/0").ok_or_else(|| fault("no status"))?;
    if status.is_null() {
        return Ok((height, None));
    }
    let depth = match status.get("confirmationStatus").and_then(Value::as_str) {
        Some("processed") => Depth::Processed,
        Some("confirmed") => Depth::Confirmed,
        Some("finalized") => Depth::Finalized,
        _ => return Err(fault("a status cannot be read")),
    };
    let result = match status.get("err") {
        Some(Value::Null) => Executed::Well,
        Some(_) => Executed::Failed,
        None => return Err(fault("a status cannot be read")),
    };
    Ok((height, Some(Status { depth, result })))
}

/// What a node's error to a transaction means.
fn means(error: &RpcError) -> Said {
    if error.says(&["already been processed", "alreadyprocessed"]) {
        Said::Has
    } else if error.is_doubt() {
        Said::Doubt
    } else {
        Said::No
    }
}

/// A number.
pub(super) fn number(value: &Value) -> Result<u64, Fault> {
    value.as_u64().ok_or_else(|| fault("a node's number cannot be read"))
}

/// Bytes as nodes are told them.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes as nodes tell them: `["…", "base64"]`.
pub(super) fn bytes(value: &Value) -> Result<Vec<u8>, Fault> {
    let text = match value.as_array().map(Vec::as_slice) {
        Some([Value::String(text), Value::String(encoding)]) if encoding == "base64" => text,
        _ => return Err(fault("a node's bytes cannot be read")),
    };
    STANDARD.decode(text).map_err(|error| fault("a node's bytes cannot be read").caused_by(error))
}

/// Half a minute.
const SLOTS_BEHIND_MAX: u64 = 75;
