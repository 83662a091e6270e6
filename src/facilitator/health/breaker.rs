//! One circuit: opened by faults, tried after a wait, closed by a good answer.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Circuit, Sign};
use crate::clock::UnixMillis;
use crate::x402::Account;

/// With what leave a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// The circuit was closed.
    Given,
    /// The circuit was open, and this is the one question of its trial.
    Trial(u64),
}

/// One circuit.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: State,
    /// Trials so far; the number of the last.
    trials: u64,
    /// The last answers, newest last, at most [`LATELY_MAX`].
    lately: VecDeque<Lately>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lately {
    Well,
    Fault,
    /// That the payer may have caused.
    FaultFor(Account),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    /// From a moment, for a length of time; then it is tried.
    Open { since: UnixMillis, wait: Duration, trial: Option<(u64, UnixMillis)> },
}

impl Breaker {
    pub(super) fn enter(&mut self, now: UnixMillis) -> Result<Leave, Duration> {
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
    pub(super) fn peek(&self, now: UnixMillis) -> Result<(), Duration> {
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

    pub(super) fn circuit(&self, now: UnixMillis) -> Circuit {
        match self.state {
            State::Closed => Circuit::Closed,
            State::Open { since, wait, .. } if left(since, wait, now).is_some() => Circuit::Open,
            State::Open { .. } => Circuit::HalfOpen,
        }
    }

    pub(super) fn is_due(&self, now: UnixMillis) -> bool {
        match self.state {
            State::Closed => false,
            State::Open { since, wait, trial } => {
                trial.is_none() && left(since, wait, now).is_none()
            }
        }
    }

    /// Hears how it went. What a payer may have caused counts once among the last answers: from
    /// then on only somebody else's trouble says more.
    pub(super) fn over(&mut self, leave: Leave, sign: Sign, now: UnixMillis) {
        let sign = match sign {
            Sign::FaultyFor(payer) if self.lately.contains(&Lately::FaultFor(payer)) => {
                Sign::Neither
            }
            sign => sign,
        };
        match (leave, sign, self.state) {
            (Leave::Trial(_), Sign::Neither, _) => self.give_up(leave),
            (_, Sign::Pause(wait), _) => {
                let wait = wait.clamp(WAIT_MIN, WAIT_MAX);
                self.state = State::Open { since: now, wait, trial: None };
            }
            (Leave::Trial(_), Sign::Well, State::Open { .. }) => *self = Self::closed(self.trials),
            (
                Leave::Trial(number),
                sign @ (Sign::Faulty | Sign::FaultyFor(_)),
                State::Open { trial, .. },
            ) if trial.is_some_and(|(last, _)| last == number) => {
                if let Sign::FaultyFor(payer) = sign {
                    self.count(Lately::FaultFor(payer));
                }
                self.open(now);
            }
            (Leave::Given, Sign::Well, State::Closed) => self.count(Lately::Well),
            (Leave::Given, Sign::Faulty, State::Closed) => self.fail(Lately::Fault, now),
            (Leave::Given, Sign::FaultyFor(payer), State::Closed) => {
                self.fail(Lately::FaultFor(payer), now);
            }
            // Asked before the circuit opened, answered after: it says nothing of now.
            (Leave::Given | Leave::Trial(_), _, _) => {}
        }
    }

    fn fail(&mut self, fault: Lately, now: UnixMillis) {
        self.count(fault);
        let is_fault = |answer: &&Lately| **answer != Lately::Well;
        let in_a_row = self.lately.iter().rev().take_while(is_fault).count();
        let lately = self.lately.iter().filter(is_fault).count();
        if in_a_row >= FAULTS_IN_A_ROW_MAX || lately >= FAULTS_LATELY_MAX {
            self.open(now);
        }
    }

    fn count(&mut self, answer: Lately) {
        if self.lately.len() == LATELY_MAX {
            self.lately.pop_front();
        }
        self.lately.push_back(answer);
    }

    /// Opens it, or opens it again for longer.
    pub(super) fn open(&mut self, now: UnixMillis) {
        let wait = match self.state {
            State::Closed => WAIT_MIN,
            State::Open { wait, .. } => wait.saturating_mul(2).min(WAIT_MAX),
        };
        self.state = State::Open { since: now, wait, trial: None };
    }

    pub(super) fn end_wait(&mut self, now: UnixMillis) {
        if let State::Open { since, wait, trial: None } = &mut self.state {
            let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            *since = UnixMillis::new(now.millis().saturating_sub(millis));
        }
    }

    /// A trial that came to nothing makes room for another.
    pub(super) fn give_up(&mut self, leave: Leave) {
        if let (Leave::Trial(number), State::Open { trial, .. }) = (leave, &mut self.state)
            && trial.is_some_and(|(last, _)| last == number)
        {
            *trial = None;
        }
    }

    /// Whether it has nothing to remember.
    pub(super) fn is_clean(&self) -> bool {
        self.state == State::Closed && self.lately.iter().all(|answer| *answer == Lately::Well)
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
pub const FAULTS_IN_A_ROW_MAX: usize = 5;

/// Faults among the last 32 answers that open a circuit, however they are spread.
pub const FAULTS_LATELY_MAX: usize = 16;

const LATELY_MAX: usize = 32;

/// The first wait of an open circuit: a facilitator that restarts is back after it. Doubled after
/// each trial that fails.
pub const WAIT_MIN: Duration = Duration::from_secs(1);

/// The longest wait: what an outage lasts beyond its end, at most.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// After this long a trial that has not ended does not keep others away: twice the longest
/// settlement, for which the question may have waited in line as long as for its answer.
pub(super) const TRIAL_MAX: Duration = Duration::from_secs(2 * 60);
