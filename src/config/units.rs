//! Prices, lengths of time, sizes and rates as they are typed.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::ledger::Keep;
use crate::limit::Rate;
use crate::observe::traces::Sample;
use crate::x402::{AmountError, AtomicAmount};

use super::mistake::Mistake;
use super::text::Written;

/// A price in dollars, its digits still as typed: how fine it may be is the asset's to say.
pub(super) struct Dollars(Box<str>);

impl Dollars {
    /// The atomic units of an asset that is worth a dollar.
    pub(super) fn amount(&self, decimals: u8) -> Result<AtomicAmount, AmountError> {
        AtomicAmount::from_decimal(&self.0, decimals)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.amount(DECIMALS_MAX) == Ok(AtomicAmount::ZERO)
    }

    /// As it was typed.
    pub(super) fn typed(&self) -> String {
        format!("${}", self.0)
    }
}

impl Written for Dollars {
    const EXPECTED: &'static str = "an amount in quotes such as \"$0.05\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let digits = text.strip_prefix('$').unwrap_or_default();
        match AtomicAmount::from_decimal(digits, DECIMALS_MAX) {
            Ok(_) => Ok(Self(digits.into())),
            Err(AmountError::TooLarge | AmountError::TooPrecise { .. }) => {
                Err(Mistake::not("an amount of money anyone has", text, "\"$0.05\""))
            }
            Err(AmountError::NotDecimal(_)) => {
                Err(Mistake::not("a price", text, &format!("\"{}\"", nearest_price(text))))
            }
        }
    }
}

/// What a route costs, as typed.
pub(super) enum Price {
    Free,
    Dollars(Dollars),
}

impl Written for Price {
    const EXPECTED: &'static str = "a price in quotes such as \"$0.05\", or \"free\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "free" => Ok(Self::Free),
            _ => match Dollars::read(text)? {
                dollars if dollars.is_zero() => Err(Mistake::PriceZero),
                dollars => Ok(Self::Dollars(dollars)),
            },
        }
    }
}

/// A length of time that may be nothing.
pub(super) struct Delay(pub(super) Duration);

impl Written for Delay {
    const EXPECTED: &'static str = "a length of time in quotes such as \"300ms\" or \"2s\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let wrong = || Mistake::not("a length of time", text, "\"300ms\", \"2s\" or \"5m\"");
        let (count, unit) = split_unit(text).ok_or_else(wrong)?;
        let millis_each = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        let millis = count.checked_mul(millis_each).ok_or_else(wrong)?;
        if millis > LENGTH_MILLIS_MAX {
            return Err(Mistake::not("a length of time up to a day", text, "\"24h\" or less"));
        }
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl Written for Keep {
    const EXPECTED: &'static str = "a number of days in quotes such as \"400d\", or \"forever\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let wrong = || Mistake::not("a number of days", text, "\"400d\" or \"forever\"");
        match split_unit(text) {
            _ if text == "forever" => Ok(Self::Forever),
            Some((days @ 1..=DAYS_MAX, "d")) => {
                Ok(Self::For(Duration::from_secs(days.saturating_mul(24 * 3600))))
            }
            Some(_) | None => Err(wrong()),
        }
    }
}

/// A length of time after which something is given up; never nothing.
pub(super) struct Timeout(pub(super) Duration);

impl Written for Timeout {
    const EXPECTED: &'static str = Delay::EXPECTED;

    fn read(text: &str) -> Result<Self, Mistake> {
        match Delay::read(text)?.0 {
            Duration::ZERO => Err(Mistake::NoTime),
            timeout => Ok(Self(timeout)),
        }
    }
}

/// A number of bytes; never none.
pub(super) struct Size(pub(super) u64);

impl Written for Size {
    const EXPECTED: &'static str = "a size in quotes such as \"25MB\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let wrong = || Mistake::not("a size", text, "\"64KiB\" or \"25MB\"");
        let (count, unit) = split_unit(text).ok_or_else(wrong)?;
        let bytes_each = match unit {
            "B" => 1,
            "kB" | "KB" => 1_000,
            "KiB" => 1 << 10,
            "MB" => 1_000_000,
            "MiB" => 1 << 20,
            "GB" => 1_000_000_000,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        match count.checked_mul(bytes_each) {
            None | Some(0) => Err(wrong()),
            Some(bytes) => Ok(Self(bytes)),
        }
    }
}

/// A size in whole megabytes; never none.
pub(super) struct Megabytes(pub(super) NonZeroU32);

impl Written for Megabytes {
    const EXPECTED: &'static str = "a size in quotes such as \"4GB\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let Size(bytes) = Size::read(text)?;
        let count = u32::try_from(bytes / 1_000_000).ok().and_then(NonZeroU32::new);
        count.map(Self).ok_or_else(|| Mistake::not("a size of megabytes", text, "\"4GB\""))
    }
}

impl Written for Sample {
    const EXPECTED: &'static str = "a part in quotes such as \"10%\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let percent = text.strip_suffix('%').map(str::trim_end).unwrap_or_default();
        let part = AtomicAmount::from_decimal(percent, PERCENT_DECIMALS).ok();
        let part = part.and_then(|part| Self::of(u32::try_from(part.units()).ok()?));
        part.ok_or_else(|| Mistake::not("a part of all traces", text, "\"10%\" or \"0.5%\""))
    }
}

/// A price of gas in wei.
pub(super) struct Gwei(pub(super) u128);

