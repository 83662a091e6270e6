//! The one task that writes and reads kept answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::debts::{Debt, Owed};
use super::desk::Desk;
use super::record::{Answer, Line, Record};
use super::store::{Store, cannot_open};
use crate::clock::{Clock, UnixMillis};
use crate::fault::{Fault, Retry, Side};
use crate::ledger::ExchangeId;
use crate::x402::PaymentIdentity;

/// The keeper, alive until its place is closed or nobody can reach it any more.
#[derive(Debug)]
pub(super) struct Keeper {
    store: Store,
    desk: Arc<Desk>,
    clock: Clock,
    bytes: u64,
    bytes_max: u64,
    tidied: UnixMillis,
}

/// Something to do.
#[derive(Debug)]
pub(super) enum Op {
    /// Write this.
    Keep(Arc<Record>),
    /// Look for a line.
    Find(Ask<(PaymentIdentity, ExchangeId, UnixMillis), Option<Line>>),
    /// Read an answer.
    Load(Ask<(PaymentIdentity, ExchangeId), Option<Answer>>),
    /// Write what is owed.
    Change(Ask<Debt, Owed>),
    /// Nothing more comes after this.
    Close,
}

/// A question and who waits for its answer.
#[derive(Debug)]
pub(super) struct Ask<Q, A> {
    pub(super) what: Q,
    pub(super) answer: oneshot::Sender<Result<A, Fault>>,
}

impl Keeper {
    /// Clears what is too old, and counts the rest.
    pub(super) async fn new(
        mut store: Store,
        desk: Arc<Desk>,
        bytes_max: u64,
        clock: Clock,
    ) -> Result<Self, Fault> {
        let now = clock.now();
        store.expire(now).await.map_err(cannot_open)?;
        store.nobody_is_busy().await.map_err(cannot_open)?;
        let bytes = store.bytes().await.map_err(cannot_open)?;
        desk.set_bytes(bytes);
        Ok(Self { store, desk, clock, bytes, bytes_max, tidied: now })
    }

    pub(super) async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Op>) {
        let mut taken = Vec::with_capacity(TAKE_MAX);
        'open: loop {
            // Out of time is as good as something to do: the place is tidied.
            if let Ok(0) = timeout(TIDY_EVERY, queue.recv_many(&mut taken, TAKE_MAX)).await {
                break;
            }
            let mut kept = Vec::new();
            for op in taken.drain(..) {
                match op {
                    Op::Keep(record) => kept.push(record),
                    Op::Close => {
                        self.keep(std::mem::take(&mut kept)).await;
                        break 'open;
                    }
                    // Others do not wait for what was handed in before: the desk has it.
                    other => self.answer(other).await,
                }
            }
            self.keep(kept).await;
            self.tidy().await;
        }
        if let Err(error) = self.store.close().await {
            tracing::warn!(%error, "the file of kept answers was not closed in order");
        }
        drop(queue);
    }

    async fn answer(&mut self, op: Op) {
        match op {
            Op::Find(Ask { what: (identity, exchange, now), answer }) => {
                let found = self.store.find(&identity, exchange, now).await;
                let _gone = answer.send(found.map_err(cannot_read));
            }
            Op::Load(Ask { what: (identity, exchange), answer }) => {
                let read = self.store.load(&identity, exchange).await;
                let _gone = answer.send(read.map_err(cannot_read));
            }
            Op::Change(Ask { what: debt, answer }) => {
                let written = self.store.change(&debt).await;
                if let Err(error) = &written {
                    tracing::error!(%error, exchange = %debt.exchange, "a debt was not written");
                }
                let _gone = answer.send(written.map_err(cannot_write));
            }
            Op::Keep(_) | Op::Close => {}
        }
    }

    async fn keep(&mut self, records: Vec<Arc<Record>>) {
        if records.is_empty() {
            return;
        }
        match self.store.keep(&records).await {
            Ok(()) => {
                let bytes = records.iter().map(|record| record.bytes()).sum::<usize>();
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                self.bytes = self.bytes.saturating_add(bytes);
            }
            Err(error) => {
                tracing::error!(%error, answers = records.len(), "answers could not be kept");
            }
        }
        records.iter().for_each(|record| self.desk.take(record));
        self.make_room().await;
        self.desk.set_bytes(self.bytes);
    }

    /// The oldest go while there is too much.
    async fn make_room(&mut self) {
        while let Some(over @ 1..) = self.bytes.checked_sub(self.bytes_max) {
            match self.store.forget(over).await {
                Ok(0) => self.recount().await,
                Ok(gone) => self.bytes = self.bytes.saturating_sub(gone),
                Err(error) => {
                    tracing::error!(%error, "old answers could not be forgotten");
                    return;
                }
            }
        }
    }

    /// Now and then, what is too old goes, and what is left is counted anew.
    async fn tidy(&mut self) {
        let now = self.clock.now();
        if self.tidied.plus(TIDY_EVERY) > now && self.tidied <= now {
            return;
        }
        self.tidied = now;
        if let Err(error) = self.store.expire(now).await {
            tracing::error!(%error, "old answers could not be forgotten");
        }
        self.recount().await;
        self.desk.set_bytes(self.bytes);
    }

    async fn recount(&mut self) {
        match self.store.bytes().await {
            Ok(bytes) => self.bytes = bytes,
            // Nothing is forgotten for a number that is not known.
            Err(error) => {
                tracing::error!(%error, "kept answers could not be counted");
                self.bytes = 0;
            }
        }
    }
}

fn cannot_write(error: sqlx::Error) -> Fault {
    Fault::new(Side::Ledger, Retry::Later, "what is owed cannot be written").caused_by(error)
}

fn cannot_read(error: sqlx::Error) -> Fault {
    Fault::new(Side::Ledger, Retry::Later, "kept answers cannot be read").caused_by(error)
}

/// Ops that are taken from the queue at once.
const TAKE_MAX: usize = 256;

/// How long what is too old may lie. It is not given to anyone meanwhile.
const TIDY_EVERY: Duration = Duration::from_secs(15);
