//! What looks at a backend have come to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::route::upstream::Health;

/// One task writes it, requests read it.
#[derive(Debug, Default)]
pub(super) struct Check {
    failed: AtomicBool,
    /// So many looks in a row were against what is believed.
    against: AtomicUsize,
    /// There was one.
    known: AtomicBool,
}

/// What a look has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// The backend gets no more requests.
    Out,
    /// It gets some again.
    In,
}

impl Check {
    /// Whether it gets no requests.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// One more look. The first one decides alone where it failed: nothing speaks for the backend.
    pub(super) fn seen(&self, passed: bool, health: &Health) -> Option<Turned> {
        let (failed, known) = (self.has_failed(), self.known.swap(true, Ordering::Relaxed));
        if passed != failed {
            self.against.store(0, Ordering::Relaxed);
            return None;
        }
        let against = self.against.load(Ordering::Relaxed).saturating_add(1);
        let enough = match failed {
            true => health.passes.get(),
            false if known => health.fails.get(),
            false => 1,
        };
        if against < enough {
            self.against.store(against, Ordering::Relaxed);
            return None;
        }
        self.against.store(0, Ordering::Relaxed);
        self.failed.store(!passed, Ordering::Relaxed);
        Some(if passed { Turned::In } else { Turned::Out })
    }
}
