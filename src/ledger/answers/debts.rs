//! Answers that are owed: payments that were settled before their answer was made.

use std::time::Duration;

use sqlx::Error;

use super::keeper::Op;
use super::rows::of_payment;
use super::store::{Store, Value};
use super::{Answers, ExchangeId, cannot_read, cannot_write};
use crate::clock::UnixMillis;
use crate::digest::Digest;
use crate::fault::Fault;
use crate::x402::PaymentIdentity;

/// What is owed to a payment.
#[derive(Debug)]
pub enum Owed {
    /// An answer, and whoever asked is the one to give it.
    Yours(Turn),
    /// An answer, and somebody else is about to give it.
    Busy,
    /// Nothing, or nothing any more.
    Nothing,
}

/// The right to give an answer that is owed. Whoever takes it up next has another one, and this
/// one is worth nothing then.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// How many are left: no two turns of a debt have the same number.
    tries: i64,
    /// Of the payment that it was made for.
    pub payment: Digest,
}

/// Who gives an answer that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Giver {
    /// Whoever asked.
    You,
    /// Somebody who has taken it up since.
    Another,
}

/// A turn that is given back.
#[derive(Debug)]
pub(super) struct GivenBack {
    pub(super) identity: PaymentIdentity,
    pub(super) exchange: ExchangeId,
    pub(super) turn: Turn,
}

impl Answers {
    /// Writes down that an answer is owed to a payment of this digest once it is settled. For
    /// `time` somebody is about to give it. Written when it returns: a killed process does not
    /// forget it.
    ///
    /// # Errors
    /// Ledger, later: it cannot be written.
    ///
    /// # Cancel safety
    /// It may be written.
    pub async fn owe(
        &self,
        (identity, exchange): (&PaymentIdentity, ExchangeId),
        payment: Digest,
        time: Duration,
        now: UnixMillis,
    ) -> Result<Turn, Fault> {
        self.write_debt(OWE, (identity, exchange), (payment, time), now).await?;
        Ok(Turn { tries: TRIES_MAX, payment })
    }

    /// The same, unless the debt of this exchange is known already, paid off or not; nobody is
    /// about to give it.
    ///
    /// # Errors
    /// Ledger, later: it cannot be written.
    ///
    /// # Cancel safety
    /// It may be written.
    pub async fn owe_unless(
        &self,
        about: (&PaymentIdentity, ExchangeId),
        payment: Digest,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        self.write_debt(OWE_UNLESS, about, (payment, Duration::ZERO), now).await
    }

    async fn write_debt(
        &self,
        sql: &str,
        (identity, exchange): (&PaymentIdentity, ExchangeId),
        (payment, time): (Digest, Duration),
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let mut values = inner.store.about(identity, exchange, now);
        let (busy, age) = (time.into(), inner.bounds.age.into());
        values.extend([payment.bytes().into(), TRIES_MAX.into(), busy, age]);
        inner.store.run(sql, values).await.map(drop).map_err(cannot_write)
    }

    /// The digest of the payment and sender that an answer is owed to; nothing when none is, or it
    /// has been given.
    ///
    /// # Errors
    /// Ledger, later: it cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn owed_to(
        &self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        now: UnixMillis,
    ) -> Result<Option<Digest>, Fault> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let about = inner.store.about(identity, exchange, now);
        let row = inner.store.row(OWED_TO, about).await.map_err(cannot_read)?;
        let Some(row) = row else { return Ok(None) };
        row.bytes(0).map(Digest::from_bytes).map_err(cannot_read)
    }

    /// Takes an answer up that is owed; for `time` nobody else can, as long as this process lives.
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
        time: Duration,
        now: UnixMillis,
    ) -> Result<Owed, Fault> {
        let Some(inner) = &self.0 else { return Ok(Owed::Nothing) };
        if inner.desk.is_giving_back() {
            // It may be this turn.
            inner.queue_is_through().await?;
        }
        inner.store.collect(identity, exchange, time, now).await.map_err(cannot_write)
    }

    /// The answer is about to be given: it is not owed any more, unless somebody else has taken it
    /// up since.
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
        turn: Turn,
    ) -> Result<Giver, Fault> {
        let Some(inner) = &self.0 else { return Ok(Giver::You) };
        inner.store.paid_off(identity, exchange, turn).await.map_err(cannot_write)
    }

    /// The answer was not given: it is owed to whoever comes next, without waiting.
    pub fn still_owed(&self, identity: PaymentIdentity, exchange: ExchangeId, turn: Turn) {
        let Some(inner) = &self.0 else { return };
        inner.desk.gives_back();
        let back = GivenBack { identity, exchange, turn };
        if inner.ops.send(Op::GiveBack(back)).is_err() {
            inner.desk.gave_back();
            tracing::debug!(%exchange, "kept answers are closed; it is owed once its time is over");
        }
    }
}

