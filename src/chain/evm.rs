//! An EVM chain: payments verified on it, settled by our own signers, and looked up.

mod abi;
mod approval;
mod batch;
mod fees;
mod flight;
mod head;
mod job;
pub mod keys;
mod lane;
mod lanes;
mod number;
mod payment;
mod permit;
mod probe;
mod reader;
mod receipt;
mod rpc;
mod settler;
#[cfg(test)]
pub(crate) mod tests;
mod verify;
mod wallet;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, U256};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;

pub use self::approval::{Approved, Lack};
pub use self::fees::FeeCaps;
use self::head::Heads;
use self::job::{Claim, Company, Job, Late};
use self::lane::Lane;
pub use self::lanes::Lanes;
pub use self::payment::Payment;
pub use self::reader::{Reader, SEARCHES_MAX, Traced};
use self::rpc::{Ask, Rpc};
use super::rpc::Home;
pub use super::rpc::{RpcUrl, RpcUrlError};
/// A payment on this kind of chain whose outcome is looked for.
pub type Sought = super::Sought<alloy_primitives::Address>;
use crate::chain::fault;
use crate::clock::steady;
use crate::fault::Fault;
use crate::x402::ErrorReason;

/// A chain and the signers that settle on it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of EIP-155.
    pub chain_id: u64,
    /// Its nodes, the preferred first.
    pub rpc: Vec<RpcUrl>,
    /// Who sends transactions and pays for gas. Their `Debug` shows addresses only.
    pub signers: Vec<PrivateKeySigner>,
    /// What is bounded, and how.
    pub bounds: Bounds,
}

impl Settings {
    /// Whether they say the same.
    pub fn are(&self, other: &Self) -> bool {
        let Self { chain_id, rpc, bounds, .. } = self;
        let same = (chain_id, rpc, bounds) == (&other.chain_id, &other.rpc, &other.bounds);
        same && self.addresses().eq(other.addresses())
    }

    /// Whether a signer of theirs would have another number of places than it has.
    pub fn move_places(&self, other: &Self) -> bool {
        let shared = || self.addresses().any(|signer| other.addresses().any(|one| one == signer));
        let moved = self.bounds.in_flight_max != other.bounds.in_flight_max;
        self.chain_id == other.chain_id && moved && shared()
    }

    fn addresses(&self) -> impl Iterator<Item = Address> {
        self.signers.iter().map(PrivateKeySigner::address)
    }
}

/// What is bounded, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Blocks that make a payment settled, its own counted. With 0 a receipt is believed before
    /// its block is sealed.
    pub confirmations: u64,
    /// How long a settlement waits for others to share a transaction.
    pub batch_window: Duration,
    /// Settlements in one transaction.
    pub batch_max: usize,
    /// Transactions of one signer that are in no block yet.
    pub in_flight_max: usize,
    /// Gas for one payment.
    pub gas_max: u64,
    /// What is offered for gas.
    pub caps: FeeCaps,
    /// A signer with less, in wei, is low.
    pub balance_low: u128,
    /// One question to one node.
    pub rpc_timeout: Duration,
    /// A settlement, from the order to the confirmations.
    pub settle_timeout: Duration,
    /// A transaction that is in no block by then is sent again, with more for its gas.
    pub replace_after: Duration,
    /// Between two looks for a new block.
    pub poll: Duration,
}

/// What became of a settlement.
#[derive(Debug)]
pub enum Outcome {
    /// Its transfer is on the chain.
    Settled {
        /// In this transaction.
        transaction: B256,
    },
    /// The chain would not have it, and nothing that was sent can move it.
    Rejected(ErrorReason),
    /// It was not sent.
    NotSent(Fault),
    /// It was sent, or somebody else has used it, and nobody knows what becomes of it.
    Unknown {
        /// When there is one.
        transaction: Option<B256>,
        /// Why it is not known.
        fault: Fault,
    },
}

/// What is left to a signer for gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purse {
    /// Whose.
    pub signer: Address,
    /// In 10⁹ wei; nothing until it was looked at.
    pub balance_gwei: Option<u64>,
}

