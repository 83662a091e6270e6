//! A price by usage: what an answer costs that says itself how much was used.

mod meter;
mod scan;

use alloy_primitives::U256;

use super::Field;
use crate::x402::AtomicAmount;

pub use meter::{Form, Meter, Overridden, Unread};
pub use scan::Quantity;

/// So much for so many units, up to the amount of the offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Atomic units for so many.
    pub rate: AtomicAmount,
    /// So many; never none.
    pub count: u64,
    /// Of what, as typed after the number; for people.
    pub unit: Box<str>,
    /// Where an answer says how many were used.
    pub from: Field,
    /// What one costs that does not say it.
    pub missing: Missing,
}

/// What a whole answer costs that does not say how much was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// Nothing.
    #[default]
    Nothing,
    /// The most that one can.
    Max,
}

impl Usage {
    /// The rate for people: `$0.002 per 1000 tokens`.
    pub fn shown(&self, decimals: u8) -> String {
        let (dollars, unit) = (self.rate.to_decimal(decimals), &self.unit);
        let count = match self.count {
            1 => String::new(),
            count => count.to_string(),
        };
        let space = if count.is_empty() || unit.is_empty() { "" } else { " " };
        format!("${dollars} per {count}{space}{unit}")
    }

    /// What this much costs: rounded up, and never more than `max`.
    pub fn amount(&self, used: Quantity, max: AtomicAmount) -> AtomicAmount {
        // Each factor has its bound: 100 bits by 128, and 64 by 10⁵⁰. What does not fit anyway is
        // far above any maximum.
        let dear = U256::from(used.digits()).checked_mul(U256::from(self.rate.units()));
        let of = U256::from(10).checked_pow(U256::from(used.places()));
        let of = of.and_then(|of| of.checked_mul(U256::from(self.count.max(1))));
        let (Some(dear), Some(of)) = (dear, of) else { return max };
        let whole = dear.div_ceil(of);
        u128::try_from(whole).map_or(max, |units| AtomicAmount::new(units).min(max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rate: u128, count: u64, used: &str, max: u128, expected: u128) {
        let usage = Usage {
            rate: AtomicAmount::new(rate),
            count,
            unit: "tokens".into(),
            from: "usage.total_tokens".parse().unwrap(),
            missing: Missing::Nothing,
        };
        let used = Quantity::read(used.as_bytes()).unwrap();
        assert_eq!(usage.amount(used, AtomicAmount::new(max)), AtomicAmount::new(expected));
    }

    #[test]
    fn amounts_are_rounded_up_and_capped() {
        check(2_000, 1_000, "1000", 100_000, 2_000);
        check(2_000, 1_000, "1", 100_000, 2);
        check(1_999, 1_000, "1", 100_000, 2);
        check(1, 1_000_000, "1", 100_000, 1);
        check(2_000, 1_000, "0", 100_000, 0);
        check(2_000, 1_000, "50000", 100_000, 100_000);
        check(2_000, 1_000, "50001", 100_000, 100_000);
        check(2_000, 1_000, "999999999999999999999999999999", 100_000, 100_000);
    }

    #[test]
    fn parts_of_a_unit_count() {
        check(10_000, 60, "1.5", 1_000_000, 250);
        check(10_000, 60, "0.0001", 1_000_000, 1);
        check(10_000, 1, "1e2", 10_000_000, 1_000_000);
        check(10_000, 1, "15e-1", 10_000_000, 15_000);
        check(u128::MAX, u64::MAX, "1", u128::MAX, u128::MAX / u128::from(u64::MAX));
    }
}
