//! Prices that a client could get around by naming another host.

use super::RouteTable;
use crate::route::method::Verb;
use crate::route::pattern::{End, PathPattern, Segment};
use crate::route::{CanonicalPath, Charge, Found, Tariff, Terms};

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
                let by = others.find(|by| {
                    let beside = by.name != route.name && by.upstream == route.upstream;
                    beside && is_less(&by.charge, &route.charge)
                })?;
                Some(Undercut { route: route.name.clone(), by: by.name.clone() })
            })
        })
    }
}

/// Whether one charge is less than another for some request, in some asset. Where they have the
/// same rules, a request that meets one there meets it here.
fn is_less(by: &Charge, other: &Charge) -> bool {
    if !by.is_priced() {
        return other.is_priced();
    }
    match (by, other) {
        (Charge::ByRequest(one), Charge::ByRequest(two)) if same_rules(one, two) => {
            by.all().zip(other.all()).any(|(by, other)| costs_less(by, other))
        }
        _ => by.all().any(|by| other.all().any(|other| costs_less(by, other))),
    }
}

fn same_rules(one: &Tariff, two: &Tariff) -> bool {
    let rules = |tariff: &Tariff| tariff.rules.iter().map(|rule| rule.when.clone()).collect();
    let (one, two): (Vec<_>, Vec<_>) = (rules(one), rules(two));
    one == two
}

fn costs_less(by: &Terms, other: &Terms) -> bool {
    by.wanted.iter().any(|by| {
        let (usage, by) = (&by.usage, &by.offer.requirements);
        other.wanted.iter().any(|offered| {
            let offer = &offered.offer.requirements;
            // What is priced by usage may come to anything.
            let less = by.amount < offer.amount || (usage.is_some() && *usage != offered.usage);
            (&offer.network, offer.asset) == (&by.network, by.asset) && less
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
