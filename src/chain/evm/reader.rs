//! Looks up on the chain what has become of a payment.

use std::sync::Arc;
use std::time::Duration;

use alloy::sol_types::{SolCall, SolEvent};
use alloy_primitives::{B256, U256};
use serde_json::{Value, json};

use super::abi::Token;
use super::payment::Call;
use super::probe::{At, Found};
use super::receipt::Receipt;
use super::rpc::{Ask, Rpc, RpcUrl, hash, quantity};
use crate::chain::Sought;
use crate::fault::{Fault, Retry, Side};

/// Reads payments on one chain. It signs nothing.
pub struct Reader {
    rpc: Arc<Rpc>,
    confirmations: u64,
}

/// What the chain says of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traced {
    /// It moved.
    Moved {
        /// In this transaction.
        transaction: B256,
    },
    /// It did not, and nothing that was signed can move it any more: its window has closed, or
    /// its number is spent on something else, in a block that will not go away.
    NotMoved,
    /// It may still move.
    Open,
}

impl Reader {
    /// A reader that believes what is `confirmations` blocks deep, the block itself counted.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn new(
        urls: Vec<RpcUrl>,
        timeout: Duration,
        confirmations: u64,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self::over(Arc::new(Rpc::new(urls, timeout)?), confirmations))
    }

    pub(super) fn over(rpc: Arc<Rpc>, confirmations: u64) -> Self {
        Self { rpc, confirmations }
    }

    /// Whether nobody had used the authorization yet when the chain's clock was at `clock`.
    pub(super) async fn is_unused(&self, sought: &Sought, clock: u64) -> Result<bool, Fault> {
        let (used, at) = self.state(sought, At::Latest).await?;
        // A node that lags does not know.
        Ok(!used && at >= clock)
    }

    /// Looks a payment up: the transaction that was named for it, then the state of its
    /// authorization, then the event of its use.
    ///
    /// # Errors
    /// No node answers, or it cannot be found within [`SEARCHES_MAX`] searches.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn trace(&self, sought: &Sought) -> Result<Traced, Fault> {
        let named = sought.transaction.as_deref().and_then(|text| text.parse().ok());
        let (head, named) = self.receipt(named).await?;
        if let Some(receipt) = named
            && receipt.moved(&[sought]) == [true]
        {
            return Ok(self.when_deep(&receipt, head));
        }
        let (used, _) = self.state(sought, At::Latest).await?;
        match used {
            true => self.use_of(sought, head).await,
            false => self.unused(sought, head).await,
        }
    }

    /// Whether the authorization is used at a block, and that block's clock.
    async fn state(&self, sought: &Sought, at: At) -> Result<(bool, u64), Fault> {
        let (authorizer, nonce) = (sought.identity.payer, sought.identity.nonce);
        let data = Token::authorizationStateCall { authorizer, nonce }.abi_encode().into();
        let call = Call { to: sought.identity.asset, data };
        let Found { timestamp, results, .. } =
            self.rpc.probe(at, &[call], &[], STATE_GAS_MAX).await?;
        let word = results.first().and_then(|result| result.word());
        let word = word.ok_or_else(|| fault("the asset has no authorizationState"))?;
        Ok((word != U256::ZERO, timestamp))
    }

    /// An authorization that nobody has used: it never will be once its window has closed in a
    /// block that stays.
    async fn unused(&self, sought: &Sought, head: u64) -> Result<Traced, Fault> {
        let (used, clock) = match self.state(sought, At::Safe).await {
            Ok(found) => found,
            // Not every chain has the word.
            Err(_) => self.state(sought, At::Number(head.saturating_sub(SAFE_DEPTH))).await?,
        };
        let over = !used && clock >= sought.valid_before;
        Ok(if over { Traced::NotMoved } else { Traced::Open })
    }

    /// How an authorization was used.
    async fn use_of(&self, sought: &Sought, head: u64) -> Result<Traced, Fault> {
        let transaction = self.search(sought, head).await?;
        // Another node may tell now, which has another height.
        let (head, receipt) = self.receipt(Some(transaction)).await?;
        let receipt = receipt.ok_or_else(|| fault("a used authorization has no transaction"))?;
        if receipt.moved(&[sought]) == [true] {
            return Ok(self.when_deep(&receipt, head));
        }
        let stays = receipt.block.saturating_add(SAFE_DEPTH) <= head;
        Ok(if stays { Traced::NotMoved } else { Traced::Open })
    }

    fn when_deep(&self, receipt: &Receipt, head: u64) -> Traced {
        let deep = receipt.block.saturating_add(self.confirmations) <= head.saturating_add(1);
        match deep {
            true => Traced::Moved { transaction: receipt.transaction },
            false => Traced::Open,
        }
    }

    /// The transaction in which an authorization was used or cancelled, looked for from the last
    /// block back to when the payment was first seen.
    async fn search(&self, sought: &Sought, head: u64) -> Result<B256, Fault> {
        let since = sought.since.seconds().saturating_sub(CLOCKS_APART_MAX.as_secs());
        let events = [
            Token::AuthorizationUsed::SIGNATURE_HASH,
            Token::AuthorizationCanceled::SIGNATURE_HASH,
        ];
        let topics = json!([events, sought.identity.payer.into_word(), sought.identity.nonce]);
        let (mut last, mut span) = (head, BLOCKS_EACH_MAX);
        for _ in 0..SEARCHES_MAX {
            let first = last.saturating_sub(span.saturating_sub(1));
            let filter = json!({
                "address": sought.identity.asset, "topics": topics,
                "fromBlock": format!("{first:#x}"), "toBlock": format!("{last:#x}"),
            });
            let block = json!([format!("{first:#x}"), false]);
            let asks =
                [Ask::new("eth_getLogs", json!([filter])), Ask::new("eth_getBlockByNumber", block)];
            let replies = self.rpc.ask(&asks).await?;
            let [logs, block] = replies.as_slice() else { return Err(fault("no answer")) };
            let Ok(logs) = logs else {
                // Providers allow ranges of different lengths.
                if span <= BLOCKS_EACH_MIN {
                    return Err(fault("a node has no events for us"));
                }
                span = (span / 10).max(BLOCKS_EACH_MIN);
                continue;
            };
            if let Some(log) = logs.as_array().and_then(|logs| logs.first()) {
                return hash(log.get("transactionHash").unwrap_or(&Value::Null));
            }
            let block = block.as_ref().ok().and_then(|block| block.get("timestamp"));
            let clock = block.map(quantity).transpose()?;
            if first == 0 || clock.is_some_and(|clock| clock < since) {
                break;
            }
            last = first.saturating_sub(1);
        }
        Err(fault("a used authorization was not found in the blocks of its time"))
    }

    /// The height of the chain, and a transaction's receipt if it is in a block: both from one
    /// node.
    async fn receipt(&self, transaction: Option<B256>) -> Result<(u64, Option<Receipt>), Fault> {
        let mut asks = vec![Ask::new("eth_blockNumber", json!([]))];
        asks.extend(transaction.map(receipt_of));
        let replies = self.rpc.ask(&asks).await?;
        let mut replies = replies.into_iter();
        let refused = |error| fault("a node refused a question").caused_by(error);
        let head = replies.next().ok_or_else(|| fault("no answer"))?.map_err(refused)?;
        let receipt = replies.next().transpose().map_err(refused)?;
        let receipt = receipt.map(|value| Receipt::read(&value)).transpose()?.flatten();
        Ok((quantity(&head)?, receipt))
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// The question for a receipt.
pub(super) fn receipt_of(transaction: B256) -> Ask {
    Ask::new("eth_getTransactionReceipt", json!([transaction]))
}

fn fault(context: &'static str) -> Fault {
    Fault::new(Side::Chain, Retry::Later, context)
}

/// Searches for one event: with full ranges, three days of a chain with a block every two seconds.
pub const SEARCHES_MAX: u32 = 64;
const BLOCKS_EACH_MAX: u64 = 2_000;
const BLOCKS_EACH_MIN: u64 = 5;
/// Below a block that stays, where a chain does not say which one does.
const SAFE_DEPTH: u64 = 64;
/// Between our clock and the chain's.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(600);
const STATE_GAS_MAX: u64 = 200_000;
