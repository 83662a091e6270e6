//! What happens to a request before the upstream hears of it: matched, limited, paid for.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, header};
use pingora::proxy::Session;

use super::exchange::{Exchange, Paid};
use super::keeping::Keeping;
use super::settle::time_for;
use super::{Gateway, Side, Snapshot, inspect};
use crate::clock;
use crate::discovery::Page;
use crate::facilitator::Away;
use crate::facilitator::pool::RETRY_AFTER;
use crate::limit::{ClientKey, Limiter, TooMany, client_address, rate_limit_headers};
use crate::payment::{
    Given, Presented, Proven, Reserved, Returning, SignedBy, Standing, Unverified, is_brought,
    present,
};
use crate::refusal::{Limit, RateLimitHeaders, Refusal};
use crate::route::{CanonicalPath, Charge, Found, Route, SettleMoment, Tariff, Terms};
use crate::x402::Account;

/// What to do with a request that was not refused.
#[derive(Debug)]
pub(super) enum Admitted {
    /// Hand it to the upstream.
    Forward,
    /// Answer it as a CORS preflight.
    Preflight {
        /// The methods of this path.
        allow: Box<str>,
    },
    /// Answer it with a document for agents.
    Page(Page),
    /// Answer it with what its payment has bought before.
    Again(Given),
}

/// Why a request is not forwarded for its payment.
#[derive(Debug)]
pub(super) enum Declined {
    /// It is refused.
    Refused(Refusal),
    /// Its payment has been here before.
    Back(Box<Returning>),
}

impl From<Refusal> for Declined {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Gateway {
    /// Judges a request. What it learns stands in `exchange`.
    ///
    /// # Errors
    /// The refusal to answer with. No payment is held then.
    ///
    /// # Cancel safety
    /// A payment that was reserved is released.
    pub(super) async fn admit(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<Admitted, Refusal> {
        exchange.client = Some(self.client(session));
        inspect::inspect(session.req_header(), self.settings.header_bytes_max)?;
        let route = match find(session, &exchange.now, self.settings.side)? {
            Sought::Route(route) => route,
            Sought::Ours(answered) => return Ok(answered),
        };
        exchange.route = Some(Arc::clone(&route));
        match &route.charge {
            Charge::Free => self.screen(session, &route).map(|()| Admitted::Forward),
            _ if self.may_pass(session, exchange, &route) => {
                self.screen(session, &route).map(|()| Admitted::Forward)
            }
            Charge::Exact(_) | Charge::ByRequest(_) => match self
                .charge(session, exchange, &route)
                .await
            {
                Ok(()) => Ok(Admitted::Forward),
                Err(Declined::Refused(refusal)) => Err(refusal),
                Err(Declined::Back(returning)) => self.again(session, exchange, *returning).await,
            },
        }
    }

    /// From where a request comes, as far as proxies are believed.
    pub(super) fn client(&self, session: &Session) -> IpAddr {
        let peer = session.client_addr().and_then(|address| address.as_inet());
        let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), std::net::SocketAddr::ip);
        if self.settings.trusted_proxies.is_empty() {
            return peer.to_canonical();
        }
        let forwarded = session.req_header().headers.get_all("x-forwarded-for");
        // A value that is not text ends the walk: nothing left of it can be believed.
        let forwarded = forwarded.iter().map(|value| value.to_str().unwrap_or_default());
        client_address(peer, forwarded, &self.settings.trusted_proxies)
    }

    /// Whether whoever asks need not pay on this route.
    fn may_pass(&self, session: &Session, exchange: &mut Exchange, route: &Route) -> bool {
        let mut keys = session.req_header().headers.get_all(KEY_HEADER).iter();
        let key = keys.next().map(HeaderValue::as_bytes).filter(|_| keys.next().is_none());
        let Some(client) = exchange.client else { return false };
        exchange.bypass = exchange.now.access.bypass(&route.name, client, key).cloned();
        exchange.bypass.is_some()
    }

    /// The body's declared type and length, before any money is looked at.
    fn screen(&self, session: &Session, route: &Route) -> Result<(), Refusal> {
        let headers = &session.req_header().headers;
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let length = text(header::CONTENT_LENGTH).and_then(|digits| digits.parse().ok());
        route.body.screen(text(header::CONTENT_TYPE), length)
    }

