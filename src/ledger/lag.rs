//! How far a ledger's writer is behind: the age of the oldest step that is not written yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How far a ledger is behind what was handed in to it. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct Lag(Arc<Marks>);

/// When a step was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Since(u64);

#[derive(Debug)]
struct Marks {
    /// From where moments are counted.
    base: Instant,
    /// The oldest of the steps that wait for the writer or are being written.
    waits: AtomicU64,
    /// The oldest of the releases that could not be written and are tried again.
    late: AtomicU64,
}

impl Lag {
    /// Of a ledger to which nothing was handed in before this moment.
    pub(super) fn new(base: Instant) -> Self {
        let (waits, late) = (AtomicU64::new(NOTHING), AtomicU64::new(NOTHING));
        Self(Arc::new(Marks { base, waits, late }))
    }

    /// The age of the oldest step that was handed in and is not written; zero where none is.
    pub fn at(&self, now: Instant) -> Duration {
        // In this order: what is late is told of before it counts as taken no more.
        let waits = self.0.waits.load(Ordering::Acquire);
        match waits.min(self.0.late.load(Ordering::Relaxed)) {
            NOTHING => Duration::ZERO,
            oldest => Duration::from_nanos(self.since(now).0.saturating_sub(oldest)),
        }
    }

    /// This moment, as it is kept with a step.
    pub(super) fn since(&self, now: Instant) -> Since {
        let nanos = now.saturating_duration_since(self.0.base).as_nanos();
        Since(u64::try_from(nanos).unwrap_or(NOTHING).min(NOTHING.saturating_sub(1)))
    }

    /// Another step waits. Told before the writer can take it, so that it cannot be written first.
    pub(super) fn waits(&self, since: Since) {
        self.0.waits.fetch_min(since.0, Ordering::Relaxed);
    }

    /// The writer has taken steps, of which this is the oldest, or finds none. What it leaves
    /// behind is younger. A step that is told of at this very moment, and not in the queue yet,
    /// counts again once it is taken.
    pub(super) fn takes(&self, oldest: Option<Since>) {
        self.0.waits.store(oldest.map_or(NOTHING, |since| since.0), Ordering::Release);
    }

    /// All that the writer had taken is written or refused, but for releases of which this is the
    /// oldest.
    pub(super) fn keeps(&self, oldest: Option<Since>) {
        self.0.late.store(oldest.map_or(NOTHING, |since| since.0), Ordering::Relaxed);
    }
}

/// Later than any step.
const NOTHING: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_counts_wherever_it_waits() {
        let base = crate::clock::steady();
        let at = |second| base.checked_add(Duration::from_secs(second)).unwrap();
        let lag = Lag::new(base);
        let since = |second| lag.since(at(second));
        let check = |second, behind| assert_eq!(lag.at(at(second)), Duration::from_secs(behind));
        check(50, 0);
        lag.waits(since(10));
        lag.waits(since(12));
        check(10, 0);
        check(15, 5);
        // One that was late to tell is not lost behind the others.
        lag.waits(since(9));
        check(15, 6);
        lag.takes(Some(since(9)));
        lag.waits(since(16));
        check(20, 11);
        lag.keeps(Some(since(10)));
        lag.takes(Some(since(16)));
        check(20, 10);
        lag.takes(None);
        check(20, 10);
        lag.keeps(None);
        check(20, 0);
        lag.waits(since(30));
        // The moment was read before it.
        check(29, 0);
        check(33, 3);
    }
}
