//! The last block, looked for only while somebody waits for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use alloy_primitives::B256;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use super::rpc::{Ask, Rpc, hash, quantity};
use crate::chain::fault;
use crate::clock::steady;
use crate::fault::Fault;

/// A block and the price of gas in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) hash: B256,
    pub(super) timestamp: u64,
    /// Nothing where the chain has none.
    pub(super) base_fee: Option<u128>,
    /// What the node suggests: beside the base fee, or alone.
    pub(super) tip: u128,
}

/// Follows the chain.
pub(super) struct Heads {
    rpc: Arc<Rpc>,
    poll: Duration,
    last: watch::Sender<Option<(Head, Instant)>>,
    waiting: AtomicUsize,
    begun: Notify,
}

/// Somebody waits for blocks. While it lives, they are looked for.
pub(super) struct Waiting<'a> {
    heads: &'a Heads,
    seen: watch::Receiver<Option<(Head, Instant)>>,
}

impl Heads {
    pub(super) fn new(rpc: Arc<Rpc>, poll: Duration) -> Self {
        let last = watch::Sender::new(None);
        Self { rpc, poll, last, waiting: AtomicUsize::new(0), begun: Notify::new() }
    }

    /// The last block, not older than a poll.
    pub(super) async fn fresh(&self) -> Result<Head, Fault> {
        let known = *self.last.borrow();
        match known {
            Some((head, at)) if steady().saturating_duration_since(at) < self.poll => Ok(head),
            _ => self.look().await,
        }
    }

    /// What was seen last, however long ago.
    pub(super) fn known(&self) -> Option<Head> {
        (*self.last.borrow()).map(|(head, _)| head)
    }

    /// Starts to wait for blocks.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.begun.notify_one();
        Waiting { heads: self, seen: self.last.subscribe() }
    }

    /// Looks for blocks as long as it runs and somebody waits.
    pub(super) async fn follow(&self) {
        loop {
            while self.waiting.load(Ordering::Acquire) == 0 {
                self.begun.notified().await;
            }
            if let Err(fault) = self.look().await {
                tracing::debug!(%fault, "the last block cannot be seen");
            }
            tokio::time::sleep(self.poll).await;
        }
    }

    async fn look(&self) -> Result<Head, Fault> {
        let asks = [
            Ask::new("eth_getBlockByNumber", json!(["latest", false])),
            Ask::new("eth_maxPriorityFeePerGas", json!([])),
        ];
        let replies = self.rpc.ask(&asks).await?;
        let [block, tip] = replies.as_slice() else { return Err(fault("no answer")) };
        let block = match block {
            Ok(block) => block,
            Err(error) => return Err(fault("no last block").caused_by(error.clone())),
        };
        // A chain that suggests nothing takes nothing.
        let tip = tip.as_ref().ok().map(quantity).transpose()?.unwrap_or(0);
        let mut head = head(block, tip)?;
        if head.base_fee.is_none() {
            let price = self.rpc.ask_for(Ask::new("eth_gasPrice", json!([]))).await?;
            head.tip = quantity(&price)?.into();
        }
        let now = steady();
        self.last.send_if_modified(|last| {
            let before = last.map(|(before, _)| before);
            // A node that lags does not turn time back.
            if before.is_some_and(|before| before.number > head.number) {
                return false;
            }
            *last = Some((head, now));
            before.map(|before| before.hash) != Some(head.hash)
        });
        Ok(head)
    }
}

impl Waiting<'_> {
    /// Waits for another block than the one before, or for `longest`.
    pub(super) async fn next(&mut self, longest: Duration) {
        // The sender lives as long as `heads`.
        let _changed = tokio::time::timeout(longest, self.seen.changed()).await;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.heads.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

fn head(block: &Value, tip: u64) -> Result<Head, Fault> {
    let field = |name: &str| block.get(name).unwrap_or(&Value::Null);
    let base_fee = Some(field("baseFeePerGas")).filter(|fee| !fee.is_null());
    let base_fee = base_fee.map(quantity).transpose()?;
    Ok(Head {
        number: quantity(field("number"))?,
        hash: hash(field("hash"))?,
        timestamp: quantity(field("timestamp"))?,
        base_fee: base_fee.map(u128::from),
        tip: tip.into(),
    })
}
