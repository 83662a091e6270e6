//! Our own signers on a chain, as a facilitator.

pub use crate::chain::evm::keys;
pub use crate::chain::evm::{Bounds, FeeCaps, Lack, Purse, Reader, RpcUrl, RpcUrlError, Settings};

use crate::chain::Sought;
use crate::chain::evm::{Evm, Outcome as Settled, Payment, Traced};
use crate::clock::UnixMillis;
use crate::fault::Fault;
use crate::x402::{ErrorReason, Pubkey};

use super::{Order, Outcome, Trace, Verdict};

/// A chain that we settle on ourselves.
#[derive(Debug)]
pub struct Chain(Evm);

impl Chain {
    /// Starts to settle on the current tokio runtime. Nothing is asked yet.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn start(settings: Settings) -> Result<Self, reqwest::Error> {
        Evm::start(settings).map(Self)
    }

    /// Who pays the fees of payments, where an offer has to say so.
    pub fn fee_payer(&self) -> Option<Pubkey> {
        None
    }

    /// Judges a payment by the chain's last block, without changing it.
    ///
    /// # Errors
    /// No node answers, or no signer can pay for gas.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn verify(&self, order: &Order) -> Result<Verdict, Fault> {
        let Some(payment) = payment(order) else { return Ok(Verdict::Bad(ErrorReason::Payload)) };
        Ok(match self.0.verify(&payment).await? {
            Ok(()) => Verdict::Good,
            Err(reason) => Verdict::Bad(reason),
        })
    }

    /// Moves the money of a payment and waits until it is as deep in the chain as is configured.
    ///
    /// # Cancel safety
    /// The settlement goes on when this future is dropped.
    pub async fn settle(&self, order: &Order, now: UnixMillis) -> Outcome {
        let (Some(payment), Some(sought)) = (payment(order), sought(order, now).evm()) else {
            return Outcome::Rejected(ErrorReason::Payload);
        };
        match self.0.settle(payment, sought).await {
            Settled::Settled { transaction } => Outcome::Settled { transaction: text(transaction) },
            Settled::Rejected(reason) => Outcome::Rejected(reason),
            Settled::NotSent(fault) => Outcome::NotSent(fault),
            Settled::Unknown { transaction, fault } => {
                Outcome::Unknown { transaction: transaction.map(text), said: None, fault }
            }
        }
    }

    /// Looks on the chain for what became of a payment.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn trace(&self, sought: &Sought) -> Trace {
        match sought.evm() {
            Some(sought) => told(self.0.trace(&sought).await),
            None => Trace::CannotTell,
        }
    }

    /// Looks at every node and every signer's purse. To be called now and then.
    ///
    /// # Errors
    /// No node of this chain answers.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn refresh(&self) -> Result<(), Fault> {
        self.0.refresh().await
    }

    /// Whether nodes answer and a signer has gas, as [`Self::refresh`] has found.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), Fault> {
        self.0.ready()
    }

    /// What is left to each signer.
    pub fn purses(&self) -> Vec<Purse> {
        self.0.purses()
    }

    /// How many nodes there are, and how many of them answer.
    pub fn nodes(&self) -> (usize, usize) {
        self.0.nodes()
    }
}

/// Whether a payment that another facilitator was to settle has not moved, and its payer has not
/// enough of the asset. Where the chain does not tell, nobody says so.
pub async fn is_poor(reader: &Reader, order: &Order, now: UnixMillis) -> bool {
    let Some(sought) = sought(order, now).evm() else { return false };
    reader.is_poor(&sought).await.unwrap_or_else(|fault| {
        tracing::warn!(%fault, "the chain does not tell whether a payer has enough");
        false
    })
}

/// What a reader of the chain finds of a payment that another facilitator settles.
pub async fn read(reader: &Reader, sought: &Sought) -> Trace {
    match sought.evm() {
        Some(sought) => told(reader.trace(&sought).await),
        None => Trace::CannotTell,
    }
}

fn told(traced: Result<Traced, Fault>) -> Trace {
    match traced {
        Ok(Traced::Moved { transaction }) => Trace::Moved { transaction: text(transaction) },
        Ok(Traced::NotMoved) => Trace::NotMoved,
        Ok(Traced::Open) => Trace::CannotTell,
        Err(fault) => {
            tracing::warn!(%fault, "the chain does not tell what became of a payment");
            Trace::CannotTell
        }
    }
}

/// The payment as an EVM chain knows it; nothing where it is for another.
fn payment(order: &Order) -> Option<Payment> {
    let offer = &order.offer;
    let asset = offer.requirements.asset.evm()?;
    Some(Payment::new(asset, &offer.evm()?.payments, order.payment.evm()?))
}

fn sought(order: &Order, now: UnixMillis) -> Sought {
    let requirements = &order.offer.requirements;
    Sought {
        identity: order.identity(),
        asset: requirements.asset,
        amount: requirements.amount,
        pay_to: requirements.pay_to,
        valid_before: order.payment.ends(now.seconds()),
        since: now,
        transaction: None,
    }
}

fn text(transaction: alloy_primitives::B256) -> Box<str> {
    format!("{transaction:#x}").into()
}
