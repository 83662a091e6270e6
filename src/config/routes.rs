//! `[[routes]]`: what is served, and for how much.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;

use crate::route::challenge::ChallengeError;
use crate::route::upstream::Upstream;
use crate::route::{BodyRules, Charge, OfferedBy, Pattern, Route, RouteTable, Terms};
use crate::x402::Resource;

use super::file::{FileBody, FileRoute};
use super::mistake::Mistake;
use super::networks::Networks;
use super::offers::offer;
use super::reader::Reader;
use super::text::Text;
use super::units::{Dollars, Price, Size};
use super::words::{MediaType, Name};

/// What routes refer to, and which of it they have referred to so far.
pub(super) struct Surroundings<'a> {
    /// Of the server, if it is known.
    pub(super) public_url: Option<&'a str>,
    /// Sections of `[networks]`.
    pub(super) networks: &'a Networks,
    /// Sections of `[upstreams]`; one with a mistake is there as nothing.
    pub(super) upstreams: &'a BTreeMap<Box<str>, (Range<usize>, Option<Upstream>)>,
    /// Names under `[limits.class]`.
    pub(super) classes: &'a BTreeMap<Box<str>, Range<usize>>,
    /// Names that a route used: kind and name.
    pub(super) used: BTreeSet<(&'static str, Box<str>)>,
}

/// Reads all routes.
pub(super) fn routes(
    typed: Vec<Spanned<FileRoute>>,
    around: &mut Surroundings<'_>,
    reader: &mut Reader<'_>,
) -> Vec<Arc<Route>> {
    let mut routes = Vec::new();
    let mut spans = BTreeMap::new();
    for typed in typed {
        let typed = typed.into_inner();
        let span = typed.r#match.span.clone();
        let Some(route) = route(typed, around, reader) else { continue };
        if spans.insert(route.name.clone(), span.clone()).is_some() {
            reader.wrong(span, Mistake::NameTaken(route.name));
            continue;
        }
        routes.push(Arc::new(route));
    }
    if let Err(conflict) = RouteTable::new(routes.clone()) {
        let span = spans.remove(&conflict.second).unwrap_or_default();
        reader.wrong(span, Mistake::Conflict(conflict));
    }
    routes
}

fn route(
    typed: FileRoute,
    around: &mut Surroundings<'_>,
    reader: &mut Reader<'_>,
) -> Option<Route> {
    let pattern_span = typed.r#match.span.clone();
    let pattern = reader.take(typed.r#match);
    let upstream = refer(typed.upstream, "upstream", around, reader);
    let class_span = typed.class.as_ref().map(|class| class.span.clone());
    let class = typed.class.and_then(|class| refer(class, "class", around, reader));
    let body = body(typed.body, reader);
    let timeout = reader.take_if(typed.timeout).map(|timeout| timeout.0);
    reader.take_if(typed.settle);
    let name = reader.take_if(typed.name).map(|Name(name)| name);
    let price_span = typed.price.span.clone();
    let price = reader.take(typed.price);
    let answer_timeout = timeout.or_else(|| {
        let (_, upstream) = around.upstreams.get(upstream.as_deref()?)?;
        Some(upstream.as_ref()?.answer_timeout)
    });
    let charge = match price? {
        Price::Free => {}
        Price::Dollars(dollars) => {}
    };
    todo!()
}
