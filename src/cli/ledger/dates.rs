//! Moments as people type and read them: days and times of UTC.

use std::str::FromStr;
use std::time::Duration;

use crate::clock::UnixMillis;

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

/// `2026-11-21`, the day of a moment.
pub(super) fn day(moment: UnixMillis) -> String {
    let (year, month, day) = date_of(moment.millis().div_euclid(DAY_MILLIS));
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2026-11-21T09:30:00.000Z`.
pub(super) fn stamp(moment: UnixMillis) -> String {
    let within = moment.millis().rem_euclid(DAY_MILLIS);
    let (seconds, millis) = (within / 1_000, within % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z", day(moment))
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
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hours, minutes, seconds] = numbers(time, ':', [2, 2, 2])?;
    let days = days_of(year, month, day);
    // A day that no month has comes back as another.
    if date_of(days) != (year, month, day) || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let within = (hours * 60 + minutes) * 60 + seconds;
    Some(UnixMillis::new(days * DAY_MILLIS + within * 1_000))
}

/// Three numbers with so many digits each.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut found = [0; 3];
    let mut parts = text.split(between);
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// Days since 1970-01-01. Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day. Source: as [`days_of`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

const DAY_MILLIS: i64 = 24 * 3_600 * 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: i64) {
        let moment = UnixMillis::new(millis);
        assert_eq!(text.parse(), Ok(Moment::At(moment)));
        assert_eq!(stamp(moment), text.replace('Z', ".000Z"));
    }

    #[test]
    fn a_time_reads_as_it_is_written() {
        check("1970-01-01T00:00:00Z", 0);
        check("2000-02-29T23:59:59Z", 951_868_799_000);
        check("2026-11-21T09:30:00Z", 1_795_253_400_000);
        check("1969-12-31T23:59:59Z", -1_000);
        check("2100-03-01T00:00:00Z", 4_107_542_400_000);
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        for days in 0..146_097 {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
        }
    }

    #[test]
    fn a_day_begins_at_midnight_and_a_length_counts_back() {
        let day = UnixMillis::new(1_795_219_200_000);
        assert_eq!("2026-11-21".parse(), Ok(Moment::At(day)));
        assert_eq!(super::day(UnixMillis::new(1_795_219_200_000 - 1)), "2026-11-20");
        for (text, millis) in [("90m", 5_400_000), ("24h", DAY_MILLIS), ("7d", 7 * DAY_MILLIS)] {
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
