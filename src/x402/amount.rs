//! Amounts of an asset as whole atomic units, and how a decimal price becomes one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A count of an asset's smallest unit (for USDC: millionths of a dollar).
///
/// On the wire: a decimal string with no sign, no leading zero, no exponent, at most 39 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AtomicAmount(u128);

/// Why a text is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not digits with at most one point between them.
    #[error("`{0}` is not a decimal number")]
    NotDecimal(String),
    /// More digits after the point than the asset has.
    #[error("{places} decimals given, the asset has {decimals}")]
    TooPrecise {
        /// Digits after the point that were given.
        places: usize,
        /// Digits after the point that the asset has.
        decimals: u8,
    },
    /// Does not fit 128 bits.
    #[error("the amount is too large")]
    TooLarge,
}

impl AtomicAmount {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// `units` smallest units.
    pub const fn new(units: u128) -> Self {
        Self(units)
    }

    /// The number of smallest units.
    pub const fn units(self) -> u128 {
        self.0
    }

    /// Reads a decimal number of whole units, such as `0.05`, of an asset with `decimals` places.
    ///
    /// # Errors
    /// `NotDecimal` for anything but `digits[.digits]`, `TooPrecise` when a place would be lost,
    /// `TooLarge` beyond 128 bits.
    pub fn from_decimal(text: &str, decimals: u8) -> Result<Self, AmountError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(AmountError::NotDecimal(text.chars().take(40).collect()));
        }
        let fraction = fraction.trim_end_matches('0');
        let missing = usize::from(decimals)
            .checked_sub(fraction.len())
            .ok_or(AmountError::TooPrecise { places: fraction.len(), decimals })?;
        let mut units: u128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', missing))
        {
            units = units
                .checked_mul(10)
                .and_then(|u| u.checked_add(u128::from(digit - b'0')))
                .ok_or(AmountError::TooLarge)?;
        }
        Ok(Self(units))
    }

    /// The decimal number of whole units, for people: `50000` with 6 decimals is `0.05`.
    pub fn to_decimal(self, decimals: u8) -> String {
        let decimals = usize::from(decimals);
        let padded = format!("{:0>width$}", self.0, width = decimals + 1);
        let (whole, fraction) = padded.split_at(padded.len() - decimals);
        match fraction.trim_end_matches('0') {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        }
    }

    /// The sum, or nothing when it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or nothing when `other` is larger.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl fmt::Display for AtomicAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<AtomicAmount> for String {
    fn from(amount: AtomicAmount) -> Self {
        amount.to_string()
    }
}

impl FromStr for AtomicAmount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let canonical = text == "0" || !text.starts_with('0');
        if text.is_empty() || !canonical || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AmountError::NotDecimal(text.chars().take(40).collect()));
        }
        text.parse().map(Self).map_err(|_| AmountError::TooLarge)
    }
}

impl TryFrom<String> for AtomicAmount {
    type Error = AmountError;

    fn try_from(text: String) -> Result<Self, AmountError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, decimals: u8, expected: Result<u128, AmountError>) {
        assert_eq!(AtomicAmount::from_decimal(text, decimals).map(AtomicAmount::units), expected);
    }

    fn not(text: &str) -> Result<u128, AmountError> {
        Err(AmountError::NotDecimal(text.to_owned()))
    }

    #[test]
    fn decimals_keep_their_place() {
        check("0.05", 6, Ok(50_000));
        check("1", 6, Ok(1_000_000));
        check("12.5", 2, Ok(1_250));
        check("7", 0, Ok(7));
    }

    #[test]
    fn zeros_at_the_end_lose_nothing() {
        check("0.0500000000", 6, Ok(50_000));
    }

    #[test]
    fn a_seventh_decimal_is_an_error() {
        check("0.0000001", 6, Err(AmountError::TooPrecise { places: 7, decimals: 6 }));
    }

    #[test]
    fn only_digits_and_a_point_between_them_are_a_number() {
        for text in ["", ".5", "5.", "-1", "+1", "1e4", "1,5", "1.2.3", " 1", "0x10", "٣"] {
            check(text, 6, not(text));
        }
    }

    #[test]
    fn a_sum_beyond_128_bits_is_an_error() {
        check("340282366920938463463374607431768211456", 0, Err(AmountError::TooLarge));
    }

    #[test]
    fn the_wire_form_has_one_spelling() {
        for text in ["", "00", "01", "1e4", "-1", "1.0", "0x1", " 1"] {
            assert!(text.parse::<AtomicAmount>().is_err(), "{text:?}");
        }
        assert_eq!("0".parse(), Ok(AtomicAmount::ZERO));
        assert_eq!("50000".parse(), Ok(AtomicAmount::new(50_000)));
    }

    #[test]
    fn people_read_it_back() {
        for text in ["0.05", "1", "1234.567891", "0.000001", "0"] {
            let amount = AtomicAmount::from_decimal(text, 6).unwrap();
            assert_eq!(amount.to_decimal(6), text);
        }
    }
}
