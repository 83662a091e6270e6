//! The moment the money moves, written down before and after.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::outlive::outlive;
use super::{Payments, Reserved, Verified};
use crate::clock::UnixMillis;
use crate::digest::Digest;
use crate::facilitator::{Away, Order, Outcome, Question};
use crate::fault::{Fault, Retry, Side};
use crate::ledger::{ExchangeId, Ledger, Step};
use crate::refusal::Refusal;
use crate::x402::{AtomicAmount, ErrorReason, PaymentIdentity};

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
    /// Nothing moved: nobody took the order.
    NotSent(Away),
    /// Nobody knows. The ledger keeps the payment until recovery finds out.
    Unknown {
        /// When one was named.
        transaction: Option<Box<str>>,
        /// Why it is not known.
        fault: Fault,
    },
}

/// One settlement: whose, and where it is written.
pub(super) struct Settlement {
    payments: Payments,
    ledger: Ledger,
    identity: PaymentIdentity,
    exchange: ExchangeId,
    order: Order,
    sender: Digest,
    began: UnixMillis,
    /// Whom to ask, in this order.
    facilitators: Vec<Arc<str>>,
    /// Until when they are asked again, where none has taken the order.
    patient_until: Option<UnixMillis>,
    _counted: Counted,
}

impl Payments {
    /// Moves the money of a verified payment and waits for the word that it has moved.
    ///
    /// Called once for an exchange, after the upstream's final header and before its first body
    /// byte. Whoever verified the payment is asked first. Another is asked only when the one before
    /// has not taken the order, and after the ledger names the other: once a settlement may be
    /// under way, nobody else hears of the payment.
    ///
    /// # Errors
    /// See [`Unsettled`].
    ///
    /// # Cancel safety
    /// The settlement and its ledger entries go on when this future is dropped; before it is first
    /// polled they are left to recovery.
    pub fn settle(
        &self,
        verified: Verified,
    ) -> impl Future<Output = Result<Settled, Unsettled>> + use<> {
        Settlement::of(self, verified).outliving()
    }
}

/// One settlement under way, for whoever waits for the last one.
struct Counted(Payments);

