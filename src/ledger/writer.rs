//! The one writer of a ledger's file: takes what is queued, writes it in one commit, answers all.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Error, Sqlite, Transaction};
use tokio::time::timeout;

use super::queue::{Advancing, Claiming, Op, Ops};
use super::round::{Outcome, Round, rounds};
use super::rows::{self, Many, Values};
use super::{Claimed, Entry, ExchangeId, Misstep, State, lines};
use crate::fault::Retry;
use crate::x402::PaymentIdentity;

/// The writer, alive until the queue is closed and empty.
#[derive(Debug)]
pub(super) struct Writer {
    connection: SqliteConnection,
    statements: HashMap<(Many, usize), Arc<str>>,
    /// The number of the last claim.
    serial: i64,
    /// The numbers of the claims in flight.
    claims: HashMap<PaymentIdentity, (ExchangeId, i64)>,
    /// Releases that could not be written yet. At most one for each claim in flight.
    late: Vec<Op>,
    /// Held while this process owns the file.
    lock: File,
}

impl Writer {
    /// The writer of an open file whose claims have numbers up to `serial`.
    pub(super) fn new(connection: SqliteConnection, serial: i64, lock: File) -> Self {
        let (statements, claims) = (HashMap::new(), HashMap::new());
        Self { connection, statements, serial, claims, late: Vec::new(), lock }
    }

    /// Writes what comes until the queue is closed, then leaves the file in order.
    pub(super) async fn run(mut self, mut ops: Ops) {
        let mut taken = Vec::with_capacity(TAKE_MAX);
        loop {
            let wait = if self.late.is_empty() { Duration::MAX } else { RETRY_WAIT };
            let elapsed = timeout(wait, ops.take(&mut taken, TAKE_MAX)).await.is_err();
            if taken.is_empty() && !elapsed {
                break;
            }
            taken.append(&mut self.late);
            for round in rounds(taken.drain(..)) {
                self.write(round).await;
            }
        }
        let Self { connection, lock, .. } = self;
        if let Err(error) = connection.close().await {
            tracing::warn!(%error, "the ledger's file was not closed in order");
        }
        // Whoever waits for the end of the queue may open the file then.
        drop(lock);
        drop(ops);
    }

    /// Writes a round and answers it. One op that cannot be written does not fail its neighbours.
    async fn write(&mut self, round: Round) {
        match self.commit(&round).await {
            Ok(outcome) => self.answer(round, outcome),
            Err(error) if round.len() > 1 && is_of_one_op(&error) => {
                for alone in round.split() {
                    match self.commit(&alone).await {
                        Ok(outcome) => self.answer(alone, outcome),
                        Err(error) => self.fail(alone, error),
                    }
                }
            }
            Err(error) => self.fail(round, error),
        }
    }

    /// Answers a round that is on the disk, and keeps the numbers of its claims until their
    /// payments come to an end.
    fn answer(&mut self, round: Round, outcome: Outcome) {
        let first = self.serial.saturating_sub(len(&round.claims)).saturating_add(1);
        for ((op, claimed), serial) in round.claims.iter().zip(&outcome.claims).zip(first..) {
            if matches!(claimed, Claimed::Ours) {
                self.claims.insert(op.claim.identity.clone(), (op.claim.exchange, serial));
            }
        }
        for op in round.advances.iter().filter(|op| op.step.state() != State::Settling) {
            self.claims.remove(&op.identity);
        }
        round.answer(outcome);
    }

    /// Writes a round. All of it is on the disk when this returns, or nothing.
    async fn commit(&mut self, round: &Round) -> Result<Outcome, Error> {
        let first = self.serial.saturating_add(1);
        self.serial = self.serial.saturating_add(len(&round.claims));
        let transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let (statements, known) = (&mut self.statements, &self.claims);
        let mut page = Page { transaction, statements, known };
        let claims = page.claim(first, &round.claims).await?;
        let advances = page.advance(&round.advances).await?;
        page.transaction.commit().await?;
        Ok(Outcome { claims, advances })
    }

    fn fail(&mut self, round: Round, error: Error) {
        let retry = if is_of_one_op(&error) { Retry::Never } else { Retry::Later };
        self.late.extend(round.fail(retry, &Arc::new(error)));
    }
}

/// A transaction under way.
struct Page<'a> {
    transaction: Transaction<'a, Sqlite>,
    statements: &'a mut HashMap<(Many, usize), Arc<str>>,
    known: &'a HashMap<PaymentIdentity, (ExchangeId, i64)>,
}

