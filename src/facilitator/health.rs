//! Whether a facilitator is asked at all: circuits for each question, opened by faults.

mod breaker;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::breaker::{Breaker, Leave};
pub use self::breaker::{FAULTS_IN_A_ROW_MAX, FAULTS_LATELY_MAX, WAIT_MAX, WAIT_MIN};
use crate::clock::UnixMillis;
use crate::x402::Account;

/// What a facilitator is asked. Each has a circuit of its own, because one may work while the
/// other does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether a payment could be settled.
    Verify,
    /// To settle it.
    Settle,
}

/// A question about a payment of this payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub question: Question,
    /// Who pays.
    pub payer: Account,
}

/// How a circuit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// It is asked.
    Closed,
    /// One question is let through; its answer decides.
    HalfOpen,
    /// It is not asked.
    Open,
}

/// What an answer says of whoever gave it, or did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It answers as it should, whatever it says.
    Well,
    /// It does not, whoever asks.
    Faulty,
    /// It does not, and this payer may have caused that.
    FaultyFor(Account),
    /// It asks not to be asked for so long.
    Pause(Duration),
    /// Nothing: what went wrong is the payment's, or ours.
    Neither,
}

/// A circuit that has just changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose circuit.
    pub question: Question,
    /// How it stands now.
    pub circuit: Circuit,
    /// How long nobody is asked; nothing when it is closed.
    pub wait: Duration,
}

/// Leave to ask one question. Dropped without a sign, the place of a trial is free again.
#[derive(Debug)]
pub struct Pass<'a> {
    health: &'a Health,
    asked: Asked,
    leave: Leaves,
}

/// The circuits of one facilitator. Knows no clock: every call is told the time.
#[derive(Debug, Default)]
pub struct Health {
    verify: Mutex<Circuits>,
    settle: Mutex<Circuits>,
}

/// The circuits of one question: everyone's, and one for each payer who had faults lately, so that
/// whoever causes them turns away nobody else.
#[derive(Debug, Default)]
struct Circuits {
    everyone: Breaker,
    /// At most [`PAYERS_MAX`].
    payers: HashMap<Account, Breaker>,
}

/// Leave of everyone's circuit, and of the payer's own.
#[derive(Clone, Copy, Debug)]
struct Leaves {
    everyone: Leave,
    payer: Leave,
}

impl Question {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Verify, Self::Settle];

    /// The word in logs and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Settle => "settle",
        }
    }

    /// The same about a payment of this payer.
    pub const fn of(self, payer: Account) -> Asked {
        Asked { question: self, payer }
    }
}

impl Circuit {
    /// The word in logs and in `/readyz`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }

