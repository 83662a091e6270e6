//! What an exchange takes from the limiter's buckets, and earns back.

use std::net::IpAddr;
use std::sync::Arc;

use super::exchange::Exchange;
use crate::limit::{ClientKey, Limiter, TooMany, rate_limit_headers};
use crate::refusal::{Limit, RateLimitHeaders, Refusal};
use crate::route::Route;
use crate::x402::Account;

/// Whoever asks, to the limiter. It outlives the exchange where a settlement does.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    limiter: Arc<Limiter>,
    client: ClientKey,
}

impl Counted {
    pub(super) fn of(exchange: &Exchange) -> Self {
        let client = exchange.client.unwrap_or(IpAddr::from([0, 0, 0, 0]));
        Self { limiter: Arc::clone(&exchange.now.limiter), client: client.into() }
    }

    /// One of the route's requests that need no payment, if one is left.
    pub(super) async fn is_free(&self, route: &Route) -> bool {
        route.free.is_some() && self.limiter.take_free(&route.name, self.client).await
    }

    /// One request without payment.
    pub(super) async fn unpaid(&self) -> Result<(), Refusal> {
        let taken = self.limiter.take_unpaid(self.client).await;
        taken.map(drop).map_err(|many| limited(Limit::Unpaid, many))
    }

    /// A payment of this client has settled.
    pub(super) async fn earned(&self) {
        self.limiter.earn_unpaid(self.client).await;
    }

    /// One payment that may be refused.
    pub(super) async fn tries(&self) -> Result<(), Refusal> {
        let taken = self.limiter.take_refused(self.client).await;
        taken.map(drop).map_err(|many| limited(Limit::Refused, many))
    }

    /// It was good after all.
    pub(super) async fn was_good(&self) {
        self.limiter.give_back_refused(self.client).await;
    }

    /// A payment that was good by itself was refused later: it counts as any. The answer is the
    /// refusal either way, so an empty bucket changes nothing here.
    pub(super) async fn was_refused(&self) {
        let _ = self.limiter.take_refused(self.client).await;
    }

    /// One paid request in the route's class.
    pub(super) async fn class(&self, route: &Route, payer: Account) -> Result<(), Refusal> {
        let Some(class) = &route.class else { return Ok(()) };
        let taken = self.limiter.take_class(class, payer, self.client).await;
        taken.map(drop).map_err(|many| limited(Limit::Class, many))
    }

    /// It bought nothing.
    pub(super) async fn class_back(&self, route: &Route, payer: Account) {
        if let Some(class) = &route.class {
            self.limiter.give_back_class(class, payer, self.client).await;
        }
    }
}

impl From<&Counted> for ClientKey {
    fn from(counted: &Counted) -> Self {
        counted.client
    }
}

fn limited(limit: Limit, many: TooMany) -> Refusal {
    let (state, policy) = rate_limit_headers(limit.name(), &many.quota);
    let told = RateLimitHeaders { state: state.into(), policy: policy.into() };
    Refusal::RateLimited { limit, told, retry_after: many.retry_after }
}
