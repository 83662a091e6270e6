//! What a transaction offers for its gas, and how much more when it is not taken.

/// What a transaction offers, in wei for each unit of gas. Source: EIP-1559.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fees {
    pub(super) market: Market,
    /// With the tip.
    pub(super) fee: u128,
    /// As much as the fee where there is one price.
    pub(super) tip: u128,
}

/// How a chain asks for its gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Market {
    /// A base fee for each block, and a tip.
    BaseFee,
    /// One price, as before EIP-1559.
    OnePrice,
}

/// The most that is ever offered, in wei for each unit of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeCaps {
    /// With the tip.
    pub fee_max: u128,
    /// Of it, to whoever builds the block.
    pub tip_max: u128,
}

/// The chain asks for more than the operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("gas costs {asked} wei, `fee_max` is {allowed}")]
pub(super) struct TooDear {
    asked: u128,
    allowed: u128,
}

impl Fees {
    /// Twice the base fee of the last block and the tip that the node suggests, within the caps:
    /// enough for five blocks in a row that are full. Where there is no base fee, what the node
    /// suggests is the price.
    pub(super) fn quote(base: Option<u128>, tip: u128, caps: FeeCaps) -> Result<Self, TooDear> {
        let Some(base) = base else {
            return match tip <= caps.fee_max {
                true => Ok(Self { market: Market::OnePrice, fee: tip, tip }),
                false => Err(TooDear { asked: tip, allowed: caps.fee_max }),
            };
        };
        let tip = tip.min(caps.tip_max);
        let asked = base.saturating_add(tip);
        if asked > caps.fee_max {
            return Err(TooDear { asked, allowed: caps.fee_max });
        }
        let fee = asked.saturating_add(base).min(caps.fee_max);
        Ok(Self { market: Market::BaseFee, fee, tip })
    }

    /// What replaces a transaction with these fees: an eighth more, or what the chain asks now.
    ///
    /// Nothing when the caps leave no room: nodes do not take a replacement that pays less more.
    pub(super) fn raised(self, now: Option<Self>, caps: FeeCaps) -> Option<Self> {
        let now = now.unwrap_or(self);
        let fee = an_eighth_more(self.fee).max(now.fee);
        let tip = an_eighth_more(self.tip).max(now.tip);
        let allowed = match self.market {
            Market::BaseFee => tip <= caps.tip_max && tip <= fee,
            Market::OnePrice => tip == fee,
        };
        (fee <= caps.fee_max && allowed).then_some(Self { market: self.market, fee, tip })
    }
}

/// At least 12.5 % more.
fn an_eighth_more(wei: u128) -> u128 {
    wei.saturating_add(wei.div_ceil(8)).max(wei.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::Market::{BaseFee, OnePrice};
    use super::*;

    const CAPS: FeeCaps = FeeCaps { fee_max: 1_000, tip_max: 100 };

    fn quote(base: u128, tip: u128, caps: FeeCaps) -> Result<Fees, TooDear> {
        Fees::quote(Some(base), tip, caps)
    }

    #[test]
    fn where_there_is_no_base_fee_there_is_one_price() {
        let one = |price| Fees { market: OnePrice, fee: price, tip: price };
        assert_eq!(Fees::quote(None, 800, CAPS), Ok(one(800)));
        assert_eq!(Fees::quote(None, 1_001, CAPS).unwrap_err().asked, 1_001);
        assert_eq!(one(800).raised(None, CAPS), Some(one(900)));
        assert_eq!(one(100).raised(Some(one(500)), CAPS), Some(one(500)));
        assert_eq!(one(900).raised(None, CAPS), None);
    }

    #[test]
    fn a_quote_stays_within_the_caps() {
        assert_eq!(quote(100, 10, CAPS), Ok(Fees { market: BaseFee, fee: 210, tip: 10 }));
        assert_eq!(quote(100, 500, CAPS), Ok(Fees { market: BaseFee, fee: 300, tip: 100 }));
        assert_eq!(quote(900, 10, CAPS), Ok(Fees { market: BaseFee, fee: 1_000, tip: 10 }));
        assert_eq!(quote(991, 10, CAPS), Err(TooDear { asked: 1_001, allowed: 1_000 }));
        assert_eq!(quote(0, 0, CAPS), Ok(Fees { market: BaseFee, fee: 0, tip: 0 }));
    }

    #[test]
    fn a_replacement_pays_an_eighth_more_of_both() {
        let raised = |fee, tip| Fees { market: BaseFee, fee, tip }.raised(None, CAPS);
        assert_eq!(raised(800, 80), Some(Fees { market: BaseFee, fee: 900, tip: 90 }));
        assert_eq!(raised(801, 81), Some(Fees { market: BaseFee, fee: 902, tip: 92 }));
        assert_eq!(raised(0, 0), Some(Fees { market: BaseFee, fee: 1, tip: 1 }));
        for wei in 1..2_000_u128 {
            assert!(an_eighth_more(wei) * 8 >= wei * 9, "{wei}");
        }
    }

    #[test]
    fn a_replacement_pays_what_the_chain_asks_if_that_is_more() {
        let now = Some(Fees { market: BaseFee, fee: 700, tip: 5 });
        assert_eq!(
            Fees { market: BaseFee, fee: 80, tip: 8 }.raised(now, CAPS),
            Some(Fees { market: BaseFee, fee: 700, tip: 9 })
        );
    }

    #[test]
    fn there_is_no_replacement_beyond_the_caps() {
        assert_eq!(Fees { market: BaseFee, fee: 900, tip: 8 }.raised(None, CAPS), None);
        assert_eq!(Fees { market: BaseFee, fee: 80, tip: 90 }.raised(None, CAPS), None);
    }
}
