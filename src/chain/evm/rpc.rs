//! What is asked of the nodes of an EVM chain, and what they say to its transactions.

use alloy_primitives::{Address, B256, Bytes, U64, hex};
use serde_json::{Value, json};

use crate::chain::fault;
pub(super) use crate::chain::rpc::{Ask, Rpc, RpcError, Taken};
use crate::chain::rpc::{Home, Said};
#[cfg(test)]
pub(super) use crate::chain::rpc::{Node, Posted};
use crate::fault::Fault;

impl Rpc {
    /// Hands a signed transaction to the nodes.
    pub(super) async fn broadcast(&self, raw: &[u8]) -> Taken {
        let ask = Ask::new("eth_sendRawTransaction", json!([hex::encode_prefixed(raw)]));
        self.hand_in(ask, RpcError::to_transaction).await
    }

    /// Asks every endpoint for its chain and its height.
    pub(super) async fn look(&self) -> Result<(), Fault> {
        let height = Ask::new("eth_blockNumber", json!([]));
        self.look_at_each(height, quantity, BLOCKS_BEHIND_MAX).await
    }
}

impl Home {
    /// The chain with this id.
    pub(super) fn of_chain(chain_id: u64) -> Self {
        let ask = Ask::new("eth_chainId", json!([]));
        Self { ask, is_told: Box::new(move |told| quantity(told).is_ok_and(|id| id == chain_id)) }
    }
}

impl RpcError {
    fn to_transaction(&self) -> Said {
        // Geth, Erigon, Nethermind, Reth, Besu, Anvil.
        const KNOWN: &[&str] =
            &["already known", "known transaction", "alreadyknown", "already imported"];
        const USED: &[&str] =
            &["nonce too low", "oldnonce", "nonce is too low", "nonce has already been used"];
        if self.says(KNOWN) && !self.says(&["unknown transaction"]) {
            Said::Has
        } else if self.says(USED) {
            Said::Spent
        } else if self.is_doubt() {
            Said::Doubt
        } else {
            Said::No
        }
    }

    /// A replacement that pays too little more than what it replaces.
    pub(super) fn is_underpriced(&self) -> bool {
        self.says(&["underpriced", "feetoolow", "gas price too low"])
    }
}

/// A number such as `0x1b4`.
pub(super) fn quantity(value: &Value) -> Result<u64, Fault> {
    let number: Option<U64> = value.as_str().and_then(|text| text.parse().ok());
    number.map(|number| number.to()).ok_or_else(|| fault("a node's number cannot be read"))
}

/// A hash of 32 bytes.
pub(super) fn hash(value: &Value) -> Result<B256, Fault> {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| fault("a node's hash cannot be read"))
}

/// An address.
pub(super) fn address(value: &Value) -> Result<Address, Fault> {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| fault("a node's address cannot be read"))
}

/// Bytes of any length.
pub(super) fn bytes(value: &Value) -> Result<Bytes, Fault> {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| fault("a node's bytes cannot be read"))
}

const BLOCKS_BEHIND_MAX: u64 = 10;

#[cfg(test)]
mod tests;
