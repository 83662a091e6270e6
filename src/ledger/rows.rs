//! The ledger's SQL: the statements, what is bound to them, and how a row becomes an entry.

use std::fmt::Write as _;

use alloy_primitives::{Address, B256};
use sqlx::encode::Encode;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, Row as _, Sqlite};

use super::queue::{Advancing, Claiming};
use super::{Entry, State};
use crate::clock::UnixMillis;
use crate::x402::PaymentIdentity;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT payments.network, payments.asset, payments.payer, payments.nonce, exchange, ",
            "route, facilitator, amount, pay_to, valid_before, state, \"transaction\", reason, ",
            "claimed_at, changed_at",
            $rest
        )
    };
}

/// Reads the line of a payment.
pub(super) const GET: &str =
    select!(" FROM payments WHERE payer = ? AND nonce = ? AND asset = ? AND network = ?");

/// Reads the last lines, newest first.
pub(super) const LIST: &str = select!(" FROM payments ORDER BY serial DESC LIMIT ?");

/// Reads what is in flight, oldest first. Its condition is the one of the index.
pub(super) const UNFINISHED: &str = select!(
    " FROM payments WHERE state = 'held' OR state = 'settling' OR state = 'unknown'
    ORDER BY serial LIMIT ?"
);

/// The last number that was given to a claim.
pub(super) const SERIAL: &str = "SELECT coalesce(max(serial), 0) FROM payments";

/// A statement that takes many rows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Many {
    /// Claims payments that nobody has, or that somebody had and let go.
    Claim,
    /// Advances payments that stand where the step starts.
    Advance,
    /// Reads the lines of payments, each with the tag of its row, except those of one claim.
    Find,
}

impl Many {
    /// The statement for this many rows. A row of NULLs does nothing.
    pub(super) fn sql(self, rows: usize) -> String {
        let (before, columns, after) = match self {
            Self::Claim => (CLAIM_BEFORE, CLAIM_COLUMNS, CLAIM_AFTER),
            Self::Advance => (ADVANCE_BEFORE, ADVANCE_COLUMNS, ADVANCE_AFTER),
            Self::Find => (FIND_BEFORE, FIND_COLUMNS, FIND_AFTER),
        };
        let mut sql = before.to_owned();
        let row = vec!["?"; columns].join(",");
        for n in 0..rows {
            let comma = if n == 0 { "" } else { "," };
            // Writing to a String does not fail.
            let _never = write!(sql, "{comma}({row})");
        }
        sql.push_str(after);
        sql
    }
}

