//! The table of all routes, and the look-up of the one that a request is for.

mod undercut;

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;

use super::method::{Methods, Verb, VerbSet};
use super::path::CanonicalPath;
use super::pattern::{HOST_BYTES_MAX, PathPattern, Pattern, Segment, Spelled};
use super::trie::Node;
use super::{OfferedBy, Route};
use crate::x402::{Offer, Version};

pub use undercut::Undercut;

/// All routes. A snapshot: a reload makes a new one.
///
/// The path is matched first, the method after it: where `POST /v1/a` and `* /v1/*` are routes,
/// `GET /v1/a` is answered 405 and never given to the more general route.
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
    hosts: HashMap<Box<[u8]>, Node<Endpoint>>,
    any_host: Node<Endpoint>,
    assets: Vec<Arc<Offer>>,
}

/// What a look-up finds.
#[derive(Clone, Debug)]
pub enum Found {
    /// The route that serves it.
    Route(Arc<Route>),
    /// An `OPTIONS` request that no route lists: ours to answer.
    Options {
        /// The value of `Allow`.
        allow: Box<str>,
    },
    /// Routes have this path, none with this method.
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: Box<str>,
    },
    /// The path is a route's but for the case of letters, an escape of `@` and its like, or a
    /// final `/`. An upstream may take them for the same, so no other route may have it.
    OtherSpelling,
    /// No route has this path.
    Nothing,
}

/// Two routes of which a request could mean either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("route `{second}` {clash} route `{first}`")]
pub struct RouteConflict {
    /// Name of the earlier route.
    pub first: Box<str>,
    /// Name of the later route.
    pub second: Box<str>,
    /// What they have in common.
    pub clash: Clash,
}

/// How two routes are in each other's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Clash {
    /// A method, the host and the shape of the path are the same.
    #[error("answers to the same requests as")]
    Same,
    /// Their paths differ only in the case of letters or in escapes.
    #[error("differs only in spelling from")]
    Spelling,
}

impl RouteTable {
    /// Puts routes into a table. Their order does not matter.
    ///
    /// # Errors
    /// Two of them could answer the same request, or their paths differ only in spelling.
    pub fn new(routes: Vec<Arc<Route>>) -> Result<Self, RouteConflict> {
        let assets = assets(&routes);
        let mut table = Self { routes, hosts: HashMap::new(), any_host: Node::default(), assets };
        for route in &table.routes {
            let Pattern { host, path, .. } = &route.pattern;
            let tree = match host {
                Some(host) => table.hosts.entry(host.as_bytes().into()).or_default(),
                None => &mut table.any_host,
            };
            tree.place(path).get_or_insert_with(|| Endpoint::new(path)).add(route)?;
        }
        Ok(table)
    }

    /// The route of a request. `host` is the client's, with or without a port, in any case.
    ///
    /// Routes with this host go before routes without a host. Allocates nothing for a route.
    pub fn find(&self, method: &Method, host: Option<&str>, path: &CanonicalPath<'_>) -> Found {
        let path = path.as_str();
        let of_host = || self.tree_of(host?)?.find(path);
        match of_host().or_else(|| self.any_host.find(path)) {
            None => Found::Nothing,
            Some(endpoint) => match endpoint.path.is_spelled(path) {
                Spelled::Same => endpoint.find(method),
                Spelled::Otherwise => Found::OtherSpelling,
            },
        }
    }

    /// All routes, in the order of the configuration.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// One offer for each asset that some route takes, at whatever price.
    pub fn assets(&self) -> &[Arc<Offer>] {
        &self.assets
    }

    fn tree_of(&self, host: &str) -> Option<&Node<Endpoint>> {
        if self.hosts.is_empty() {
            return None;
        }
        let mut room = [0; HOST_BYTES_MAX];
        let name = host_name(host).as_bytes();
        let folded = room.get_mut(..name.len())?;
        folded.copy_from_slice(name);
        folded.make_ascii_lowercase();
        self.hosts.get(&*folded)
    }
}

