//! The promises, looked at after every step.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;

use super::super::simulation::Served;
use super::signed::Signed;
use super::world::Answer;
use crate::chain::evm::tests::{Key, Shared};
use crate::ledger::State;
use crate::ledger::tests::simulated::Books;
use crate::refusal::Refusal;

/// What was promised to whom so far.
pub(super) struct Checks {
    ground: Shared,
    /// The transaction that each served payment was served for.
    served: BTreeMap<Key, B256>,
    /// Payments whose authorization somebody else has sent.
    sent_by_strangers: BTreeSet<Key>,
}

impl Checks {
    pub(super) fn new(ground: Shared) -> Self {
        let (served, sent_by_strangers) = Default::default();
        Self { ground, served, sent_by_strangers }
    }

    pub(super) fn is_sent_by_a_stranger(&mut self, key: Key) {
        self.sent_by_strangers.insert(key);
    }

    /// What a client is told is true, and nobody is served twice for one payment.
    pub(super) fn answer(&mut self, answer: Answer) {
        let Answer { signed: Signed { key, presented, .. }, result, moves } = answer;
        let payment = presented.identity();
        tracing::debug!(nonce = %payment.nonce, ?result, moves, "told");
        match result {
            Ok(Served::Again(given)) => panic!("nobody keeps answers here: {given:?}"),
            Ok(Served::Now(settled)) => {
                let transaction: B256 = settled.transaction().parse().unwrap();
                let moved = self.ground.lock().has_moved(transaction, &key);
                assert!(moved, "{payment} was served for {transaction}, which did not move it");
                let before = self.served.insert(key, transaction);
                assert_eq!(before, None, "{payment} was served twice");
            }
            Err(refusal) => {
                self.refused(key, &refusal, moves);
            }
        }
    }

    fn refused(&self, key: Key, refusal: &Refusal, moves: bool) {
        let asked_to_pay = refusal.row().status == 402 && !self.is_excused(&key);
        assert!(!(asked_to_pay && moves), "{key:?} has paid, or may, and is told {refusal:?}");
        if let Refusal::PaymentUsed { transaction, .. } = refusal {
            let transaction = transaction.parse().unwrap();
            let moved = self.ground.lock().has_moved(transaction, &key);
            assert!(moved, "{key:?} is told {refusal:?}");
        }
    }

    /// Whether the chain is allowed to disagree: somebody else has sent the authorization, or a
    /// block was taken back that was as deep as the operator has asked for.
    fn is_excused(&self, key: &Key) -> bool {
        self.sent_by_strangers.contains(key) || self.ground.lock().was_taken_back(key)
    }

    /// The ledger lets go of no payment that has moved or may still move.
    pub(super) fn books(&mut self, books: &Books, signed: &Signed) {
        let Signed { key, presented, .. } = signed;
        let Some(entry) = books.get(&presented.identity()) else { return };
        let excused = self.is_excused(key);
        let ground = self.ground.lock();
        if entry.state.is_free() && !excused {
            assert_eq!(ground.mover(key), None, "it has moved: {entry:?}");
            assert!(!ground.may_still_move(key), "it may still move: {entry:?}");
        }
        if entry.state == State::Settled {
            let transaction = entry.transaction.as_deref().unwrap().parse().unwrap();
            assert!(ground.has_moved(transaction, key), "it never moved: {entry:?}");
        }
    }

    /// Everything has come to its end, and the ledger agrees with the chain.
    pub(super) fn the_end(&mut self, books: &Books, signed: &Signed) {
        let Signed { key, presented, .. } = signed;
        let entry = books.get(&presented.identity());
        let (state, moved) = (entry.as_ref().map(|e| e.state), self.ground.lock().mover(key));
        if entry.as_ref().is_some_and(|entry| entry.state.is_unfinished()) {
            panic!("it has come to no end: {entry:?}, {moved:?}");
        }
        if self.is_excused(key) {
            return;
        }
        match (state, moved) {
            (Some(State::Settled), Some(moved)) => {
                let named = entry.and_then(|entry| entry.transaction);
                assert_eq!(named.as_deref(), Some(&*format!("{moved:#x}")));
            }
            (None | Some(State::Released | State::Refused), None) => {}
            _ => panic!("{entry:?}, and the chain says {moved:?}"),
        }
        if let Some(transaction) = self.served.get(key) {
            assert_eq!(Some(*transaction), moved, "served and not paid: {key:?}");
        }
    }
}
