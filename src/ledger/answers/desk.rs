//! What is under way in this process: answers that are being made, and those not yet written.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Found;
use super::record::{Counted, Missing, Outcome, Record, WHOLE};
use crate::ledger::ExchangeId;
use crate::x402::PaymentIdentity;

/// Answers by payment, as long as the store does not have them.
#[derive(Debug, Default)]
pub(super) struct Desk {
    sheets: Mutex<Sheets>,
    outcomes: [AtomicU64; 1 + Missing::ALL.len()],
    bytes: AtomicU64,
    /// Turns that are given back and not yet written.
    given_back: AtomicUsize,
}

#[derive(Debug, Default)]
struct Sheets {
    /// Being made. The ledger lets one exchange have a payment at a time.
    running: HashMap<PaymentIdentity, ExchangeId>,
    /// Made, and on their way to the store.
    waiting: HashMap<PaymentIdentity, Arc<Record>>,
}

/// What became of an answer that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It waits for the store.
    Here,
    /// Too many wait already.
    NoRoom,
}

impl Desk {
    pub(super) fn begin(&self, identity: PaymentIdentity, exchange: ExchangeId) {
        self.sheets().running.insert(identity, exchange);
    }

    /// The exchange makes no answer any more.
    pub(super) fn end(&self, identity: &PaymentIdentity, exchange: ExchangeId) {
        let mut sheets = self.sheets();
        if sheets.running.get(identity) == Some(&exchange) {
            sheets.running.remove(identity);
        }
    }

    /// The answer is there; the store does not have it yet.
    pub(super) fn put(&self, record: Arc<Record>) -> Put {
        self.count(&record.outcome);
        let mut sheets = self.sheets();
        if sheets.waiting.len() >= WAITING_MAX {
            return Put::NoRoom;
        }
        sheets.waiting.insert(record.identity.clone(), record);
        Put::Here
    }

    /// The store has it, or never will.
    pub(super) fn take(&self, record: &Arc<Record>) {
        let mut sheets = self.sheets();
        let last = sheets.waiting.get(&record.identity);
        if last.is_some_and(|waiting| Arc::ptr_eq(waiting, record)) {
            sheets.waiting.remove(&record.identity);
        }
    }

    /// Whether it still has to be written: a later answer to the same payment may have come.
    pub(super) fn has(&self, record: &Arc<Record>) -> bool {
        let sheets = self.sheets();
        let last = sheets.waiting.get(&record.identity);
        last.is_some_and(|waiting| Arc::ptr_eq(waiting, record))
    }

    /// A turn is on its way back.
    pub(super) fn gives_back(&self) {
        self.given_back.fetch_add(1, Ordering::AcqRel);
    }

    /// It is written, or never will be.
    pub(super) fn gave_back(&self) {
        self.given_back.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether some turn is on its way back.
    pub(super) fn is_giving_back(&self) -> bool {
        self.given_back.load(Ordering::Acquire) > 0
    }

    /// What is here of a payment that was claimed by this exchange.
    pub(super) fn find(&self, identity: &PaymentIdentity, exchange: ExchangeId) -> Option<Found> {
        let sheets = self.sheets();
        if sheets.running.get(identity) == Some(&exchange) {
            return Some(Found::UnderWay);
        }
        let record = sheets.waiting.get(identity).filter(|record| record.exchange == exchange)?;
        Some(Found::Line(Box::new(record.line())))
    }

    pub(super) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn counted(&self) -> Counted {
        let counts = self.outcomes.iter().map(|count| count.load(Ordering::Relaxed));
        let outcomes = names().zip(counts).collect();
        Counted { outcomes, bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// Whether the store has everything.
    #[cfg(test)]
    pub(super) fn is_clear(&self) -> bool {
        self.sheets().waiting.is_empty()
    }

    fn count(&self, outcome: &Outcome) {
        let place = names().position(|name| name == outcome.name());
        if let Some(count) = place.and_then(|at| self.outcomes.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn sheets(&self) -> MutexGuard<'_, Sheets> {
        self.sheets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    [WHOLE].into_iter().chain(Missing::ALL.into_iter().map(Missing::name))
}

/// Answers that wait for the store, however small they are.
const WAITING_MAX: usize = 65_536;