impl Counted {
    fn begin(payments: &Payments) -> Self {
        payments.inner.under_way.fetch_add(1, Ordering::AcqRel);
        Self(payments.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.inner.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Settlement {
    /// From here on only an answer or recovery ends the payment.
    pub(super) fn of(payments: &Payments, verified: Verified) -> Self {
        let Verified { reserved, by } = verified;
        let Reserved { hold, order, facilitators: all, sender, .. } = reserved;
        let mut facilitators = vec![Arc::clone(&by)];
        facilitators.extend(all.iter().filter(|name| **name != by).cloned());
        let (ledger, identity, exchange) = hold.keep();
        let (payments, _counted) = (payments.clone(), Counted::begin(payments));
        let (patient_until, began) = (None, payments.clock().now());
        Self {
            payments,
            ledger,
            identity,
            exchange,
            order,
            sender,
            began,
            facilitators,
            patient_until,
            _counted,
        }
    }

    /// The same, of so much and no more.
    pub(super) fn moving(mut self, actual: AtomicAmount) -> Self {
        self.order.actual = Some(actual);
        self
    }

    /// The same, which does not give up before `until` as long as nobody has taken the order and
    /// the payment is good.
    pub(super) fn patient(self, until: UnixMillis) -> Self {
        Self { patient_until: Some(until), ..self }
    }

    /// The same as [`Settlement::run`], which goes on when the future is dropped.
    ///
    /// It is boxed here, so that whoever waits for it keeps no room for it.
    pub(super) fn outliving(self) -> impl Future<Output = Result<Settled, Unsettled>> + use<> {
        let work = outlive(self.run());
        async move {
            work.await.unwrap_or_else(|error| {
                let fault = Fault::new(Side::Ours, Retry::Later, "a settlement was cut off");
                Err(Unsettled::Unknown { transaction: None, fault: fault.caused_by(error) })
            })
        }
    }

    /// Asks until there is an end to it.
    #[expect(clippy::manual_async_fn, reason = "one keeps what it was called with twice")]
    pub(super) fn run(self) -> impl Future<Output = Result<Settled, Unsettled>> + Send + use<> {
        async move {
            loop {
                let last = match self.ask_all().await {
                    ControlFlow::Break(Ok(transaction)) => {
                        return Ok(Settled { order: self.order, transaction });
                    }
                    ControlFlow::Break(Err(unsettled)) => return Err(unsettled),
                    ControlFlow::Continue(last) => last,
                };
                let now = self.payments.clock().now();
                if !self.may_wait(now) {
                    self.note(Step::Released).await;
                    let away = self.payments.pool().away(&self.facilitators, last, now);
                    return Err(Unsettled::NotSent(away));
                }
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
            }
        }
    }

    fn may_wait(&self, now: UnixMillis) -> bool {
        let next = now.plus(ASK_AGAIN_AFTER);
        let good = self.order.payment.ends(self.began.seconds()) > next.seconds();
        good && self.patient_until.is_some_and(|until| next < until)
    }

    /// Asks one after another, until one has taken the order; continues when none has.
    async fn ask_all(&self) -> ControlFlow<Result<Box<str>, Unsettled>, Option<Fault>> {
        let (pool, clock) = (self.payments.pool(), self.payments.clock());
        let mut last = None;
        let (names, now) = (&self.facilitators, clock.now());
        let asked = Question::Settle.of(self.order.payer());
        for member in pool.in_turn(names, &self.order.offer, asked, now) {
            // Another payment's trouble may have opened the circuit since it was this one's turn.
            let Some(pass) = member.to_settle(&self.order, clock.now()) else { continue };
            let step = Step::Settling {
                facilitator: (&**member.name()).into(),
                transaction: member.facilitator().will_be(&self.order),
                amount: self.order.actual,
            };
            if let Err(fault) = self.write(step).await {
                // Nothing was sent, nor is under way elsewhere. If the write went through after
                // all, recovery finds that out.
                let identity = self.identity.clone();
                self.ledger.release_later(identity, self.exchange, clock.now());
                return ControlFlow::Break(Err(Unsettled::NotSent(Away::new(fault))));
            }
            let outcome = member.settle(pass, &self.order, clock).await;
            let settled = match self.payments.sure(outcome, &self.order).await {
                Outcome::NotSent(fault) => {
                    tracing::warn!(
                        facilitator = &**member.name(), payment = %self.identity, %fault,
                        "it did not take a settlement"
                    );
                    last = Some(fault);
                    continue;
                }
                Outcome::Settled { transaction } => {
                    self.note(Step::Settled { transaction: transaction.clone() }).await;
                    Ok(transaction)
                }
                Outcome::Rejected(reason) => {
                    self.note(Step::Refused(reason)).await;
                    Err(Unsettled::Rejected(reason))
                }
                Outcome::Unknown { transaction, fault, .. } => {
                    self.owe().await;
                    self.note(Step::Unknown { transaction: transaction.clone() }).await;
                    Err(Unsettled::Unknown { transaction, fault })
                }
            };
            return ControlFlow::Break(settled);
        }
        ControlFlow::Continue(last)
    }

    /// Nobody has the answer if the money turns out to have moved: it is owed then, and the
    /// upstream is asked once more. Behind an answer that was given nothing is owed.
    async fn owe(&self) {
        if self.patient_until.is_some() {
            return;
        }
        let (about, now) = ((&self.identity, self.exchange), self.payments.clock().now());
        let owing = self.payments.answers.owe(about, self.sender, Duration::ZERO, now);
        if let Err(fault) = owing.await {
            tracing::error!(payment = %self.identity, %fault, "what may be owed is not written");
        }
    }

    async fn write(&self, step: Step) -> Result<(), Fault> {
        let now = self.payments.clock().now();
        self.ledger.advance(&self.identity, self.exchange, step, now).await
    }

    /// Writes down what has already happened. When that fails it is tried again behind the answer,
    /// for as long as the process lives; until then the ledger says `settling`, and recovery looks
    /// for that.
    async fn note(&self, step: Step) {
        if let Err(fault) = self.write(step.clone()).await {
            tracing::error!(payment = %self.identity, %fault, "an outcome was not written down");
            let (ledger, identity) = (self.ledger.clone(), self.identity.clone());
            let (exchange, clock) = (self.exchange, self.payments.clock().clone());
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

/// Between two rounds in which nobody took an order, where there is patience.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Between two attempts to write down an outcome.
const WRITE_AGAIN_AFTER: Duration = Duration::from_millis(500);

impl Settled {
    /// What has moved.
    pub fn amount(&self) -> AtomicAmount {
        self.order.amount()
    }

    /// The hash of the transfer on the chain.
    pub fn transaction(&self) -> &str {
        &self.transaction
    }
}

impl Unsettled {
    /// The code of what the client is told.
    pub fn code(&self) -> &'static str {
        self.refusal().row().code
    }

    /// How the client is told.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Rejected(reason) => Refusal::SettlementRejected(*reason),
            Self::NotSent(away) => match away.fault.side() {
                Side::Ledger => Refusal::LedgerUnavailable,
                Side::Upstream | Side::Facilitator | Side::Chain | Side::Ours => {
                    Refusal::FacilitatorUnavailable { retry_after: away.retry_after }
                }
            },
            Self::Unknown { transaction, .. } => {
                Refusal::OutcomeUnknown { transaction: transaction.clone() }
            }
        }
    }
}