    async fn charge(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        route: &Arc<Route>,
    ) -> Result<(), Declined> {
        let client = ClientKey::from(exchange.client.unwrap_or(IpAddr::from([0, 0, 0, 0])));
        let limiter = Arc::clone(&exchange.now.limiter);
        if let Charge::ByRequest(tariff) = &route.charge {
            self.tier(session, exchange, (route, tariff), client).await?;
        }
        let Some(terms) = route.charge.terms(exchange.tier) else { return Ok(()) };
        let headers = &session.req_header().headers;
        let presented = match present(headers, terms, client.into(), self.clock.now()) {
            Err(Refusal::PaymentMissing) => {
                limiter.take_unpaid(client).map_err(|many| limited(Limit::Unpaid, many))?;
                return Err(unpaid(terms).into());
            }
            other => other,
        };
        if !exchange.can_be_served() {
            return Err(self.while_away(session, exchange, presented, client).await);
        }
        self.screen(session, route)?;
        if let Some(contract) = &route.contract {
            self.hold_against(session, exchange, contract).await?;
        }
        let began = clock::steady();
        let proven = match self.prove(presented, &limiter, client, route) {
            Err(refusal @ Refusal::PaymentInvalid(_)) => {
                return Err(self.back_or(session, exchange, client, refusal).await);
            }
            other => other?,
        };
        exchange.paid = Some(Box::new(Paid::of(proven.presented())));
        let (payer, signed_by) = (proven.presented().payer(), proven.signed_by());
        let reserved = self.claim(proven, exchange, route, client).await?;
        let verified = match self.payments.verify(reserved).await {
            Ok(verified) => verified,
            Err(unverified) => return Err(self.unverified(exchange, client, &unverified).into()),
        };
        // Before the chain had said so, anyone could have named this payer.
        if signed_by == SignedBy::Contract {
            take_class(&limiter, route, payer, client)?;
            self.identify(verified.reserved(), exchange, route, client).await?;
        }
        match route.settle {
            SettleMoment::AfterUpstream => exchange.hold(verified),
            // In a box: it is rare, and every request would have room for it otherwise.
            SettleMoment::BeforeUpstream => {
                Box::pin(self.prepay(exchange, route, verified)).await?
            }
        }
        exchange.keeping =
            route.keep_bytes_max.map(|_| Box::new(Keeping::of(session.req_header())));
        exchange.stages.verify = Some(began.elapsed());
        // A client that leaves an HTTP/1 exchange now does not stop it: it is served and settled.
        session.set_abort_on_close(false);
        Ok(())
    }

    /// Learns which terms a request is for. One without payment is told some price in any case.
    async fn tier(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        (route, tariff): (&Route, &Tariff),
        client: ClientKey,
    ) -> Result<(), Refusal> {
        if is_brought(&session.req_header().headers) {
            self.screen(session, route)?;
            exchange.tier = self.weigh(session, exchange, tariff).await?;
            return Ok(());
        }
        let taken = exchange.now.limiter.take_unpaid(client);
        taken.map_err(|many| limited(Limit::Unpaid, many))?;
        exchange.tier = self.weigh(session, exchange, tariff).await.unwrap_or_default();
        Err(unpaid(tariff.terms(exchange.tier)))
    }

    /// The own check, in the brackets of the bucket for refused payments: a payment that is good
    /// gives its place back.
    fn prove(
        &self,
        presented: Result<Presented, Refusal>,
        limiter: &Limiter,
        client: ClientKey,
        route: &Route,
    ) -> Result<Proven, Refusal> {
        limiter.take_refused(client).map_err(|many| limited(Limit::Refused, many))?;
        let proven = self.judge(presented?, route)?;
        limiter.give_back_refused(client);
        Ok(proven)
    }

    fn judge(&self, presented: Presented, route: &Route) -> Result<Proven, Refusal> {
        let contracts = self.payments.contract_wallets(&presented);
        presented.prove(self.clock.now(), route.answer_timeout, contracts)
    }

    /// What a payment is told whose upstream is away: what it has bought before, if it has.
    async fn while_away(
        &self,
        session: &Session,
        exchange: &mut Exchange,
        presented: Result<Presented, Refusal>,
        client: ClientKey,
    ) -> Declined {
        let limiter = Arc::clone(&exchange.now.limiter);
        // Looking back costs a signature's check, so it is bounded like any other.
        if let Err(many) = limiter.take_refused(client) {
            return limited(Limit::Refused, many).into();
        }
        let declined = self.back_or(session, exchange, client, Refusal::UpstreamAway).await;
        let refused = matches!(declined, Declined::Refused(_));
        if let (true, Some(route), Ok(presented)) = (refused, &exchange.route, presented) {
            // A good payment is not counted against its client. The others are.
            if self.judge(presented, route).is_ok() {
                limiter.give_back_refused(client);
            }
        }
        declined
    }

    /// Reserves a payment, in its class and under its name where its payer is proven already.
    async fn claim(
        &self,
        proven: Proven,
        exchange: &mut Exchange,
        route: &Route,
        client: ClientKey,
    ) -> Result<Reserved, Declined> {
        if proven.signed_by() == SignedBy::Contract {
            return self.reserve(proven, exchange, client).await;
        }
        let (limiter, payer) = (Arc::clone(&exchange.now.limiter), proven.presented().payer());
        take_class(&limiter, route, payer, client)?;
        let claimed = async {
            let reserved = self.reserve(proven, exchange, client).await?;
            self.identify(&reserved, exchange, route, client).await?;
            Ok(reserved)
        };
        let claimed = claimed.await;
        if let (Err(_), Some(class)) = (&claimed, &route.class) {
            // Who sends a payer's payment of before once more takes nothing from the payer.
            limiter.give_back_class(class, payer, client);
        }
        claimed
    }

