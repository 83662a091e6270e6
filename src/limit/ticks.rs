//! The time that buckets refill by.

use std::time::Instant;

use governor::clock::{Clock, FakeRelativeClock};
use governor::nanos::Nanos;

use crate::clock;

/// A steady time, counted from some start.
#[derive(Clone, Debug)]
pub enum Ticks {
    /// The machine's steady clock, from this moment on.
    Since(Instant),
    /// A clock that tests move.
    Set(FakeRelativeClock),
}

impl Ticks {
    /// Counts from now.
    pub fn steady() -> Self {
        Self::Since(clock::steady())
    }
}

impl Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        match self {
            Self::Since(start) => clock::steady().saturating_duration_since(*start).into(),
            Self::Set(clock) => clock.now(),
        }
    }
}
