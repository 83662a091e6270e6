//! `[[routes]]`: what is served, and for how much.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;

use crate::discovery::bazaar;
use crate::limit::Rate;
use crate::route::tariff::BODY_BYTES_MAX;
use crate::route::upstream::{Http, Upstream};
use crate::route::{
    BodyRules, Charge, Contract, Declared, Listing, Pattern, Route, RouteTable, SettleMoment,
    Shape, Terms,
};
use crate::x402::Resource;

use super::answers::Answers;
use super::contracts::{Reads, contract};
use super::discovery::listing;
use super::file::{FileBody, FileRoute, FileSwitch};
use super::limits::of_clients;
use super::mistake::Mistake;
use super::networks::NetworkSettings;
use super::prices::Cost;
use super::pricing::Pricing;
use super::reader::{Kind, Reader};
use super::text::Text;
use super::units::Size;
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
    /// In whose words is refused, where a route does not say.
    pub(super) refusals: Shape,
    /// What is free of a priced route, where it does not say.
    pub(super) free: Option<Rate>,
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
        let of_priced = of_priced(&typed);
        let body_max = typed.body.as_ref().and_then(|body| Some(body.max.as_ref()?.span.clone()));
        let risk_span = typed.risk.as_ref().map(|risk| risk.span.clone());
        let pattern = reader.take(typed.r#match);
        let name = reader.take_if(typed.name).map(|Name(name)| name);
        let upstream = reader.refer(Kind::Upstream, typed.upstream);
        let class = typed.class.map(|class| reader.refer(Kind::Class, class));
        let networks = self.networks(typed.networks, reader);
        let mut body = body(typed.body, reader);
        let timeout = reader.take_if(typed.timeout).map(|timeout| timeout.0);
        let mime_type = reader.take_if(typed.mime_type).map_or_else(Box::default, |it| it.0);
        let listing = listing(typed.discovery, reader);
        let moment = reader.take_if(typed.settle).map(|Settle(moment)| moment).unwrap_or_default();
        let risk = reader.take_if(typed.risk).zip(risk_span.clone());
        let kept = match typed.keep_answer {
            Some(keep) => self.answers.keep(keep, reader),
            None => self.answers,
        };
        let identifying = kept.identifying(typed.payment_identifier, reader);
        let refusals = reader.take_if(typed.refusals).unwrap_or(self.refusals);
        let answer_timeout = timeout.or_else(|| {
            let upstream = self.upstreams.get(upstream.as_deref()?)?.as_ref()?;
            Some(upstream.answer_timeout)
        });
        let pattern = pattern?;
        let (charge, contract) = match typed.price.read(networks.as_deref(), reader)? {
            Cost::Nothing => {
                free(of_priced, reader);
                (Charge::Free, None)
            }
            Cost::Prices(prices) => {
                no_risk_before(moment, risk_span, reader);
                let contract = typed.openapi.and_then(|it| contract(it, &pattern, reader));
                let known = (&*body.types, &*mime_type);
                let bazaar = bazaar(listing, &pattern, contract.as_ref(), known);
                let pricing = Pricing {
                    about: self.resource(&typed.description, &mime_type),
                    networks: &networks?,
                    path: &pattern.path,
                    answer_timeout: answer_timeout?,
                    risk,
                    declared: Declared { identifying, bazaar },
                    http: self.spoken(upstream.as_deref()),
                    refusals,
                };
                let charge = pricing.charge(prices, typed.price_rules, reader)?;
                (settled_last(charge, of_priced, reader), contract)
            }
        };
        let reads = Reads::of(contract.as_ref());
        read_first(&charge, reads, (&mut body, body_max), reader);
        Some(Route {
            name: name.unwrap_or_else(|| pattern.to_string().into()),
            description: typed.description,
            mime_type,
            listing,
            upstream: upstream?,
            class: class.flatten(),
            free: self.free_first(typed.free, &charge, reader),
            charge,
            body,
            answer_timeout: answer_timeout?,
            keep_bytes_max: kept.bytes_max,
            refusals,
            contract: contract.map(Arc::new),
            settle: moment,
            pattern,
        })
    }

    /// How much of a priced route is free.
    fn free_first(
        &self,
        typed: Option<FileSwitch>,
        charge: &Charge,
        reader: &mut Reader<'_>,
    ) -> Option<Rate> {
        let rate = typed.map_or(self.free, |typed| of_clients(typed, reader));
        rate.filter(|_| charge.is_priced())
    }

    /// What an upstream is spoken to in.
    fn spoken(&self, upstream: Option<&str>) -> Http {
        let upstream = upstream.and_then(|name| self.upstreams.get(name)?.as_ref());
        upstream.map(|upstream| upstream.http).unwrap_or_default()
    }

    /// What a route sells, but for its path.
    fn resource(&self, description: &str, mime_type: &str) -> Resource {
        let url = self.public_url.unwrap_or(NO_URL).into();
        Resource { url, description: description.into(), mime_type: mime_type.into() }
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

/// What catalogues are told of a route.
fn bazaar(
    listing: Listing,
    pattern: &Pattern,
    contract: Option<&Contract>,
    known: (&[Box<str>], &str),
) -> Option<serde_json::Value> {
    match listing {
        Listing::Listed => bazaar::declared(pattern, contract, known),
        Listing::Unlisted => None,
    }
}

/// Nothing is at risk where money moves first.
fn no_risk_before(moment: SettleMoment, risk: Option<Range<usize>>, reader: &mut Reader<'_>) {
    if let (Some(span), SettleMoment::BeforeUpstream) = (risk, moment) {
        let beside = "beside `settle = \"before-upstream\"`";
        reader.wrong(span, Mistake::Meaningless { key: "risk", beside });
    }
}

/// The same charge: where an answer says what it costs, money can only move at its end.
fn settled_last(charge: Charge, of_priced: OfPriced, reader: &mut Reader<'_>) -> Charge {
    let by_usage = |terms: &Terms| terms.wanted.iter().any(|by| by.usage.is_some());
    let by_usage = charge.all().any(by_usage);
    for (key, span) in of_priced {
        if let (true, Some(span)) = (by_usage && key == "settle", span) {
            reader.wrong(span, Mistake::Meaningless { key, beside: "beside a price by usage" });
        }
    }
    charge
}

/// What only a priced route has, by key: where it stands.
type OfPriced = [(&'static str, Option<Range<usize>>); 9];

fn of_priced(typed: &FileRoute) -> OfPriced {
    [
        ("networks", typed.networks.as_ref().map(Spanned::span)),
        ("class", typed.class.as_ref().map(|text| text.span.clone())),
        ("free", typed.free.as_ref().and_then(FileSwitch::place)),
        ("keep_answer", typed.keep_answer.as_ref().map(|text| text.span.clone())),
        ("settle", typed.settle.as_ref().map(|text| text.span.clone())),
        ("risk", typed.risk.as_ref().map(|text| text.span.clone())),
        ("payment_identifier", typed.payment_identifier.as_ref().map(|text| text.span.clone())),
        ("price_rules", typed.price_rules.first().map(Spanned::span)),
        ("openapi", typed.openapi.as_ref().map(Spanned::span)),
    ]
}

fn free(of_priced: OfPriced, reader: &mut Reader<'_>) {
    for (key, span) in of_priced {
        if let Some(span) = span {
            reader.wrong(span, Mistake::Meaningless { key, beside: "beside `price = \"free\"`" });
        }
    }
}

/// The bound on a body that is read whole before money is looked at.
fn read_first(
    charge: &Charge,
    reads: Reads,
    (body, typed): (&mut BodyRules, Option<Range<usize>>),
    reader: &mut Reader<'_>,
) {
    let priced = matches!(charge, Charge::ByRequest(tariff) if tariff.reads_body());
    if !priced && reads == Reads::Nothing {
        return;
    }
    let bytes_max = *body.bytes_max.get_or_insert(BODY_BYTES_MAX);
    if let Some(span) = typed.filter(|_| bytes_max > BODY_BYTES_MAX) {
        reader.wrong(span, Mistake::BodyReadFirst);
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