    /// The number in `/metrics`: the worse, the higher.
    pub const fn level(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

impl Health {
    /// Leave to ask, or how long to wait for it. Two trials never run at once.
    ///
    /// # Errors
    /// A circuit is open, or its one trial is under way.
    pub fn enter(&self, asked: Asked, now: UnixMillis) -> Result<Pass<'_>, Duration> {
        let leave = self.circuits(asked.question).enter(asked.payer, now)?;
        Ok(Pass { health: self, asked, leave })
    }

    /// How long until a payment may begin with this question; nothing where it may now. One that
    /// is verified must be settled too, so it waits for both.
    pub fn wait(&self, first: Asked, now: UnixMillis) -> Option<Duration> {
        let wait = |question| self.circuits(question).peek(first.payer, now).err();
        both(first.question, wait)
    }

    /// The same for payers who had no faults of their own.
    pub fn wait_of_everyone(&self, first: Question, now: UnixMillis) -> Option<Duration> {
        both(first, |question| self.circuits(question).everyone.peek(now).err())
    }

    /// How everyone's circuit stands.
    pub fn circuit(&self, question: Question, now: UnixMillis) -> Circuit {
        self.circuits(question).everyone.circuit(now)
    }

    /// Whether a circuit's wait is over within `ahead`: the moment to look, beside the requests,
    /// whether anybody is there, so that no request has to find out that nobody is.
    pub fn is_due(&self, now: UnixMillis, ahead: Duration) -> bool {
        let then = now.plus(ahead);
        Question::ALL.into_iter().any(|question| self.circuits(question).everyone.is_due(then))
    }

    /// Somebody looks now whether it is there: circuits whose wait is over within `ahead` wait
    /// again, and longer, unless [`Health::is_back`] ends it.
    pub fn look(&self, now: UnixMillis, ahead: Duration) {
        for question in Question::ALL {
            let everyone = &mut self.circuits(question).everyone;
            if everyone.is_due(now.plus(ahead)) {
                everyone.open(now);
            }
        }
    }

    /// It is there: the next payment tries it.
    pub fn is_back(&self, now: UnixMillis) {
        Question::ALL
            .into_iter()
            .for_each(|question| self.circuits(question).everyone.end_wait(now));
    }

    fn circuits(&self, question: Question) -> MutexGuard<'_, Circuits> {
        let circuits = match question {
            Question::Verify => &self.verify,
            Question::Settle => &self.settle,
        };
        // Each change under the lock is whole at every step.
        circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The longer wait of all questions that a payment meets, beginning with this one.
fn both(first: Question, wait: impl Fn(Question) -> Option<Duration>) -> Option<Duration> {
    match first {
        Question::Verify => wait(Question::Verify).max(wait(Question::Settle)),
        Question::Settle => wait(Question::Settle),
    }
}

impl Circuits {
    fn peek(&self, payer: Account, now: UnixMillis) -> Result<(), Duration> {
        self.payers.get(&payer).map_or(Ok(()), |own| own.peek(now))?;
        self.everyone.peek(now)
    }

    fn enter(&mut self, payer: Account, now: UnixMillis) -> Result<Leaves, Duration> {
        // So that no trial is taken where the other circuit then says no.
        self.peek(payer, now)?;
        let own = self.payers.get_mut(&payer).map_or(Ok(Leave::Given), |own| own.enter(now))?;
        Ok(Leaves { everyone: self.everyone.enter(now)?, payer: own })
    }

    fn over(&mut self, payer: Account, leave: Leaves, sign: Sign, now: UnixMillis) {
        self.everyone.over(leave.everyone, sign, now);
        let own = match sign {
            Sign::FaultyFor(_) if self.may_remember(payer, now) => {
                let own = self.payers.entry(payer).or_default();
                own.over(leave.payer, Sign::Faulty, now);
                return;
            }
            Sign::Well => Sign::Well,
            Sign::Faulty | Sign::FaultyFor(_) | Sign::Pause(_) | Sign::Neither => Sign::Neither,
        };
        if let Some(breaker) = self.payers.get_mut(&payer) {
            breaker.over(leave.payer, own, now);
            if breaker.is_clean() {
                self.payers.remove(&payer);
            }
        }
    }

    /// Where so many have faults of their own, everyone's circuit tells what there is to tell.
    fn may_remember(&mut self, payer: Account, now: UnixMillis) -> bool {
        if self.payers.len() >= PAYERS_MAX && !self.payers.contains_key(&payer) {
            self.payers.retain(|_, own| own.circuit(now) != Circuit::Closed);
        }
        self.payers.len() < PAYERS_MAX || self.payers.contains_key(&payer)
    }

    fn give_up(&mut self, payer: Account, leave: Leaves) {
        self.everyone.give_up(leave.everyone);
        if let Some(own) = self.payers.get_mut(&payer) {
            own.give_up(leave.payer);
        }
    }
}

impl Pass<'_> {
    /// Says how it went. A change of everyone's circuit comes back, to be told.
    pub fn over(mut self, sign: Sign, now: UnixMillis) -> Option<Change> {
        let given = Leaves { everyone: Leave::Given, payer: Leave::Given };
        let leave = std::mem::replace(&mut self.leave, given);
        let Asked { question, payer } = self.asked;
        let mut circuits = self.health.circuits(question);
        let before = circuits.everyone.circuit(now);
        circuits.over(payer, leave, sign, now);
        let circuit = circuits.everyone.circuit(now);
        let wait = circuits.everyone.peek(now).err().unwrap_or_default();
        (circuit != before).then_some(Change { question, circuit, wait })
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let Asked { question, payer } = self.asked;
        if [self.leave.everyone, self.leave.payer] != [Leave::Given; 2] {
            self.health.circuits(question).give_up(payer, self.leave);
        }
    }
}

/// Payers whose faults are remembered for each question, in less than 1 KiB each.
pub const PAYERS_MAX: usize = 1_024;

#[cfg(test)]
mod tests;
