//! The moment the money moves, written down before and after.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::outlive::outlive;
use super::{Payments, Verified};
use crate::clock::Clock;
use crate::facilitator::{Facilitator, Order, Outcome};
use crate::fault::{Fault, Retry, Side};
use crate::ledger::{ExchangeId, Ledger, Step};
use crate::refusal::Refusal;
use crate::x402::{ErrorReason, PaymentIdentity};

/// A payment whose money has moved.
#[derive(Debug)]
pub struct Settled {
    pub(super) order: Order,
    pub(super) transaction: Box<str>,
}

/// What became of a payment that was not settled.
#[derive(Debug)]
pub enum Unsettled {
    /// Nothing moved: the chain would not have it.
    Rejected(ErrorReason),
    /// Nothing moved: nobody was asked.
    NotSent(Fault),
    /// Nobody knows. The ledger keeps the payment until recovery finds out.
    Unknown {
        /// When one was named.
        transaction: Option<Box<str>>,
        /// Why it is not known.
        fault: Fault,
    },
}

/// One settlement: whose, by whom, and where it is written.
struct Settlement {
    ledger: Ledger,
    identity: PaymentIdentity,
    exchange: ExchangeId,
    facilitator: Facilitator,
    clock: Clock,
    order: Order,
}

impl Payments {
    /// Moves the money of a verified payment and waits for the word that it has moved.
    ///
    /// Called once for an exchange, after the upstream's final header and before its first body
    /// byte.
    ///
    /// # Errors
    /// See [`Unsettled`].
    ///
    /// # Cancel safety
    /// The settlement and its two ledger entries go on when this future is dropped.
    pub async fn settle(&self, verified: Verified) -> Result<Settled, Unsettled> {
        let reserved = verified.0;
        let facilitator =
            self.facilitator(&reserved.facilitator).map_err(Unsettled::NotSent)?.clone();
        let clock = self.inner.clock.clone();
        let (hold, order) = (reserved.hold, reserved.order);
        let payments = self.clone();
        let settling = async move {
            let _counted = Counted::begin(&payments);
            let (ledger, identity, exchange) = hold.keep();
            Settlement { ledger, identity, exchange, facilitator, clock, order }.run().await
        };
        outlive(settling).await.unwrap_or_else(|error| {
            let fault = Fault::new(Side::Ours, Retry::Later, "a settlement was cut off");
            Err(Unsettled::Unknown { transaction: None, fault: fault.caused_by(error) })
        })
    }
}

/// One settlement under way, for whoever waits for the last one.
struct Counted<'a>(&'a Payments);

impl<'a> Counted<'a> {
    fn begin(payments: &'a Payments) -> Self {
        payments.inner.under_way.fetch_add(1, Ordering::AcqRel);
        Self(payments)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.inner.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Settlement {
    async fn run(self) -> Result<Settled, Unsettled> {
        if let Err(fault) = self.write(Step::Settling).await {
            // Nothing was sent. If the write went through after all, recovery finds that out.
            let now = self.clock.now();
            self.ledger.release_later(self.identity, self.exchange, now);
            return Err(Unsettled::NotSent(fault));
        }
        match self.facilitator.settle(&self.order, self.clock.now()).await {
            Outcome::Settled { transaction } => {
                self.note(Step::Settled { transaction: transaction.clone() }).await;
                Ok(Settled { order: self.order, transaction })
            }
            Outcome::Rejected(reason) => {
                self.note(Step::Refused(reason)).await;
                Err(Unsettled::Rejected(reason))
            }
            Outcome::NotSent(fault) => {
                self.note(Step::Released).await;
                Err(Unsettled::NotSent(fault))
            }
            Outcome::Unknown { transaction, fault } => {
                self.note(Step::Unknown { transaction: transaction.clone() }).await;
                Err(Unsettled::Unknown { transaction, fault })
            }
        }
    }

    async fn write(&self, step: Step) -> Result<(), Fault> {
        self.ledger.advance(&self.identity, self.exchange, step, self.clock.now()).await
    }

    /// Writes down what has already happened. When that fails it is tried again behind the answer,
    /// for as long as the process lives; until then the ledger says `settling`, and recovery looks
    /// for that.
    async fn note(&self, step: Step) {
        if let Err(fault) = self.write(step.clone()).await {
            tracing::error!(payment = %self.identity, %fault, "an outcome was not written down");
            let (ledger, identity) = (self.ledger.clone(), self.identity.clone());
            let (exchange, clock) = (self.exchange, self.clock.clone());
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(WRITE_AGAIN_AFTER).await;
                    let written = ledger.advance(&identity, exchange, step.clone(), clock.now());
                    match written.await {
                        Err(fault) if fault.retry() == Retry::Later => {}
                        Err(fault) => {
                            tracing::error!(payment = %identity, %fault, "and will not be");
                            return;
                        }
                        Ok(()) => return,
                    }
                }
            });
        }
    }
}

/// Between two attempts to write down an outcome.
const WRITE_AGAIN_AFTER: Duration = Duration::from_millis(500);

impl Settled {
    /// The hash of the transfer on the chain.
    pub fn transaction(&self) -> &str {
        &self.transaction
    }
}

impl Unsettled {
    /// How the client is told.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Rejected(reason) => Refusal::SettlementRejected(*reason),
            Self::NotSent(_) => Refusal::FacilitatorUnavailable,
            Self::Unknown { transaction, .. } => {
                Refusal::OutcomeUnknown { transaction: transaction.clone() }
            }
        }
    }
}
