//! The question that only a chain can answer: would this payment settle now?

use super::{Payments, Reserved};
use crate::facilitator::{Away, Question, Verdict};
use crate::refusal::Refusal;
use crate::x402::ErrorReason;

/// A reserved payment that a facilitator would settle now. Dropping it lets the payment go.
#[derive(Debug)]
pub struct Verified {
    pub(super) reserved: Reserved,
    /// Whoever said so: asked first to settle it.
    pub(super) by: std::sync::Arc<str>,
}

/// Why a payment was not verified. It has been released.
#[derive(Debug)]
pub enum Unverified {
    /// It would not settle.
    Bad(ErrorReason),
    /// Nobody could be asked.
    Away(Away),
}

impl Payments {
    /// Asks the offer's facilitators, one after another, whether the payment would settle now. The
    /// first who says so or not decides; nothing moves, so whoever does not say is passed over.
    ///
    /// # Errors
    /// `Bad`: it would not. `Away`: no facilitator said, or none can be believed.
    ///
    /// # Cancel safety
    /// Dropping this future releases the payment; a question changes nothing.
    pub async fn verify(&self, reserved: Reserved) -> Result<Verified, Unverified> {
        let (pool, clock, order) = (self.pool(), self.clock(), &reserved.order);
        let mut last = None;
        let (names, now) = (&reserved.facilitators, clock.now());
        for member in pool.in_turn(names, &order.offer, Question::Verify, now) {
            match member.verify(order, clock).await {
                Ok(Verdict::Good) => {
                    let by = member.name().clone();
                    return Ok(Verified { reserved, by });
                }
                Ok(Verdict::Bad(reason)) => return Err(Unverified::Bad(reason)),
                Err(fault) => {
                    tracing::warn!(facilitator = &**member.name(), %fault, "it did not verify");
                    last = Some(fault);
                }
            }
        }
        Err(Unverified::Away(pool.away(&reserved.facilitators, last, clock.now())))
    }
}

impl Verified {
    /// What was verified.
    pub fn reserved(&self) -> &Reserved {
        &self.reserved
    }
}

impl Unverified {
    /// How the client is told.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Bad(reason) => Refusal::PaymentInvalid(*reason),
            Self::Away(away) => Refusal::FacilitatorUnavailable { retry_after: away.retry_after },
        }
    }
}
