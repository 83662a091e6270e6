//! Looks up on the chain what has become of a payment.

use std::sync::Arc;
use std::time::Duration;

use alloy::sol_types::{SolCall, SolEvent};
use alloy_primitives::{B256, U256};
use serde_json::{Value, json};

use super::abi::Token;
use super::number::Number;
use super::payment::Call;
use super::permit;
use super::probe::{At, Found};
use super::receipt::{Log, Receipt};
use super::rpc::{Ask, Rpc, bytes, hash, quantity};
use crate::chain::evm::Sought;
use crate::chain::fault;
use crate::chain::rpc::{Home, RpcUrl};
use crate::fault::Fault;
use crate::x402::AssetTransferMethod;

/// Reads payments on one chain. It signs nothing.
pub struct Reader {
    pub(super) rpc: Arc<Rpc>,
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
    /// A reader of the chain with this id that believes what is `confirmations` blocks deep, the
    /// block itself counted.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn new(
        chain_id: u64,
        urls: Vec<RpcUrl>,
        timeout: Duration,
        confirmations: u64,
    ) -> Result<Self, reqwest::Error> {
        let rpc = Rpc::new(urls, timeout, Home::of_chain(chain_id))?;
        Ok(Self::over(Arc::new(rpc), confirmations))
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

    /// Whether, in the last block, nobody has used the number of a payment and its payer has less
    /// of the asset than it pays.
    ///
    /// # Errors
    /// No node answers.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn is_poor(&self, sought: &Sought) -> Result<bool, Fault> {
        let (number, owner) = (Number::from(&sought.identity), sought.identity.payer);
        let balance = Token::balanceOfCall { owner }.abi_encode().into();
        let calls = [number.question(), Call { to: sought.asset, data: balance }];
        let Found { results, .. } = self.rpc.probe(At::Latest, &calls, &[], STATE_GAS_MAX).await?;
        let words: Vec<_> = results.iter().map_while(|result| result.word()).collect();
        let [number_word, balance] = words.as_slice() else {
            return Err(fault("an asset does not say what a payer has"));
        };
        Ok(!number.is_used(*number_word) && *balance < U256::from(sought.amount.units()))
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
            && self.is_moved_in(&receipt, sought).await?
        {
            return Ok(self.when_deep(&receipt, head));
        }
        let (used, _) = self.state(sought, At::Latest).await?;
        match used {
            true => self.use_of(sought, head).await,
            false => self.unused(sought, head).await,
        }
    }

    /// Whether the number is used at a block, and that block's clock.
    async fn state(&self, sought: &Sought, at: At) -> Result<(bool, u64), Fault> {
        let number = Number::from(&sought.identity);
        let Found { timestamp, results, .. } =
            self.rpc.probe(at, &[number.question()], &[], STATE_GAS_MAX).await?;
        let word = results.first().and_then(|result| result.word());
        let word = word.ok_or_else(|| fault("nobody keeps the numbers of payments"))?;
        Ok((number.is_used(word), timestamp))
    }

    /// The same in a block that stays.
    async fn state_for_good(&self, sought: &Sought, head: u64) -> Result<(bool, u64), Fault> {
        match self.state(sought, At::Safe).await {
            Ok(found) => Ok(found),
            // Not every chain has the word.
            Err(_) => self.state(sought, At::Number(head.saturating_sub(SAFE_DEPTH))).await,
        }
    }

    /// A number that nobody has used: it never will be once its window has closed in a block that
    /// stays.
    async fn unused(&self, sought: &Sought, head: u64) -> Result<Traced, Fault> {
        let (used, clock) = self.state_for_good(sought, head).await?;
        let over = !used && clock >= sought.valid_before;
        Ok(if over { Traced::NotMoved } else { Traced::Open })
    }

    /// How a number was used.
    async fn use_of(&self, sought: &Sought, head: u64) -> Result<Traced, Fault> {
        match (self.search(sought, head).await?, sought.identity.method()) {
            // Its height is that of the node that told of it.
            (Some((head, receipt)), _) if self.is_moved_in(&receipt, sought).await? => {
                Ok(self.when_deep(&receipt, head))
            }
            (Some((head, receipt)), _) => {
                let stays = receipt.block.saturating_add(SAFE_DEPTH) <= head;
                Ok(if stays { Traced::NotMoved } else { Traced::Open })
            }
            (None, AssetTransferMethod::Eip3009) => {
                Err(fault("a used authorization was not found in the blocks of its time"))
            }
            // Permit2 does not say how: without a transfer in all that time, for something else.
            (None, AssetTransferMethod::Permit2) => {
                // In a block that stays and was searched: a node that is further ahead than the one
                // that told the height may know of a use that nobody has looked for.
                let searched = At::Number(head.saturating_sub(SAFE_DEPTH));
                let (used, _) = self.state(sought, searched).await?;
                Ok(if used { Traced::NotMoved } else { Traced::Open })
            }
        }
    }

    /// Whether a transaction has moved this payment and not another like it.
    async fn is_moved_in(&self, receipt: &Receipt, sought: &Sought) -> Result<bool, Fault> {
        if receipt.moved(&[sought]) != [true] {
            return Ok(false);
        }
        match sought.identity.method() {
            AssetTransferMethod::Eip3009 => Ok(true),
            AssetTransferMethod::Permit2 => {
                let ask = Ask::new("eth_getTransactionByHash", json!([receipt.transaction]));
                let said = self.rpc.ask_for(ask).await?;
                let input = bytes(said.get("input").unwrap_or(&Value::Null))?;
                let before = permit::said_before(&input, sought);
                let before = before.map_err(|error| fault("which one moved?").caused_by(error))?;
                match before {
                    None => Ok(false),
                    Some(before) => self.is_left_for(sought, &before, receipt).await,
                }
            }
        }
    }

    /// Whether a transaction has moved as much as this once more than for the payments that it
    /// tells of before: each transfer is counted for one payment. Anyone can tell of payments that
    /// there are not, but only the payer can use up their numbers.
    ///
    /// # Errors
    /// The transaction has moved less than it tells of: nobody knows for which payment.
    async fn is_left_for(
        &self,
        sought: &Sought,
        before: &[B256],
        receipt: &Receipt,
    ) -> Result<bool, Fault> {
        let transfers = receipt.transfers_of(sought);
        if before.len() < transfers {
            return Ok(true);
        }
        let own = Number::from(&sought.identity);
        let numbers: Vec<_> = before.iter().map(|nonce| Number { nonce: *nonce, ..own }).collect();
        let questions: Vec<_> = numbers.iter().map(Number::question).collect();
        let Found { results, .. } =
            self.rpc.probe(At::Latest, &questions, &[], STATE_GAS_MAX).await?;
        let mut used = 0;
        for (number, result) in numbers.iter().zip(&results) {
            let word = result.word();
            let word = word.ok_or_else(|| fault("nobody keeps the numbers of payments"))?;
            used += usize::from(number.is_used(word));
        }
        match used < transfers {
            true => Ok(true),
            false => Err(fault("one transfer may be for one of several payments")),
        }
    }

    fn when_deep(&self, receipt: &Receipt, head: u64) -> Traced {
        let deep = receipt.block.saturating_add(self.confirmations) <= head.saturating_add(1);
        match deep {
            true => Traced::Moved { transaction: receipt.transaction },
            false => Traced::Open,
        }
    }

    /// The transaction in which a number was used or cancelled, looked for from the last block back
    /// to when the payment was first seen. Of Permit2, only one that has moved the money.
    async fn search(&self, sought: &Sought, head: u64) -> Result<Option<(u64, Receipt)>, Fault> {
        let since = sought.since.seconds().saturating_sub(CLOCKS_APART_MAX.as_secs());
        let (mut last, mut span) = (head, BLOCKS_EACH_MAX);
        for _ in 0..SEARCHES_MAX {
            let first = last.saturating_sub(span.saturating_sub(1));
            let filter = json!({
                "address": sought.asset, "topics": topics(sought),
                "fromBlock": format!("{first:#x}"), "toBlock": format!("{last:#x}"),
            });
            let block = |number: u64| {
                Ask::new("eth_getBlockByNumber", json!([format!("{number:#x}"), false]))
            };
            let asks = [Ask::new("eth_getLogs", json!([filter])), block(first), block(last)];
            let replies = self.rpc.ask(&asks).await?;
            let [logs, block, end] = replies.as_slice() else { return Err(fault("no answer")) };
            let Ok(logs) = logs else {
                // Providers allow ranges of different lengths.
                if span <= BLOCKS_EACH_MIN {
                    return Err(fault("a node has no events for us"));
                }
                span = (span / 10).max(BLOCKS_EACH_MIN);
                continue;
            };
            if let Some(found) = self.first_of(logs, sought).await? {
                return Ok(Some(found));
            }
            // One that is behind leaves out what it does not know yet, and says nothing of it.
            if !end.as_ref().is_ok_and(Value::is_object) {
                return Err(fault("a node is behind the height that another has told"));
            }
            let block = block.as_ref().ok().and_then(|block| block.get("timestamp"));
            let clock = block.map(quantity).transpose()?;
            if first == 0 || clock.is_some_and(|clock| clock < since) {
                return Ok(None);
            }
            last = first.saturating_sub(1);
        }
        Err(fault("a used authorization was not found in so many searches"))
    }

    /// The transaction of the first event that is about this payment, with the height of the chain.
    async fn first_of(
        &self,
        logs: &Value,
        sought: &Sought,
    ) -> Result<Option<(u64, Receipt)>, Fault> {
        let mut last = None;
        let logs = logs.as_array().map_or(&[][..], Vec::as_slice);
        if logs.len() > EVENTS_EACH_MAX {
            return Err(fault("too many events could be of this payment"));
        }
        for log in logs {
            let transaction = hash(log.get("transactionHash").unwrap_or(&Value::Null))?;
            let by_number = sought.identity.method() == AssetTransferMethod::Eip3009;
            if last == Some(transaction) || !(by_number || Log::read(log)?.pays(sought)) {
                continue;
            }
            last = Some(transaction);
            // Another node may tell now, which has another height.
            let (head, receipt) = self.receipt(Some(transaction)).await?;
            let receipt = receipt.ok_or_else(|| fault("an event has no transaction"))?;
            if by_number || self.is_moved_in(&receipt, sought).await? {
                return Ok(Some((head, receipt)));
            }
        }
        Ok(None)
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

/// The events to look for: the use of a number, or transfers like the one that was asked for.
fn topics(sought: &Sought) -> Value {
    let payer = sought.identity.payer.into_word();
    match sought.identity.method() {
        AssetTransferMethod::Eip3009 => {
            let events = [
                Token::AuthorizationUsed::SIGNATURE_HASH,
                Token::AuthorizationCanceled::SIGNATURE_HASH,
            ];
            json!([events, payer, sought.identity.nonce])
        }
        AssetTransferMethod::Permit2 => {
            json!([Token::Transfer::SIGNATURE_HASH, payer, sought.pay_to.into_word()])
        }
    }
}

/// The question for a receipt.
pub(super) fn receipt_of(transaction: B256) -> Ask {
    Ask::new("eth_getTransactionReceipt", json!([transaction]))
}

/// Searches for one event: with full ranges, three days of a chain with a block every two seconds.
pub const SEARCHES_MAX: u32 = 64;
const BLOCKS_EACH_MAX: u64 = 2_000;
const BLOCKS_EACH_MIN: u64 = 5;
/// Events of one search, each of which takes two questions.
const EVENTS_EACH_MAX: usize = 500;
/// Below a block that stays, where a chain does not say which one does.
const SAFE_DEPTH: u64 = 64;
/// Between our clock and the chain's.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(600);
pub(super) const STATE_GAS_MAX: u64 = 200_000;
