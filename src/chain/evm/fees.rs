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

impl FeeCaps {
    /// What payments offer at most: eight ninths, so that an eighth more is still allowed. Whatever
    /// payment a node keeps of an earlier life of this gateway, its nonce can then be used up.
    pub(super) fn of_payments(self) -> Self {
        let less = |wei: u128| wei - wei.div_ceil(9);
        Self { fee_max: less(self.fee_max), tip_max: less(self.tip_max) }
    }
}

/// The chain asks for more than the operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("gas costs {asked} wei, payments offer at most {allowed}: eight ninths of `gas.fee_max`")]
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

    /// The same on the way to the caps, which are the last offer, and exactly these: whoever has
    /// gone up to them before has made the very same offer. None lies so little below them that
    /// they would not be an eighth more. It is what uses up a nonce that a payment holds up.
    pub(super) fn raised_to(self, now: Option<Self>, caps: FeeCaps) -> Self {
        let next = self.raised(now, caps);
        let (market, fee) = (self.market, caps.fee_max);
        let tip = match market {
            Market::BaseFee => caps.tip_max.min(fee),
            Market::OnePrice => fee,
        };
        next.filter(|next| next.raised(now, caps).is_some()).unwrap_or(Self { market, fee, tip })
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
    fn the_caps_outbid_every_payment() {
        for wei in (0..2_000).chain([u128::MAX, u128::MAX - 1]) {
            let payments = FeeCaps { fee_max: wei, tip_max: wei }.of_payments();
            assert_eq!(payments.fee_max, payments.tip_max);
            assert!(wei < 2 || an_eighth_more(payments.fee_max) <= wei, "{wei}");
        }
        assert_eq!(CAPS.of_payments(), FeeCaps { fee_max: 888, tip_max: 88 });
        let dearest = quote(500, 100, CAPS.of_payments()).unwrap();
        assert_eq!(dearest, Fees { market: BaseFee, fee: 888, tip: 88 });
        let caps = Fees { market: BaseFee, fee: 1_000, tip: 100 };
        assert_eq!(dearest.raised_to(None, CAPS), caps);
    }

    #[test]
    fn the_last_offer_is_the_caps() {
        let to = |fee, tip| Fees { market: BaseFee, fee, tip }.raised_to(None, CAPS);
        assert_eq!(to(400, 40), Fees { market: BaseFee, fee: 450, tip: 45 });
        let caps = Fees { market: BaseFee, fee: 1_000, tip: 100 };
        for (fee, tip) in [(800, 80), (900, 8), (80, 90), (1_000, 100)] {
            assert_eq!(to(fee, tip), caps);
        }
        let one = |price| Fees { market: OnePrice, fee: price, tip: price };
        assert_eq!(
            (one(700).raised_to(None, CAPS), one(900).raised_to(None, CAPS)),
            (one(788), one(1_000))
        );
    }

    #[test]
    fn there_is_no_replacement_beyond_the_caps() {
        assert_eq!(Fees { market: BaseFee, fee: 900, tip: 8 }.raised(None, CAPS), None);
        assert_eq!(Fees { market: BaseFee, fee: 80, tip: 90 }.raised(None, CAPS), None);
    }
}
