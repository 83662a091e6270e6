//! Solana: payments verified on it, settled by our own fee payer, and looked up.

mod accounts;
pub mod keys;
mod lack;
mod reader;
mod rpc;
mod send;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use self::keys::FeePayer;
pub use self::lack::Lack;
pub use self::reader::{Reader, Traced};
use super::Sought;
pub use super::rpc::RpcUrl;
use super::rpc::{Ask, Home, Rpc};
use crate::chain::fault;
use crate::fault::Fault;
use crate::x402::svm::{Pubkey, SvmPayment};
use crate::x402::{ErrorReason, Network};

/// A cluster and who pays the fees on it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name, whose second half is how the hash of its first block begins. Source: CAIP-30.
    pub network: Network,
    /// Its nodes, the preferred first.
    pub rpc: Vec<RpcUrl>,
    /// Who signs last. Its `Debug` shows the address only.
    pub fee_payer: FeePayer,
    /// What is bounded, and how.
    pub bounds: Bounds,
}

impl Settings {
    /// Whether they say the same.
    pub fn are(&self, other: &Self) -> bool {
        let Self { network, rpc, fee_payer, bounds } = self;
        let same = (network, rpc, bounds) == (&other.network, &other.rpc, &other.bounds);
        same && fee_payer.address() == other.fee_payer.address()
    }
}

/// What is bounded, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How deep a payment must be.
    pub depth: Depth,
    /// What one transaction may cost the fee payer, in lamports.
    pub fee_max: u64,
    /// A fee payer with less, in lamports, is low.
    pub balance_low: u64,
    /// One question to one node.
    pub rpc_timeout: Duration,
    /// A settlement, from the order to the confirmation.
    pub settle_timeout: Duration,
    /// A transaction that nodes do not know by then is sent again, as it is.
    pub resend_after: Duration,
    /// Between two looks for it.
    pub poll: Duration,
}

/// When a transaction counts, by the cluster's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// In a block that a node has seen.
    Processed,
    /// Two thirds of the stake have voted for the block.
    Confirmed,
    /// The block stays: 31 more stand on it.
    Finalized,
}

impl Depth {
    /// The depth for a number of blocks: none, some, and all of the 32 that make a block stay.
    pub const fn of(confirmations: u64) -> Self {
        match confirmations {
            0 => Self::Processed,
            1..=31 => Self::Confirmed,
            _ => Self::Finalized,
        }
    }

    /// The cluster's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Confirmed => "confirmed",
            Self::Finalized => "finalized",
        }
    }
}

/// What became of a settlement.
#[derive(Debug)]
pub enum Outcome {
    /// Its transfer is on the chain.
    Settled {
        /// In this transaction.
        transaction: Box<str>,
    },
    /// The chain would not have it, and nothing that was sent can move it.
    Rejected(ErrorReason),
    /// It was not sent.
    NotSent(Fault),
    /// It was sent, or somebody else has used it, and nobody knows what becomes of it.
    Unknown {
        /// Its name on the chain.
        transaction: Box<str>,
        /// Why it is not known.
        fault: Fault,
    },
}

/// A cluster, its nodes and our fee payer on it. Dropped, it takes no more settlements; what was
/// sent is followed to its end.
#[derive(Clone)]
pub struct Svm(Arc<Inner>);

struct Inner {
    rpc: Arc<Rpc>,
    reader: Reader,
    fee_payer: FeePayer,
    bounds: Bounds,
    /// In lamports; `u64::MAX` until it is known.
    balance: AtomicU64,
    looks_failed: AtomicU32,
    looked: AtomicBool,
    /// Verifications at once.
    verifying: Semaphore,
    /// Settlements at once.
    settling: Arc<Semaphore>,
}

impl Svm {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn start(settings: Settings) -> Result<Self, reqwest::Error> {
        let Settings { network, rpc, fee_payer, bounds } = settings;
        let rpc = Arc::new(Rpc::new(rpc, bounds.rpc_timeout, Home::of_cluster(&network))?);
        Ok(Self(Arc::new(Inner {
            reader: Reader::over(Arc::clone(&rpc), bounds.depth),
            rpc,
            fee_payer,
            bounds,
            balance: AtomicU64::new(u64::MAX),
            looks_failed: AtomicU32::new(0),
            looked: AtomicBool::new(false),
            verifying: Semaphore::new(VERIFYING_MAX),
            settling: Arc::new(Semaphore::new(SETTLING_MAX)),
        })))
    }

    /// Who pays the fees, for the offers of a 402.
    pub fn fee_payer(&self) -> Pubkey {
        self.0.fee_payer.address()
    }

