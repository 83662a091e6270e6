//! From prices to the terms of a route, each network's in its own asset's decimals.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use crate::route::challenge::ChallengeError;
use crate::route::upstream::Http;
use crate::route::{
    Charge, Declared, Instructions, OfferedBy, PathPattern, PriceRule, Shape, Tariff, Terms, Usage,
};
use crate::x402::{AmountError, AtomicAmount, KnownNetwork, Offer, Resource};

use super::mistake::Mistake;
use super::networks::NetworkSettings;
use super::offers::{offer, upto};
use super::prices::{FileRule, Prices};
use super::reader::Reader;
use super::units::Dollars;
use super::usage::{Per, UsagePrice};

/// What the prices of a route are for.
pub(super) struct Pricing<'a> {
    pub(super) about: Resource,
    pub(super) networks: &'a [&'a NetworkSettings],
    pub(super) path: &'a PathPattern,
    pub(super) answer_timeout: Duration,
    /// What a payer may owe.
    pub(super) risk: Option<(Dollars, Range<usize>)>,
    pub(super) declared: Declared,
    /// What the upstream is spoken to in.
    pub(super) http: Http,
    pub(super) refusals: Shape,
}

impl Pricing<'_> {
    /// What the route charges.
    pub(super) fn charge(
        &self,
        prices: Prices,
        rules: Vec<Spanned<FileRule>>,
        reader: &mut Reader<'_>,
    ) -> Option<Charge> {
        let otherwise = self.terms(&prices, reader);
        if let Some(rule) = rules.get(RULES_MAX) {
            let mistake = Mistake::RuleCount { count: rules.len(), max: RULES_MAX };
            reader.wrong(rule.span(), mistake);
            return None;
        }
        let count = rules.len();
        let mut tariff: Vec<PriceRule> = Vec::new();
        for rule in rules {
            let span = rule.span();
            let Some((when, price)) = rule.into_inner().when(span.clone(), reader) else {
                continue;
            };
            let terms = price.read_priced(Some(self.networks), reader);
            let terms = terms.and_then(|prices| self.terms(&prices, reader));
            let same = |rule: &PriceRule| rule.when == when;
            if tariff.iter().any(same) {
                reader.wrong(span, Mistake::Twice(when.to_string().into()));
            } else if let Some(terms) = terms {
                tariff.push(PriceRule { when, terms });
            }
        }
        if tariff.len() < count {
            return None;
        }
        let otherwise = otherwise?;
        Some(match &*tariff {
            [] => Charge::Exact(Box::new(otherwise)),
            [..] => Charge::ByRequest(Box::new(Tariff { rules: tariff, otherwise })),
        })
    }

    fn terms(&self, prices: &Prices, reader: &mut Reader<'_>) -> Option<Terms> {
        let mut offers = Vec::new();
        for network in self.networks {
            match self.offer(prices, network) {
                Ok(offer) => offers.push(offer),
                Err((span, mistake)) => reader.wrong(span.clone(), mistake),
            }
        }
        if offers.len() < self.networks.len() {
            return None;
        }
        let instructions = self.instructions(&offers);
        let mistake = match Terms::new(self.about.clone(), self.path, offers, self.declared.clone())
        {
            Ok(terms) => return Some(Terms { instructions, ..terms }),
            Err(ChallengeError::NoOffers) => Mistake::NoNetworks,
            Err(ChallengeError::TooLong { bytes }) => Mistake::ChallengeTooLarge { bytes },
            Err(ChallengeError::Json(error)) => Mistake::ChallengeUnwritable(error),
        };
        reader.wrong(prices.span.clone(), mistake);
        None
    }

    fn offer<'b>(
        &'b self,
        prices: &'b Prices,
        network: &NetworkSettings,
    ) -> Result<OfferedBy, (&'b Range<usize>, Mistake)> {
        let missing = || Mistake::NoPriceOn { network: network.name.clone() };
        let (dollars, span) = prices.on(&network.name).ok_or_else(|| (&prices.span, missing()))?;
        let amount = amount(dollars, network).map_err(|mistake| (span, mistake))?;
        let risk = self.risk.as_ref().map(|(risk, span)| match self::amount(risk, network) {
            Ok(risk) if risk < amount => Err((span, Mistake::RiskTooSmall)),
            Ok(risk) => Ok(risk),
            Err(mistake) => Err((span, mistake)),
        });
        let (offer, usage) = match prices.usage() {
            None => (offer(network, amount, self.answer_timeout), None),
            Some(price) => {
                let (offer, usage) = self
                    .by_usage(price, network, amount)
                    .map_err(|(place, mistake)| (place.unwrap_or(&prices.span), mistake))?;
                (offer, Some(Arc::new(usage)))
            }
        };
        Ok(OfferedBy {
            offer: Arc::new(offer),
            decimals: network.decimals,
            catalogued: None,
            facilitators: Arc::clone(&network.facilitators),
            // One answer of its own price that is not settled yet, where nobody says more.
            risk: risk.transpose()?.or(usage.as_ref().map(|_| amount)),
            usage,
        })
    }

    /// The offer of a price by usage, and how what it comes to is found.
    fn by_usage<'b>(
        &self,
        price: &'b UsagePrice,
        network: &NetworkSettings,
        max: AtomicAmount,
    ) -> Result<(Offer, Usage), Misplaced<'b>> {
        if self.http == Http::Two {
            return Err((None, Mistake::UsageOverHttp2));
        }
        let place = &price.rate.span;
        let rate = match &price.rate.said {
            Ok(dollars) => amount(dollars, network).map_err(|mistake| (Some(place), mistake))?,
            // Read before.
            Err(_) => return Err((Some(place), Mistake::PriceZero)),
        };
        let no_scheme = || Mistake::NoUpto { network: network.name.clone() };
        let offer = upto(network, max, self.answer_timeout).ok_or_else(|| (None, no_scheme()))?;
        let Per { count, unit } = price.per.clone();
        let (from, missing) = (price.from.clone(), price.missing);
        Ok((offer, Usage { rate, count, unit, from, missing }))
    }

    /// The first way to pay, where the route's refusals say it in words.
    fn instructions(&self, offers: &[OfferedBy]) -> Option<Instructions> {
        let (network, by) = self.networks.first().zip(offers.first())?;
        let due = &by.offer.requirements;
        (self.refusals == Shape::Assistant).then(|| Instructions {
            amount: due.amount.to_decimal(network.decimals).into(),
            currency: currency(network),
            recipient: due.pay_to.to_string().into(),
            chain: network.name.clone(),
        })
    }
}

/// A mistake and where it stands, if not where the price does.
type Misplaced<'a> = (Option<&'a Range<usize>>, Mistake);

/// What people call the asset of a network: all that are built in are USDC.
fn currency(network: &NetworkSettings) -> Box<str> {
    match (KnownNetwork::named(&network.name), network.transfer.domain()) {
        (Some(_), _) => "USDC".into(),
        (None, Some(domain)) => domain.name.clone(),
        (None, None) => network.asset.to_string().into(),
    }
}

fn amount(dollars: &Dollars, network: &NetworkSettings) -> Result<AtomicAmount, Mistake> {
    dollars.amount(network.decimals).map_err(|error| match error {
        AmountError::TooPrecise { places, decimals } => {
            Mistake::AmountTooFine { places, decimals, network: network.name.clone() }
        }
        AmountError::NotDecimal(_) | AmountError::TooLarge => {
            Mistake::not("an amount of money anyone has", &dollars.typed(), "\"$0.05\"")
        }
    })
}

/// Rules that one request is held against.
const RULES_MAX: usize = 16;
