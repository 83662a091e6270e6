//! Whether a facilitator is asked at all: a circuit for each question, opened by faults.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::UnixMillis;

/// What a facilitator is asked. Each has a circuit of its own, because one may work while the
/// other does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether a payment could be settled.
    Verify,
    /// To settle it.
    Settle,
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
    /// It does not.
    Faulty,
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
    question: Question,
    leave: Leave,
}

/// The circuits of one facilitator. Knows no clock: every call is told the time.
#[derive(Debug, Default)]
pub struct Health {
    verify: Mutex<Breaker>,
    settle: Mutex<Breaker>,
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
    /// The circuit is open, or its one trial is under way.
    pub fn enter(&self, question: Question, now: UnixMillis) -> Result<Pass<'_>, Duration> {
        let leave = self.breaker(question).enter(now)?;
        Ok(Pass { health: self, question, leave })
    }

    /// How long until a payment may begin with this question; nothing where it may now. One that
    /// is verified must be settled too, so it waits for both.
    pub fn wait(&self, first: Question, now: UnixMillis) -> Option<Duration> {
        let wait = |question| self.breaker(question).peek(now).err();
        match first {
            Question::Verify => wait(Question::Verify).max(wait(Question::Settle)),
            Question::Settle => wait(Question::Settle),
        }
    }

    /// How a circuit stands.
    pub fn circuit(&self, question: Question, now: UnixMillis) -> Circuit {
        self.breaker(question).circuit(now)
    }

    /// Whether a circuit's wait is over within `ahead`: the moment to look, beside the requests,
    /// whether anybody is there, so that no request has to find out that nobody is.
    pub fn is_due(&self, now: UnixMillis, ahead: Duration) -> bool {
        let then = now.plus(ahead);
        Question::ALL.into_iter().any(|question| self.breaker(question).is_due(then))
    }

    /// Somebody looks now whether it is there: circuits whose wait is over within `ahead` wait
    /// again, and longer, unless [`Health::is_back`] ends it.
    pub fn look(&self, now: UnixMillis, ahead: Duration) {
        for question in Question::ALL {
            let mut breaker = self.breaker(question);
            if breaker.is_due(now.plus(ahead)) {
                breaker.open(now);
            }
        }
    }

    /// It is there: the next payment tries it.
    pub fn is_back(&self, now: UnixMillis) {
        Question::ALL.into_iter().for_each(|question| self.breaker(question).end_wait(now));
    }

    fn breaker(&self, question: Question) -> MutexGuard<'_, Breaker> {
        let breaker = match question {
            Question::Verify => &self.verify,
            Question::Settle => &self.settle,
        };
        // Each change under the lock is whole at every step.
        breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// Says how it went. A change of the circuit comes back, to be told.
    pub fn over(mut self, sign: Sign, now: UnixMillis) -> Option<Change> {
        let leave = std::mem::replace(&mut self.leave, Leave::Given);
        let (question, mut breaker) = (self.question, self.health.breaker(self.question));
        let before = breaker.circuit(now);
        breaker.over(leave, sign, now);
        let circuit = breaker.circuit(now);
        let wait = breaker.peek(now).err().unwrap_or_default();
        (circuit != before).then_some(Change { question, circuit, wait })
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Leave::Trial(number) = self.leave {
            self.health.breaker(self.question).give_up(number);
        }
    }
}

/// With what leave a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    /// The circuit was closed.
    Given,
    /// The circuit was open, and this is the one question of its trial.
    Trial(u64),
}

/// One circuit.
#[derive(Debug, Default)]
struct Breaker {
    state: State,
    /// Trials so far; the number of the last.
    trials: u64,
    /// The last answers of a closed circuit, newest first in the lowest bit: 1 is a fault.
    lately: u64,
    /// Faults since an answer was well.
    in_a_row: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    /// From a moment, for a length of time; then it is tried.
    Open { since: UnixMillis, wait: Duration, trial: Option<(u64, UnixMillis)> },
}

impl Breaker {
    fn enter(&mut self, now: UnixMillis) -> Result<Leave, Duration> {
        self.peek(now)?;
        match &mut self.state {
            State::Closed => Ok(Leave::Given),
            State::Open { trial, .. } => {
                self.trials = self.trials.wrapping_add(1);
                *trial = Some((self.trials, now));
                Ok(Leave::Trial(self.trials))
            }
        }
    }

