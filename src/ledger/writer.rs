//! The one writer of a ledger's file: takes what is queued, writes it in one commit, answers all.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::time::timeout;

use super::queue::{Advancing, Op, Ops, oldest};
use super::round::{Outcome, Round, rounds};
use super::rows::{self, WriteError};
use super::{Claimed, ExchangeId, State};
use crate::fault::Retry;
use crate::x402::PaymentIdentity;

/// The writer, alive until the queue is closed and empty.
///
/// It holds its thread up while the disk works: it has one of its own.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
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
    pub(super) fn new(connection: Connection, serial: i64, lock: File) -> Self {
        Self { connection, serial, claims: HashMap::new(), late: Vec::new(), lock }
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
            if taken.len() < self.claims.len().min(GATHERED_ENOUGH) {
                // Payments that are on their way come with their next steps: one commit for all.
                std::thread::sleep(GATHER_WAIT);
                ops.take_more(&mut taken, TAKE_MAX);
            }
            taken.append(&mut self.late);
            for round in rounds(taken.drain(..)) {
                self.write(round);
            }
            ops.lag().keeps(oldest(&self.late));
        }
        let Self { connection, lock, .. } = self;
        if let Err((_, error)) = connection.close() {
            tracing::warn!(%error, "the ledger's file was not closed in order");
        }
        // Whoever waits for the end of the queue may open the file then.
        drop(lock);
        drop(ops);
    }

    /// Writes a round and answers it. One op that cannot be written does not fail its neighbours.
    fn write(&mut self, round: Round) {
        match self.commit(&round) {
            Ok(outcome) => self.answer(round, outcome),
            Err(error) if round.len() > 1 && error.is_of_one_op() => {
                for alone in round.split() {
                    match self.commit(&alone) {
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
    fn commit(&mut self, round: &Round) -> Result<Outcome, WriteError> {
        let first = self.serial.saturating_add(1);
        self.serial = self.serial.saturating_add(len(&round.claims));
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut page = rows::Page::of(&begun)?;
        let claims = round.claims.iter().zip(first..);
        let claims = claims.map(|(op, serial)| page.claim(serial, op));
        let claims = claims.collect::<Result<_, _>>()?;
        let known = &self.claims;
        let advances = round.advances.iter().map(|op| page.advance(serial(known, op), op));
        let advances = advances.collect::<Result<_, _>>()?;
        drop(page);
        begun.commit()?;
        Ok(Outcome { claims, advances })
    }

    fn fail(&mut self, round: Round, error: WriteError) {
        let retry = if error.is_of_one_op() { Retry::Never } else { Retry::Later };
        self.late.extend(round.fail(retry, &Arc::new(error)));
    }
}

/// The number of the claim that a step belongs to, if it is in flight.
fn serial(known: &HashMap<PaymentIdentity, (ExchangeId, i64)>, op: &Advancing) -> Option<i64> {
    let (exchange, serial) = known.get(&op.identity)?;
    (*exchange == op.exchange).then_some(*serial)
}

fn len<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap_or(i64::MAX)
}

/// Ops that are taken from the queue at once.
const TAKE_MAX: usize = 256;

/// How long a commit waits for more to write: about as long as a disk takes for it.
const GATHER_WAIT: Duration = Duration::from_micros(500);

/// Ops that are worth a commit.
const GATHERED_ENOUGH: usize = 32;

/// How long a release that could not be written waits for the next attempt.
const RETRY_WAIT: Duration = Duration::from_millis(500);
