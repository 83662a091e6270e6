//! What an earlier process has left with the nodes, and no block takes, makes way.

use std::time::{Duration, Instant};

use alloy_primitives::Bytes;
use serde_json::json;

use super::fees::{FeeCaps, Fees};
use super::lane::Lane;
use super::payment::Call;
use super::rpc::{Ask, Rpc, Taken, quantity};
use crate::fault::Fault;

/// The first transaction of a signer that nodes have and this process did not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    nonce: u64,
    since: Instant,
    /// What was offered in its place last.
    offered: Option<Fees>,
}

impl Lane {
    /// Puts an empty transaction in the place of one that this process does not know, and that has
    /// kept all behind it waiting for `patience`.
    ///
    /// Payments in it stay as they are: unused, until recovery has seen their window close.
    pub(super) async fn make_way(
        &self,
        rpc: &Rpc,
        (now, caps): (Fees, FeeCaps),
        (at, patience): (Instant, Duration),
    ) -> Result<(), Fault> {
        let mined = self.count(rpc, "latest").await?;
        let foreign = mined < self.count(rpc, "pending").await? && !self.is_flying(mined);
        let seen = foreign.then_some(Left { nonce: mined, since: at, offered: None });
        let mut left = self.left.lock().await;
        *left = seen.map(|seen| left.filter(|left| left.nonce == seen.nonce).unwrap_or(seen));
        let Some(left) = left.as_mut() else { return Ok(()) };
        if at.saturating_duration_since(left.since) < patience {
            return Ok(());
        }
        let nothing = Call { to: self.address(), data: Bytes::new() };
        for _ in 0..OFFERS_EACH_MAX {
            let Some(fees) = left.offered.unwrap_or(now).raised(Some(now), caps) else {
                tracing::warn!(nonce = mined, "what an earlier process sent is stuck: `fee_max`");
                return Ok(());
            };
            left.offered = Some(fees);
            let signed = self.sign(mined, &nothing, GAS_MAX, fees)?;
            match rpc.broadcast(&signed.raw).await {
                Taken::No(error) if error.is_underpriced() => {}
                Taken::No(error) => {
                    tracing::warn!(%error, nonce = mined, "what an earlier process sent is stuck");
                    return Ok(());
                }
                Taken::Yes | Taken::Perhaps(_) => {
                    tracing::info!(nonce = mined, "what an earlier process sent was replaced");
                    return Ok(());
                }
                Taken::NonceUsed => return Ok(()),
            }
        }
        Ok(())
    }

    async fn count(&self, rpc: &Rpc, at: &'static str) -> Result<u64, Fault> {
        let params = json!([self.address(), at]);
        quantity(&rpc.ask_for(Ask::new("eth_getTransactionCount", params)).await?)
    }
}

/// With an eighth more each, what was offered before is more than doubled.
const OFFERS_EACH_MAX: u32 = 8;
/// 21,000 on most chains.
const GAS_MAX: u64 = 200_000;
