//! Looks after hosted facilitators beside the requests: what they settle, and whether one whose
//! circuit is open is back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::clock::UnixMillis;
use crate::facilitator::http::Http;
use crate::facilitator::{Facilitator, Member};
use crate::payment::Payments;

/// Watches a facilitator for as long as it is one of the configuration's.
pub(super) async fn watch(payments: Payments, member: Arc<Member>) {
    let Facilitator::Http(http) = member.facilitator() else { return };
    let mut plan = Plan::starting(payments.clock().now());
    let mut every = ticks();
    loop {
        every.tick().await;
        if !payments.pool().has(&member) {
            return;
        }
        let now = payments.clock().now();
        let due = member.health().is_due(now, AHEAD);
        if plan.wants(due, now) {
            member.health().look(now, AHEAD);
            let answered = ask(&member, http).await;
            let now = payments.clock().now();
            if due && answered == Answered::Yes {
                member.health().is_back(now);
            }
            plan.next(answered, now);
        }
    }
}

async fn ask(member: &Member, http: &Http) -> Answered {
    match http.refresh().await {
        Ok(()) => Answered::Yes,
        Err(fault) => {
            let name = &**member.name();
            tracing::warn!(facilitator = name, %fault, "it does not say what it can");
            Answered::No
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    Yes,
    No,
}

/// When `/supported` is asked next.
#[derive(Debug)]
struct Plan {
    refresh_at: UnixMillis,
    /// An open circuit is looked after no earlier: it was only just found that somebody is there,
    /// and the next payment decides.
    trial_at: UnixMillis,
    wait: Duration,
}

impl Plan {
    fn starting(now: UnixMillis) -> Self {
        Self { refresh_at: now, trial_at: now, wait: AGAIN_MIN }
    }

    fn wants(&self, due: bool, now: UnixMillis) -> bool {
        now >= self.refresh_at || (due && now >= self.trial_at)
    }

    fn next(&mut self, answered: Answered, now: UnixMillis) {
        match answered {
            Answered::Yes => {
                self.refresh_at = now.plus(REFRESH_EVERY);
                self.trial_at = now.plus(TRIAL_EVERY);
                self.wait = AGAIN_MIN;
            }
            Answered::No => {
                self.refresh_at = now.plus(self.wait);
                self.trial_at = now;
                self.wait = self.wait.saturating_mul(2).min(REFRESH_EVERY);
            }
        }
    }
}

fn ticks() -> Interval {
    let mut every = interval(LOOK_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every
}

/// What a facilitator settles changes seldom.
const REFRESH_EVERY: Duration = Duration::from_secs(60);

/// The first wait after `/supported` was not answered; doubled up to [`REFRESH_EVERY`].
const AGAIN_MIN: Duration = Duration::from_secs(1);

/// Between looks at a circuit that no payment has tried yet.
const TRIAL_EVERY: Duration = Duration::from_secs(10);

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A look comes this much before the wait of a circuit is over, so that it finds out instead of a
/// payment that nobody is there.
const AHEAD: Duration = Duration::from_millis(600);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis::new(seconds * 1_000)
    }

    #[test]
    fn silence_is_asked_again_soon_and_then_more_seldom() {
        let mut plan = Plan::starting(at(0));
        assert!(plan.wants(false, at(0)));
        for (now, next) in [(0, 1), (1, 3), (3, 7), (100, 108), (200, 216), (300, 332), (400, 460)]
        {
            plan.next(Answered::No, at(now));
            assert!(!plan.wants(false, at(next - 1)) && plan.wants(false, at(next)), "{next}");
        }
        plan.next(Answered::Yes, at(500));
        assert!(!plan.wants(false, at(559)) && plan.wants(false, at(560)));
        plan.next(Answered::No, at(560));
        assert!(plan.wants(false, at(561)));
    }

    #[test]
    fn a_circuit_whose_wait_is_over_is_looked_after_at_once_but_not_all_the_time() {
        let mut plan = Plan::starting(at(0));
        plan.next(Answered::No, at(0));
        assert!(plan.wants(true, at(0)));
        plan.next(Answered::Yes, at(0));
        assert!(!plan.wants(true, at(9)) && plan.wants(true, at(10)));
    }
}
