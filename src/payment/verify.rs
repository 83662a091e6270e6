//! The question that only a chain can answer: would this payment settle now?

use super::{Payments, Reserved};
use crate::facilitator::Verdict;
use crate::fault::Fault;
use crate::refusal::Refusal;
use crate::x402::ErrorReason;

/// A reserved payment that its facilitator would settle now. Dropping it lets the payment go.
#[derive(Debug)]
pub struct Verified(pub(super) Reserved);

/// Why a payment was not verified. It has been released.
#[derive(Debug)]
pub enum Unverified {
    /// It would not settle.
    Bad(ErrorReason),
    /// Nobody could be asked.
    Fault(Fault),
}

impl Payments {
    /// Asks the offer's facilitator whether the payment would settle now.
    ///
    /// # Errors
    /// `Bad`: it would not. `Fault`: the facilitator did not say, or cannot be believed.
    ///
    /// # Cancel safety
    /// Dropping this future releases the payment; a question changes nothing.
    pub async fn verify(&self, reserved: Reserved) -> Result<Verified, Unverified> {
        let facilitator = self.facilitator(&reserved.facilitator).map_err(Unverified::Fault)?;
        match facilitator.verify(&reserved.order, self.inner.clock.now()).await {
            Ok(Verdict::Good) => Ok(Verified(reserved)),
            Ok(Verdict::Bad(reason)) => Err(Unverified::Bad(reason)),
            Err(fault) => Err(Unverified::Fault(fault)),
        }
    }
}

impl Unverified {
    /// How the client is told.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Bad(reason) => Refusal::PaymentInvalid(*reason),
            Self::Fault(_) => Refusal::FacilitatorUnavailable,
        }
    }
}
