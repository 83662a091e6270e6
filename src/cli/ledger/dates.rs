//! Moments as people type them: days and times of UTC, or how long ago.

use std::str::FromStr;
use std::time::Duration;

use crate::clock::{UnixMillis, date};

/// A moment as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// This one.
    At(UnixMillis),
    /// So long ago.
    Ago(Duration),
}

/// A text that is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a day (2026-11-21), a time (2026-11-21T09:30:00Z) or how long ago (90m, 24h, 7d)")]
pub struct MomentError;

impl Moment {
    /// The moment, seen from `now`.
    pub fn seen_from(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::At(moment) => moment,
            Self::Ago(length) => {
                let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
                UnixMillis::new(now.millis().saturating_sub(millis))
            }
        }
    }
}

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        ago(text).map(Self::Ago).or_else(|| at(text).map(Self::At)).ok_or(MomentError)
    }
}

fn ago(text: &str) -> Option<Duration> {
    let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds_each: u64 = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 24 * 3_600,
        _ => return None,
    };
    Some(Duration::from_secs(count.parse::<u64>().ok()?.checked_mul(seconds_each)?))
}

fn at(text: &str) -> Option<UnixMillis> {
    date::read(text).or_else(|| date::read(&format!("{text}T00:00:00Z")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_and_a_length_counts_back() {
        let day = UnixMillis::new(1_795_219_200_000);
        assert_eq!("2026-11-21".parse(), Ok(Moment::At(day)));
        assert_eq!("2026-11-21T00:00:00Z".parse(), Ok(Moment::At(day)));
        let hour = 3_600_000;
        for (text, millis) in [("90m", hour * 3 / 2), ("24h", 24 * hour), ("7d", 168 * hour)] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.seen_from(day).millis(), day.millis() - millis, "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "d",
            "-1d",
            "1w",
            "é",
            "2026-11",
            "2026-11-31",
            "2026-13-01",
            "26-11-21",
            "2026-11-21T09:30:00",
            "2026-11-21T24:00:00Z",
            "2026-11-21T9:30:00Z",
            "2026-11-21-01",
        ] {
            assert_eq!(text.parse::<Moment>(), Err(MomentError), "{text:?}");
        }
    }
}