impl Store {
    async fn collect(
        &self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        time: Duration,
        now: UnixMillis,
    ) -> Result<Owed, Error> {
        for _ in 0..LOOKS_MAX {
            let mut values = self.about(identity, exchange, now);
            values.push(time.into());
            if let Some(row) = self.row(COLLECT, values).await? {
                let payment = Digest::from_bytes(row.bytes(1)?);
                let payment = payment.ok_or_else(|| Error::Decode("no digest".into()))?;
                return Ok(Owed::Yours(Turn { tries: row.number(0)?, payment }));
            }
            match self.row(BUSY, self.about(identity, exchange, now)).await? {
                None => return Ok(Owed::Nothing),
                Some(row) if row.number(0)? != 0 => return Ok(Owed::Busy),
                // Given back between the two looks.
                Some(_) => {}
            }
        }
        Ok(Owed::Busy)
    }

    async fn paid_off(
        &self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        turn: Turn,
    ) -> Result<Giver, Error> {
        let about = || self.about(identity, exchange, UnixMillis::new(0));
        let with =
            |tries: i64| about().into_iter().chain([tries.into()]).collect::<Vec<Value<'_>>>();
        if self.run(PAID_OFF, with(turn.tries)).await? > 0 {
            return Ok(Giver::You);
        }
        // A debt that is not there any more is nobody's: it has grown too old in the meantime.
        let taken = self.row(TAKEN, about()).await?;
        Ok(taken.map_or(Giver::You, |_| Giver::Another))
    }

    /// Lets the next one have the turn.
    pub(super) async fn give_back(&self, back: &GivenBack) -> Result<(), Error> {
        let mut values = self.about(&back.identity, back.exchange, UnixMillis::new(0));
        values.push(back.turn.tries.into());
        self.run(GIVE_BACK, values).await.map(drop)
    }

    /// Whether an answer that was owed is being given right now.
    pub(super) async fn is_giving(
        &self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        now: UnixMillis,
    ) -> Result<bool, Error> {
        Ok(self.row(GIVING, self.about(identity, exchange, now)).await?.is_some())
    }
}

macro_rules! owe {
    ($rest:literal) => {
        concat!(
            "INSERT INTO debts (payer, nonce, asset, network, exchange, instance, payment,
        tries, busy_until, expires_at)
    VALUES ($3, $4, $5, $6, $7, $2, $8, $9, {now} + $10, {now} + $11)
    ON CONFLICT (payer, nonce, asset, network) DO UPDATE SET exchange = excluded.exchange,
        instance = excluded.instance, payment = excluded.payment, tries = excluded.tries,
        busy_until = excluded.busy_until, expires_at = excluded.expires_at",
            $rest
        )
    };
}

const OWE: &str = owe!("");

const OWE_UNLESS: &str = owe!(" WHERE debts.exchange <> excluded.exchange");

const COLLECT: &str = of_payment!(
    "UPDATE debts SET busy_until = {now} + $8, instance = $2, tries = tries - 1",
    "AND tries > 0 AND expires_at > {now} AND (busy_until <= {now} OR {gone})
    RETURNING tries, payment"
);

/// Whether somebody is at a debt that can be, or could be, taken up.
const BUSY: &str = of_payment!(
    "SELECT CAST(CASE WHEN busy_until <= {now} OR {gone} THEN 0 ELSE 1 END AS BIGINT) FROM debts",
    "AND expires_at > {now} AND (tries > 0 OR (tries = 0 AND busy_until > {now} AND NOT ({gone})))"
);

/// How often a debt is looked at that changes under one's eyes.
const LOOKS_MAX: usize = 3;

const PAID_OFF: &str = of_payment!("UPDATE debts SET tries = -1", "AND tries = $8");

const TAKEN: &str = of_payment!("SELECT tries FROM debts", "");

const OWED_TO: &str =
    of_payment!("SELECT payment FROM debts", "AND tries >= 0 AND expires_at > {now}");

const GIVE_BACK: &str = of_payment!("UPDATE debts SET busy_until = 0", "AND tries = $8");

const GIVING: &str =
    of_payment!("SELECT tries FROM debts", "AND tries < 0 AND busy_until > {now} AND NOT ({gone})");

/// How often an answer that is owed is tried. A request that the upstream never answers well must
/// not be worked on for ever for one payment.
const TRIES_MAX: i64 = 60;
