//! Payments that are settled before their answer is made: until it is there, an answer is owed.

use std::time::Duration;

use super::again::{Returning, Withheld};
use super::{Payments, Receipt, Unsettled, Verified};
use crate::clock::UnixMillis;
use crate::fault::Fault;
use crate::ledger::answers::{Answers, Copying, Found, Giver, Owed, Turn};
use crate::ledger::{Claimant, ExchangeId};
use crate::refusal::Refusal;
use crate::x402::PaymentIdentity;

/// A payment whose money has moved and whose answer is still to come.
///
/// Dropped, the answer is still owed: the same payment may come again and costs nothing more.
#[derive(Debug)]
pub struct Prepaid {
    /// What the payer is told of its payment.
    pub receipts: Vec<Receipt>,
    /// Of its settlement.
    pub transaction: Box<str>,
    debt: Debt,
}

/// An answer that is owed, and that this exchange alone is about to give.
#[derive(Debug)]
struct Debt {
    answers: Answers,
    identity: PaymentIdentity,
    exchange: ExchangeId,
    turn: Turn,
    stands: Stands,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Open,
    Settled,
}

/// Why a payment was not settled before its answer.
#[derive(Debug)]
pub enum Unprepaid {
    /// What is owed could not be written down, so nothing was sent.
    Fault(Fault),
    /// The settlement failed.
    Unsettled(Unsettled),
}

impl Unprepaid {
    /// The code of what the client is told.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fault(_) => Refusal::LedgerUnavailable.row().code,
            Self::Unsettled(unsettled) => unsettled.code(),
        }
    }
}

impl Payments {
    /// Moves the money of a verified payment before its answer is made. That an answer is owed then
    /// is written down first; it says nothing as long as the ledger does not call the payment
    /// settled. The exchange may take `time`.
    ///
    /// # Errors
    /// `Fault`: nothing moved. `Unsettled`: see there.
    ///
    /// # Cancel safety
    /// As [`Payments::settle`]; the answer is owed as soon as `time` has passed.
    pub async fn prepay(&self, verified: Verified, time: Duration) -> Result<Prepaid, Unprepaid> {
        let (hold, sender) = (&verified.reserved.hold, verified.reserved.sender);
        let (identity, exchange) = (hold.identity.clone(), hold.exchange);
        let now = self.inner.clock.now();
        let owing = self.answers.owe((&identity, exchange), sender, time, now);
        let turn = owing.await.map_err(Unprepaid::Fault)?;
        let debt = self.debt(identity, exchange, turn);
        let settled = self.settle(verified).await.map_err(Unprepaid::Unsettled)?;
        Ok(Prepaid {
            receipts: settled.receipts().unwrap_or_default(),
            transaction: settled.transaction().into(),
            debt,
        })
    }

    /// Writes down that an answer is owed to a settled payment of before whose gateway ended before
    /// it could keep one. That it is owed to nobody else is for [`Payments::collect`] to say.
    ///
    /// # Errors
    /// It is not known, or cannot be written.
    ///
    /// # Cancel safety
    /// It may be written.
    pub async fn inherit(&self, by: &Returning, now: UnixMillis) -> Result<(), Withheld> {
        self.owe_for_gone(by, now).await.map_err(|fault| by.unavailable(Some(fault)))
    }

    async fn owe_for_gone(&self, by: &Returning, now: UnixMillis) -> Result<(), Fault> {
        let (identity, exchange) = (&by.entry.identity, by.entry.exchange);
        if !self.is_recent(&by.entry, now) {
            return Ok(());
        }
        let Claimant::Gone { sender: Some(sender) } = self.inner.ledger.claimant(&by.entry).await?
        else {
            return Ok(());
        };
        match self.answers.find(identity, exchange, now).await? {
            Found::Line(_) | Found::UnderWay => Ok(()),
            Found::Nothing => self.answers.owe_unless((identity, exchange), sender, now).await,
        }
    }

    /// Takes up an answer that is owed to a payment of before; nothing when none is.
    ///
    /// # Errors
    /// Somebody is at it, or it is not known.
    ///
    /// # Cancel safety
    /// The answer is owed again as soon as `time` has passed.
    pub async fn collect(
        &self,
        by: &Returning,
        time: Duration,
        now: UnixMillis,
    ) -> Result<Option<Prepaid>, Withheld> {
        let (identity, exchange) = (&by.entry.identity, by.entry.exchange);
        match self.is_owed(by, now).await {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(fault) => return Err(by.unavailable(Some(fault))),
        }
        match self.answers.collect(identity, exchange, time, now).await {
            Ok(Owed::Yours(turn)) => Ok(Some(Prepaid {
                receipts: by.receipts(),
                transaction: by.transaction(),
                debt: self.debt(identity.clone(), exchange, turn),
            })),
            Ok(Owed::Busy) => Err(Withheld::for_now(by.under_way())),
            Ok(Owed::Nothing) => Ok(None),
            Err(fault) => Err(by.unavailable(Some(fault))),
        }
    }

    /// Whether an answer is owed to a payment of before, and to this sender.
    ///
    /// # Errors
    /// Ledger, later: it cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn is_owed(&self, by: &Returning, now: UnixMillis) -> Result<bool, Fault> {
        let (identity, exchange) = (&by.entry.identity, by.entry.exchange);
        let bought_by = self.answers.owed_to(identity, exchange, now).await?;
        Ok(bought_by.is_some_and(|bought_by| by.is_of(&bought_by)))
    }

    fn debt(&self, identity: PaymentIdentity, exchange: ExchangeId, turn: Turn) -> Debt {
        let answers = self.answers.clone();
        Debt { answers, identity, exchange, turn, stands: Stands::Open }
    }
}

impl Prepaid {
    /// Begins to copy its answer.
    pub fn copy(&self, bytes_max: usize) -> Copying {
        let Debt { answers, identity, exchange, turn, .. } = &self.debt;
        answers.begin(identity.clone(), *exchange).copy(turn.payment, bytes_max)
    }

    /// The answer is about to be given: nothing is owed any more, unless this exchange took so long
    /// that another one has taken the debt up.
    ///
    /// # Errors
    /// It could not be written down; the answer may be given once more, later.
    ///
    /// # Cancel safety
    /// It may not be written down.
    pub async fn served(mut self) -> Result<Giver, Fault> {
        self.debt.stands = Stands::Settled;
        let Debt { answers, identity, exchange, turn, .. } = &self.debt;
        answers.paid_off(identity, *exchange, *turn).await
    }

    /// The same where nothing is given that could not be written down: it is still owed then.
    ///
    /// # Errors
    /// It could not be written down.
    ///
    /// # Cancel safety
    /// It may be written down.
    pub async fn spent(mut self) -> Result<Giver, Fault> {
        let Debt { answers, identity, exchange, turn, .. } = &self.debt;
        let giver = answers.paid_off(identity, *exchange, *turn).await?;
        self.debt.stands = Stands::Settled;
        Ok(giver)
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        if self.stands == Stands::Open {
            self.answers.still_owed(self.identity.clone(), self.exchange, self.turn);
        }
    }
}
