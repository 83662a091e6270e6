//! A transaction from the node's hands into a block, and as deep as it must be.

use serde_json::json;

use super::Inner;
use super::fees::Fees;
use super::head::Head;
use super::lane::Flight;
use super::reader::receipt_of;
use super::receipt::Receipt;
use super::rpc::{Ask, hash, quantity};
use crate::chain::fault;
use crate::clock::steady;
use crate::fault::Fault;

/// How a transaction ended.
#[derive(Debug)]
pub(super) enum Landed {
    /// It is in this block.
    Mined(Receipt),
    /// Its nonce went to a transaction that is not ours: it never will be.
    Overtaken,
}

impl Inner {
    /// Waits until a transaction is in a block; replaces it while it is in none.
    ///
    /// Ends only with an answer of the chain: until then its nonce must not be given up.
    pub(super) async fn land(&self, flight: &mut Flight) -> Landed {
        let mut waiting = self.heads.wait();
        let mut overtaken = 0;
        loop {
            match self.receipt(flight).await {
                Ok(Some(receipt)) => return Landed::Mined(receipt),
                Ok(None) => {}
                Err(fault) => tracing::debug!(%fault, "a receipt cannot be asked for"),
            }
            let stuck =
                steady().saturating_duration_since(flight.sent_at) >= self.bounds.replace_after;
            if stuck {
                match self.count(flight).await {
                    Ok(count) if count > flight.nonce => overtaken += 1,
                    Ok(count) => {
                        overtaken = 0;
                        self.push(flight, count).await;
                    }
                    Err(fault) => tracing::warn!(%fault, "a transaction is stuck"),
                }
                if overtaken >= OVERTAKEN_LOOKS {
                    return Landed::Overtaken;
                }
            }
            match self.bounds.confirmations {
                // Nodes that know a block before it is sealed show receipts without a new block.
                0 => tokio::time::sleep(self.bounds.poll).await,
                _ => waiting.next(self.bounds.poll.saturating_mul(POLLS_WITHOUT_BLOCK)).await,
            }
        }
    }

    /// Waits until a transaction is `depth` blocks deep, its own counted. What it did may change
    /// on the way, when the chain takes back a block.
    pub(super) async fn deepen(&self, flight: &mut Flight, receipt: Receipt, depth: u64) -> Landed {
        if depth == 0 {
            return Landed::Mined(receipt);
        }
        let mut receipt = receipt;
        let mut waiting = self.heads.wait();
        loop {
            let head = self.heads.fresh().await.ok();
            let high = receipt.block.saturating_add(depth).saturating_sub(1);
            if let Some(head) = head.filter(|head| head.number >= high) {
                match self.stands(&receipt, head, high).await {
                    Ok(Stands::Yes) => return Landed::Mined(receipt),
                    Ok(Stands::NotYet) => {}
                    Ok(Stands::No) => match self.land(flight).await {
                        Landed::Mined(moved) => receipt = moved,
                        Landed::Overtaken => return Landed::Overtaken,
                    },
                    Err(fault) => tracing::debug!(%fault, "a block cannot be asked for"),
                }
            }
            waiting.next(self.bounds.poll).await;
        }
    }

    /// The receipt under any of its hashes.
    async fn receipt(&self, flight: &Flight) -> Result<Option<Receipt>, Fault> {
        let asks: Vec<Ask> = flight.hashes().map(receipt_of).collect();
        for reply in self.rpc.ask(&asks).await? {
            let Ok(value) = reply else { continue };
            if let Some(receipt) = Receipt::read(&value)? {
                return Ok(Some(receipt));
            }
        }
        Ok(None)
    }

    /// Whether the block of a receipt is on a chain that is as high as `high`. What is in a block,
    /// its hash tells: then the receipt is true as well.
    ///
    /// One node tells both, the block and the height: one that follows another branch than the
    /// node that told the head would count that branch's blocks for this one.
    async fn stands(&self, receipt: &Receipt, head: Head, high: u64) -> Result<Stands, Fault> {
        let (on_chain, height) = match head.number == receipt.block {
            true => (Some(head.hash), head.number),
            false => {
                let number = json!([format!("{:#x}", receipt.block), false]);
                let block = Ask::new("eth_getBlockByNumber", number);
                let height = Ask::new("eth_blockNumber", json!([]));
                let replies = self.rpc.ask(&[block, height]).await?;
                let [Ok(block), Ok(height)] = replies.as_slice() else {
                    return Err(fault("a node refused a question"));
                };
                (block.get("hash").map(hash).transpose()?, quantity(height)?)
            }
        };
        Ok(match on_chain == Some(receipt.block_hash) {
            true if height >= high => Stands::Yes,
            true => Stands::NotYet,
            false => Stands::No,
        })
    }

    /// Transactions of a flight's signer that are in blocks.
    async fn count(&self, flight: &Flight) -> Result<u64, Fault> {
        let params = json!([flight.lane.address(), "latest"]);
        quantity(&self.rpc.ask_for(Ask::new("eth_getTransactionCount", params)).await?)
    }

    async fn push(&self, flight: &mut Flight, count: u64) {
        let caps = self.bounds.caps;
        let head = self.heads.fresh().await.ok();
        let ours = caps.of_payments();
        let now = head.and_then(|head| Fees::quote(head.base_fee, head.tip, ours).ok());
        flight.push(&self.rpc, |fees| fees.raised(now, ours)).await;
        flight.fill(&self.rpc, count, |fees| fees.raised_to(now, caps)).await;
    }
}

/// Whether a receipt is still true.
enum Stands {
    Yes,
    /// It is, and is not deep enough there.
    NotYet,
    No,
}

/// A receipt may come a little later than the count of its sender.
const OVERTAKEN_LOOKS: u32 = 10;
/// Looks for a receipt although no block was seen, in case one was missed.
const POLLS_WITHOUT_BLOCK: u32 = 8;
