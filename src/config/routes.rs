//! `[[routes]]`: what is served, and for how much.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use crate::route::challenge::ChallengeError;
use crate::route::upstream::Upstream;
use crate::route::{BodyRules, Charge, OfferedBy, Pattern, Route, RouteTable, SettleMoment, Terms};
use crate::x402::{AmountError, AtomicAmount, Identifying, Resource};

use super::answers::Answers;
use super::file::{FileBody, FileRoute};
use super::mistake::Mistake;
use super::networks::NetworkSettings;
use super::offers::offer;
use super::reader::{Kind, Reader};
use super::text::Text;
use super::units::{Dollars, Price, Size};
use super::words::{MediaType, Name, Settle};

/// What routes refer to. A section with a mistake is there as nothing.
pub(super) struct Around<'a> {
    /// What 402s put before a path, if it is known.
    pub(super) public_url: Option<&'a str>,
    /// Sections of `[networks]`.
    pub(super) networks: &'a BTreeMap<Box<str>, Option<NetworkSettings>>,
    /// Sections of `[upstreams]`.
    pub(super) upstreams: &'a BTreeMap<Box<str>, Option<Upstream>>,
    /// What is kept of answers, where a route does not say.
    pub(super) answers: Answers,
}

/// Reads all routes.
pub(super) fn routes(
    typed: Vec<Spanned<FileRoute>>,
    around: &Around<'_>,
    reader: &mut Reader<'_>,
) -> Vec<Arc<Route>> {
    let mut routes: Vec<Arc<Route>> = Vec::new();
    let mut spans: BTreeMap<Box<str>, Range<usize>> = BTreeMap::new();
    for typed in typed {
        let typed = typed.into_inner();
        let pattern = typed.r#match.span.clone();
        let named = typed.name.as_ref().map(|name| name.span.clone());
        let Some(route) = around.route(typed, reader) else { continue };
        let taken = spans.insert(route.name.clone(), pattern).is_some();
        match named {
            Some(span) if taken => reader.wrong(span, Mistake::NameTaken(route.name)),
            // Two patterns of one name are one pattern; the table says so.
            Some(_) | None => routes.push(Arc::new(route)),
        }
    }
    match RouteTable::new(routes.clone()).map(|table| table.undercut()) {
        Ok(None) => {}
        Ok(Some(undercut)) => {
            let span = spans.remove(&undercut.by).unwrap_or_default();
            reader.wrong(span, Mistake::Undercut(undercut));
        }
        Err(conflict) => {
            let span = spans.remove(&conflict.second).unwrap_or_default();
            reader.wrong(span, Mistake::Conflict(conflict));
        }
    }
    routes
}

impl<'a> Around<'a> {
    fn route(&self, typed: FileRoute, reader: &mut Reader<'_>) -> Option<Route> {
        let pattern = reader.take(typed.r#match);
        let name = reader.take_if(typed.name).map(|Name(name)| name);
        let upstream = reader.refer(Kind::Upstream, typed.upstream);
        let class_span = typed.class.as_ref().map(|class| class.span.clone());
        let class = typed.class.map(|class| reader.refer(Kind::Class, class));
        let networks_span = typed.networks.as_ref().map(Spanned::span);
        let networks = self.networks(typed.networks, reader);
        let body = body(typed.body, reader);
        let timeout = reader.take_if(typed.timeout).map(|timeout| timeout.0);
        let mime_type = reader.take_if(typed.mime_type).map(|MediaType(name)| name);
        let settle = typed.settle.as_ref().map(|settle| settle.span.clone());
        let moment = reader.take_if(typed.settle).map(|Settle(moment)| moment).unwrap_or_default();
        let risk_span = typed.risk.as_ref().map(|risk| risk.span.clone());
        let risk = reader.take_if(typed.risk).zip(risk_span.clone());
        let keep = typed.keep_answer.as_ref().map(|keep| keep.span.clone());
        let kept = match typed.keep_answer {
            Some(keep) => self.answers.keep(keep, reader),
            None => self.answers,
        };
        let identify = typed.payment_identifier.as_ref().map(|identify| identify.span.clone());
        let identifying = kept.identifying(typed.payment_identifier, reader);
        let answer_timeout = timeout.or_else(|| {
            let upstream = self.upstreams.get(upstream.as_deref()?)?.as_ref()?;
            Some(upstream.answer_timeout)
        });
        let price_span = typed.price.span.clone();
        let charge = match reader.take(typed.price)? {
            Price::Free => {
                let spans = [networks_span, class_span, keep, settle, risk_span, identify];
                free(spans, reader);
                Charge::Free
            }
            Price::Dollars(dollars) => {
                let about = Resource {
                    url: self.public_url.unwrap_or(NO_URL).into(),
                    description: typed.description,
                    mime_type: mime_type.unwrap_or_default(),
                };
                let (pattern, answer_timeout) = (pattern.as_ref()?, answer_timeout?);
                if let (Some((_, span)), SettleMoment::BeforeUpstream) = (&risk, moment) {
                    let beside = "beside `settle = \"before-upstream\"`";
                    reader.wrong(span.clone(), Mistake::Meaningless { key: "risk", beside });
                }
                let span = price_span;
                let price = Priced { dollars, span, about, answer_timeout, risk, identifying };
                Charge::Exact(Box::new(price.terms(&networks?, pattern, reader)?))
            }
        };
        let pattern = pattern?;
        Some(Route {
            name: name.unwrap_or_else(|| pattern.to_string().into()),
            upstream: upstream?,
            charge,
            class: class.flatten(),
            body,
            answer_timeout: answer_timeout?,
            keep_bytes_max: kept.bytes_max,
            settle: moment,
            pattern,
        })
    }

    /// The networks of a route. Nothing when one of them is none, or broken.
    fn networks(
        &self,
        typed: Option<Spanned<Vec<Text<Name>>>>,
        reader: &mut Reader<'_>,
    ) -> Option<Vec<&'a NetworkSettings>> {
        let mut found = Some(Vec::new());
        let mut seen = BTreeSet::new();
        for typed in typed.map(Spanned::into_inner).unwrap_or_default() {
            let span = typed.span.clone();
            let name = reader.refer(Kind::Network, typed);
            if let Some(name) = name.as_ref().filter(|name| !seen.insert((*name).clone())) {
                reader.wrong(span, Mistake::Twice(name.clone()));
            }
            let settings = name.and_then(|name| self.networks.get(&name)?.as_ref());
            found = found.zip(settings).map(|(mut found, settings)| {
                found.push(settings);
                found
            });
        }
        found
    }
}

