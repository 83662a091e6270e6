//! Requests whose payment has been here before: found, compared, and given what they have bought.

use std::borrow::Cow;
use std::sync::Arc;

use pingora::proxy::Session;

use super::admit::Admitted;
use super::count::Counted;
use super::declined::Declined;
use super::exchange::{Exchange, Moved, Paid};
use super::keeping::{Keeping, Unread, digest_of};
use super::{Gateway, answer};
use crate::ledger::State;
use crate::limit::ClientKey;
use crate::payment::{Prepaid, Returning, Withheld};
use crate::refusal::Refusal;
use crate::route::Charge;

impl Gateway {
    /// Before a payment is refused for what the route asks now: whether it bought something when
    /// the route asked for something else.
    pub(super) async fn back_or(
        &self,
        session: &Session,
        exchange: &mut Exchange,
        counted: &Counted,
        refusal: Refusal,
    ) -> Declined {
        let now = Arc::clone(&exchange.now);
        let headers = &session.req_header().headers;
        let looked =
            self.payments.look_back(headers, now.routes.assets(), ClientKey::from(counted).into());
        // In a box: it is rare, and every payment would have room for it otherwise.
        match Box::pin(looked).await {
            Ok(Some(returning)) => {
                // It was good once: no reason to count it as refused.
                counted.was_good().await;
                Declined::Back(Box::new(returning))
            }
            Ok(None) => Declined::Refused(refusal),
            Err(fault) => {
                // It may be a payment of before, so it is not told that it is good for nothing.
                self.broke(exchange, &fault);
                Declined::Refused(Refusal::LedgerUnavailable)
            }
        }
    }

    /// Answers a payment of before with what it has bought.
    ///
    /// # Errors
    /// The refusal to answer with: nothing was bought, something else was, or it is not there.
    pub(super) async fn again(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        returning: Returning,
    ) -> Result<Admitted, Refusal> {
        exchange.paid = Some(Box::new(Paid::before(&returning.entry)));
        let route = exchange.route.as_ref().filter(|route| route.name == returning.entry.route);
        let keeps = route.map(|route| route.keep_bytes_max.is_some());
        if keeps == Some(true) {
            let inherited = self.payments.inherit(&returning, self.clock.now()).await;
            inherited.map_err(|withheld| self.withheld(exchange, withheld))?;
        }
        if let Some(prepaid) = self.owed(exchange, &returning).await? {
            exchange.prepaid(prepaid, Moved::NotNow);
            exchange.keeping = Some(Box::new(Keeping::of(session.req_header())));
            session.set_abort_on_close(false);
            return Ok(Admitted::Forward);
        }
        if exchange.is_asked() {
            // It has let one request pass, or was spent elsewhere; no answer is given here.
            return Err(returning.refusal());
        }
        let bought = self.payments.bought(&returning, self.clock.now()).await;
        let bought = bought.map_err(|withheld| match withheld.refusal {
            // What its route does not keep does not come from another gateway either.
            Refusal::AnswerUnderWay { .. } if keeps == Some(false) => returning.refusal(),
            _ => self.withheld(exchange, withheld),
        })?;
        let bytes_max = self.body_bytes_max(exchange);
        if answer::invite(session).await.is_err() {
            return Err(BROKE_OFF);
        }
        let request = digest_of(session, bytes_max, &mut exchange.body_bytes).await;
        let request = request.map_err(|unread| match unread {
            Unread::TooLong => Refusal::BodyTooLarge { bytes_max },
            Unread::BrokeOff => BROKE_OFF,
        })?;
        let given = self.payments.give(bought, &returning, &request).await;
        let given = given.map_err(|withheld| self.withheld(exchange, withheld))?;
        Ok(Admitted::Again(given))
    }

    /// What is owed to a payment that was settled before its answer, or while nobody knew: one on
    /// the route that it was settled for, whatever the request asks there.
    async fn owed(
        &self,
        exchange: &mut Exchange,
        returning: &Returning,
    ) -> Result<Option<Prepaid>, Refusal> {
        let Some(route) = exchange.route.clone() else { return Ok(None) };
        let (entry, now) = (&returning.entry, self.clock.now());
        if entry.state != State::Settled || entry.route != route.name {
            return Ok(None);
        }
        // Where the price depends on the request, what is owed was paid for one of that price.
        if let Charge::ByRequest(tariff) = &route.charge
            && !tariff.sold(exchange.tier, &entry.identity.network, entry.reserved)
        {
            return Ok(None);
        }
        // It is not tried where it is known to fail.
        if !exchange.can_be_served() {
            return match self.payments.is_owed(returning, now).await {
                Ok(false) => Ok(None),
                Ok(true) => Err(returning.unavailable(None).refusal),
                Err(fault) => Err(self.withheld(exchange, returning.unavailable(Some(fault)))),
            };
        }
        let owed = self.payments.collect(returning, self.time_for(&route), now).await;
        owed.map_err(|withheld| self.withheld(exchange, withheld))
    }

    fn withheld(&self, exchange: &mut Exchange, withheld: Withheld) -> Refusal {
        if let Some(fault) = &withheld.fault {
            self.broke(exchange, fault);
        }
        withheld.refusal
    }
}

const BROKE_OFF: Refusal = Refusal::RequestMalformed(Cow::Borrowed("the request broke off"));
