//! A facilitator that breaks as dice tell it, and the little chain behind it, for simulations.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::yield_now;

use super::{Order, Outcome, Trace, Verdict};
use crate::fault::{Fault, Retry, Side};
use crate::x402::{ErrorReason, PaymentIdentity};

/// A chain and the facilitator before it. They outlive a crash of the gateway.
pub struct Scripted {
    chain: Mutex<Chain>,
}

/// Whether [`Facilitator::trace`](super::Facilitator::trace) always says what it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracing {
    /// Now and then nobody can be asked.
    Sometimes,
    /// It does.
    Always,
}

struct Chain {
    dice: Dice,
    tracing: Tracing,
    fates: HashMap<PaymentIdentity, Fate>,
    transfers: u64,
    broken: Vec<String>,
}

/// What has become of a payment that was asked for. None: nothing, and we were told so.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// Taken in; not on its way yet.
    Asked,
    /// On its way; it may move.
    Late,
    /// It never moves, but nobody has been told.
    Still,
    /// The money moved.
    Moved(Box<str>),
}

/// How a settlement goes.
#[derive(Clone, Copy, Debug)]
enum Way {
    Told,
    AnswerLost,
    Rejected,
    NotSent,
    NeverMoves,
    Late,
}

impl Scripted {
    pub(crate) fn new(seed: u64) -> Self {
        let (dice, tracing) = (Dice(seed), Tracing::Sometimes);
        let (fates, broken) = (HashMap::new(), Vec::new());
        Self { chain: Mutex::new(Chain { dice, tracing, fates, transfers: 0, broken }) }
    }

    pub(super) async fn verify(&self, order: &Order) -> Result<Verdict, Fault> {
        self.pause().await;
        let mut chain = self.chain();
        if chain.moved(&order.identity()).is_some() {
            return Ok(Verdict::Bad(ErrorReason::DuplicateSettlement));
        }
        match chain.dice.below(10) {
            0 => Ok(Verdict::Bad(ErrorReason::InsufficientFunds)),
            1 => Err(fault()),
            _ => Ok(Verdict::Good),
        }
    }

    pub(super) async fn settle(&self, order: &Order) -> Outcome {
        let identity = order.identity();
        self.chain().take(&identity);
        self.pause().await;
        let way = self.chain().send(&identity);
        self.pause().await;
        self.chain().answer(&identity, way)
    }

    pub(super) async fn trace(&self, identity: &PaymentIdentity) -> Trace {
        self.pause().await;
        self.chain().trace(identity)
    }

    /// The transaction of a payment whose money has moved.
    pub(crate) fn moved(&self, identity: &PaymentIdentity) -> Option<Box<str>> {
        self.chain().moved(identity)
    }

    /// The gateway has died: what it had not sent is not on its way.
    pub(crate) fn crash(&self) {
        let fates = &mut self.chain().fates;
        fates
            .values_mut()
            .filter(|fate| **fate == Fate::Asked)
            .for_each(|fate| *fate = Fate::Still);
    }

    /// What was late moves, or never will.
    pub(crate) fn decide(&self) {
        self.chain().decide();
    }

    pub(crate) fn set_tracing(&self, tracing: Tracing) {
        self.chain().tracing = tracing;
    }

    /// What the gateway did that it never may.
    pub(crate) fn broken(&self) -> Vec<String> {
        self.chain().broken.clone()
    }

    async fn pause(&self) {
        let turns = self.chain().dice.below(5);
        for _ in 0..turns {
            yield_now().await;
        }
    }

    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted").finish_non_exhaustive()
    }
}

impl Chain {
    fn take(&mut self, identity: &PaymentIdentity) {
        if let Some(fate) = self.fates.insert(identity.clone(), Fate::Asked) {
            self.broken.push(format!("{identity} was asked for again: {fate:?}"));
            self.fates.insert(identity.clone(), fate);
        }
    }

    fn send(&mut self, identity: &PaymentIdentity) -> Way {
        let way = match self.dice.below(12) {
            0..=4 => Way::Told,
            5 | 6 => Way::AnswerLost,
            7 => Way::Rejected,
            8 => Way::NotSent,
            9 => Way::NeverMoves,
            _ => Way::Late,
        };
        if self.moved(identity).is_some() {
            return way;
        }
        match way {
            Way::Told | Way::AnswerLost => self.transfer(identity),
            Way::Rejected | Way::NotSent | Way::NeverMoves => self.become_of(identity, Fate::Still),
            Way::Late => self.become_of(identity, Fate::Late),
        }
        way
    }

    fn answer(&mut self, identity: &PaymentIdentity, way: Way) -> Outcome {
        let moved = self.moved(identity);
        let named = self.dice.below(2) == 0;
        match (way, moved) {
            (Way::Told, Some(transaction)) => Outcome::Settled { transaction },
            (Way::Rejected, None) => {
                self.fates.remove(identity);
                Outcome::Rejected(ErrorReason::InsufficientFunds)
            }
            (Way::NotSent, None) => {
                self.fates.remove(identity);
                Outcome::NotSent(fault())
            }
            (_, moved) => {
                let transaction = moved.or_else(|| Some("0xnot-yet".into())).filter(|_| named);
                Outcome::Unknown { transaction, said: None, fault: fault() }
            }
        }
    }

    fn trace(&mut self, identity: &PaymentIdentity) -> Trace {
        if self.tracing == Tracing::Sometimes && self.dice.below(3) == 0 {
            return Trace::CannotTell;
        }
        match self.fates.get(identity) {
            Some(Fate::Moved(transaction)) => Trace::Moved { transaction: transaction.clone() },
            Some(Fate::Late) => Trace::CannotTell,
            Some(Fate::Asked) => {
                self.broken.push(format!("{identity} was looked for while it was settled"));
                Trace::CannotTell
            }
            Some(Fate::Still) | None => {
                self.fates.remove(identity);
                Trace::NotMoved
            }
        }
    }

    fn decide(&mut self) {
        let late = self.fates.iter().filter(|(_, fate)| **fate == Fate::Late);
        // In an order that the seed decides, not the map.
        let mut late: Vec<_> = late.map(|(identity, _)| identity.clone()).collect();
        late.sort();
        for identity in late {
            match self.dice.below(2) {
                0 => self.transfer(&identity),
                _ => self.become_of(&identity, Fate::Still),
            }
        }
    }

    fn transfer(&mut self, identity: &PaymentIdentity) {
        self.transfers += 1;
        let transaction = format!("0x{:064x}", self.transfers).into();
        self.become_of(identity, Fate::Moved(transaction));
    }

    fn become_of(&mut self, identity: &PaymentIdentity, fate: Fate) {
        self.fates.insert(identity.clone(), fate);
    }

    fn moved(&self, identity: &PaymentIdentity) -> Option<Box<str>> {
        match self.fates.get(identity) {
            Some(Fate::Moved(transaction)) => Some(transaction.clone()),
            Some(Fate::Asked | Fate::Late | Fate::Still) | None => None,
        }
    }
}

fn fault() -> Fault {
    Fault::new(Side::Facilitator, Retry::Later, "as the dice say")
}

/// SplitMix64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
