//! `[[routes]]`: what is served, and for how much.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;

use crate::discovery::bazaar;
use crate::ledger::Keep;
use crate::limit::Rate;
use crate::route::tariff::BODY_BYTES_MAX;
use crate::route::upstream::Upstream;
use crate::route::{
    AskedBy, BodyRules, Charge, Contract, Declared, Listing, Pattern, Route, RouteTable,
    SettleMoment, Shape,
};
use crate::x402::Resource;

use super::answers::Answers;
use super::check::{Behind, Places, without_body};
use super::contracts::{Reads, contract};
use super::discovery::listing;
use super::file::{FileBody, FileRoute, FileSwitch};
use super::limits::of_clients;
use super::mistake::Mistake;
use super::networks::NetworkSettings;
use super::prices::Cost;
use super::pricing::Pricing;
use super::reader::{Kind, Reader};
use super::sign_in::{self, SignIn};
use super::text::Text;
use super::units::Size;
use super::words::{MediaType, Name, Settle};

/// What routes refer to. A section with a mistake is there as nothing.
pub(super) struct Around<'a> {
    /// What 402s put before a path, if it is known.
    pub(super) public_url: Option<&'a str>,
    /// Sections of `[networks]`.
    pub(super) networks_of: &'a BTreeMap<Box<str>, Option<NetworkSettings>>,
    /// Sections of `[upstreams]`.
    pub(super) upstreams_of: &'a BTreeMap<Box<str>, Option<Upstream>>,
    /// What is kept of answers, where a route does not say.
    pub(super) answers: Answers,
    /// In whose words is refused, where a route does not say.
    pub(super) refusals: Shape,
    /// Which proxy asks, if one does.
    pub(super) asked_by: Option<AskedBy>,
    /// What is free of a priced route, where it does not say.
    pub(super) free: Option<Rate>,
    /// How long payments are kept.
    pub(super) keep: Keep,
}

/// Reads all routes.
pub(super) fn routes(
    typed: Vec<Spanned<FileRoute>>,
    around: &Around<'_>,
    reader: &mut Reader<'_>,
) -> Vec<Arc<Route>> {
    let mut routes: Vec<Arc<Route>> = Vec::new();
    let mut spans: BTreeMap<Box<str>, Vec<Range<usize>>> = BTreeMap::new();
    for typed in typed {
        let place = typed.span();
        let typed = typed.into_inner();
        let pattern = typed.r#match.span.clone();
        let named = typed.name.as_ref().map(|name| name.span.clone());
        let places = Places::of(&typed);
        let Some(route) = around.route(typed, place, reader) else { continue };
        sign_in::sound(&route, places.sign_in.clone(), around.keep, reader);
        without_body(&route, places, reader);
        let of_name = spans.entry(route.name.clone()).or_default();
        of_name.push(pattern);
        match (named, &**of_name) {
            (Some(span), [other, _, ..]) => {
                let other = reader.place(other);
                reader.wrong(span, Mistake::NameTaken { name: route.name, other });
            }
            // Two patterns of one name are one pattern; the table says so.
            (Some(_) | None, _) => routes.push(Arc::new(route)),
        }
    }
    let first = |name| spans.get(name).and_then(|of_name| of_name.first()).cloned();
    let last = |name| spans.get(name).and_then(|of_name| of_name.last()).cloned();
    match RouteTable::new(routes.clone()).map(|table| table.undercut()) {
        Ok(None) => {}
        Ok(Some(undercut)) => {
            let other = reader.place(&first(&undercut.route).unwrap_or_default());
            let span = first(&undercut.by).unwrap_or_default();
            reader.wrong(span, Mistake::Undercut(undercut, other));
        }
        Err(conflict) => {
            let other = reader.place(&first(&conflict.first).unwrap_or_default());
            let span = last(&conflict.second).unwrap_or_default();
            reader.wrong(span, Mistake::Conflict(conflict, other));
        }
    }
    routes
}

