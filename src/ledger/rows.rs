//! What the writer of the ledger's file does in it: statements, and what is bound to them.

use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension as _, Row, params};
use sqlx::Error as ReadError;
use sqlx::sqlite::SqliteRow;

use super::lines::{self, BoxError, Line, key, token};
use super::queue::{Advancing, Claiming};
use super::{Claimed, Entry, Misstep};
use crate::x402::PaymentIdentity;

/// Why an op could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// SQLite's own.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A line that this program does not write.
    #[error("a line of the ledger cannot be read")]
    Odd(#[source] BoxError),
}

impl WriteError {
    /// Whether it is about what was written rather than about the file.
    pub(super) fn is_of_one_op(&self) -> bool {
        match self {
            Self::Sqlite(error) => {
                error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
            }
            Self::Odd(_) => false,
        }
    }
}

/// A page of the ledger's file that is written, and its statements: looked up once for all that is
/// written with them.
pub(super) struct Page<'a> {
    connection: &'a Connection,
    claim: CachedStatement<'a>,
    advance: CachedStatement<'a>,
}

impl<'a> Page<'a> {
    /// A page on a connection that has begun to write.
    pub(super) fn of(connection: &'a Connection) -> Result<Self, WriteError> {
        let claim = connection.prepare_cached(CLAIM)?;
        let advance = connection.prepare_cached(ADVANCE)?;
        Ok(Self { connection, claim, advance })
    }

    /// Claims a payment, under this number.
    pub(super) fn claim(&mut self, serial: i64, op: &Claiming) -> Result<Claimed, WriteError> {
        let claim = &op.claim;
        let PaymentIdentity { network, contract, payer, nonce } = &claim.identity;
        let written = self.claim.execute(params![
            serial,
            payer.as_slice(),
            nonce.as_slice(),
            contract.as_slice(),
            network.as_str(),
            claim.exchange.bytes(),
            claim.route,
            claim.facilitator,
            claim.amount.to_string(),
            claim.pay_to.as_slice(),
            i64::try_from(claim.valid_before).unwrap_or(i64::MAX),
            op.now.millis(),
            token(claim).as_ref().map(|token| token.as_slice()),
            claim.sender.bytes(),
        ])?;
        if written > 0 {
            return Ok(Claimed::Ours);
        }
        // It was not written because it stands there already.
        Ok(find(self.connection, &claim.identity)?.map_or(Claimed::Ours, Claimed::Taken))
    }

    /// Advances a payment; `serial` is the number of its claim, where it is known.
    pub(super) fn advance(
        &mut self,
        serial: Option<i64>,
        op: &Advancing,
    ) -> Result<Result<(), Misstep>, WriteError> {
        let serial = match serial {
            Some(serial) => Some(serial),
            None => serial_of(self.connection, &op.identity)?,
        };
        let Some(serial) = serial else { return Ok(Err(Misstep::NoEntry)) };
        let (exchange, step) = (op.exchange.bytes(), &op.step);
        let [from_1, from_2, from_3] = step.sources().map(super::State::name);
        let (state, now) = (step.state().name(), op.now.millis());
        let (transaction, reason, facilitator) =
            (step.transaction(), step.reason(), step.facilitator());
        let moves = step.amount().map(|amount| amount.to_string());
        let written = self.advance.execute(params![
            exchange,
            from_1,
            from_2,
            from_3,
            state,
            transaction,
            reason,
            facilitator,
            now,
            moves,
            serial,
        ])?;
        if written > 0 {
            return Ok(Ok(()));
        }
        let stands = |entry: Entry| entry.stands_after(op.exchange, step);
        Ok(find(self.connection, &op.identity)?.map_or(Err(Misstep::NoEntry), stands))
    }
}

fn serial_of(
    connection: &Connection,
    identity: &PaymentIdentity,
) -> Result<Option<i64>, WriteError> {
    let PaymentIdentity { network, contract, payer, nonce } = identity;
    let key = params![payer.as_slice(), nonce.as_slice(), contract.as_slice(), network.as_str()];
    let serial = connection.prepare_cached(SERIAL_OF)?.query_row(key, |row| row.get(0));
    Ok(serial.optional()?)
}

fn find(from: &Connection, identity: &PaymentIdentity) -> Result<Option<Entry>, WriteError> {
    let read = |row: &Row<'_>| Ok(lines::entry(row));
    let found = from.prepare_cached(SqliteRow::GET)?.query_row(key(identity), read).optional()?;
    found.transpose().map_err(WriteError::Odd)
}

impl Line for Row<'_> {
    const GET: &'static str = SqliteRow::GET;
    const PAST: &'static str = SqliteRow::PAST;
    const HAS_PAID: &'static str = SqliteRow::HAS_PAID;
    const PAGE: &'static str = SqliteRow::PAGE;

    fn text(&self, column: usize) -> Result<&str, ReadError> {
        let value = self.get_ref(column).map_err(odd)?;
        value.as_str().map_err(odd)
    }

    fn optional(&self, column: usize) -> Result<Option<&str>, ReadError> {
        let value = self.get_ref(column).map_err(odd)?;
        value.as_str_or_null().map_err(odd)
    }

    fn number(&self, column: usize) -> Result<i64, ReadError> {
        self.get(column).map_err(odd)
    }
}

fn odd(error: impl Into<BoxError>) -> ReadError {
    ReadError::Decode(error.into())
}

/// The last number that was given to a claim.
pub(super) const SERIAL: &str = "SELECT coalesce(max(serial), 0) FROM payments";

/// Claims a payment that nobody has, or that somebody had and let go.
pub(super) const CLAIM: &str = r#"
INSERT INTO payments (serial, payer, nonce, asset, network, exchange, route, facilitator, amount,
    pay_to, valid_before, state, claimed_at, changed_at, token, sender)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'held', ?12, ?12, ?13, ?14)
ON CONFLICT (payer, nonce, asset, network) DO UPDATE SET
    serial = excluded.serial, exchange = excluded.exchange, route = excluded.route,
    facilitator = excluded.facilitator, amount = excluded.amount, pay_to = excluded.pay_to,
    valid_before = excluded.valid_before, state = excluded.state, token = excluded.token,
    sender = excluded.sender,
    past = substr(coalesce(payments.past || ' ', '') || payments.state || '@'
        || payments.changed_at || '/' || lower(hex(payments.exchange)), -2000),
    "transaction" = NULL, reason = NULL, moves = NULL,
    claimed_at = excluded.claimed_at, changed_at = excluded.changed_at
WHERE payments.state IN ('released', 'refused')"#;

/// The number of the claim of a payment.
pub(super) const SERIAL_OF: &str = "SELECT serial FROM payments
WHERE payer = ?1 AND nonce = ?2 AND asset = ?3 AND network = ?4";

/// Advances a payment that stands where the step starts.
pub(super) const ADVANCE: &str = r#"
UPDATE payments SET state = ?5,
    past = substr(coalesce(past || ' ', '') || state || '@' || changed_at, -2000),
    "transaction" = coalesce(?6, "transaction"), reason = ?7,
    facilitator = coalesce(?8, facilitator), changed_at = ?9, moves = coalesce(?10, moves)
WHERE exchange = ?1 AND state IN (?2, ?3, ?4) AND (state <> ?5 OR facilitator <> ?8)
    AND (state = 'held' OR ?10 IS NULL OR moves = ?10)
    AND serial = ?11"#;