    /// Whether [`Breaker::enter`] would let a question through now.
    fn peek(&self, now: UnixMillis) -> Result<(), Duration> {
        let State::Open { since, wait, trial } = self.state else { return Ok(()) };
        if let Some(left) = left(since, wait, now) {
            return Err(left);
        }
        match trial {
            // The trial tells nothing before it ends; whoever comes meanwhile comes again soon.
            Some((_, began)) if left(began, TRIAL_MAX, now).is_some() => Err(WAIT_MIN),
            Some(_) | None => Ok(()),
        }
    }

    fn circuit(&self, now: UnixMillis) -> Circuit {
        match self.state {
            State::Closed => Circuit::Closed,
            State::Open { since, wait, .. } if left(since, wait, now).is_some() => Circuit::Open,
            State::Open { .. } => Circuit::HalfOpen,
        }
    }

    fn is_due(&self, now: UnixMillis) -> bool {
        match self.state {
            State::Closed => false,
            State::Open { since, wait, trial } => {
                trial.is_none() && left(since, wait, now).is_none()
            }
        }
    }

    fn over(&mut self, leave: Leave, sign: Sign, now: UnixMillis) {
        match (leave, sign, self.state) {
            (Leave::Trial(number), Sign::Neither, _) => self.give_up(number),
            (_, Sign::Pause(wait), _) => {
                let wait = wait.clamp(WAIT_MIN, WAIT_MAX);
                self.state = State::Open { since: now, wait, trial: None };
            }
            (Leave::Trial(_), Sign::Well, State::Open { .. }) => *self = Self::closed(self.trials),
            (Leave::Trial(number), Sign::Faulty, State::Open { trial, .. })
                if trial.is_some_and(|(last, _)| last == number) =>
            {
                self.open(now);
            }
            (Leave::Given, Sign::Well, State::Closed) => self.count(0),
            (Leave::Given, Sign::Faulty, State::Closed) => {
                self.count(1);
                let many = self.lately.count_ones() >= FAULTS_LATELY_MAX;
                if self.in_a_row >= FAULTS_IN_A_ROW_MAX || many {
                    self.open(now);
                }
            }
            // Asked before the circuit opened, answered after: it says nothing of now.
            (Leave::Given | Leave::Trial(_), _, _) => {}
        }
    }

    fn count(&mut self, fault: u64) {
        self.lately = ((self.lately << 1) | fault) & LATELY;
        self.in_a_row = if fault == 0 { 0 } else { self.in_a_row.saturating_add(1) };
    }

    /// Opens it, or opens it again for longer.
    fn open(&mut self, now: UnixMillis) {
        let wait = match self.state {
            State::Closed => WAIT_MIN,
            State::Open { wait, .. } => wait.saturating_mul(2).min(WAIT_MAX),
        };
        self.state = State::Open { since: now, wait, trial: None };
    }

    fn end_wait(&mut self, now: UnixMillis) {
        if let State::Open { since, wait, trial: None } = &mut self.state {
            let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            *since = UnixMillis::new(now.millis().saturating_sub(millis));
        }
    }

    /// A trial that came to nothing makes room for another.
    fn give_up(&mut self, number: u64) {
        if let State::Open { trial, .. } = &mut self.state
            && trial.is_some_and(|(last, _)| last == number)
        {
            *trial = None;
        }
    }

    fn closed(trials: u64) -> Self {
        Self { trials, ..Self::default() }
    }
}

/// What is left of a wait. A clock that was set back does not make it longer: it ends the wait.
fn left(since: UnixMillis, wait: Duration, now: UnixMillis) -> Option<Duration> {
    let waited = u64::try_from(now.millis().checked_sub(since.millis())?).ok()?;
    wait.checked_sub(Duration::from_millis(waited)).filter(|left| !left.is_zero())
}

/// Faults one after another that open a circuit: more than one unlucky connection, and few enough
/// that settlements without an answer stay few.
pub const FAULTS_IN_A_ROW_MAX: u32 = 5;

/// Faults among the last 32 answers that open a circuit, however they are spread.
pub const FAULTS_LATELY_MAX: u32 = 16;

/// The last 32 answers.
const LATELY: u64 = 0xffff_ffff;

/// The first wait of an open circuit: a facilitator that restarts is back after it. Doubled after
/// each trial that fails.
pub const WAIT_MIN: Duration = Duration::from_secs(1);

/// The longest wait: what an outage lasts beyond its end, at most.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// After this long a trial that has not ended does not keep others away: twice the longest
/// settlement, for which the question may have waited in line as long as for its answer.
const TRIAL_MAX: Duration = Duration::from_secs(2 * 60);

#[cfg(test)]
mod tests;
