//! One signer: its key, its next nonce without gaps, its place in the queue of the nodes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Signature, TxKind};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, U256};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::fees::{Fees, Market};
use super::payment::Call;
use super::rpc::{Ask, Rpc, Taken, quantity};
use crate::chain::fault;
use crate::clock::steady;
use crate::fault::{Fault, Retry, Side};

/// One signer.
pub(super) struct Lane {
    signer: PrivateKeySigner,
    chain_id: u64,
    /// The next nonce, once the chain has told. Held from signing until a node has taken it.
    next: tokio::sync::Mutex<Option<u64>>,
    /// Nonces that were handed to a node and are in no block yet.
    flying: Mutex<BTreeSet<u64>>,
    /// The nonce below them that is being filled, and what the next attempt offers.
    filling: Mutex<Option<(u64, Fees)>>,
    places: Arc<Semaphore>,
    places_max: usize,
    /// In 10⁹ wei; `u64::MAX` until it is known.
    balance_gwei: AtomicU64,
}

/// A transaction that nodes have: each way in which it was sent, the last at the end.
pub(super) struct Flight {
    pub(super) lane: Arc<Lane>,
    pub(super) nonce: u64,
    call: Call,
    gas: u64,
    fees: Fees,
    sent: Vec<Signed>,
    pub(super) sent_at: Instant,
    /// Held until it is in a block: so many may wait there.
    _place: OwnedSemaphorePermit,
}

struct Signed {
    hash: B256,
    raw: Bytes,
}

impl Lane {
    pub(super) fn new(signer: PrivateKeySigner, chain_id: u64, in_flight_max: usize) -> Self {
        let places_max = in_flight_max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            signer,
            chain_id,
            next: tokio::sync::Mutex::new(None),
            flying: Mutex::new(BTreeSet::new()),
            filling: Mutex::new(None),
            places: Arc::new(Semaphore::new(places_max)),
            places_max,
            balance_gwei: AtomicU64::new(u64::MAX),
        }
    }

    pub(super) fn address(&self) -> Address {
        self.signer.address()
    }

    /// A place for one more transaction, if there is one.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// A place for one more transaction, once there is one.
    pub(super) async fn next_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    pub(super) fn places_left(&self) -> usize {
        self.places.available_permits()
    }

    /// How many windows a batch waits for company: the fewer places are left, the longer, so that
    /// they last for a block.
    pub(super) fn windows(&self) -> u32 {
        let taken = self.places_max.saturating_sub(self.places_left()).saturating_sub(1);
        let more = taken.saturating_mul(WINDOWS_MAX) / self.places_max;
        u32::try_from(more).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// In 10⁹ wei, once it is known.
    pub(super) fn balance_gwei(&self) -> Option<u64> {
        Some(self.balance_gwei.load(Ordering::Relaxed)).filter(|gwei| *gwei != u64::MAX)
    }

    pub(super) fn set_balance(&self, wei: U256) {
        let gwei: u64 = (wei / U256::from(WEI_PER_GWEI)).saturating_to();
        self.balance_gwei.store(gwei.min(u64::MAX - 1), Ordering::Relaxed);
    }

    /// Signs and sends a transaction under the next nonce.
    ///
    /// The nonce is used up only when a node may have the transaction; one that every node refused
    /// leaves no gap.
    pub(super) async fn send(
        self: Arc<Self>,
        rpc: &Rpc,
        (call, gas, fees): (Call, u64, Fees),
        place: OwnedSemaphorePermit,
    ) -> Result<Flight, Fault> {
        let mut next = self.next.lock().await;
        let mut attempts = 0;
        loop {
            let nonce = match *next {
                Some(nonce) => nonce,
                None => self.ask_next(rpc).await?,
            };
            let signed = self.sign(nonce, &call, gas, fees)?;
            let taken = rpc.broadcast(&signed.raw).await;
            if let Taken::Perhaps(fault) = &taken {
                tracing::warn!(%fault, nonce, "a transaction may not have been taken");
            }
            match taken {
                Taken::Yes | Taken::Perhaps(_) => {
                    *next = nonce.checked_add(1);
                    self.flying.lock().insert(nonce);
                    drop(next);
                    let (sent, sent_at) = (vec![signed], steady());
                    let (lane, _place) = (self, place);
                    return Ok(Flight { lane, nonce, call, gas, fees, sent, sent_at, _place });
                }
                // Somebody else uses the key as well, or the node that counted was behind.
                Taken::Spent if attempts < NONCE_ATTEMPTS_MAX => {
                    *next = None;
                    attempts += 1;
                }
                Taken::Spent => {
                    *next = None;
                    return Err(fault("another program uses the signer's key"));
                }
                Taken::No(error) => {
                    *next = Some(nonce);
                    return Err(fault("no node takes the transaction").caused_by(error));
                }
            }
        }
    }

    /// The number of transactions the nodes know of this signer, and never one that is in use.
    async fn ask_next(&self, rpc: &Rpc) -> Result<u64, Fault> {
        let params = json!([self.address(), "pending"]);
        let told = quantity(&rpc.ask_for(Ask::new("eth_getTransactionCount", params)).await?)?;
        let after_last = self.flying.lock().last().map_or(0, |last| last.saturating_add(1));
        Ok(told.max(after_last))
    }

    fn sign(&self, nonce: u64, call: &Call, gas: u64, fees: Fees) -> Result<Signed, Fault> {
        let (to, input) = (TxKind::Call(call.to), call.data.clone());
        let (gas_limit, value) = (gas, U256::ZERO);
        let envelope = match fees.market {
            Market::BaseFee => self.envelope(TxEip1559 {
                chain_id: self.chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: fees.fee,
                max_priority_fee_per_gas: fees.tip,
                to,
                value,
                access_list: Default::default(),
                input,
            }),
            Market::OnePrice => self.envelope(TxLegacy {
                chain_id: Some(self.chain_id),
                nonce,
                gas_price: fees.fee,
                gas_limit,
                to,
                value,
                input,
            }),
        }?;
        let (hash, raw) = (*envelope.tx_hash(), envelope.encoded_2718().into());
        Ok(Signed { hash, raw })
    }

    fn envelope<T: SignableTransaction<Signature>>(&self, unsigned: T) -> Result<TxEnvelope, Fault>
    where
        TxEnvelope: From<alloy::consensus::Signed<T>>,
    {
        let signature = self.signer.sign_hash_sync(&unsigned.signature_hash());
        let signature = signature.map_err(|error| {
            let broken = Fault::new(Side::Ours, Retry::Never, "a transaction cannot be signed");
            broken.caused_by(error)
        })?;
        Ok(TxEnvelope::from(unsigned.into_signed(signature)))
    }
}

