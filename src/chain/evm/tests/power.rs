//! What chance decides, and what keeps a gateway going until it is cut off.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::facilitator::scripted::Dice;

/// Dice for whoever asks, from one seed. What falls depends on what is asked and how often it was
/// asked before, not on who else asks meanwhile: tasks that are woken in another order meet the
/// same luck.
#[derive(Debug)]
pub(crate) struct Chance {
    seed: u64,
    asked: Mutex<HashMap<u64, u64>>,
    clear: AtomicBool,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, asked: Mutex::default(), clear: AtomicBool::new(false) }
    }

    /// From now on nothing goes wrong.
    pub(crate) fn clears(&self) {
        self.clear.store(true, Ordering::Relaxed);
    }

    /// Whether something goes wrong that does so often, of a thousand times.
    pub(crate) fn strikes(&self, dice: &mut Dice, often: u64) -> bool {
        dice.below(1_000) < often && !self.clear.load(Ordering::Relaxed)
    }

    /// Dice for one occasion of this kind.
    pub(crate) fn about(&self, what: impl Hash) -> Dice {
        let mut hasher = DefaultHasher::new();
        (self.seed, what).hash(&mut hasher);
        let what = hasher.finish();
        let mut asked = self.asked.lock();
        let times = asked.entry(what).or_default();
        *times += 1;
        Dice(what ^ times.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }
}

/// What one life of a gateway runs on. Everything it writes, in its ledger or to a node, is an act.
#[derive(Debug)]
pub(crate) struct Power {
    acts_left: AtomicU64,
    after: AtomicBool,
}

/// How an act goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// As it should.
    Done,
    /// The gateway dies, and it is not done.
    CutBefore,
    /// It is done, and the gateway dies before it hears so.
    CutAfter,
}

impl Power {
    /// For ever.
    pub(crate) fn on() -> Self {
        Self { acts_left: AtomicU64::new(u64::MAX), after: AtomicBool::new(false) }
    }

    /// It ends with one of the next acts: before it is done, or after.
    pub(crate) fn ends(&self, acts: u64, after: bool) {
        self.acts_left.store(acts, Ordering::Relaxed);
        self.after.store(after, Ordering::Relaxed);
    }

    pub(crate) fn is_off(&self) -> bool {
        self.acts_left.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn act(&self) -> Act {
        match self.acts_left.load(Ordering::Relaxed) {
            u64::MAX => Act::Done,
            0 => Act::CutBefore,
            left => {
                self.acts_left.store(left - 1, Ordering::Relaxed);
                match (left, self.after.load(Ordering::Relaxed)) {
                    (1, true) => Act::CutAfter,
                    (1, false) => Act::CutBefore,
                    _ => Act::Done,
                }
            }
        }
    }
}
