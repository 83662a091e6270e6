//! When an order is begun: not before it is due, and never so often that an authority minds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::UnixMillis;

/// When an authority would like a certificate to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Not before.
    pub from: UnixMillis,
    /// Nor after.
    pub until: UnixMillis,
}

/// When a certificate of this life is renewed: when its authority would like it, else at two
/// thirds of its life. `chance` is any number; who renews when is spread by it.
pub fn due(life: Window, wanted: Option<Window>, chance: u64) -> UnixMillis {
    let length = life.length();
    match wanted {
        Some(window) => window.from.plus(part(window.length(), chance)),
        None => life.from.plus((length * 2 / 3).saturating_sub(part(length / 30, chance))),
    }
}

impl Window {
    fn length(self) -> Duration {
        self.until.since(self.from)
    }
}

/// A part of a length of time.
fn part(length: Duration, chance: u64) -> Duration {
    let nanos = u128::from(chance).saturating_mul(length.as_nanos() >> 16) >> 48;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Orders of the last hour, and what the next one waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    begun: Vec<UnixMillis>,
    /// How many in a row have come to nothing.
    #[serde(skip)]
    failed: u32,
    #[serde(skip)]
    not_before: Option<UnixMillis>,
}

impl Orders {
    /// The first moment for an order that is due then.
    pub fn next(&self, due: UnixMillis) -> UnixMillis {
        let nth_last = self.begun.len().checked_sub(ORDERS_PER_HOUR);
        let room = nth_last.and_then(|at| self.begun.get(at)).map(|begun| begun.plus(HOUR));
        [self.not_before, room].into_iter().flatten().fold(due, UnixMillis::max)
    }

    /// An order is begun. This is kept over restarts: one that fails at each start would else be
    /// one more order each time.
    pub fn begins(&mut self, now: UnixMillis) {
        // What lies ahead is from before the clock was set back.
        self.begun.retain(|begun| *begun <= now && now < begun.plus(HOUR));
        self.begun.push(now);
    }

    /// It has come to nothing; `pause` is for how long the authority wants to be left alone. The
    /// wait is doubled with each, and a quarter of it at most is by chance.
    pub fn failed(&mut self, now: UnixMillis, pause: Option<Duration>, chance: u64) {
        let doubled = WAIT_FIRST.saturating_mul(1 << self.failed.min(WAIT_DOUBLINGS_MAX));
        let wait = doubled.min(WAIT_MAX).max(pause.unwrap_or_default().min(PAUSE_MAX));
        self.failed = self.failed.saturating_add(1);
        self.not_before = Some(now.plus(wait.saturating_add(part(wait / 4, chance))));
    }

    /// It was issued, or an operator may have changed what was in the way: nothing is waited for.
    pub fn anew(&mut self) {
        (self.failed, self.not_before) = (0, None);
    }
}

/// As many as Let's Encrypt lets fail.
const ORDERS_PER_HOUR: usize = 5;
const HOUR: Duration = Duration::from_secs(3_600);
const WAIT_FIRST: Duration = Duration::from_secs(2 * 60);
const WAIT_MAX: Duration = Duration::from_secs(4 * 3_600);
const WAIT_DOUBLINGS_MAX: u32 = 16;
const PAUSE_MAX: Duration = Duration::from_secs(24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis::new(seconds * 1_000)
    }

    fn window(from: i64, until: i64) -> Window {
        Window { from: at(from), until: at(until) }
    }

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life_or_a_little_before() {
        assert_eq!(due(window(1_000, 10_000), None, 0), at(7_000));
        let early = due(window(1_000, 10_000), None, u64::MAX);
        assert!((6_700_000..6_700_100).contains(&early.millis()), "{early:?}");
        assert_eq!(due(window(0, 0), None, u64::MAX), at(0));
        assert_eq!(due(window(10, 0), None, 0), at(10));
    }

    #[test]
    fn or_when_its_authority_would_like_it() {
        let wanted = Some(window(2_000, 3_000));
        assert_eq!(due(window(0, 9_000), wanted, 0), at(2_000));
        let middle = due(window(0, 9_000), wanted, u64::MAX / 2).millis();
        assert!((2_499_900..=2_500_000).contains(&middle), "{middle}");
        assert_eq!(due(window(0, 9_000), Some(window(3_000, 2_000)), u64::MAX), at(3_000));
    }

    /// The moments at which orders begin that all fail at once.
    fn moments(orders: &mut Orders, count: usize) -> Vec<i64> {
        let mut now = at(0);
        let begin = |_| {
            now = orders.next(now);
            orders.begins(now);
            orders.failed(now, None, 0);
            now.millis() / 1_000
        };
        (0..count).map(begin).collect()
    }

    #[test]
    fn what_fails_is_ordered_ever_more_seldom() {
        let mut orders = Orders::default();
        let minutes: Vec<_> = moments(&mut orders, 9).iter().map(|at| at / 60).collect();
        assert_eq!(minutes, [0, 2, 6, 14, 30, 62, 126, 254, 494]);
        for _ in 0..40 {
            orders.failed(at(0), None, 0);
        }
        assert_eq!(orders.next(at(0)), at(4 * 3_600));
        orders.anew();
        assert_eq!(orders.next(at(0)), at(0));
    }

    #[test]
    fn an_authority_that_wants_to_be_left_alone_is() {
        let mut orders = Orders::default();
        orders.failed(at(0), Some(Duration::from_secs(7_000)), 0);
        assert_eq!(orders.next(at(0)), at(7_000));
        orders.anew();
        orders.failed(at(0), Some(Duration::MAX), u64::MAX);
        assert!(orders.next(at(0)) <= at(30 * 3_600));
    }

    #[test]
    fn five_orders_an_hour_are_all_restarts_or_not() {
        let mut orders = Orders::default();
        for second in 0..5 {
            assert_eq!(orders.next(at(second)), at(second));
            orders.begins(at(second));
            orders.anew();
            let kept = serde_json::to_vec(&orders).unwrap();
            orders = serde_json::from_slice(&kept).unwrap();
        }
        assert_eq!(orders.next(at(5)), at(3_600));
        orders.begins(at(3_600));
        assert_eq!(orders.next(at(3_600)), at(3_601));
        // A clock that was set back does not stop them for years.
        orders.begins(at(-1_000_000));
        assert_eq!(orders.next(at(-1_000_000)), at(-1_000_000));
    }
}
