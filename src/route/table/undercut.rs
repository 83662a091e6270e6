//! Prices that a client could get around by naming another host.

use super::RouteTable;
use crate::route::method::Verb;
use crate::route::pattern::{End, PathPattern, Segment};
use crate::route::{CanonicalPath, Charge, Found, Route, Terms};

/// A priced route whose requests another one forwards to the same upstream for less, under a
/// `Host` that anyone can send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what route `{route}` is paid for, route `{by}` forwards to the same upstream for less")]
pub struct Undercut {
    /// Name of the route that is priced.
    pub route: Box<str>,
    /// Name of the other.
    pub by: Box<str>,
}

impl RouteTable {
    /// The first such route. Each pattern is looked at by one path of it.
    pub fn undercut(&self) -> Option<Undercut> {
        let hosts = self.hosts.keys().filter_map(|host| std::str::from_utf8(host).ok());
        let hosts: Vec<_> = hosts.map(Some).chain([None]).collect();
        self.routes.iter().find_map(|route| {
            let Charge::Exact(terms) = &route.charge else { return None };
            let path = sample(&route.pattern.path);
            let path = CanonicalPath::new(path.as_bytes()).ok()?;
            let verbs = Verb::ALL.into_iter().filter(|verb| verb.name() != "OPTIONS");
            let allowed = route.pattern.methods.allowed();
            verbs.filter(|verb| allowed.has(*verb)).find_map(|verb| {
                let method = verb.name().parse().ok()?;
                let found = hosts.iter().map(|host| self.find(&method, *host, &path));
                let mut others = found.filter_map(|found| match found {
                    Found::Route(other) => Some(other),
                    _ => None,
                });
                let by = others.find(|by| by.upstream == route.upstream && is_less(by, terms))?;
                Some(Undercut { route: route.name.clone(), by: by.name.clone() })
            })
        })
    }
}

/// Whether a route costs less than these terms, in some asset.
fn is_less(by: &Route, terms: &Terms) -> bool {
    let Charge::Exact(other) = &by.charge else { return true };
    other.offers.iter().any(|other| {
        let other = &other.offer.requirements;
        terms.offers.iter().any(|offered| {
            let offer = &offered.offer.requirements;
            (&offer.network, offer.asset) == (&other.network, other.asset)
                && other.amount < offer.amount
        })
    })
}

/// A path that the pattern takes, and hardly another.
fn sample(pattern: &PathPattern) -> String {
    let mut path = String::new();
    for segment in &pattern.segments {
        path.push('/');
        path.push_str(match segment {
            Segment::Literal(text) => text,
            Segment::Param(_) => ANY,
        });
    }
    match pattern.end {
        End::Bare if path.is_empty() => path.push('/'),
        End::Bare => {}
        End::Slash => path.push('/'),
        End::Rest => {
            path.push('/');
            path.push_str(ANY);
        }
    }
    path
}

/// What stands for any segment.
const ANY: &str = "any-0";
