//! Answers that are owed: payments that were settled before their answer was made.

use sqlx::{Error, Row as _};
use tokio::sync::oneshot;

use super::keeper::{Ask, Op};
use super::store::{Store, named};
use super::{Answers, ExchangeId};
use crate::clock::UnixMillis;
use crate::fault::Fault;
use crate::x402::PaymentIdentity;

/// What is owed to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    /// An answer, and whoever asked is the one to give it.
    Yours,
    /// An answer, and somebody else is about to give it.
    Busy,
    /// Nothing, or nothing any more.
    Nothing,
}

/// Something to write of a debt.
#[derive(Debug)]
pub(super) struct Debt {
    pub(super) identity: PaymentIdentity,
    pub(super) exchange: ExchangeId,
    pub(super) change: Change,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// An answer will be owed; somebody is about to give it.
    Owe { busy_until: UnixMillis, expires_at: UnixMillis },
    /// Somebody wants to give it.
    Collect { busy_until: UnixMillis, now: UnixMillis },
    /// It has been given.
    PaidOff,
    /// It has not been given.
    StillOwed,
}

impl Answers {
    /// Writes down that an answer is owed to a payment once it is settled. Until `busy_until`
    /// somebody is about to give it. Written when it returns: a killed process does not forget it.
    ///
    /// # Errors
    /// Ledger, later: it cannot be written.
    ///
    /// # Cancel safety
    /// It may be written.
    pub async fn owe(
        &self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        busy_until: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let expires_at = now.plus(inner.bounds.age);
        let change = Change::Owe { busy_until, expires_at };
        self.change(identity, exchange, change).await.map(|_| ())
    }

    /// Takes an answer up that is owed; until `busy_until` nobody else can.
    ///
    /// # Errors
    /// Ledger, later: it cannot be written.
    ///
    /// # Cancel safety
    /// It may be taken up.
    pub async fn collect(
        &self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        busy_until: UnixMillis,
        now: UnixMillis,
    ) -> Result<Owed, Fault> {
        self.change(identity, exchange, Change::Collect { busy_until, now }).await
    }

    /// The answer is about to be given: it is not owed any more.
    ///
    /// # Errors
    /// Ledger, later: it cannot be written.
    ///
    /// # Cancel safety
    /// It may be written.
    pub async fn paid_off(
        &self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
    ) -> Result<(), Fault> {
        self.change(identity, exchange, Change::PaidOff).await.map(|_| ())
    }

    /// The answer was not given: it is owed to whoever comes next, without waiting.
    pub fn still_owed(&self, identity: PaymentIdentity, exchange: ExchangeId) {
        let Some(inner) = &self.0 else { return };
        let (answer, _nobody) = oneshot::channel();
        let what = Debt { identity, exchange, change: Change::StillOwed };
        if inner.ops.send(Op::Change(Ask { what, answer })).is_err() {
            tracing::debug!(%exchange, "kept answers are closed; it is owed once its time is over");
        }
    }

    async fn change(
        &self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        change: Change,
    ) -> Result<Owed, Fault> {
        let Some(inner) = &self.0 else { return Ok(Owed::Nothing) };
        let what = Debt { identity: identity.clone(), exchange, change };
        let (answer, answered) = oneshot::channel();
        inner.ask(Op::Change(Ask { what, answer }), answered).await
    }
}

impl Store {
    /// Writes a change of a debt.
    pub(super) async fn change(&mut self, debt: &Debt) -> Result<Owed, Error> {
        let exchange = debt.exchange.to_string();
        match debt.change {
            Change::Owe { busy_until, expires_at } => {
                let query = named(sqlx::query(OWE), &debt.identity).bind(exchange).bind(TRIES_MAX);
                let query = query.bind(busy_until.millis()).bind(expires_at.millis());
                query.execute(&mut self.connection).await?;
                Ok(Owed::Yours)
            }
            Change::Collect { busy_until, now } => {
                let query = named(sqlx::query(COLLECT), &debt.identity).bind(exchange.clone());
                let query = query.bind(busy_until.millis()).bind(now.millis());
                if query.execute(&mut self.connection).await?.rows_affected() > 0 {
                    return Ok(Owed::Yours);
                }
                let query = named(sqlx::query(BUSY), &debt.identity).bind(exchange);
                let found = query.bind(now.millis()).fetch_optional(&mut self.connection).await?;
                Ok(if found.is_some_and(|row| !row.is_empty()) {
                    Owed::Busy
                } else {
                    Owed::Nothing
                })
            }
            Change::PaidOff => {
                let query = named(sqlx::query(PAID_OFF), &debt.identity).bind(exchange);
                query.execute(&mut self.connection).await?;
                Ok(Owed::Nothing)
            }
            Change::StillOwed => {
                let query = named(sqlx::query(STILL_OWED), &debt.identity).bind(exchange);
                query.execute(&mut self.connection).await?;
                Ok(Owed::Nothing)
            }
        }
    }

    /// Nobody is at any debt: the process that was has ended.
    pub(super) async fn nobody_is_busy(&mut self) -> Result<(), Error> {
        sqlx::query("UPDATE debts SET busy_until = 0").execute(&mut self.connection).await?;
        Ok(())
    }
}

const OWE: &str = "INSERT INTO debts (payer, nonce, asset, network, exchange, tries, busy_until,
        expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (payer, nonce, asset, network) DO UPDATE SET exchange = excluded.exchange,
        tries = excluded.tries, busy_until = excluded.busy_until, expires_at = excluded.expires_at";

const COLLECT: &str = "UPDATE debts SET busy_until = $6, tries = tries - 1
    WHERE payer = $1 AND nonce = $2 AND asset = $3 AND network = $4 AND exchange = $5
        AND tries > 0 AND busy_until <= $7 AND expires_at > $7";

const BUSY: &str = "SELECT 1 FROM debts
    WHERE payer = $1 AND nonce = $2 AND asset = $3 AND network = $4 AND exchange = $5
        AND busy_until > $6 AND expires_at > $6";

const PAID_OFF: &str = "DELETE FROM debts
    WHERE payer = $1 AND nonce = $2 AND asset = $3 AND network = $4 AND exchange = $5";

const STILL_OWED: &str = "UPDATE debts SET busy_until = 0
    WHERE payer = $1 AND nonce = $2 AND asset = $3 AND network = $4 AND exchange = $5";

/// How often an answer that is owed is tried. A request that the upstream never answers well must
/// not be worked on for ever for one payment.
const TRIES_MAX: i64 = 10;
