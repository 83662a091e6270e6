//! Moments as people and protocols write them: days and times of UTC.

use super::UnixMillis;

/// `2026-11-21`, the day of a moment.
pub fn day(moment: UnixMillis) -> String {
    let (year, month, day) = date_of(moment.millis().div_euclid(DAY_MILLIS));
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2026-11-21T09:30:00.000Z`.
pub fn stamp(moment: UnixMillis) -> String {
    let within = moment.millis().rem_euclid(DAY_MILLIS);
    let (seconds, millis) = (within / 1_000, within % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z", day(moment))
}

/// The moment that is written like this, with `Z` or an offset behind it; nothing where none is.
/// What is finer than a millisecond is left out.
///
/// Source: RFC 3339.
pub fn read(text: &str) -> Option<UnixMillis> {
    let (date, time) = text.split_once('T')?;
    let (time, ahead) = match time.strip_suffix('Z') {
        Some(time) => (time, 0),
        None => offset(time)?,
    };
    let (time, millis) = match time.split_once('.') {
        Some((time, fraction)) => (time, thousandths(fraction)?),
        None => (time, 0),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hours, minutes, seconds] = numbers(time, ':', [2, 2, 2])?;
    let days = days_of(year, month, day);
    // A day that no month has comes back as another.
    if date_of(days) != (year, month, day) || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let within = (hours * 60 + minutes - ahead) * 60 + seconds;
    Some(UnixMillis::new(days * DAY_MILLIS + within * 1_000 + millis))
}

/// A time, and by how many minutes its clock is ahead of UTC.
fn offset(text: &str) -> Option<(&str, i64)> {
    let (time, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let sign = match offset.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let [hours, minutes] = numbers(offset.get(1..)?, ':', [2, 2])?;
    (hours < 24 && minutes < 60).then_some((time, sign * (hours * 60 + minutes)))
}

fn thousandths(fraction: &str) -> Option<i64> {
    let is_number = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let padded = format!("{fraction}00");
    padded.get(..3).filter(|_| is_number)?.parse().ok()
}

/// Numbers with so many digits each.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut found = [0; N];
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

    #[test]
    fn a_time_reads_as_it_is_written() {
        for (text, millis) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2000-02-29T23:59:59.007Z", 951_868_799_007),
            ("2026-11-21T09:30:00.120Z", 1_795_253_400_120),
            ("1969-12-31T23:59:59.000Z", -1_000),
            ("2100-03-01T00:00:00.000Z", 4_107_542_400_000),
        ] {
            assert_eq!(read(text), Some(UnixMillis::new(millis)), "{text}");
            assert_eq!(stamp(UnixMillis::new(millis)), text);
        }
    }

    #[test]
    fn other_spellings_of_a_moment_are_read() {
        for text in [
            "2026-11-21T09:30:00Z",
            "2026-11-21T09:30:00.0Z",
            "2026-11-21T09:30:00.000999999Z",
            "2026-11-21T09:30:00+00:00",
            "2026-11-21T11:00:00+01:30",
            "2026-11-20T23:30:00-10:00",
        ] {
            assert_eq!(read(text), Some(UnixMillis::new(1_795_253_400_000)), "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        for days in 0..146_097 {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
        }
    }

    #[test]
    fn a_day_ends_before_midnight() {
        assert_eq!(day(UnixMillis::new(1_795_219_200_000)), "2026-11-21");
        assert_eq!(day(UnixMillis::new(1_795_219_200_000 - 1)), "2026-11-20");
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-31T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "26-11-21T00:00:00Z",
            "2026-11-21T09:30:00",
            "2026-11-21T24:00:00Z",
            "2026-11-21T09:30:60Z",
            "2026-11-21T9:30:00Z",
            "2026-11-21T09:30:00.Z",
            "2026-11-21T09:30:00.+5Z",
            "2026-11-21T09:30:00+0130",
            "2026-11-21T09:30:00+24:00",
            "2026-11-21T09:30:00é00:00",
            "2026-11-21t09:30:00z",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