/// A chain, its nodes and our signers on it. Dropped, it takes no more settlements; what was sent
/// is followed to its end.
pub struct Evm {
    inner: Arc<Inner>,
    jobs: mpsc::Sender<Job>,
    following: AbortHandle,
}

struct Inner {
    rpc: Arc<Rpc>,
    chain_id: u64,
    bounds: Bounds,
    heads: Arc<Heads>,
    lanes: Vec<Arc<Lane>>,
    /// Those of the process.
    all: Lanes,
    reader: Reader,
    again: mpsc::UnboundedSender<Job>,
    has_multicall: AtomicBool,
    looks_failed: AtomicU32,
    looked: AtomicBool,
    /// Verifications at once.
    verifying: Semaphore,
}

impl Evm {
    /// Starts to settle on the current tokio runtime, with the signers' lanes of `all`. Nothing is
    /// asked yet.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn start(settings: Settings, all: &Lanes) -> Result<Self, reqwest::Error> {
        let Settings { chain_id, rpc, signers, bounds } = settings;
        let rpc = Arc::new(Rpc::new(rpc, bounds.rpc_timeout, Home::of_chain(chain_id))?);
        let lane = |signer| all.of(signer, chain_id, bounds.in_flight_max);
        let (jobs, fresh) = mpsc::channel(JOBS_MAX);
        let (again, put_back) = mpsc::unbounded_channel();
        let inner = Arc::new(Inner {
            heads: Arc::new(Heads::new(Arc::clone(&rpc), bounds.poll)),
            reader: Reader::over(Arc::clone(&rpc), bounds.confirmations),
            lanes: signers.into_iter().map(lane).collect(),
            all: all.clone(),
            rpc,
            chain_id,
            bounds,
            again,
            has_multicall: AtomicBool::new(true),
            looks_failed: AtomicU32::new(0),
            looked: AtomicBool::new(false),
            verifying: Semaphore::new(VERIFYING_MAX),
        });
        let heads = Arc::clone(&inner.heads);
        let following = tokio::spawn(async move { heads.follow().await }).abort_handle();
        tokio::spawn(batch::gather(Arc::clone(&inner), fresh, put_back));
        Ok(Self { inner, jobs, following })
    }

    /// Moves the money of a payment, together with others that come at the same time. It is under
    /// way when this returns; the future only waits, and has no room for the payment.
    ///
    /// # Cancel safety
    /// The settlement goes on when this future is dropped.
    pub fn settle(
        &self,
        payment: Payment,
        sought: Sought,
    ) -> impl Future<Output = Outcome> + Send + use<> {
        let settler = payment.settler();
        let alone = payment.is_by_contract() || settler.is_some();
        let company = if alone { Company::None } else { Company::Any };
        let claim = Arc::new(Claim::default());
        let (reply, answer) = oneshot::channel();
        let asked_at = steady();
        let job = Job { payment, sought, company, claim: Arc::clone(&claim), reply, asked_at };
        let taken = if settler.is_some() {
            tokio::spawn(Arc::clone(&self.inner).run_by_settler(job));
            true
        } else {
            self.jobs.try_send(job).is_ok()
        };
        let patience = self.inner.bounds.settle_timeout;
        async move {
            if !taken {
                return Outcome::NotSent(fault("too many settlements are waiting"));
            }
            match tokio::time::timeout(patience, answer).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) | Err(_) => match claim.give_up() {
                    Late::CalledOff => Outcome::NotSent(fault("it was not sent in time")),
                    Late::Sent(transaction) => {
                        Outcome::Unknown { transaction, fault: fault("not on the chain in time") }
                    }
                },
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
        self.inner.reader.trace(sought).await
    }

    /// Looks at every node and every purse. To be called now and then.
    ///
    /// # Errors
    /// No node of this chain answers.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn refresh(&self) -> Result<(), Fault> {
        let looked = self.inner.look().await;
        match &looked {
            Ok(()) => {
                self.inner.looks_failed.store(0, Ordering::Relaxed);
                self.inner.looked.store(true, Ordering::Release);
            }
            Err(_) => {
                self.inner.looks_failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        looked
    }

    /// Whether a payment can be settled: a node has answered lately, and a signer has gas. Only
    /// tells what [`Self::refresh`] has found.
    ///
    /// # Errors
    /// The chain has not answered yet, or [`LOOKS_FAILED_MAX`] times in a row, or all signers are
    /// low.
    pub fn ready(&self) -> Result<(), Fault> {
        if !self.inner.looked.load(Ordering::Acquire) {
            return Err(fault("no node has answered yet"));
        }
        if self.inner.looks_failed.load(Ordering::Relaxed) >= LOOKS_FAILED_MAX {
            return Err(fault("no node has answered lately"));
        }
        match self.inner.lanes.iter().all(|lane| self.inner.is_low(lane)) {
            true => Err(fault("all signers are low on gas")),
            false => Ok(()),
        }
    }

    /// Whom payers name who settles, where an offer has to say so: always the same one of the
    /// signers.
    pub fn first_signer(&self) -> Option<Address> {
        self.inner.lanes.first().map(|lane| lane.address())
    }

    /// What is left to each signer.
    pub fn purses(&self) -> Vec<Purse> {
        let purse =
            |lane: &Arc<Lane>| Purse { signer: lane.address(), balance_gwei: lane.balance_gwei() };
        self.inner.lanes.iter().map(purse).collect()
    }

    /// How many nodes there are, and how many of them answer.
    pub fn nodes(&self) -> (usize, usize) {
        self.inner.rpc.up()
    }
}

