//! The claim that makes one payment buy one answer, and the guard that lets it go.

use std::sync::Arc;

use super::prove::Window;
use super::{Payments, Presented, Proven, Returning};
use crate::clock::{Clock, UnixMillis};
use crate::digest::Digest;
use crate::facilitator::{Away, Order, Parents, Question};
use crate::fault::Fault;
use crate::ledger::{Claim, Claimed, ExchangeId, Ledger};
use crate::refusal::Refusal;
use crate::route::{OfferedBy, Usage};
use crate::x402::{AtomicAmount, ErrorReason, PaymentId, PaymentIdentity};

/// A payment that the ledger holds for this exchange and no other.
///
/// Dropping it lets the payment go.
#[derive(Debug)]
pub struct Reserved {
    pub(super) hold: Hold,
    pub(super) order: Order,
    /// Whom to ask, in this order.
    pub(super) facilitators: Arc<[Arc<str>]>,
    /// What its payer calls what it buys.
    pub(super) id: Option<PaymentId>,
    /// Of what was signed and of who sent it.
    pub(super) sender: Digest,
    /// What its payer may owe before money has moved; nothing: nothing.
    pub(super) risk: Option<AtomicAmount>,
    /// How what it comes to is found, where that may be less than what was signed.
    pub(super) usage: Option<Arc<Usage>>,
    /// Decimals of its asset.
    pub(super) decimals: u8,
}

/// Why a payment could not be reserved.
#[derive(Debug)]
pub enum Standing {
    /// The ledger has it under another exchange, or has another under its name.
    Taken(Box<Returning>),
    /// Nobody has it, and its window closes before it could be settled.
    TooLate,
    /// Nobody has it, and nobody can be asked to settle it now.
    Away(Away),
    /// The ledger could not be asked.
    Fault(Fault),
}

/// A held payment. Dropped while armed, it is released.
#[derive(Debug)]
pub(super) struct Hold {
    ledger: Ledger,
    pub(super) identity: PaymentIdentity,
    pub(super) exchange: ExchangeId,
    clock: Clock,
    armed: Armed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Armed {
    Yes,
    No,
}

impl Payments {
    /// Claims the payment for `exchange` on `route`, durably, before anyone else is asked.
    ///
    /// # Errors
    /// `Taken`: another exchange has it or had it. `TooLate`: its window closes too soon.
    /// `Away`: the circuits of all who could settle it are open; nothing was written.
    /// `Fault`: the ledger cannot be written, so no payment can be taken.
    ///
    /// # Cancel safety
    /// A claim that succeeds after the caller is gone is released.
    pub async fn reserve(
        &self,
        proven: Proven,
        exchange: ExchangeId,
        route: &str,
        now: UnixMillis,
    ) -> Result<Reserved, Standing> {
        let (presented, window) = proven.into_parts();
        if window == Window::Closing {
            return Err(self.unless_taken(&presented, Standing::TooLate).await);
        }
        let offered = &presented.offered;
        let asked = Question::Verify.of(presented.payer());
        let pool = self.pool();
        let turn = pool.in_turn(&offered.facilitators, &offered.offer, asked, now);
        let Some(first) = turn.first().map(|member| (&**member.name()).into()) else {
            let away = Standing::Away(pool.away(&offered.facilitators, None, now));
            return Err(self.unless_taken(&presented, away).await);
        };
        let requirements = &offered.offer.requirements;
        let identity = presented.identity();
        let sender = presented.sender.with(&identity, &presented.payment);
        let claim = Claim {
            identity: identity.clone(),
            exchange,
            route: route.into(),
            facilitator: first,
            asset: requirements.asset,
            amount: requirements.amount,
            pay_to: requirements.pay_to,
            valid_before: presented.payment.ends(now.seconds()),
            sender,
        };
        let (ledger, clock) = (self.inner.ledger.clone(), self.inner.clock.clone());
        match ledger.claim(claim, now).await {
            Ok(Claimed::Ours) => {}
            Ok(Claimed::Taken(entry)) => {
                let returning = Returning::presented(entry, &presented);
                return Err(Standing::Taken(Box::new(returning)));
            }
            Err(fault) => return Err(Standing::Fault(fault)),
        }
        let hold = Hold { ledger, identity, exchange, clock, armed: Armed::Yes };
        let Presented { version, offered, payment, id, .. } = presented;
        let OfferedBy { offer, facilitators, risk, catalogued, decimals, usage } = offered;
        let (actual, parents) = (None, None);
        let order = Order { version, offer, payment, catalogued, actual, parents };
        Ok(Reserved { hold, order, facilitators, id, sender, risk, usage, decimals })
    }

    /// Where a payment stands that nothing new can be bought with now: `otherwise`, if nobody has
    /// it.
    ///
    /// Whoever paid and was not told is not asked to pay again only because time has passed, or
    /// because a facilitator is away.
    async fn unless_taken(&self, presented: &Presented, otherwise: Standing) -> Standing {
        match self.inner.ledger.get(&presented.identity()).await {
            Ok(Some(entry)) if !entry.state.is_free() => {
                Standing::Taken(Box::new(Returning::presented(entry, presented)))
            }
            Ok(_) => otherwise,
            Err(fault) => Standing::Fault(fault),
        }
    }
}

impl Reserved {
    /// Whoever is asked about it is told which spans ask.
    pub fn tells(&mut self, parents: Arc<Parents>) {
        self.order.parents = Some(parents);
    }
}

impl Standing {
    /// How the client is told.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Fault(_) => Refusal::LedgerUnavailable,
            Self::Away(away) => Refusal::FacilitatorUnavailable { retry_after: away.retry_after },
            Self::TooLate => Refusal::PaymentInvalid(ErrorReason::ValidBefore),
            Self::Taken(returning) => returning.refusal(),
        }
    }
}

impl Hold {
    /// Ends the guard: from here on only an answer or recovery ends the payment.
    pub(super) fn keep(mut self) -> (Ledger, PaymentIdentity, ExchangeId) {
        self.armed = Armed::No;
        (self.ledger.clone(), self.identity.clone(), self.exchange)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.armed == Armed::Yes {
            let now = self.clock.now();
            self.ledger.release_later(self.identity.clone(), self.exchange, now);
        }
    }
}