/// A price that is not nothing, and what it is for.
struct Priced {
    dollars: Dollars,
    span: Range<usize>,
    about: Resource,
    answer_timeout: Duration,
    identifying: Identifying,
    /// What a payer may owe.
    risk: Option<(Dollars, Range<usize>)>,
}

impl Priced {
    fn terms(
        self,
        networks: &[&NetworkSettings],
        pattern: &Pattern,
        reader: &mut Reader<'_>,
    ) -> Option<Terms> {
        let mut offers = Vec::new();
        for network in networks {
            match self.offer(network) {
                Ok(offer) => offers.push(offer),
                Err((span, mistake)) => reader.wrong(span.clone(), mistake),
            }
        }
        if offers.len() < networks.len() {
            return None;
        }
        let mistake = match Terms::new(self.about, &pattern.path, offers, self.identifying) {
            Ok(terms) => return Some(terms),
            Err(ChallengeError::NoOffers) => Mistake::NoNetworks,
            Err(ChallengeError::TooLong { bytes }) => Mistake::ChallengeTooLarge { bytes },
            Err(ChallengeError::Json(error)) => Mistake::ChallengeUnwritable(error),
        };
        reader.wrong(self.span, mistake);
        None
    }

    fn offer(&self, network: &NetworkSettings) -> Result<OfferedBy, (&Range<usize>, Mistake)> {
        let amount = amount(&self.dollars, network).map_err(|mistake| (&self.span, mistake))?;
        let risk = self.risk.as_ref().map(|(risk, span)| match self::amount(risk, network) {
            Ok(risk) if risk < amount => Err((span, Mistake::RiskTooSmall)),
            Ok(risk) => Ok(risk),
            Err(mistake) => Err((span, mistake)),
        });
        let offer = offer(network, amount, self.answer_timeout);
        Ok(OfferedBy {
            offer: Arc::new(offer),
            facilitators: Arc::clone(&network.facilitators),
            risk: risk.transpose()?,
        })
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

/// What only a priced route has.
fn free(spans: [Option<Range<usize>>; 6], reader: &mut Reader<'_>) {
    let keys = ["networks", "class", "keep_answer", "settle", "risk", "payment_identifier"];
    for (key, span) in keys.into_iter().zip(spans) {
        if let Some(span) = span {
            reader.wrong(span, Mistake::Meaningless { key, beside: "beside `price = \"free\"`" });
        }
    }
}

fn body(typed: Option<FileBody>, reader: &mut Reader<'_>) -> BodyRules {
    let Some(FileBody { types, max }) = typed else { return BodyRules::default() };
    BodyRules {
        types: reader.take_all(types).into_iter().map(|MediaType(name)| name).collect(),
        bytes_max: reader.take_if(max).map(|Size(bytes)| bytes),
    }
}

/// Stands in for a URL that is missing, so that the rest is checked too.
const NO_URL: &str = "http://localhost";