impl Inner {
    async fn look(&self) -> Result<(), Fault> {
        self.rpc.look().await?;
        let balance =
            |lane: &Arc<Lane>| Ask::new("eth_getBalance", json!([lane.address(), "latest"]));
        let asks: Vec<Ask> = self.lanes.iter().map(balance).collect();
        for (lane, reply) in self.lanes.iter().zip(self.rpc.ask(&asks).await?) {
            let wei: Option<U256> = reply.ok().and_then(|wei| wei.as_str()?.parse().ok());
            lane.set_balance(wei.ok_or_else(|| fault("a balance cannot be read"))?);
        }
        self.heads.fresh().await.map(drop)
    }

    /// Whether a signer has less than the operator wants it to have.
    fn is_low(&self, lane: &Lane) -> bool {
        let wei = lane.balance_gwei().map(|gwei| u128::from(gwei).saturating_mul(WEI_PER_GWEI));
        wei.is_some_and(|wei| wei < self.bounds.balance_low)
    }

    /// Whether a signer cannot even pay for one payment at today's price.
    fn is_empty(&self, lane: &Lane) -> bool {
        let base_fee = self.heads.known().map_or(0, |head| head.base_fee.unwrap_or(head.tip));
        let needed = base_fee.saturating_mul(GAS_USUAL);
        let wei = lane.balance_gwei().map(|gwei| u128::from(gwei).saturating_mul(WEI_PER_GWEI));
        wei.is_some_and(|wei| wei == 0 || wei < needed)
    }

    /// Payments in one transaction: one where the chain has no Multicall3.
    fn batch_size(&self) -> usize {
        let several = self.has_multicall.load(Ordering::Relaxed);
        if several { self.bounds.batch_max.max(1) } else { 1 }
    }
}

impl Drop for Evm {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl std::fmt::Debug for Evm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evm").field("chain_id", &self.inner.chain_id).finish_non_exhaustive()
    }
}

/// Verifications at once: what waits for a node is in memory twice.
const VERIFYING_MAX: usize = 128;
/// Settlements that wait for a signer.
const JOBS_MAX: usize = 8_192;
/// Looks in a row that may fail before it counts.
pub const LOOKS_FAILED_MAX: u32 = 3;
const WEI_PER_GWEI: u128 = 1_000_000_000;
/// What one payment usually takes.
const GAS_USUAL: u128 = 100_000;
