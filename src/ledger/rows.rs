//! The ledger's SQL: the statements, what is bound to them, and how a row becomes an entry.

use std::fmt::Write as _;

use sqlx::encode::Encode;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, Row as _, Sqlite};

use super::lines::{BoxError, EXTRA, key, select, token};
use super::queue::{Advancing, Claiming};
use crate::x402::PaymentIdentity;

/// The last number that was given to a claim.
pub(super) const SERIAL: &str = "SELECT coalesce(max(serial), 0) FROM payments";

/// A statement that takes many rows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Many {
    /// Claims payments that nobody has, or that somebody had and let go.
    Claim,
    /// Advances payments that stand where the step starts.
    Advance,
    /// The same for payments whose claims have known numbers, which are found faster.
    AdvanceClaim,
    /// Reads the lines of payments, each with the tag of its row, except those of one claim.
    Find,
}

impl Many {
    /// The statement for this many rows. A row of NULLs does nothing.
    pub(super) fn sql(self, rows: usize) -> String {
        let (before, columns, after) = match self {
            Self::Claim => (CLAIM_BEFORE, CLAIM_COLUMNS, CLAIM_AFTER),
            Self::Advance => (ADVANCE_BEFORE, ADVANCE_COLUMNS, ADVANCE_AFTER),
            Self::AdvanceClaim => (STEP_BEFORE, STEP_COLUMNS, STEP_AFTER),
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

const CLAIM_COLUMNS: usize = 13;
const CLAIM_BEFORE: &str = "
WITH claim (serial, payer, nonce, asset, network, exchange, route, facilitator, amount, pay_to,
    valid_before, now, token) AS (VALUES ";
const CLAIM_AFTER: &str = ")
INSERT OR FAIL INTO payments (serial, payer, nonce, asset, network, exchange, route, facilitator,
    amount, pay_to, valid_before, state, claimed_at, changed_at, token)
SELECT serial, payer, nonce, asset, network, exchange, route, facilitator, amount, pay_to,
    valid_before, 'held', now, now, token
FROM claim WHERE serial IS NOT NULL
ON CONFLICT (payer, nonce, asset, network) DO UPDATE SET
    serial = excluded.serial, exchange = excluded.exchange, route = excluded.route,
    facilitator = excluded.facilitator, amount = excluded.amount, pay_to = excluded.pay_to,
    valid_before = excluded.valid_before, state = excluded.state, token = excluded.token,
    past = substr(coalesce(payments.past || ' ', '') || payments.state || '@'
        || payments.changed_at || '/' || payments.exchange, -2000),
    \"transaction\" = NULL, reason = NULL,
    claimed_at = excluded.claimed_at, changed_at = excluded.changed_at
WHERE payments.state IN ('released', 'refused')";

macro_rules! advance {
    ($which:literal) => {
        concat!(
            ")
UPDATE OR FAIL payments SET state = step.state,
    past = substr(coalesce(past || ' ', '') || payments.state || '@' || changed_at, -2000),
    \"transaction\" = coalesce(step.transaction_, \"transaction\"),
    reason = step.reason, facilitator = coalesce(step.facilitator_, facilitator),
    changed_at = step.now
FROM step
",
            $which,
            "
    AND payments.exchange = step.exchange
    AND payments.state IN (step.from_1, step.from_2, step.from_3)
    AND (payments.state <> step.state OR payments.facilitator <> step.facilitator_)"
        )
    };
}

const ADVANCE_COLUMNS: usize = 13;
const ADVANCE_BEFORE: &str = "
WITH step (payer, nonce, asset, network, exchange, from_1, from_2, from_3, state, transaction_,
    reason, facilitator_, now) AS (VALUES ";
const ADVANCE_AFTER: &str = advance!(
    "WHERE payments.payer = step.payer AND payments.nonce = step.nonce
    AND payments.asset = step.asset AND payments.network = step.network"
);

const STEP_COLUMNS: usize = 10;
const STEP_BEFORE: &str = "
WITH step (serial, exchange, from_1, from_2, from_3, state, transaction_, reason, facilitator_,
    now) AS (VALUES ";
const STEP_AFTER: &str = advance!("WHERE payments.serial = step.serial");

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
        self.add(op.now.millis())?;
        self.add(token(claim))
    }

    /// The values of a [`Many::Advance`] row.
    pub(super) fn advance(&mut self, op: &Advancing) -> Result<(), BoxError> {
        self.identity(&op.identity)?;
        self.step(op)
    }

    /// The values of a [`Many::AdvanceClaim`] row.
    pub(super) fn advance_claim(&mut self, serial: i64, op: &Advancing) -> Result<(), BoxError> {
        self.add(serial)?;
        self.step(op)
    }

    fn step(&mut self, op: &Advancing) -> Result<(), BoxError> {
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

    /// The values that name a payment.
    pub(super) fn identity(&mut self, identity: &PaymentIdentity) -> Result<(), BoxError> {
        key(identity).into_iter().try_for_each(|part| self.add(part))
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

/// The tag of a row of [`Many::Find`].
///
/// # Errors
/// The row has none.
pub(super) fn tag(row: &SqliteRow) -> Result<usize, BoxError> {
    Ok(usize::try_from(row.try_get::<i64, _>(EXTRA)?)?)
}