    /// The name that a payment's transaction will have on the chain: the fee payer's signature,
    /// of which there is only one. Nothing for a payment that names another fee payer.
    pub fn name_of(&self, payment: &SvmPayment) -> Option<Box<str>> {
        let ours = payment.fee_payer() == self.fee_payer();
        ours.then(|| self.0.fee_payer.sign(payment.message()).name)
    }

    /// Moves the money of a payment.
    ///
    /// # Cancel safety
    /// The settlement goes on when this future is dropped.
    pub async fn settle(&self, payment: SvmPayment, sought: Sought) -> Outcome {
        let Some(transaction) = self.name_of(&payment) else {
            return Outcome::Rejected(ErrorReason::SvmFeePayer);
        };
        let Ok(place) = Arc::clone(&self.0.settling).try_acquire_owned() else {
            return Outcome::NotSent(fault("too many settlements are under way"));
        };
        let begun = Arc::new(AtomicBool::new(false));
        let (inner, sending) = (Arc::clone(&self.0), Arc::clone(&begun));
        let task = tokio::spawn(async move {
            let _place = place;
            inner.run(payment, sought, &sending).await
        });
        match tokio::time::timeout(self.0.bounds.settle_timeout, task).await {
            Ok(Ok(outcome)) => outcome,
            // Whoever sets it first has it: from then on it is sent, or it never is.
            Ok(Err(_)) | Err(_) if !begun.swap(true, Ordering::AcqRel) => {
                Outcome::NotSent(fault("it was not sent in time"))
            }
            Ok(Err(_)) | Err(_) => {
                Outcome::Unknown { transaction, fault: fault("not on the chain in time") }
            }
        }
    }

    /// Looks for what became of a payment.
    ///
    /// # Errors
    /// As [`Reader::trace`].
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn trace(&self, sought: &Sought) -> Result<Traced, Fault> {
        self.0.reader.trace(sought).await
    }

    /// Looks at every node and at the fee payer's purse. To be called now and then.
    ///
    /// # Errors
    /// No node of this cluster answers.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn refresh(&self) -> Result<(), Fault> {
        let looked = self.0.look().await;
        match &looked {
            Ok(()) => {
                self.0.looks_failed.store(0, Ordering::Relaxed);
                self.0.looked.store(true, Ordering::Release);
            }
            Err(_) => {
                self.0.looks_failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        looked
    }

    /// Whether a payment can be settled: a node has answered lately, and there is something left
    /// for fees. Only tells what [`Self::refresh`] has found.
    ///
    /// # Errors
    /// The cluster has not answered yet, or [`LOOKS_FAILED_MAX`] times in a row, or the fee payer
    /// is low.
    pub fn ready(&self) -> Result<(), Fault> {
        if !self.0.looked.load(Ordering::Acquire) {
            return Err(fault("no node has answered yet"));
        }
        if self.0.looks_failed.load(Ordering::Relaxed) >= LOOKS_FAILED_MAX {
            return Err(fault("no node has answered lately"));
        }
        match self.balance() {
            Some(lamports) if lamports < self.0.bounds.balance_low => {
                Err(fault("the fee payer is low"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What the fee payer has, in lamports; nothing until it was looked at.
    pub fn balance(&self) -> Option<u64> {
        self.0.balance()
    }

    /// How many nodes there are, and how many of them answer.
    pub fn nodes(&self) -> (usize, usize) {
        self.0.rpc.up()
    }
}

impl Inner {
    async fn look(&self) -> Result<(), Fault> {
        self.rpc.look_at_cluster().await?;
        let params = json!([self.fee_payer.address().to_string(), { "commitment": "confirmed" }]);
        let said = self.rpc.ask_for(Ask::new("getBalance", params)).await?;
        let lamports = said.get("value").and_then(Value::as_u64);
        let lamports = lamports.ok_or_else(|| fault("a balance cannot be read"))?;
        self.balance.store(lamports.min(u64::MAX - 1), Ordering::Relaxed);
        Ok(())
    }

    fn balance(&self) -> Option<u64> {
        Some(self.balance.load(Ordering::Relaxed)).filter(|lamports| *lamports != u64::MAX)
    }
}

impl std::fmt::Debug for Svm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Svm").field("fee_payer", &self.fee_payer()).finish_non_exhaustive()
    }
}

/// Verifications at once: what waits for a node is in memory twice.
const VERIFYING_MAX: usize = 128;
/// Settlements that are sent or about to be.
const SETTLING_MAX: usize = 1_024;
/// Looks in a row that may fail before it counts.
pub const LOOKS_FAILED_MAX: u32 = 3;
