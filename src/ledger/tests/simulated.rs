//! One ledger for several gateways in this process: it outlives them, is slow, fails, and is cut
//! off with whoever writes it. The way to its writer is the real one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;

use crate::chain::evm::tests::{Act, Chance, Power};
use crate::fault::{Fault, Retry, Side};
use crate::ledger::memory::Memory;
use crate::ledger::queue::{Advancing, Claiming, Op, Ops, Queue, queue};
use crate::ledger::{Claimed, Entry, Holder, Ledger, Mark, Store, Unfinished, Wanted};
use crate::x402::PaymentIdentity;

/// What is written, and by whom.
#[derive(Debug)]
pub(crate) struct Books {
    memory: Memory,
    chance: Chance,
    /// Of a thousand writes, so many go wrong.
    faults: u64,
    holders: Mutex<HashMap<PaymentIdentity, usize>>,
    leases: Mutex<Vec<Holder>>,
}

/// One gateway's handle.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(in crate::ledger) queue: Queue,
    pub(in crate::ledger) books: Arc<Books>,
}

impl Books {
    pub(crate) fn new(seed: u64, faults: u64) -> Arc<Self> {
        let (holders, leases) = Default::default();
        let (memory, chance) = (Memory::new(), Chance::new(seed));
        Arc::new(Self { memory, chance, faults, holders, leases })
    }

    /// Opens it for one more life of a gateway, and says as which instance.
    pub(crate) fn open(self: &Arc<Self>, power: &Arc<Power>) -> (Ledger, usize) {
        let (queue, ops) = queue();
        let instance = {
            let mut leases = self.leases.lock();
            leases.push(Holder::Lives);
            leases.len() - 1
        };
        let (books, power) = (Arc::clone(self), Arc::clone(power));
        tokio::spawn(async move { books.write(ops, instance, &power).await });
        let books = Arc::clone(self);
        (Ledger { store: Store::Simulated(Opened { queue, books }) }, instance)
    }

    pub(in crate::ledger) fn has_paid(&self, wanted: &Wanted<'_>) -> bool {
        self.memory.has_paid(wanted)
    }

    /// From now on nothing goes wrong.
    pub(crate) fn clears(&self) {
        self.chance.clears();
    }

    /// What the others believe of an instance, rightly or not.
    pub(crate) fn set_lease(&self, instance: usize, holder: Holder) {
        self.leases.lock()[instance] = holder;
    }

    async fn write(&self, mut ops: Ops, instance: usize, power: &Arc<Power>) {
        let (mut taken, mut late) = (Vec::new(), Vec::new());
        loop {
            if late.is_empty() {
                ops.take(&mut taken, 64).await;
                if taken.is_empty() {
                    return;
                }
            } else {
                sleep(Duration::from_millis(500)).await;
            }
            for op in late.drain(..).chain(taken.drain(..)).collect::<Vec<_>>() {
                late.extend(self.do_one(op, instance, power).await);
            }
        }
    }

    /// Does one thing, slowly or not at all; gives back a release that must be tried again.
    async fn do_one(&self, op: Op, instance: usize, power: &Power) -> Option<Op> {
        let mut dice = self.chance.about(name(&op));
        let fails = self.chance.strikes(&mut dice, self.faults);
        let act = power.act();
        if act == Act::CutBefore {
            std::future::pending::<()>().await;
        }
        // Sometimes longer than anybody waits for it.
        let slow = if self.chance.strikes(&mut dice, self.faults / 2) { 7_000 } else { 4 };
        sleep(Duration::from_millis(dice.below(slow))).await;
        let (back, answer) = self.apply(op, instance, fails);
        if act == Act::CutAfter {
            std::future::pending::<()>().await;
        }
        answer();
        back
    }

    fn apply(
        &self,
        op: Op,
        instance: usize,
        fails: bool,
    ) -> (Option<Op>, Box<dyn FnOnce() + Send>) {
        let fault = || Fault::new(Side::Ledger, Retry::Later, "as the dice say");
        match op {
            Op::Claim(Claiming { answer, .. }) if fails => {
                (None, Box::new(move || answer.give(Err(fault()))))
            }
            Op::Claim(Claiming { claim, now, answer, .. }) => {
                let identity = claim.identity.clone();
                let claimed = self.memory.claim(claim, now);
                if let Ok(Claimed::Ours) = claimed {
                    self.holders.lock().insert(identity, instance);
                }
                (None, Box::new(move || answer.give(claimed)))
            }
            Op::Advance(Advancing { answer: Some(answer), .. }) if fails => {
                (None, Box::new(move || answer.give(Err(fault()))))
            }
            Op::Advance(op) if fails => (Some(Op::Advance(op)), Box::new(|| {})),
            Op::Advance(Advancing { identity, exchange, step, now, answer, .. }) => {
                let done = self.memory.advance(&identity, exchange, &step, now);
                let answer = answer.map(|answer| move || answer.give(done.map_err(Fault::from)));
                (None, answer.map_or(Box::new(|| {}), |answer| Box::new(answer)))
            }
            Op::Close => (None, Box::new(|| {})),
        }
    }

    pub(crate) fn get(&self, identity: &PaymentIdentity) -> Option<Entry> {
        self.memory.get(identity)
    }

    pub(in crate::ledger) fn page(&self, before: Mark, limit: u32) -> Vec<(Mark, Entry)> {
        self.memory.page(before, limit)
    }

    pub(in crate::ledger) fn unfinished(&self, after: Mark, limit: u32) -> Vec<Unfinished> {
        let (holders, leases) = (self.holders.lock(), self.leases.lock());
        let held = |left: Unfinished| {
            let instance = holders[&left.entry.identity];
            Unfinished { holder: leases[instance], ..left }
        };
        self.memory.unfinished(after, limit).into_iter().map(held).collect()
    }
}

/// What is the same whenever the same seed comes to it.
fn name(op: &Op) -> String {
    match op {
        Op::Claim(op) => format!("{} {}", op.claim.identity, op.claim.exchange),
        Op::Advance(op) => format!("{} {} {:?}", op.identity, op.exchange, op.step),
        Op::Close => String::new(),
    }
}
