//! What a route costs, in dollars, over all networks and rules.

use crate::route::{Charge, OfferedBy, Route, Terms};
use crate::x402::Network;

/// The dollars of a call, as decimal numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Price {
    Free,
    Fixed(String),
    /// It depends on what is used, which costs so much, and is at most the last.
    UpTo(String, String),
    /// It depends on the request or the network.
    Between(String, String),
}

impl Price {
    pub(super) fn of(route: &Route) -> Self {
        Self::over(route.charge.all())
    }

    fn over<'a>(terms: impl Iterator<Item = &'a Terms>) -> Self {
        let wanted: Vec<_> = terms.flat_map(|terms| &terms.wanted).collect();
        let mut all: Vec<String> = wanted.iter().map(|by| dollars(by)).collect();
        all.sort_by(|one, other| size(one).cmp(&size(other)));
        if let Some(rate) = wanted.iter().find_map(|by| rate(by)) {
            return Self::UpTo(rate, all.last().cloned().unwrap_or_default());
        }
        match (all.first(), all.last()) {
            (Some(least), Some(most)) if least != most => {
                Self::Between(least.clone(), most.clone())
            }
            (Some(one), _) => Self::Fixed(one.clone()),
            (None, _) => Self::Free,
        }
    }
}

impl std::fmt::Display for Price {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Free => f.write_str("free"),
            Self::Fixed(dollars) => write!(f, "${dollars}"),
            Self::UpTo(rate, most) => write!(f, "{rate}, up to ${most}"),
            Self::Between(least, most) => write!(f, "${least} to ${most}"),
        }
    }
}

/// What a call costs, as a sentence; nothing where it is free.
pub(super) fn sentence(route: &Route) -> Option<String> {
    let price = Price::of(route);
    match &route.charge {
        Charge::Free => None,
        Charge::Exact(_) => Some(format!("Costs {price} a call.")),
        Charge::ByRequest(tariff) => {
            let rule = |terms: &Terms| Price::over(std::iter::once(terms)).to_string();
            let rules = tariff.rules.iter();
            let rules = rules.map(|known| format!("{} where {}", rule(&known.terms), known.when));
            let rules: Vec<_> = rules.collect();
            let otherwise = rule(&tariff.otherwise);
            Some(format!("Costs {}, {otherwise} otherwise.", rules.join(", ")))
        }
    }
}

/// The networks on which a route can be paid for, each once.
pub(super) fn networks(route: &Route) -> Vec<&Network> {
    let mut networks = Vec::new();
    for by in route.charge.all().flat_map(|terms| &terms.wanted) {
        let network = &by.offer.requirements.network;
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    networks
}

/// What usage costs, where an answer is priced by it.
fn rate(by: &OfferedBy) -> Option<String> {
    by.usage.as_deref().map(|usage| usage.shown(by.decimals))
}

fn dollars(by: &OfferedBy) -> String {
    by.offer.requirements.amount.to_decimal(by.decimals)
}

/// Decimal numbers without needless zeros are in the order of this.
fn size(decimal: &str) -> (usize, &str, &str) {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    (whole.len(), whole, fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_in_order() {
        let mut all = ["10", "0.05", "9", "0.1", "0.051", "1"];
        all.sort_by(|one, other| size(one).cmp(&size(other)));
        assert_eq!(all, ["0.05", "0.051", "0.1", "1", "9", "10"]);
    }
}
