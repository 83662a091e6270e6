//! How many in how long, as an operator writes it: `30/min`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Quota, TooMany};

/// So many in so long. Also the burst: after a pause all of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Rate {
    count: NonZeroU32,
    per: Per,
}

/// A length of time that rates are given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// `s`
    Second,
    /// `min`
    Minute,
    /// `h`
    Hour,
    /// `day`
    Day,
}

/// What a bucket holds, and how it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    limit: NonZeroU32,
    interval: Duration,
    window: Duration,
}

/// A text that is not a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Not a number, a slash and a unit.
    #[error("`{0}` is not a rate; write a number, `/` and a unit, such as `30/min`")]
    Shape(String),
    /// Nothing would ever pass.
    #[error("a rate of zero lets nothing pass; leave the limit out or write at least 1")]
    Zero,
    /// Finer than a bucket can count.
    #[error("a rate has at most {COUNT_MAX}")]
    TooMany,
    /// A unit that is none.
    #[error("`{0}` is not a unit of time here; write s, min, h or day")]
    Unit(String),
}

impl Rate {
    /// So many per that length of time.
    ///
    /// # Errors
    /// `TooMany`: more than [`COUNT_MAX`].
    pub fn new(count: NonZeroU32, per: Per) -> Result<Self, RateError> {
        if count.get() > COUNT_MAX { Err(RateError::TooMany) } else { Ok(Self { count, per }) }
    }

    /// The rate of a bucket that nobody has configured: 30 per minute.
    pub(super) const fn thirty_per_minute() -> Self {
        Self { count: NonZeroU32::MIN.saturating_add(29), per: Per::Minute }
    }

    /// How many.
    pub const fn count(self) -> NonZeroU32 {
        self.count
    }

    /// In how long.
    pub const fn window(self) -> Duration {
        Duration::from_secs(match self.per {
            Per::Second => 1,
            Per::Minute => 60,
            Per::Hour => 3600,
            Per::Day => 86_400,
        })
    }

    /// How long an empty bucket takes to hold one again.
    pub const fn interval(self) -> Duration {
        self.measure().interval
    }

    /// The bucket of this rate.
    pub(super) const fn measure(self) -> Measure {
        let (limit, window) = (self.count, self.window());
        // Each rate has at most one each microsecond, so this is never nothing.
        let interval = match window.checked_div(limit.get()) {
            Some(interval) => interval,
            None => window,
        };
        Measure { limit, interval, window }
    }
}

impl Measure {
    /// A bucket that holds a million and is full again at once.
    pub(super) const fn never_empty() -> Self {
        let limit = NonZeroU32::MIN.saturating_add(999_999);
        let interval = Duration::from_nanos(1);
        Self { limit, interval, window: Duration::from_millis(1) }
    }

    /// The part of one among so many gateways: it fills so much slower, and holds so much less, but
    /// one at least.
    pub(super) fn share(self, replicas: NonZeroU32) -> Self {
        let Self { limit, interval, window } = self;
        let share = NonZeroU32::new(limit.get() / replicas).unwrap_or(NonZeroU32::MIN);
        let interval = interval.saturating_mul(replicas.get());
        let window = if replicas == NonZeroU32::MIN { window } else { interval * share.get() };
        Self { limit: share, interval, window }
    }

    /// What it holds when full.
    pub(super) const fn limit(self) -> NonZeroU32 {
        self.limit
    }

    /// In how many nanoseconds it holds one more.
    pub(super) fn interval_nanos(self) -> u64 {
        u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The same in governor's words.
    pub(super) fn quota(self) -> governor::Quota {
        let quota = governor::Quota::with_period(self.interval);
        // The interval is more than nothing.
        let quota = quota.unwrap_or(governor::Quota::per_second(self.limit));
        quota.allow_burst(self.limit)
    }

    /// A bucket that has so many left.
    pub(super) fn left(self, remaining: u32) -> Quota {
        let Self { limit, interval, window } = self;
        Quota { limit: limit.get(), remaining, window, reset: interval }
    }

    /// An empty one, which holds one again after this time.
    pub(super) fn empty(self, retry_after: Duration) -> TooMany {
        let quota = Quota { reset: retry_after, ..self.left(0) };
        TooMany { quota, retry_after }
    }

    /// In how long it holds one more.
    pub(super) const fn interval(self) -> Duration {
        self.interval
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per {
            Per::Second => "s",
            Per::Minute => "min",
            Per::Hour => "h",
            Per::Day => "day",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let shape = || RateError::Shape(text.chars().take(32).collect());
        let (count, unit) = text.split_once('/').ok_or_else(shape)?;
        let per = match unit.trim() {
            "s" | "sec" | "second" => Per::Second,
            "min" | "minute" => Per::Minute,
            "h" | "hour" => Per::Hour,
            "d" | "day" => Per::Day,
            other => return Err(RateError::Unit(other.chars().take(32).collect())),
        };
        let digits = count.trim();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(shape());
        }
        let count: u32 = digits.parse().map_err(|_| RateError::TooMany)?;
        Self::new(NonZeroU32::new(count).ok_or(RateError::Zero)?, per)
    }
}

impl TryFrom<String> for Rate {
    type Error = RateError;

    fn try_from(text: String) -> Result<Self, RateError> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

/// The most that a rate may count, in whatever time.
pub const COUNT_MAX: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, Duration), RateError>) {
        let got = text.parse::<Rate>().map(|rate| (rate.to_string(), rate.interval()));
        assert_eq!(got, expected.map(|(shown, interval)| (shown.to_owned(), interval)), "{text}");
    }

    #[test]
    fn rates_read_as_they_are_said() {
        let second = Duration::from_secs(1);
        check("30/min", Ok(("30/min", second * 2)));
        check("30/minute", Ok(("30/min", second * 2)));
        check("30 / min", Ok(("30/min", second * 2)));
        check("5/s", Ok(("5/s", second / 5)));
        check("1000/h", Ok(("1000/h", Duration::from_millis(3600))));
        check("1000000/s", Ok(("1000000/s", second / 1_000_000)));
        check("10/day", Ok(("10/day", second * 8640)));
    }

    #[track_caller]
    fn shares(rate: &str, replicas: u32, (limit, interval, window): (u32, Duration, Duration)) {
        let share = rate.parse::<Rate>().unwrap().measure().share(replicas.try_into().unwrap());
        let expected = Measure { limit: limit.try_into().unwrap(), interval, window };
        assert_eq!(share, expected, "{rate} among {replicas}");
    }

    #[test]
    fn the_shares_of_all_come_to_no_more_than_the_whole() {
        let second = Duration::from_secs(1);
        shares("30/min", 1, (30, second * 2, second * 60));
        shares("30/min", 3, (10, second * 6, second * 60));
        shares("30/min", 4, (7, second * 8, second * 56));
        shares("1/h", 3, (1, second * 10_800, second * 10_800));
    }

    #[test]
    fn anything_else_is_an_error_with_a_way_out() {
        for text in ["", "30", "/min", "-1/min", "+1/min", "1.5/s", "x/s"] {
            check(text, Err(RateError::Shape(text.into())));
        }
        check("0/min", Err(RateError::Zero));
        check("1000001/min", Err(RateError::TooMany));
        check("99999999999/min", Err(RateError::TooMany));
        check("30/fortnight", Err(RateError::Unit("fortnight".into())));
        check("30/", Err(RateError::Unit(String::new())));
    }
}
