//! One payment from header to receipt. Each stage is a type that only the stage before it makes:
//! `Presented → Proven → Reserved → Verified → Settled → Receipt`.

pub mod again;
mod outlive;
pub mod prepaid;
pub mod present;
pub mod prove;
pub mod receipt;
pub mod recover;
pub mod reserve;
pub mod settle;
pub mod verify;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::clock::Clock;
use crate::facilitator::Facilitator;
use crate::fault::{Fault, Retry, Side};
use crate::ledger::Ledger;
use crate::ledger::answers::Answers;

pub use again::{Bought, Given, Returning, Withheld};
pub use prepaid::{Prepaid, Unprepaid};
pub use present::{Presented, present};
pub use prove::Proven;
pub use receipt::Receipt;
pub use reserve::{Reserved, Standing};
pub use settle::{Settled, Unsettled};
pub use verify::{Unverified, Verified};

/// What the stages share: the ledger, who settles, and the clock.
#[derive(Clone)]
pub struct Payments {
    inner: Arc<Inner>,
    answers: Answers,
}

struct Inner {
    ledger: Ledger,
    facilitators: HashMap<Arc<str>, Facilitator>,
    clock: Clock,
    under_way: AtomicUsize,
}

impl Payments {
    /// Payments recorded in `ledger` and settled by `facilitators`.
    pub fn new(ledger: Ledger, facilitators: HashMap<Arc<str>, Facilitator>, clock: Clock) -> Self {
        Self {
            inner: Arc::new(Inner { ledger, facilitators, clock, under_way: AtomicUsize::new(0) }),
            answers: Answers::off(),
        }
    }

    /// The same, whose answers are kept here for payers who come back.
    pub fn keeping(self, answers: Answers) -> Self {
        Self { answers, ..self }
    }

    /// Where answers are kept.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// The ledger that these payments are recorded in.
    pub fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// Everyone who settles, by name.
    pub fn facilitators(&self) -> impl Iterator<Item = (&str, &Facilitator)> {
        self.inner.facilitators.iter().map(|(name, facilitator)| (&**name, facilitator))
    }

    /// Settlements that have begun and whose outcome is not written down yet.
    pub fn under_way(&self) -> usize {
        self.inner.under_way.load(Ordering::Acquire)
    }

    fn facilitator(&self, name: &str) -> Result<&Facilitator, Fault> {
        let unknown = || Fault::new(Side::Ours, Retry::Never, "no facilitator has this name");
        self.inner.facilitators.get(name).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests;
