//! The claim that makes one payment buy one answer, and the guard that lets it go.

use super::prove::Window;
use super::{Payments, Presented, Proven, Returning};
use crate::clock::{Clock, UnixMillis};
use crate::facilitator::Order;
use crate::fault::Fault;
use crate::ledger::{Claim, Claimed, ExchangeId, Ledger};
use crate::refusal::Refusal;
use crate::x402::{ErrorReason, PaymentIdentity};

/// A payment that the ledger holds for this exchange and no other.
///
/// Dropping it lets the payment go.
#[derive(Debug)]
pub struct Reserved {
    pub(super) hold: Hold,
    pub(super) order: Order,
    pub(super) facilitator: std::sync::Arc<str>,
}

/// Why a payment could not be reserved.
#[derive(Debug)]
pub enum Standing {
    /// The ledger has it under another exchange.
    Taken(Box<Returning>),
    /// Nobody has it, and its window closes before it could be settled.
    TooLate,
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
            return Err(self.past(&presented).await);
        }
        let requirements = &presented.offered.offer.requirements;
        let claim = Claim {
            identity: presented.identity(),
            exchange,
            route: route.into(),
            facilitator: (&*presented.offered.facilitator).into(),
            amount: requirements.amount,
            pay_to: requirements.pay_to,
            valid_before: presented.payment.authorization.valid_before.saturating_to(),
        };
        let (ledger, clock) = (self.inner.ledger.clone(), self.inner.clock.clone());
        let identity = claim.identity.clone();
        match ledger.claim(claim, now).await {
            Ok(Claimed::Ours) => {}
            Ok(Claimed::Taken(entry)) => {
                let returning = Returning::presented(entry, &presented);
                return Err(Standing::Taken(Box::new(returning)));
            }
            Err(fault) => return Err(Standing::Fault(fault)),
        }
        let hold = Hold { ledger, identity, exchange, clock, armed: Armed::Yes };
        let order = Order {
            version: presented.version,
            offer: presented.offered.offer,
            payment: presented.payment,
        };
        Ok(Reserved { hold, order, facilitator: presented.offered.facilitator })
    }

    /// Where a payment stands that nothing new can be bought with.
    ///
    /// Whoever paid and was not told is not asked to pay again only because time has passed.
    async fn past(&self, presented: &Presented) -> Standing {
        match self.inner.ledger.get(&presented.identity()).await {
            Ok(Some(entry)) if !entry.state.is_free() => {
                Standing::Taken(Box::new(Returning::presented(entry, presented)))
            }
            Ok(_) => Standing::TooLate,
            Err(fault) => Standing::Fault(fault),
        }
    }
}

impl Standing {
    /// How the client is told.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Fault(_) => Refusal::LedgerUnavailable,
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
