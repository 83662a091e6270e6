//! The one task that writes what was handed in, and forgets what is too old or too much.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::Bounds;
use super::debts::GivenBack;
use super::desk::Desk;
use super::record::Record;
use super::store::{Store, cannot_open};
use crate::clock::{Clock, UnixMillis};
use crate::fault::Fault;

/// The keeper, alive until its place is closed or nobody can reach it any more.
#[derive(Debug)]
pub(super) struct Keeper {
    store: Store,
    desk: Arc<Desk>,
    clock: Clock,
    bounds: Bounds,
    /// As counted last, with what was kept here since.
    bytes: u64,
    /// Kept here since.
    uncounted: u64,
    tidied: UnixMillis,
}

/// Something to do.
#[derive(Debug)]
pub(super) enum Op {
    /// Write this.
    Keep(Arc<Record>),
    /// Write this turn off.
    GiveBack(GivenBack),
    /// Say when all turns before are written off.
    Tell(oneshot::Sender<()>),
    /// Nothing more comes after this.
    Close,
}

impl Keeper {
    /// Clears what is too old, and counts the rest.
    pub(super) async fn new(
        store: Store,
        desk: Arc<Desk>,
        bounds: Bounds,
        clock: Clock,
    ) -> Result<Self, Fault> {
        let now = clock.now();
        store.expire(now).await.map_err(cannot_open)?;
        let bytes = store.bytes().await.map_err(cannot_open)?;
        desk.set_bytes(bytes);
        Ok(Self { store, desk, clock, bounds, bytes, uncounted: 0, tidied: now })
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
                    Op::GiveBack(back) => self.give_back(&back).await,
                    Op::Tell(who) => {
                        let _gone = who.send(());
                    }
                    Op::Close => {
                        self.keep(std::mem::take(&mut kept)).await;
                        break 'open;
                    }
                }
            }
            self.keep(kept).await;
            self.tidy().await;
        }
        self.store.close().await;
        drop(queue);
    }

    async fn give_back(&self, back: &GivenBack) {
        if let Err(error) = self.store.give_back(back).await {
            tracing::error!(%error, exchange = %back.exchange, "it is owed once its time is over");
        }
        self.desk.gave_back();
    }

    async fn keep(&mut self, records: Vec<Arc<Record>>) {
        if records.is_empty() {
            return;
        }
        let last: Vec<_> = records.iter().filter(|record| self.desk.has(record)).cloned().collect();
        match self.patiently(&last).await {
            Ok(()) => {
                let bytes = last.iter().map(|record| record.bytes()).sum::<usize>();
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                self.bytes = self.bytes.saturating_add(bytes);
                self.uncounted = self.uncounted.saturating_add(bytes);
            }
            Err(error) => {
                tracing::error!(%error, answers = last.len(), "answers could not be kept");
            }
        }
        last.iter().for_each(|record| self.desk.take(record));
        // What other gateways have kept meanwhile is found out in time.
        if self.store.is_shared() && self.uncounted > self.bounds.total_bytes_max / SHARED_PARTS {
            self.recount().await;
        }
        self.make_room().await;
        self.desk.set_bytes(self.bytes);
    }

    /// Writes answers; tries again for a while where a server may be away for a moment.
    async fn patiently(&self, records: &[Arc<Record>]) -> Result<(), sqlx::Error> {
        let mut tries = 0;
        loop {
            let kept = self.store.keep(records, self.bounds.age, self.clock.now()).await;
            tries += 1;
            match kept {
                Err(error) if self.store.is_shared() && tries < KEEP_TRIES => {
                    tracing::warn!(%error, "answers are written again");
                    sleep(KEEP_PAUSE).await;
                }
                done => return done,
            }
        }
    }

    /// The oldest go while there is too much.
    async fn make_room(&mut self) {
        while let Some(over @ 1..) = self.bytes.checked_sub(self.bounds.total_bytes_max) {
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
        self.uncounted = 0;
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

/// Ops that are taken from the queue at once.
const TAKE_MAX: usize = 256;

/// How often answers are written before they are given up, and the pause in between.
const KEEP_TRIES: u32 = 10;
const KEEP_PAUSE: Duration = Duration::from_millis(500);

/// How long what is too old may lie. It is not given to anyone meanwhile.
const TIDY_EVERY: Duration = Duration::from_secs(15);

/// A gateway that has kept this part of what all may keep counts anew.
const SHARED_PARTS: u64 = 16;
