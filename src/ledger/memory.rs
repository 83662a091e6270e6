//! A ledger in this process's memory: nothing is written anywhere, no future ever waits.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Claim, Claimed, Entry, ExchangeId, Holder, Mark, Misstep, Step, Unfinished, Wanted};
use crate::clock::UnixMillis;
use crate::fault::{Fault, Retry, Side};
use crate::x402::PaymentIdentity;

/// Entries by payment, in shards with a lock each.
#[derive(Debug)]
pub(super) struct Memory {
    shards: [Mutex<Shard>; SHARDS],
    /// The number of the last claim.
    serial: AtomicI64,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    /// Boxed: a table that grows moves a word of each.
    entries: HashMap<PaymentIdentity, Box<Line>>,
    /// What can be forgotten, by the moment from which nobody can pay with it any more, in Unix
    /// seconds, and by the number of the claim.
    finished: BTreeMap<(u64, i64), PaymentIdentity>,
}

#[derive(Debug)]
struct Line {
    entry: Entry,
    serial: i64,
}

impl Memory {
    pub(super) fn new() -> Self {
        let serial = AtomicI64::new(0);
        Self { shards: Default::default(), serial, hasher: RandomState::new() }
    }

    pub(super) fn claim(&self, claim: Claim, now: UnixMillis) -> Result<Claimed, Fault> {
        let mut shard = self.shard(&claim.identity);
        // Under the lock, so that a payment's numbers grow.
        let serial = self.serial.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        shard.claim(claim, serial, now)
    }

    pub(super) fn advance(
        &self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        step: &Step,
        now: UnixMillis,
    ) -> Result<(), Misstep> {
        self.shard(identity).advance(identity, exchange, step, now)
    }

    pub(super) fn get(&self, identity: &PaymentIdentity) -> Option<Entry> {
        self.shard(identity).entries.get(identity).map(|line| line.entry.clone())
    }

    pub(super) fn has_paid(&self, wanted: &Wanted<'_>) -> bool {
        let has = |shard| open(shard).entries.values().any(|line| wanted.is(&line.entry));
        self.shards.iter().any(has)
    }

    /// Entries before a mark, newest claim first.
    pub(super) fn page(&self, before: Mark, limit: u32) -> Vec<(Mark, Entry)> {
        let mut lines = self.lines(|line| line.serial < before.0);
        lines.sort_by_key(|(mark, _)| std::cmp::Reverse(*mark));
        lines.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        lines
    }

    /// What is in flight behind a mark, oldest claim first. All of it is this process's.
    pub(super) fn unfinished(&self, after: Mark, limit: u32) -> Vec<Unfinished> {
        let unfinished = |line: &Line| line.entry.state.is_unfinished();
        let mut lines = self.lines(|line| line.serial > after.0 && unfinished(line));
        lines.sort_by_key(|(mark, _)| *mark);
        lines.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let read = |(mark, entry)| Unfinished { mark, entry, holder: Holder::Lives };
        lines.into_iter().map(read).collect()
    }

    fn lines(&self, wanted: impl Fn(&Line) -> bool) -> Vec<(Mark, Entry)> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = open(shard);
            let lines = shard.entries.values().filter(|line| wanted(line));
            found.extend(lines.map(|line| (Mark(line.serial), line.entry.clone())));
        }
        found
    }

    fn shard(&self, identity: &PaymentIdentity) -> MutexGuard<'_, Shard> {
        let [first, rest @ ..] = &self.shards;
        let hash = self.hasher.hash_one(identity);
        let number = usize::try_from(hash % SHARDS_U64).unwrap_or(0);
        // Shard 0 is `first`, the others are in `rest`.
        open(number.checked_sub(1).and_then(|n| rest.get(n)).unwrap_or(first))
    }
}

impl Shard {
    fn claim(&mut self, claim: Claim, serial: i64, now: UnixMillis) -> Result<Claimed, Fault> {
        let free = match self.entries.get(&claim.identity) {
            Some(line) if !line.entry.state.is_free() => {
                return Ok(Claimed::Taken(line.entry.clone()));
            }
            Some(line) => Some(line.forgettable()),
            None => None,
        };
        match free {
            Some(key) => {
                self.finished.remove(&key);
            }
            None => self.make_room(now)?,
        }
        let identity = claim.identity.clone();
        self.entries.insert(identity, Box::new(Line { entry: Entry::of(claim, now), serial }));
        Ok(Claimed::Ours)
    }