fn assets(routes: &[Arc<Route>]) -> Vec<Arc<Offer>> {
    let mut assets: Vec<Arc<Offer>> = Vec::new();
    for terms in routes.iter().flat_map(|route| route.charge.all()) {
        for OfferedBy { offer, .. } in &terms.wanted {
            let same = |known: &Arc<Offer>| {
                let same_name = known.network_in(Version::V1) == offer.network_in(Version::V1);
                let (known, offer) = (&known.requirements, &offer.requirements);
                same_name && (known.asset, &known.extra) == (offer.asset, &offer.extra)
            };
            if !assets.iter().any(same) {
                assets.push(Arc::clone(offer));
            }
        }
    }
    assets
}

/// A host without its port and without the root's final dot.
fn host_name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

/// The routes of one host and path shape.
#[derive(Debug)]
struct Endpoint {
    path: PathPattern,
    routes: Vec<(Methods, Arc<Route>)>,
    allow: VerbSet,
}

impl Endpoint {
    fn new(path: &PathPattern) -> Self {
        Self { path: path.clone(), routes: Vec::new(), allow: VerbSet::default() }
    }

    fn add(&mut self, route: &Arc<Route>) -> Result<(), RouteConflict> {
        let Pattern { methods, path, .. } = &route.pattern;
        let clash = |other: &Arc<Route>, clash| {
            Err(RouteConflict { first: other.name.clone(), second: route.name.clone(), clash })
        };
        for (others, other) in &self.routes {
            if !same_spelling(&self.path, path) {
                return clash(other, Clash::Spelling);
            }
            if overlap(*others, *methods) {
                return clash(other, Clash::Same);
            }
        }
        self.allow = self.allow.and(methods.allowed());
        self.routes.push((*methods, Arc::clone(route)));
        Ok(())
    }

    fn find(&self, method: &Method) -> Found {
        let verb = Verb::of(method);
        match verb.and_then(|verb| self.route_for(verb)) {
            Some(route) => Found::Route(Arc::clone(route)),
            None if verb == Some(Verb::Options) => Found::Options { allow: self.allow() },
            None => Found::MethodNotAllowed { allow: self.allow() },
        }
    }

    /// A route that lists the method, else for `HEAD` one that lists `GET`, else one for any.
    fn route_for(&self, verb: Verb) -> Option<&Arc<Route>> {
        let listing = |wanted: Verb| {
            let lists = move |methods: &Methods| match methods {
                Methods::Any => false,
                Methods::Listed(set) => set.has(wanted),
            };
            self.routes.iter().find(move |(methods, _)| lists(methods))
        };
        let as_get = || if verb == Verb::Head { listing(Verb::Get) } else { None };
        let any = || match verb {
            Verb::Options => None,
            _ => self.routes.iter().find(|(methods, _)| *methods == Methods::Any),
        };
        listing(verb).or_else(as_get).or_else(any).map(|(_, route)| route)
    }

    fn allow(&self) -> Box<str> {
        self.allow.to_string().into()
    }
}

/// Two lists that share a method, or two that take any. One that takes any yields to a list.
fn overlap(one: Methods, other: Methods) -> bool {
    match (one, other) {
        (Methods::Any, Methods::Any) => true,
        (Methods::Listed(one), Methods::Listed(other)) => !one.common(other).is_empty(),
        (Methods::Any, Methods::Listed(_)) | (Methods::Listed(_), Methods::Any) => false,
    }
}

/// Of two paths of one shape, whether all literals are the same bytes.
fn same_spelling(one: &PathPattern, other: &PathPattern) -> bool {
    one.segments.iter().zip(&other.segments).all(|pair| match pair {
        (Segment::Literal(one), Segment::Literal(other)) => one == other,
        _ => true,
    })
}

#[cfg(test)]
mod tests;
