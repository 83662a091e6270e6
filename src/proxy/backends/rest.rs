//! Whether a backend that could not be connected to is left alone for now.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// In one word: until when it rests, in milliseconds since `since`, and behind that in eight bits
/// how often in a row it could not be reached. 0: it does not rest.
#[derive(Debug)]
pub(super) struct Rest {
    since: Instant,
    word: AtomicU64,
}

/// How a backend stands with those who wanted to connect to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Well.
    In,
    /// Its rest is over, and nobody has tried it since.
    OnTrial,
    /// It is asked only where no other is left.
    Rests {
        /// Milliseconds.
        until: u64,
    },
}

impl Rest {
    /// It does not.
    pub(super) fn new(since: Instant) -> Self {
        Self { since, word: AtomicU64::new(0) }
    }

    /// How it stands.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        match unpacked(self.word.load(Ordering::Relaxed)) {
            None => Standing::In,
            Some((until, _)) if until > self.millis(now) => Standing::Rests { until },
            Some(_) => Standing::OnTrial,
        }
    }

    /// Takes the one trial of a rest that is over: for all others it rests on, and longer. Where
    /// there is nothing to try it is anyone's. Says whether it may be asked.
    pub(super) fn claim(&self, now: Instant) -> bool {
        match self.standing(now) {
            Standing::In | Standing::Rests { .. } => true,
            Standing::OnTrial => self.rests_longer(now),
        }
    }

    /// It could not be connected to. Who finds it resting changes nothing: requests that failed
    /// together count once. Says whether it begins to rest.
    pub(super) fn missed(&self, now: Instant) -> bool {
        match self.standing(now) {
            Standing::In => self.rests_longer(now),
            Standing::OnTrial => {
                self.rests_longer(now);
                false
            }
            Standing::Rests { .. } => false,
        }
    }

    /// A connection stands. Says whether it rested before.
    pub(super) fn reached(&self) -> bool {
        self.word.load(Ordering::Relaxed) != 0 && self.word.swap(0, Ordering::Relaxed) != 0
    }

    fn rests_longer(&self, now: Instant) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        let misses = unpacked(word).map_or(0, |(_, misses)| misses);
        let length = FIRST_MILLIS.checked_shl(misses.into()).unwrap_or(LONGEST_MILLIS);
        let until = self.millis(now).saturating_add(length.min(LONGEST_MILLIS));
        let next = (until << MISSES_BITS) | u64::from(misses.saturating_add(1).min(MISSES_MAX));
        self.word.compare_exchange(word, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.since).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

fn unpacked(word: u64) -> Option<(u64, u8)> {
    let misses = u8::try_from(word & u64::from(u8::MAX)).unwrap_or(u8::MAX);
    (word != 0).then_some((word >> MISSES_BITS, misses))
}

/// The first rest; each that follows it without a connection is twice as long.
const FIRST_MILLIS: u64 = 1_000;
const LONGEST_MILLIS: u64 = 30_000;
/// By then a rest is as long as it gets.
const MISSES_MAX: u8 = 8;
const MISSES_BITS: u32 = u8::BITS;