    fn advance(
        &mut self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        step: &Step,
        now: UnixMillis,
    ) -> Result<(), Misstep> {
        let line = self.entries.get_mut(identity).ok_or(Misstep::NoEntry)?;
        line.entry.advance(exchange, step, now)?;
        if !line.entry.state.is_unfinished() {
            self.finished.insert(line.forgettable(), identity.clone());
        }
        Ok(())
    }

    /// Forgets the oldest entry that nobody can pay with any more, if the shard is full.
    fn make_room(&mut self, now: UnixMillis) -> Result<(), Fault> {
        if self.entries.len() < SHARD_LEN_MAX {
            return Ok(());
        }
        match self.finished.first_entry() {
            Some(oldest) if oldest.key().0 <= now.seconds() => {
                self.entries.remove(&oldest.remove());
                Ok(())
            }
            Some(_) | None => {
                Err(Fault::new(Side::Ledger, Retry::Later, "the ledger in memory is full"))
            }
        }
    }
}

impl Line {
    /// From which moment, in Unix seconds, nothing is lost by forgetting it once it is finished. A
    /// payment that did not move may be claimed again anyway; one that did, must be remembered
    /// until no chain takes it.
    fn forgettable(&self) -> (u64, i64) {
        let moment = if self.entry.state.is_free() { 0 } else { self.entry.valid_before };
        (moment, self.serial)
    }
}

/// Locks a shard. A panic elsewhere cannot leave one half changed: every change is one insertion.
fn open(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many locks.
const SHARDS: usize = 16;
const SHARDS_U64: u64 = 16;

/// Entries in one shard, half a million in all: some 300 MiB at most.
const SHARD_LEN_MAX: usize = 32_768;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::{claim, identity, settling};

    /// Fills a shard with payments that end at second 100, and takes each of them so far.
    fn full(steps: &[Step]) -> Shard {
        let mut shard = Shard::default();
        for payment in 0..u64::try_from(SHARD_LEN_MAX).unwrap() {
            let claim = Claim { valid_before: 100, ..claim(payment, 1) };
            let (identity, exchange) = (claim.identity.clone(), claim.exchange);
            shard.claim(claim, payment.cast_signed(), UnixMillis::new(0)).unwrap();
            for step in steps {
                shard.advance(&identity, exchange, step, UnixMillis::new(0)).unwrap();
            }
        }
        shard
    }

    #[track_caller]
    fn check(steps: &[Step], second: i64, fits: bool) {
        let mut shard = full(steps);
        let now = UnixMillis::new(second * 1000);
        assert_eq!(shard.claim(claim(u64::MAX, 1), i64::MAX, now).is_ok(), fits);
        assert_eq!(shard.entries.len(), SHARD_LEN_MAX);
        assert_eq!(shard.entries.contains_key(&identity(0)), !fits);
    }

    #[test]
    fn what_moved_is_kept_until_no_chain_takes_it() {
        let settled = [settling("dev"), Step::Settled { transaction: "0x1".into() }];
        check(&settled, 99, false);
        check(&settled, 100, true);
    }

    #[test]
    fn what_is_in_flight_is_never_forgotten() {
        check(&[settling("dev")], 1_000, false);
    }

    #[test]
    fn what_did_not_move_makes_room() {
        check(&[Step::Released], 1, true);
    }

    #[test]
    fn a_payment_that_is_claimed_again_leaves_no_trace_of_the_first_time() {
        let mut shard = Shard::default();
        for serial in 1..=3_i64 {
            let claim = claim(1, serial.unsigned_abs().into());
            let exchange = claim.exchange;
            assert_eq!(shard.claim(claim, serial, UnixMillis::new(0)).unwrap(), Claimed::Ours);
            assert!(shard.finished.is_empty());
            let now = UnixMillis::new(0);
            shard.advance(&identity(1), exchange, &Step::Released, now).unwrap();
            shard.advance(&identity(1), exchange, &Step::Released, now).unwrap();
            assert_eq!(shard.finished.len(), 1);
        }
    }
}