impl<'a> Around<'a> {
    fn route(
        &self,
        mut typed: FileRoute,
        place: Range<usize>,
        reader: &mut Reader<'_>,
    ) -> Option<Route> {
        let behind = Behind::of(&mut typed, place, self.asked_by, reader);
        let of_priced = of_priced(&typed);
        let risk_span = typed.risk.as_ref().map(|risk| risk.span.clone());
        let pattern = reader.take(typed.r#match);
        let name = reader.take_if(typed.name).map(|Name(name)| name);
        let class = typed.class.map(|class| reader.refer(Kind::Class, class));
        let networks = self.networks(typed.networks, reader);
        let (mut body, body_max) = body(typed.body.map(Spanned::into_inner), reader);
        let timeout = reader.take_if(typed.timeout).map(|timeout| timeout.0);
        let mime_type = reader.take_if(typed.mime_type).map_or_else(Box::default, |it| it.0);
        let listing = listing(typed.discovery, reader);
        let moment = reader.take_if(typed.settle).map(|Settle(moment)| moment);
        let risk = reader.take_if(typed.risk).zip(risk_span.clone());
        let kept = behind.as_ref().map_or(self.answers, |behind| behind.keeps(self.answers));
        let kept = typed.keep_answer.map_or(kept, |keep| kept.keep(keep, reader));
        let identifying = kept.identifying(typed.payment_identifier, reader);
        let sign_in = reader.take_if(typed.sign_in).map(|SignIn(within)| within);
        let refusals = reader.take_if(typed.refusals).unwrap_or(self.refusals);
        let upstream = behind.as_ref().and_then(|behind| self.upstream(behind));
        let answer_timeout = timeout.or_else(|| behind.as_ref()?.answer_timeout(upstream));
        let pattern = pattern?;
        let (charge, contract) = match typed.price.read(networks.as_deref(), reader)? {
            Cost::Nothing => {
                free(of_priced, reader);
                (Charge::Free, None)
            }
            Cost::Prices(prices) => {
                no_risk_before(moment.unwrap_or_default(), risk_span, reader);
                let contract = typed.openapi.and_then(|it| contract(it, &pattern, reader));
                let known = (&*body.types, &*mime_type);
                let bazaar = bazaar(listing, &pattern, contract.as_ref(), known);
                let pricing = Pricing {
                    about: self.resource(&typed.description, &mime_type),
                    networks: &networks?,
                    path: &pattern.path,
                    answer_timeout: answer_timeout?,
                    risk,
                    declared: Declared { identifying, bazaar, sign_in },
                    http: upstream.map(|upstream| upstream.http).unwrap_or_default(),
                    refusals,
                };
                let charge = pricing.charge(prices, typed.price_rules, reader)?;
                (settled_last(charge, of_priced, reader), contract)
            }
        };
        read_first(&charge, Reads::of(contract.as_ref()), (&mut body, body_max), reader);
        Some(Route {
            name: name.unwrap_or_else(|| pattern.to_string().into()),
            description: typed.description,
            mime_type,
            listing,
            settle: behind.as_ref()?.settles(moment),
            upstream: behind?.into_upstream(),
            class: class.flatten(),
            free: self.free_first(typed.free, &charge, reader),
            charge,
            body,
            answer_timeout: answer_timeout?,
            keep_bytes_max: kept.bytes_max,
            refusals,
            contract: contract.map(Arc::new),
            pattern,
        })
    }

    /// The upstream that requests go to, if they go to one.
    fn upstream(&self, behind: &Behind) -> Option<&Upstream> {
        self.upstreams_of.get(behind.upstream()?)?.as_ref()
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
            let settings = name.and_then(|name| self.networks_of.get(&name)?.as_ref());
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
    let by_usage = charge.is_by_usage();
    for (key, span) in of_priced {
        if let (true, Some(span)) = (by_usage && key == "settle", span) {
            reader.wrong(span, Mistake::Meaningless { key, beside: "beside a price by usage" });
        }
    }
    charge
}

/// What only a priced route has, by key: where it stands.
type OfPriced = [(&'static str, Option<Range<usize>>); 10];

fn of_priced(typed: &FileRoute) -> OfPriced {
    [
        ("networks", typed.networks.as_ref().map(Spanned::span)),
        ("class", typed.class.as_ref().map(|text| text.span.clone())),
        ("free", typed.free.as_ref().and_then(FileSwitch::place)),
        ("keep_answer", typed.keep_answer.as_ref().map(|text| text.span.clone())),
        ("settle", typed.settle.as_ref().map(|text| text.span.clone())),
        ("risk", typed.risk.as_ref().map(|text| text.span.clone())),
        ("payment_identifier", typed.payment_identifier.as_ref().map(|text| text.span.clone())),
        ("sign_in", typed.sign_in.as_ref().map(|text| text.span.clone())),
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

/// What a body may be, and where its bound stands.
fn body(typed: Option<FileBody>, reader: &mut Reader<'_>) -> (BodyRules, Option<Range<usize>>) {
    let Some(FileBody { types, max }) = typed else { return Default::default() };
    let span = max.as_ref().map(|max| max.span.clone());
    let rules = BodyRules {
        types: reader.take_all(types).into_iter().map(|MediaType(name)| name).collect(),
        bytes_max: reader.take_if(max).map(|Size(bytes)| bytes),
    };
    (rules, span)
}

/// Stands in for a URL that is missing, so that the rest is checked too.
const NO_URL: &str = "http://localhost";
