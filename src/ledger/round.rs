//! What one commit writes: many payments, each changed in one way only.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher as _;
use std::sync::Arc;

use super::mail::Mail;
use super::queue::{Advancing, Claiming, Op};
use super::{Claimed, Misstep};
use crate::fault::{Fault, Retry, Side};
use crate::x402::PaymentIdentity;

/// Ops whose order does not matter but for that of the claims among themselves, because no payment
/// has both a claim and a step, or two steps.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) claims: Vec<Claiming>,
    pub(super) advances: Vec<Advancing>,
}

/// What the ledger said of the ops of a round. One for each, in order.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) claims: Vec<Claimed>,
    pub(super) advances: Vec<Result<(), Misstep>>,
}

/// Ops in rounds, in the order in which they came.
pub(super) fn rounds(ops: impl Iterator<Item = Op>) -> Vec<Round> {
    let mut rounds = Vec::with_capacity(1);
    let mut last = Filling::default();
    for op in ops {
        if let Some(op) = last.put(op) {
            rounds.push(std::mem::take(&mut last).round);
            // An empty round takes any.
            let _put = last.put(op);
        }
    }
    rounds.push(last.round);
    rounds
}

impl Round {
    /// How many ops.
    pub(super) fn len(&self) -> usize {
        self.claims.len() + self.advances.len()
    }

    /// A round for each op.
    pub(super) fn split(self) -> impl Iterator<Item = Self> {
        let claims = self.claims.into_iter().map(|op| Self { claims: vec![op], advances: vec![] });
        let advances =
            self.advances.into_iter().map(|op| Self { claims: vec![], advances: vec![op] });
        claims.chain(advances)
    }

    /// Tells everyone who still waits what the ledger said. It is on the disk by now.
    pub(super) fn answer(self, outcome: Outcome) {
        let mut mail = Mail::default();
        for (op, claimed) in self.claims.into_iter().zip(outcome.claims) {
            mail.put(op.answer, Ok(claimed));
        }
        for (op, result) in self.advances.into_iter().zip(outcome.advances) {
            match op.answer {
                Some(answer) => mail.put(answer, result.map_err(Fault::from)),
                // A drop after the payment has gone on, or a claim that was never written.
                None => tracing::trace!(exchange = %op.exchange, ?result, "released"),
            }
        }
        mail.send();
    }

    /// Tells everyone who still waits that nothing was written, and gives back the releases that
    /// can still be: nobody waits for them, and they must not be lost.
    pub(super) fn fail<E>(self, retry: Retry, error: &Arc<E>) -> Vec<Op>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        tracing::error!(%error, ops = self.len(), "the ledger cannot be written");
        let fault = || {
            Fault::new(Side::Ledger, retry, "the ledger cannot be written")
                .caused_by(Arc::clone(error))
        };
        for op in self.claims {
            op.answer.give(Err(fault()));
        }
        let mut late = Vec::new();
        for op in self.advances {
            match op.answer {
                Some(answer) => answer.give(Err(fault())),
                None if retry == Retry::Later => late.push(Op::Advance(op)),
                None => {}
            }
        }
        late
    }
}

/// A round that ops are put into, and what it already has of each payment.
#[derive(Default)]
struct Filling {
    round: Round,
    kinds: HashMap<u64, Kind>,
    hasher: RandomState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Claims,
    Advance,
}

impl Filling {
    /// Puts an op into the round; gives it back where it does not fit.
    fn put(&mut self, op: Op) -> Option<Op> {
        match op {
            Op::Claim(op) if self.takes(&op.claim.identity, Kind::Claims) => {
                self.round.claims.push(op);
            }
            Op::Advance(op) if self.takes(&op.identity, Kind::Advance) => {
                self.round.advances.push(op);
            }
            Op::Close => {}
            op => return Some(op),
        }
        None
    }

    /// Whether an op of this kind still fits; if so, it is noted. Two payments with one hash are
    /// taken for one, and kept apart for nothing, which does no harm.
    fn takes(&mut self, identity: &PaymentIdentity, kind: Kind) -> bool {
        let full = match kind {
            Kind::Claims => self.round.claims.len() >= ROUND_LEN_MAX,
            Kind::Advance => self.round.advances.len() >= ROUND_LEN_MAX,
        };
        if full {
            return false;
        }
        match self.kinds.entry(self.hasher.hash_one(identity)) {
            Entry::Vacant(vacant) => {
                vacant.insert(kind);
                true
            }
            Entry::Occupied(had) => (*had.get(), kind) == (Kind::Claims, Kind::Claims),
        }
    }
}

/// Claims, and steps, in one round: rows of the largest statement.
pub(super) const ROUND_LEN_MAX: usize = 64;
