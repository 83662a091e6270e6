//! What happens to a request before the upstream hears of it: matched, limited, paid for.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};
use pingora::proxy::Session;

use super::count::Counted;
use super::declined::Declined;
use super::exchange::{Exchange, Paid};
use super::keeping::Keeping;
use super::seek::{Sought, find};
use super::sign_in::wants_in;
use super::{Gateway, inspect, peer};
use crate::clock;
use crate::discovery::Page;
use crate::facilitator::pool::RETRY_AFTER;
use crate::limit::{ClientKey, client_address};
use crate::observe::Step;
use crate::payment::{Given, Presented, Proven, Reserved, SignedBy, Verified, is_brought, present};
use crate::refusal::Refusal;
use crate::route::{Charge, Route, SettleMoment, Tariff, Terms};
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
        let client = self.client(session);
        exchange.client = Some(client);
        if exchange.now.access.block.has_address(client) {
            return Err(Refusal::AddressBlocked);
        }
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
            Charge::Exact(terms) if wants_in(session, terms) => {
                // In a box: other requests have no room for it.
                match Box::pin(self.sign_in(session, exchange, (&route, terms))).await {
                    // What is told with the terms needs some.
                    Err(Refusal::SignInInvalid(_)) if terms.offers.is_empty() => Err(unpaid(terms)),
                    signed_in => signed_in.map(|()| Admitted::Forward),
                }
            }
            Charge::Exact(_) | Charge::ByRequest(_) => {
                match self.charge(session, exchange, &route).await {
                    Ok(()) => Ok(Admitted::Forward),
                    Err(Declined::Refused(refusal)) => Err(refusal),
                    Err(Declined::Back(returning)) => {
                        Box::pin(self.again(session, exchange, *returning)).await
                    }
                }
            }
        }
    }

    /// From where a request comes, as far as proxies are believed.
    pub(super) fn client(&self, session: &Session) -> IpAddr {
        let peer = peer(session).unwrap_or(IpAddr::from([0, 0, 0, 0]));
        if self.settings.trusted_proxies.is_empty() {
            return peer;
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

    /// Whether a request is one of those that are free for everybody. One that brings a payment is
    /// not, nor one that would not be served for money either.
    async fn is_free(
        &self,
        session: &Session,
        exchange: &Exchange,
        route: &Route,
        counted: &Counted,
    ) -> bool {
        route.free.is_some()
            && !is_brought(&session.req_header().headers)
            && self.screen(session, route).is_ok()
            && exchange.can_be_served()
            && counted.is_free(route).await
    }

    /// The body's declared type and length, before any money is looked at.
    pub(super) fn screen(&self, session: &Session, route: &Route) -> Result<(), Refusal> {
        let headers = &session.req_header().headers;
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let length = text(header::CONTENT_LENGTH).and_then(|digits| digits.parse().ok());
        route.body.screen(text(header::CONTENT_TYPE), length)
    }

    /// What is done for some requests only is in boxes: all others would have room for it, and
    /// copy that.
    async fn charge(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        route: &Arc<Route>,
    ) -> Result<(), Declined> {
        let counted = Counted::of(exchange);
        let client = ClientKey::from(&counted);
        if self.is_free(session, exchange, route, &counted).await {
            exchange.give_free();
            return Ok(());
        }
        if let Charge::ByRequest(tariff) = &route.charge {
            Box::pin(self.tier(session, exchange, (route, tariff), &counted)).await?;
        }
        let Some(terms) = route.charge.terms(exchange.tier) else { return Ok(()) };
        let headers = &session.req_header().headers;
        let presented = match present(headers, terms, client.into(), self.clock.now()) {
            Err(Refusal::PaymentMissing) => {
                counted.unpaid().await?;
                return Err(unpaid(terms).into());
            }
            other => other,
        };
        if !exchange.can_be_served() {
            return Err(Box::pin(self.while_away(session, exchange, presented, &counted)).await);
        }
        self.screen(session, route)?;
        if let Some(contract) = &route.contract {
            Box::pin(self.hold_against(session, exchange, contract)).await?;
        }
        let began = clock::steady();
        let verified = self.verified(session, exchange, (presented, route), &counted);
        let verified = Box::pin(verified).await;
        exchange.took(Step::Verify, Some(began), verified.as_ref().err().and_then(Declined::code));
        let verified = verified?;
        exchange.stages.verify = Some(began.elapsed());
        match route.settle {
            SettleMoment::AfterUpstream => exchange.hold(verified),
            // In a box: it is rare, and every request would have room for it otherwise.
            SettleMoment::BeforeUpstream => {
                Box::pin(self.prepay(exchange, route, verified)).await?
            }
        }
        exchange.keeping =
            route.keep_bytes_max.map(|_| Box::new(Keeping::of(session.req_header())));
        // A client that leaves an HTTP/1 exchange now does not stop it: it is served and settled.
        session.set_abort_on_close(false);
        Ok(())
    }

    /// Proves a payment, claims it, and asks whether it would settle.
    async fn verified(
        &self,
        session: &Session,
        exchange: &mut Exchange,
        (presented, route): (Result<Presented, Refusal>, &Route),
        counted: &Counted,
    ) -> Result<Verified, Declined> {
        let proven = match self.prove(presented, counted, route).await {
            Err(refusal @ Refusal::PaymentInvalid(_)) => {
                return Err(self.back_or(session, exchange, counted, refusal).await);
            }
            other => other?,
        };
        exchange.paid = Some(Box::new(Paid::of(proven.presented())));
        let (payer, signed_by) = (proven.presented().payer(), proven.signed_by());
        self.turn_away(session, exchange, payer, counted).await?;
        let mut reserved = self.claim(proven, exchange, route, counted).await?;
        if let Some(parents) = exchange.parents() {
            reserved.tells(parents);
        }
        let verified = match self.payments.verify(reserved).await {
            Ok(verified) => verified,
            Err(unverified) => {
                return Err(self.unverified(exchange, counted, &unverified).await.into());
            }
        };
        // Before the chain had said so, anyone could have named this payer.
        if signed_by == SignedBy::Contract {
            counted.class(route, payer).await?;
            self.identify(verified.reserved(), exchange, route, counted).await?;
        }
        Ok(verified)
    }

    /// Lets nobody on whose payments are not taken. What was bought before is still the payer's.
    async fn turn_away(
        &self,
        session: &Session,
        exchange: &mut Exchange,
        payer: Account,
        counted: &Counted,
    ) -> Result<(), Declined> {
        if !exchange.now.access.block.has_payer(&payer) {
            return Ok(());
        }
        counted.was_refused().await;
        Err(self.back_or(session, exchange, counted, Refusal::PayerBlocked).await)
    }

    /// Learns which terms a request is for. One without payment is told some price in any case.
    async fn tier(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        (route, tariff): (&Route, &Tariff),
        counted: &Counted,
    ) -> Result<(), Refusal> {
        if is_brought(&session.req_header().headers) {
            self.screen(session, route)?;
            exchange.tier = self.weigh(session, exchange, tariff).await?;
            return Ok(());
        }
        counted.unpaid().await?;
        exchange.tier = self.weigh(session, exchange, tariff).await.unwrap_or_default();
        Err(unpaid(tariff.terms(exchange.tier)))
    }

    /// The own check, in the brackets of the bucket for refused payments: a payment that is good
    /// gives its place back.
    async fn prove(
        &self,
        presented: Result<Presented, Refusal>,
        counted: &Counted,
        route: &Route,
    ) -> Result<Proven, Refusal> {
        counted.tries().await?;
        let proven = self.judge(presented?, route)?;
        counted.was_good().await;
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
        counted: &Counted,
    ) -> Declined {
        // Looking back costs a signature's check, so it is bounded like any other.
        if let Err(refusal) = counted.tries().await {
            return refusal.into();
        }
        let declined = self.back_or(session, exchange, counted, Refusal::UpstreamAway).await;
        let refused = matches!(declined, Declined::Refused(_));
        if let (true, Some(route), Ok(presented)) = (refused, &exchange.route, presented) {
            // A good payment is not counted against its client. The others are.
            if self.judge(presented, route).is_ok() {
                counted.was_good().await;
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
        counted: &Counted,
    ) -> Result<Reserved, Declined> {
        if proven.signed_by() == SignedBy::Contract {
            return self.reserve(proven, exchange, counted).await;
        }
        let payer = proven.presented().payer();
        counted.class(route, payer).await?;
        let claimed = async {
            let reserved = self.reserve(proven, exchange, counted).await?;
            self.identify(&reserved, exchange, route, counted).await?;
            Ok(reserved)
        };
        let claimed = claimed.await;
        if claimed.is_err() {
            // Who sends a payer's payment of before once more takes nothing from the payer.
            counted.class_back(route, payer).await;
        }
        claimed
    }

    async fn reserve(
        &self,
        proven: Proven,
        exchange: &mut Exchange,
        counted: &Counted,
    ) -> Result<Reserved, Declined> {
        let now = self.clock.now();
        let route = exchange.route.as_ref().map_or("", |route| &route.name);
        let began = exchange.begins();
        let reserved = self.payments.reserve(proven, exchange.id, route, now).await;
        let reserved = match reserved {
            Ok(reserved) => Ok(reserved),
            Err(standing) => Err(self.stands(standing, exchange, counted).await),
        };
        exchange.took(Step::Reserve, began, reserved.as_ref().err().and_then(Declined::code));
        reserved
    }

    /// Binds a payment's name to it, once its payer is proven. One whose name is another's is let
    /// go.
    async fn identify(
        &self,
        reserved: &Reserved,
        exchange: &mut Exchange,
        route: &Route,
        counted: &Counted,
    ) -> Result<(), Declined> {
        match self.payments.identify(reserved, self.time_for(route), self.clock.now()).await {
            Ok(()) => Ok(()),
            Err(standing) => Err(self.stands(standing, exchange, counted).await),
        }
    }
}

/// What a request without payment is told: the terms, once there is a way to pay.
fn unpaid(terms: &Terms) -> Refusal {
    match terms.offers.is_empty() {
        true => Refusal::FacilitatorUnavailable { retry_after: RETRY_AFTER },
        false => Refusal::PaymentMissing,
    }
}

/// Where a key is that lets its holder pass for nothing. No upstream sees it.
const KEY_HEADER: HeaderName = HeaderName::from_static("x-tollgate-key");