const CLAIM_COLUMNS: usize = 12;
const CLAIM_BEFORE: &str = "
WITH claim (serial, payer, nonce, asset, network, exchange, route, facilitator, amount, pay_to,
    valid_before, now) AS (VALUES ";
const CLAIM_AFTER: &str = ")
INSERT OR FAIL INTO payments (serial, payer, nonce, asset, network, exchange, route, facilitator,
    amount, pay_to, valid_before, state, claimed_at, changed_at)
SELECT serial, payer, nonce, asset, network, exchange, route, facilitator, amount, pay_to,
    valid_before, 'held', now, now
FROM claim WHERE serial IS NOT NULL
ON CONFLICT (payer, nonce, asset, network) DO UPDATE SET
    serial = excluded.serial, exchange = excluded.exchange, route = excluded.route,
    facilitator = excluded.facilitator, amount = excluded.amount, pay_to = excluded.pay_to,
    valid_before = excluded.valid_before, state = excluded.state,
    \"transaction\" = NULL, reason = NULL,
    claimed_at = excluded.claimed_at, changed_at = excluded.changed_at
WHERE payments.state IN ('released', 'refused')";

const ADVANCE_COLUMNS: usize = 13;
const ADVANCE_BEFORE: &str = "
WITH step (payer, nonce, asset, network, exchange, from_1, from_2, from_3, state, transaction_,
    reason, facilitator_, now) AS (VALUES ";
const ADVANCE_AFTER: &str = ")
UPDATE OR FAIL payments SET state = step.state,
    \"transaction\" = coalesce(step.transaction_, \"transaction\"),
    reason = step.reason, facilitator = coalesce(step.facilitator_, facilitator),
    changed_at = step.now
FROM step
WHERE payments.payer = step.payer AND payments.nonce = step.nonce
    AND payments.asset = step.asset AND payments.network = step.network
    AND payments.exchange = step.exchange
    AND payments.state IN (step.from_1, step.from_2, step.from_3)";

const FIND_COLUMNS: usize = 6;
const FIND_BEFORE: &str = "
WITH find (tag, besides, payer, nonce, asset, network) AS (VALUES ";
const FIND_AFTER: &str = concat!(
    ")\n",
    select!(
        ", tag FROM find JOIN payments ON payments.payer = find.payer \
     AND payments.nonce = find.nonce AND payments.asset = find.asset \
     AND payments.network = find.network AND serial <> besides"
    )
);

/// Values for the question marks of a statement, in order.
#[derive(Debug, Default)]
pub(super) struct Values(SqliteArguments);

impl Values {
    /// The values of a [`Many::Claim`] row.
    pub(super) fn claim(&mut self, serial: i64, op: &Claiming) -> Result<(), BoxError> {
        let claim = &op.claim;
        self.add(serial)?;
        self.identity(&claim.identity)?;
        self.add(claim.exchange.to_string())?;
        self.add(&*claim.route)?;
        self.add(&*claim.facilitator)?;
        self.add(claim.amount.to_string())?;
        self.add(format!("{:#x}", claim.pay_to))?;
        self.add(i64::try_from(claim.valid_before).unwrap_or(i64::MAX))?;
        self.add(op.now.millis())
    }

    /// The values of a [`Many::Advance`] row.
    pub(super) fn advance(&mut self, op: &Advancing) -> Result<(), BoxError> {
        self.identity(&op.identity)?;
        self.add(op.exchange.to_string())?;
        for source in op.step.sources() {
            self.add(source.name())?;
        }
        self.add(op.step.state().name())?;
        self.add(op.step.transaction())?;
        self.add(op.step.reason())?;
        self.add(op.step.facilitator())?;
        self.add(op.now.millis())
    }

    /// The values of a [`Many::Find`] row.
    pub(super) fn find(
        &mut self,
        tag: i64,
        besides: i64,
        identity: &PaymentIdentity,
    ) -> Result<(), BoxError> {
        self.add(tag)?;
        self.add(besides)?;
        self.identity(identity)
    }

    /// The values of [`GET`].
    pub(super) fn identity(&mut self, identity: &PaymentIdentity) -> Result<(), BoxError> {
        self.add(format!("{:#x}", identity.payer))?;
        self.add(format!("{:#x}", identity.nonce))?;
        self.add(format!("{:#x}", identity.asset))?;
        self.add(identity.network.as_str())
    }

    /// What is bound. Question marks beyond it are NULL.
    pub(super) fn bound(self) -> SqliteArguments {
        self.0
    }

    fn add<'t>(
        &mut self,
        value: impl Encode<'t, Sqlite> + sqlx::Type<Sqlite>,
    ) -> Result<(), BoxError> {
        self.0.add(value)
    }
}

/// Reads a row of [`GET`], [`LIST`] or [`UNFINISHED`].
///
/// # Errors
/// A column that is not what this program writes.
pub(super) fn entry(row: &SqliteRow) -> Result<Entry, BoxError> {
    let text = |column: usize| row.try_get::<&str, _>(column);
    let optional = |column: usize| row.try_get::<Option<&str>, _>(column);
    let identity = PaymentIdentity {
        network: text(0)?.parse()?,
        asset: text(1)?.parse::<Address>()?,
        payer: text(2)?.parse::<Address>()?,
        nonce: text(3)?.parse::<B256>()?,
    };
    Ok(Entry {
        identity,
        exchange: text(4)?.parse()?,
        route: text(5)?.into(),
        facilitator: text(6)?.into(),
        amount: text(7)?.parse()?,
        pay_to: text(8)?.parse()?,
        valid_before: u64::try_from(row.try_get::<i64, _>(9)?)?,
        state: text(10)?.parse::<State>()?,
        transaction: optional(11)?.map(Into::into),
        reason: optional(12)?.map(Into::into),
        claimed_at: UnixMillis::new(row.try_get(13)?),
        changed_at: UnixMillis::new(row.try_get(14)?),
    })
}

/// The tag of a row of [`Many::Find`].
///
/// # Errors
/// The row has none.
pub(super) fn tag(row: &SqliteRow) -> Result<usize, BoxError> {
    Ok(usize::try_from(row.try_get::<i64, _>(15)?)?)
}
