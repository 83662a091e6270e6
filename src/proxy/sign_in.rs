//! A wallet that has paid for a route a while ago, and signs in instead of paying again.

use pingora::proxy::Session;

use super::count::Counted;
use super::exchange::Exchange;
use super::{Gateway, inspect};
use crate::facilitator::pool::RETRY_AFTER;
use crate::payment::{Entrance, NotLetIn, Said, SignedBy, signs_in};
use crate::refusal::Refusal;
use crate::route::{CanonicalPath, Route, Terms};
use crate::x402::SignInReason;

/// Whether a request is one of a wallet that signs in, where that may let it in.
pub(super) fn wants_in(session: &Session, terms: &Terms) -> bool {
    terms.declared.sign_in.is_some() && signs_in(&session.req_header().headers)
}

impl Gateway {
    /// Lets a wallet in, in the class of its paid requests, or says why not. What is counted is
    /// what a payment counts: one that proves nothing against its address, before its signature is
    /// looked at; one that proves who it is and has not paid is a request without payment.
    ///
    /// # Errors
    /// The refusal to answer with: a 402 for whatever is wrong with the sign-in, so that a client
    /// that can do so pays.
    ///
    /// # Cancel safety
    /// The sign-in may be used up.
    pub(super) async fn sign_in(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        (route, terms): (&Route, &Terms),
    ) -> Result<(), Refusal> {
        let (now, counted) = (self.clock.now(), &Counted::of(exchange));
        let within = terms.declared.sign_in.unwrap_or_default();
        let path = CanonicalPath::new(inspect::target(session.req_header()).0);
        let url = terms.url_of(&path.map_err(|_| Refusal::PathNotCanonical)?);
        let entrance = Entrance { route: &route.name, terms, url: &url, within };
        counted.tries().await?;
        let said = Said::of(&session.req_header().headers, &entrance, now);
        let said = said.map_err(Refusal::SignInInvalid)?;
        let (payer, signed_by) = (said.payer(), said.signed_by());
        if signed_by == SignedBy::Key {
            counted.was_good().await;
        }
        let recognised = match self.payments.recognise(said, &entrance, now).await {
            Ok(recognised) => recognised,
            Err(why) => return Err(self.not_let_in(exchange, why, counted).await),
        };
        // Before the chain had said so, anyone could have named this wallet.
        if signed_by == SignedBy::Contract {
            counted.was_good().await;
        }
        if exchange.now.access.block.has_payer(&payer) {
            counted.was_refused().await;
            return Err(Refusal::PayerBlocked);
        }
        if !exchange.can_be_served() {
            return Err(Refusal::UpstreamAway);
        }
        self.screen(session, route)?;
        if let Some(contract) = &route.contract {
            self.hold_against(session, exchange, contract).await?;
        }
        counted.class(route, payer).await?;
        match self.payments.let_in(recognised, now).await {
            Ok(signed_in) => exchange.sign_in(signed_in),
            Err(why) => {
                counted.class_back(route, payer).await;
                return Err(self.not_let_in(exchange, why, counted).await);
            }
        }
        // Its 402 took a place among the unpaid requests, as a payment's did.
        counted.earned().await;
        Ok(())
    }

    async fn not_let_in(
        &self,
        exchange: &mut Exchange,
        why: NotLetIn,
        counted: &Counted,
    ) -> Refusal {
        match why {
            NotLetIn::Refused(SignInReason::NotPaid) => match counted.unpaid().await {
                Ok(()) => Refusal::SignInInvalid(SignInReason::NotPaid),
                Err(limited) => limited,
            },
            // Well signed, and sent once more: by its wallet, or by somebody who has seen it.
            NotLetIn::Refused(SignInReason::Used) => {
                counted.was_refused().await;
                Refusal::SignInInvalid(SignInReason::Used)
            }
            NotLetIn::Refused(reason) => Refusal::SignInInvalid(reason),
            NotLetIn::Ledger(fault) => {
                self.broke(exchange, &fault);
                Refusal::LedgerUnavailable
            }
            NotLetIn::Chain(fault) => {
                self.broke(exchange, &fault);
                Refusal::FacilitatorUnavailable { retry_after: RETRY_AFTER }
            }
        }
    }
}