impl Page<'_> {
    /// Claims, with serial numbers from `first` on.
    async fn claim(&mut self, first: i64, ops: &[Claiming]) -> Result<Vec<Claimed>, Error> {
        let mut claimed = vec![Claimed::Ours; ops.len()];
        let mut values = Values::default();
        for (op, serial) in ops.iter().zip(first..) {
            values.claim(serial, op).map_err(Error::Encode)?;
        }
        if self.write(Many::Claim, ops.len(), values).await? == claimed.len() {
            return Ok(claimed);
        }
        let mut values = Values::default();
        for ((op, serial), tag) in ops.iter().zip(first..).zip(0..) {
            values.find(tag, serial, &op.claim.identity).map_err(Error::Encode)?;
        }
        for (tag, entry) in self.find(ops.len(), values).await? {
            if let Some(claimed) = claimed.get_mut(tag) {
                *claimed = Claimed::Taken(entry);
            }
        }
        Ok(claimed)
    }

    async fn advance(&mut self, ops: &[Advancing]) -> Result<Vec<Result<(), Misstep>>, Error> {
        let (many, values) = self.steps(ops).map_err(Error::Encode)?;
        if self.write(many, ops.len(), values).await? == ops.len() {
            return Ok(vec![Ok(()); ops.len()]);
        }
        let mut values = Values::default();
        for (op, tag) in ops.iter().zip(0..) {
            values.find(tag, NO_SERIAL, &op.identity).map_err(Error::Encode)?;
        }
        let mut results = vec![Err(Misstep::NoEntry); ops.len()];
        for (tag, entry) in self.find(ops.len(), values).await? {
            if let (Some(result), Some(op)) = (results.get_mut(tag), ops.get(tag)) {
                *result = entry.stands_after(op.exchange, &op.step);
            }
        }
        Ok(results)
    }

    fn serial(&self, op: &Advancing) -> Option<i64> {
        let (exchange, serial) = self.known.get(&op.identity)?;
        (*exchange == op.exchange).then_some(*serial)
    }

    /// By the numbers of their claims if all are in flight, else by what was signed.
    fn steps(&self, ops: &[Advancing]) -> Result<(Many, Values), lines::BoxError> {
        let known: Option<Vec<_>> = ops.iter().map(|op| self.serial(op)).collect();
        let mut values = Values::default();
        let Some(serials) = known else {
            ops.iter().try_for_each(|op| values.advance(op))?;
            return Ok((Many::Advance, values));
        };
        for (op, serial) in ops.iter().zip(serials) {
            values.advance_claim(serial, op)?;
        }
        Ok((Many::AdvanceClaim, values))
    }

    /// How many lines were written.
    async fn write(&mut self, many: Many, rows: usize, values: Values) -> Result<usize, Error> {
        if rows == 0 {
            return Ok(0);
        }
        let sql = AssertSqlSafe(self.statement(many, rows));
        let query = sqlx::query_with(sql, values.bound());
        let written = query.execute(&mut *self.transaction).await?.rows_affected();
        Ok(usize::try_from(written).unwrap_or(usize::MAX))
    }

    /// Lines, each with the tag of its row.
    async fn find(&mut self, rows: usize, values: Values) -> Result<Vec<(usize, Entry)>, Error> {
        let sql = AssertSqlSafe(self.statement(Many::Find, rows));
        let query = sqlx::query_with(sql, values.bound());
        let found = query.fetch_all(&mut *self.transaction).await?;
        let read = |row: &SqliteRow| Ok((rows::tag(row)?, lines::entry(row)?));
        found.iter().map(|row| read(row).map_err(Error::Decode)).collect()
    }

    /// The statement for so many rows or a few more: there are few sizes, so that all of them stay
    /// prepared, and a row of NULLs costs little.
    fn statement(&mut self, many: Many, rows: usize) -> Arc<str> {
        let rows = if rows < STEP_OF_SIZES {
            rows.next_power_of_two()
        } else {
            rows.next_multiple_of(STEP_OF_SIZES)
        };
        let text = self.statements.entry((many, rows)).or_insert_with(|| many.sql(rows).into());
        Arc::clone(text)
    }
}

fn len<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap_or(i64::MAX)
}

/// Whether the error is about what was written rather than about the file.
fn is_of_one_op(error: &Error) -> bool {
    let database = error.as_database_error();
    database.is_some_and(|error| error.is_check_violation() || error.is_unique_violation())
}

/// Statements for more rows than this are made for multiples of it.
const STEP_OF_SIZES: usize = 8;

/// Ops that are taken from the queue at once.
const TAKE_MAX: usize = 256;

/// How long a release that could not be written waits for the next attempt.
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// No claim has this number.
const NO_SERIAL: i64 = 0;