impl Written for Gwei {
    const EXPECTED: &'static str = "a price of gas in quotes such as \"30gwei\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let number = text.strip_suffix("gwei").map(str::trim_end).unwrap_or_default();
        match AtomicAmount::from_decimal(number, GWEI_DECIMALS) {
            Ok(wei) => Ok(Self(wei.units())),
            Err(_) => Err(Mistake::not("a price of gas", text, "\"30gwei\"")),
        }
    }
}

/// An amount of a chain's own coin in wei.
pub(super) struct Coins(pub(super) u128);

impl Written for Coins {
    const EXPECTED: &'static str = "an amount of the chain's coin in quotes such as \"0.01\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match AtomicAmount::from_decimal(text, DECIMALS_MAX) {
            Ok(wei) => Ok(Self(wei.units())),
            Err(_) => Err(Mistake::not("an amount of the chain's coin", text, "\"0.01\"")),
        }
    }
}

impl Written for Rate {
    const EXPECTED: &'static str = "a rate in quotes such as \"30/min\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        text.parse().map_err(Mistake::Rate)
    }
}

/// Splits `300ms` into its number and its unit, with or without a space between.
pub(super) fn split_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(end)?;
    Some((count.parse().ok()?, unit.trim_start()))
}

/// The price that was probably meant.
fn nearest_price(text: &str) -> String {
    let digits: String =
        text.replace(',', ".").chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    let cents = text.contains("cent") || text.contains('¢') || text.contains('%');
    match AtomicAmount::from_decimal(&digits, DECIMALS_MAX) {
        Ok(amount) if !cents && amount != AtomicAmount::ZERO => format!("${digits}"),
        _ => "$0.05".to_owned(),
    }
}

const DECIMALS_MAX: u8 = 18;
/// A hundred years.
const DAYS_MAX: u64 = 36_500;
const GWEI_DECIMALS: u8 = 9;
/// Of a percent, down to a millionth of a whole.
const PERCENT_DECIMALS: u8 = 4;
const LENGTH_MILLIS_MAX: u64 = 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn size(text: &str) -> Option<u64> {
        Size::read(text).ok().map(|size| size.0)
    }

    fn millis(text: &str) -> Option<u128> {
        Delay::read(text).ok().map(|delay| delay.0.as_millis())
    }

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        assert_eq!(size("25MB"), Some(25_000_000));
        assert_eq!(size("25MiB"), Some(26_214_400));
        assert_eq!(size("16 KiB"), Some(16_384));
        assert_eq!(size("1B"), Some(1));
    }

    #[test]
    fn a_size_without_unit_or_beyond_64_bits_is_none() {
        for text in ["", "25", "MB", "25mb", "-1B", "0B", "1.5MB", "99999999999GiB"] {
            assert_eq!(size(text), None, "{text:?}");
        }
    }

    #[test]
    fn megabytes_are_whole_and_at_least_one() {
        let count = |text| Megabytes::read(text).ok().map(|Megabytes(count)| count.get());
        assert_eq!(count("4GB"), Some(4_000));
        assert_eq!(count("1GiB"), Some(1_073));
        assert_eq!((count("999kB"), count("9999999GB")), (None, None));
    }

    #[test]
    fn gas_is_priced_in_gwei() {
        let wei = |text| Gwei::read(text).ok().map(|gwei| gwei.0);
        assert_eq!(wei("30gwei"), Some(30_000_000_000));
        assert_eq!(wei("0.005 gwei"), Some(5_000_000));
        for text in ["", "30", "gwei", "30wei", "-1gwei", "0.0000000001gwei"] {
            assert_eq!(wei(text), None, "{text:?}");
        }
        assert_eq!(Coins::read("0.01").ok().map(|coins| coins.0), Some(10_000_000_000_000_000));
    }

    #[test]
    fn times_have_units() {
        assert_eq!(millis("300ms"), Some(300));
        assert_eq!(millis("2s"), Some(2_000));
        assert_eq!(millis("5m"), Some(300_000));
        assert_eq!(millis("24h"), Some(86_400_000));
        for text in ["", "2", "s", "2 weeks", "1.5s", "25h", "-1s", "99999999999999999h"] {
            assert_eq!(millis(text), None, "{text:?}");
        }
        assert!(matches!(Timeout::read("0s"), Err(Mistake::NoTime)));
    }

    #[test]
    fn payments_are_kept_for_days_or_for_ever() {
        let days = |days: u64| Some(Keep::For(Duration::from_secs(days * 86_400)));
        for (text, expected) in [
            ("forever", Some(Keep::Forever)),
            ("1d", days(1)),
            ("400d", days(400)),
            ("36500d", days(36_500)),
            ("0d", None),
            ("36501d", None),
            ("24h", None),
            ("ever", None),
        ] {
            assert_eq!(Keep::read(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_price_without_its_sign_names_what_was_meant() {
        for (text, expected) in [
            ("0.05", "$0.05"),
            ("0.05$", "$0.05"),
            ("$0,05", "$0.05"),
            ("0.05 USD", "$0.05"),
            ("USD 2", "$2"),
            ("5 cents", "$0.05"),
            ("cheap", "$0.05"),
        ] {
            assert!(Dollars::read(text).is_err(), "{text:?}");
            assert_eq!(nearest_price(text), expected, "{text:?}");
        }
        assert!(matches!(Price::read("free"), Ok(Price::Free)));
        assert!(matches!(Price::read("$0"), Err(Mistake::PriceZero)));
        assert!(matches!(Price::read("$0.00"), Err(Mistake::PriceZero)));
    }
}
