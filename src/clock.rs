//! The only place that reads a clock; everyone else is handed the time.

pub mod date;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(i64);

impl UnixMillis {
    /// The moment this many milliseconds after the epoch.
    pub const fn new(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch; zero before it.
    pub fn seconds(self) -> u64 {
        u64::try_from(self.0.div_euclid(1000)).unwrap_or(0)
    }

    /// This moment plus a length of time, held at the far end of the scale.
    pub fn plus(self, length: Duration) -> Self {
        let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// How long after an earlier moment this is; nothing when that is later.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// This moment minus a length of time, held at the near end of the scale.
    pub fn minus(self, length: Duration) -> Self {
        let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's own clocks.
    #[default]
    System,
    /// A clock that tests move.
    Set(Arc<AtomicI64>),
    /// One that goes with the steady clock, from this time of day at this moment.
    #[cfg(test)]
    Steady(UnixMillis, Instant),
}

impl Clock {
    /// A clock that stands at `now` until a test moves it.
    pub fn set_to(now: UnixMillis) -> (Self, Arc<AtomicI64>) {
        let hand = Arc::new(AtomicI64::new(now.0));
        (Self::Set(Arc::clone(&hand)), hand)
    }

    /// The time of day.
    pub fn now(&self) -> UnixMillis {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Set(hand) => UnixMillis(hand.load(Ordering::Relaxed)),
            #[cfg(test)]
            Self::Steady(from, since) => from.plus(steady().saturating_duration_since(*since)),
        }
    }

    /// The time of day in nanoseconds since the epoch, for what is shorter than a millisecond.
    pub fn nanos(&self) -> u64 {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
            }
            other => u64::try_from(other.now().millis()).unwrap_or(0).saturating_mul(1_000_000),
        }
    }
}

/// A moment of the machine's steady clock, for measuring lengths of time. It stands still where a
/// simulation has stopped tokio's.
pub fn steady() -> Instant {
    tokio::time::Instant::now().into_std()
}
