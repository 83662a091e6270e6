//! Looks up on the chain what has become of a payment.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Depth;
use super::rpc::{Among, Executed, Status, bytes, number, slot, status, status_of};
use crate::chain::Sought;
use crate::chain::fault;
use crate::chain::rpc::{Ask, Home, Rpc, RpcUrl};
use crate::fault::Fault;
use crate::x402::Network;
use crate::x402::svm::{SvmPayment, signature_of};

/// Reads payments on one cluster. It signs nothing.
pub struct Reader {
    pub(super) rpc: Arc<Rpc>,
    depth: Depth,
}

/// What the chain says of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traced {
    /// It moved.
    Moved {
        /// In this transaction.
        transaction: Box<str>,
    },
    /// It did not, and cannot any more: it failed in a block that stays, or it is in none and too
    /// old for the next.
    NotMoved,
    /// It may still move.
    Open,
}

/// A transaction that is this payment.
struct Found {
    name: Box<str>,
    status: Status,
}

impl Reader {
    /// A reader of a cluster that believes what is so deep.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn new(
        network: &Network,
        urls: Vec<RpcUrl>,
        timeout: Duration,
        depth: Depth,
    ) -> Result<Self, reqwest::Error> {
        let rpc = Rpc::new(urls, timeout, Home::of_cluster(network))?;
        Ok(Self::over(Arc::new(rpc), depth))
    }

    pub(super) fn over(rpc: Arc<Rpc>, depth: Depth) -> Self {
        Self { rpc, depth }
    }

    /// What nodes know of a transaction of the last minutes.
    pub(super) async fn recent(&self, name: &str) -> Result<Option<Status>, Fault> {
        Ok(status(&self.rpc.ask_for(status_of(name, Among::Recent)).await?)?.1)
    }

    /// What they know of any transaction.
    pub(super) async fn status(&self, name: &str) -> Result<Option<Status>, Fault> {
        Ok(status(&self.rpc.ask_for(status_of(name, Among::All)).await?)?.1)
    }

    /// Looks a payment up: first whether its time is over, then the transaction that was named for
    /// it, then all of its payer's in that time.
    ///
    /// # Errors
    /// No node answers, one that does not know enough, or there are too many to look at.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn trace(&self, sought: &Sought) -> Result<Traced, Fault> {
        // In this order: what was not found when its time was over is nowhere.
        let over = self.over_by(sought).await?;
        let named = sought.transaction.as_deref().filter(|name| signature_of(name).is_some());
        let found = match named {
            Some(name) => self.named(name, sought, over).await?,
            None => None,
        };
        let found = match found {
            Some(found) => Some(found),
            None => self.search(sought, over).await?,
        };
        Ok(match (found, over) {
            (Some(Found { name, status }), _) => match status {
                Status { depth, result: Executed::Well } if depth >= self.depth => {
                    Traced::Moved { transaction: name }
                }
                Status { depth: Depth::Finalized, result: Executed::Failed } => Traced::NotMoved,
                Status { .. } => Traced::Open,
            },
            (None, Some(_)) => Traced::NotMoved,
            (None, None) => Traced::Open,
        })
    }

    /// A block that stays and by which a payment could not be taken any more; nothing while it
    /// can.
    ///
    /// A transaction names a block and is taken in the next 150. The one it names is older than
    /// the moment at which it was first seen, so it is enough that so many blocks that stay were
    /// made after that moment. Time alone proves nothing: a cluster may stand still.
    async fn over_by(&self, sought: &Sought) -> Result<Option<u64>, Fault> {
        let head = number(&self.rpc.ask_for(slot(Depth::Finalized)).await?)?;
        let first = head.saturating_sub(SLOTS_LOOKED_AT);
        let params = json!([first, head, { "commitment": "finalized" }]);
        let blocks = self.rpc.ask_for(Ask::new("getBlocks", params)).await?;
        let blocks = blocks.as_array().ok_or_else(|| fault("no list of blocks"))?;
        let old = blocks.len().checked_sub(BLOCKS_TAKEN).and_then(|at| blocks.get(at));
        let Some(old) = old else { return Ok(None) };
        let clock = self.time_of(number(old)?).await?;
        let seen = sought.since.seconds().saturating_add(CLOCKS_APART_MAX.as_secs());
        Ok(clock.filter(|clock| *clock >= seen).map(|_| head))
    }

    /// The transaction of this name, if it is this payment. Nothing is believed of a name alone:
    /// somebody else may have told it.
    async fn named(
        &self,
        name: &str,
        sought: &Sought,
        over: Option<u64>,
    ) -> Result<Option<Found>, Fault> {
        let how = json!({
            "encoding": "base64", "commitment": "confirmed", "maxSupportedTransactionVersion": 0,
        });
        let transaction = Ask::new("getTransaction", json!([name, how]));
        let replies = self.rpc.ask(&[status_of(name, Among::All), transaction]).await?;
        let [Ok(known), Ok(transaction)] = replies.as_slice() else {
            return Err(fault("a node has no history for us"));
        };
        let (height, known) = status(known)?;
        let Some(status) = known else {
            return match over {
                Some(head) if height < head => Err(fault("a node is behind another")),
                Some(_) | None => Ok(None),
            };
        };
        if transaction.is_null() {
            return Err(fault("a transaction is in no block yet that the cluster has agreed on"));
        }
        let wire = bytes(transaction.get("transaction").unwrap_or(&Value::Null))?;
        let same = SvmPayment::decode(&wire).is_ok_and(|it| it.hash() == sought.identity.nonce);
        Ok(same.then(|| Found { name: name.into(), status }))
    }

    /// The payment among its payer's transactions since it was first seen.
    async fn search(&self, sought: &Sought, over: Option<u64>) -> Result<Option<Found>, Fault> {
        if over.is_some() {
            self.reaches_back(sought).await?;
        }
        let since = earliest(sought);
        let payer = sought.identity.payer.to_string();
        let (mut before, mut looked_at) = (None::<Box<str>>, 0_usize);
        loop {
            let how = json!({
                "commitment": "confirmed", "limit": LISTED_MAX,
                "before": before, "minContextSlot": over,
            });
            let ask = Ask::new("getSignaturesForAddress", json!([payer, how]));
            let listed = self.rpc.ask_for(ask).await?;
            let listed = listed.as_array().ok_or_else(|| fault("no list of transactions"))?;
            for entry in listed {
                let name = entry.get("signature").and_then(Value::as_str);
                let name = name.ok_or_else(|| fault("a transaction without a name"))?;
                let clock = entry.get("blockTime").and_then(Value::as_u64);
                if clock.is_some_and(|clock| clock < since) {
                    return Ok(None);
                }
                looked_at = looked_at.saturating_add(1);
                if looked_at > LOOKED_AT_MAX {
                    return Err(fault("too many transactions could be this payment"));
                }
                if let Some(found) = self.named(name, sought, over).await? {
                    return Ok(Some(found));
                }
                before = Some(name.into());
            }
            if listed.len() < LISTED_MAX {
                return Ok(None);
            }
        }
    }

    /// That the nodes know of blocks from before a payment was first seen: what one has forgotten,
    /// it says is nowhere.
    async fn reaches_back(&self, sought: &Sought) -> Result<(), Fault> {
        let first = self.rpc.ask_for(Ask::new("getFirstAvailableBlock", json!([]))).await?;
        let first = number(&first)?;
        if first == 0 || self.time_of(first).await?.is_some_and(|at| at <= earliest(sought)) {
            return Ok(());
        }
        Err(fault("a node has forgotten the time of a payment"))
    }

    /// When a block was made, by the cluster's clock.
    async fn time_of(&self, block: u64) -> Result<Option<u64>, Fault> {
        let said = self.rpc.ask_for(Ask::new("getBlockTime", json!([block]))).await?;
        Ok(said.as_u64())
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// A payment did not move before this moment of the cluster's clock.
fn earliest(sought: &Sought) -> u64 {
    sought.since.seconds().saturating_sub(CLOCKS_APART_MAX.as_secs())
}

/// Blocks after the one that a transaction names in which it may be taken, and some more. Source:
/// Solana, `MAX_PROCESSING_AGE`.
const BLOCKS_TAKEN: usize = 161;
/// Enough for those blocks where three of five slots have none.
const SLOTS_LOOKED_AT: u64 = 400;
/// Between our clock and the cluster's.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(60);
/// Transactions in one list. Source: Solana, `getSignaturesForAddress`.
const LISTED_MAX: usize = 1_000;
/// Transactions of one payer that are compared with one payment.
const LOOKED_AT_MAX: usize = 100;