    async fn reserve(
        &self,
        proven: Proven,
        exchange: &mut Exchange,
        client: ClientKey,
    ) -> Result<Reserved, Declined> {
        let now = self.clock.now();
        let route = exchange.route.as_ref().map_or("", |route| &route.name);
        let reserved = self.payments.reserve(proven, exchange.id, route, now).await;
        reserved.map_err(|standing| self.stands(standing, exchange, client))
    }

    /// Binds a payment's name to it, once its payer is proven. One whose name is another's is let
    /// go.
    async fn identify(
        &self,
        reserved: &Reserved,
        exchange: &mut Exchange,
        route: &Route,
        client: ClientKey,
    ) -> Result<(), Declined> {
        let bound = self.payments.identify(reserved, time_for(route), self.clock.now()).await;
        bound.map_err(|standing| self.stands(standing, exchange, client))
    }

    fn stands(&self, standing: Standing, exchange: &mut Exchange, client: ClientKey) -> Declined {
        match standing {
            Standing::Taken(returning) => return Declined::Back(returning),
            Standing::Fault(ref fault) | Standing::Away(Away { ref fault, .. }) => {
                self.broke(exchange, fault);
            }
            // Well signed and too late: refused like any other, so it counts as one.
            Standing::TooLate => drop(exchange.now.limiter.take_refused(client)),
        }
        standing.refusal().into()
    }

    fn unverified(
        &self,
        exchange: &mut Exchange,
        client: ClientKey,
        unverified: &Unverified,
    ) -> Refusal {
        match unverified {
            // It was good by itself and bad on the chain: that counts as refused all the same. The
            // answer is the refusal either way, so an empty bucket changes nothing here.
            Unverified::Bad(_) => drop(exchange.now.limiter.take_refused(client)),
            Unverified::Away(Away { fault, .. }) => self.broke(exchange, fault),
        }
        unverified.refusal()
    }
}

/// Who answers a request.
enum Sought {
    /// What is behind this route.
    Route(Arc<Route>),
    /// The gateway itself.
    Ours(Admitted),
}

fn find(session: &Session, now: &Snapshot, side: Side) -> Result<Sought, Refusal> {
    let request = session.req_header();
    let (path, query) = inspect::target(request);
    let path = CanonicalPath::new(path).map_err(|_| Refusal::PathNotCanonical)?;
    if query.is_some_and(|query| !query.iter().all(u8::is_ascii_graphic)) {
        return Err(Refusal::RequestMalformed("the query has bytes that must be escaped".into()));
    }
    let pages = (side == Side::Clients).then_some(&now.discovery);
    if let Some(page) = pages.and_then(|pages| pages.always(path.as_str())) {
        return give(page, &request.method);
    }
    match now.routes.find(&request.method, inspect::host(request), &path) {
        Found::Route(route) if side.has(&route) => Ok(Sought::Route(route)),
        Found::Options { allow } => Ok(Sought::Ours(Admitted::Preflight { allow })),
        Found::MethodNotAllowed { allow } => Err(Refusal::MethodNotAllowed { allow }),
        Found::OtherSpelling => Err(Refusal::PathNotCanonical),
        Found::Route(_) | Found::Nothing => match pages.and_then(|all| all.page(path.as_str())) {
            Some(page) => give(page, &request.method),
            None => Err(Refusal::NoSuchRoute),
        },
    }
}

/// A document to whoever reads.
fn give(page: &Page, method: &Method) -> Result<Sought, Refusal> {
    let allow = "GET, HEAD, OPTIONS".into();
    match *method {
        Method::GET | Method::HEAD => Ok(Sought::Ours(Admitted::Page(page.clone()))),
        Method::OPTIONS => Ok(Sought::Ours(Admitted::Preflight { allow })),
        _ => Err(Refusal::MethodNotAllowed { allow }),
    }
}

/// What a request without payment is told: the terms, once there is a way to pay.
fn unpaid(terms: &Terms) -> Refusal {
    match terms.offers.is_empty() {
        true => Refusal::FacilitatorUnavailable { retry_after: RETRY_AFTER },
        false => Refusal::PaymentMissing,
    }
}

fn take_class(
    limiter: &Limiter,
    route: &Route,
    payer: Account,
    client: ClientKey,
) -> Result<(), Refusal> {
    let Some(class) = &route.class else { return Ok(()) };
    let taken = limiter.take_class(class, payer, client);
    taken.map(drop).map_err(|many| limited(Limit::Class, many))
}

fn limited(limit: Limit, many: TooMany) -> Refusal {
    let (state, policy) = rate_limit_headers(limit.name(), &many.quota);
    let told = RateLimitHeaders { state: state.into(), policy: policy.into() };
    Refusal::RateLimited { limit, told, retry_after: many.retry_after }
}

/// Where a key is that lets its holder pass for nothing. No upstream sees it.
const KEY_HEADER: HeaderName = HeaderName::from_static("x-tollgate-key");
