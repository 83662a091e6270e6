//! Which payments let somebody in who has made one of them.

use super::{Entry, State};
use crate::clock::UnixMillis;
use crate::x402::{Account, Network};

/// Payments of somebody for a route, whose money has moved since a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Who has paid.
    pub payer: Account,
    /// Name of the route.
    pub route: &'a str,
    /// The first moment that counts.
    pub since: UnixMillis,
    /// On which network; nothing: on any.
    pub network: Option<&'a Network>,
}

impl Wanted<'_> {
    /// Whether this is one of them.
    pub(super) fn is(&self, entry: &Entry) -> bool {
        let Self { payer, route, since, network } = self;
        entry.state == State::Settled
            && (entry.identity.payer, &*entry.route) == (*payer, *route)
            && entry.changed_at >= *since
            && network.is_none_or(|network| entry.identity.network == *network)
    }
}