impl Flight {
    /// The hash it was sent under last.
    pub(super) fn hash(&self) -> B256 {
        self.sent.last().map_or(B256::ZERO, |signed| signed.hash)
    }

    /// Every hash it may be found under.
    pub(super) fn hashes(&self) -> impl Iterator<Item = B256> + '_ {
        self.sent.iter().map(|signed| signed.hash)
    }

    /// Sends it again: with more for its gas where `raised` allows it, else as it is, in case the
    /// nodes have forgotten it.
    pub(super) async fn push(&mut self, rpc: &Rpc, raised: impl FnOnce(Fees) -> Option<Fees>) {
        let raised = raised(self.fees).filter(|_| self.sent.len() < REPLACEMENTS_MAX);
        if let Some(fees) = raised
            && let Ok(signed) = self.lane.sign(self.nonce, &self.call, self.gas, fees)
        {
            let (hash, nonce) = (signed.hash, self.nonce);
            match rpc.broadcast(&signed.raw).await {
                Taken::Yes | Taken::Perhaps(_) => {
                    tracing::info!(transaction = %hash, nonce, "a transaction was replaced");
                    self.fees = fees;
                    self.sent.push(signed);
                }
                // The next attempt offers still more.
                Taken::No(error) if error.is_underpriced() => self.fees = fees,
                Taken::No(error) => tracing::warn!(%error, nonce, "a replacement was refused"),
                Taken::Spent => {}
            }
        } else if let Some(last) = self.sent.last() {
            // Whatever the nodes say to what they have already, the chain tells what counts.
            let _said = rpc.broadcast(&last.raw).await;
        }
        self.sent_at = steady();
    }

    /// Uses up the chain's next nonce, `count`, if it is below all that fly: what had it was lost
    /// with a block that was taken back, or waits for too little gas since an earlier life of this
    /// gateway, and nothing behind it can get into a block. Each attempt offers what `raised` makes
    /// of the one before: an earlier life may have offered as much as this flight.
    pub(super) async fn fill(&self, rpc: &Rpc, count: u64, raised: impl FnOnce(Fees) -> Fees) {
        let lane = &self.lane;
        let lowest = lane.flying.lock().first().copied();
        if count >= self.nonce || lowest != Some(self.nonce) {
            return;
        }
        let nothing = Call { to: lane.address(), data: Bytes::new() };
        let before = lane.filling.lock().filter(|(nonce, _)| *nonce == count);
        let fees = before.map_or(self.fees, |(_, fees)| fees);
        *lane.filling.lock() = Some((count, raised(fees)));
        let Ok(signed) = lane.sign(count, &nothing, GAS_OF_NOTHING, fees) else { return };
        match rpc.broadcast(&signed.raw).await {
            Taken::Yes | Taken::Perhaps(_) => {
                tracing::info!(transaction = %signed.hash, nonce = count, "a lost nonce is filled");
            }
            // The next attempt offers more.
            Taken::No(error) => tracing::debug!(%error, nonce = count, "a nonce is not filled"),
            Taken::Spent => {}
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.lane.flying.lock().remove(&self.nonce);
    }
}

/// More than the one of a signer with nothing under way.
const WINDOWS_MAX: usize = 16;
const NONCE_ATTEMPTS_MAX: u32 = 2;
const REPLACEMENTS_MAX: usize = 12;
/// A transaction that does nothing.
const GAS_OF_NOTHING: u64 = 21_000;
const WEI_PER_GWEI: u64 = 1_000_000_000;

#[cfg(test)]
mod tests;
