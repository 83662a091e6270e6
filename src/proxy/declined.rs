//! Why a request is not forwarded for its payment.

use super::Gateway;
use super::count::Counted;
use super::exchange::Exchange;
use crate::facilitator::Away;
use crate::payment::{Returning, Standing, Unverified};
use crate::refusal::Refusal;

/// Why a request is not forwarded for its payment.
#[derive(Debug)]
pub(super) enum Declined {
    /// It is refused.
    Refused(Refusal),
    /// Its payment has been here before.
    Back(Box<Returning>),
}

impl Declined {
    /// The code of the refusal, if it is one.
    pub(super) fn code(&self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal) => Some(refusal.row().code),
            Self::Back(_) => None,
        }
    }
}

impl From<Refusal> for Declined {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Gateway {
    /// Why a payment could not be reserved.
    pub(super) async fn stands(
        &self,
        standing: Standing,
        exchange: &mut Exchange,
        counted: &Counted,
    ) -> Declined {
        match standing {
            Standing::Taken(returning) => return Declined::Back(returning),
            Standing::Fault(ref fault) | Standing::Away(Away { ref fault, .. }) => {
                self.broke(exchange, fault);
            }
            // Well signed and too late: refused like any other, so it counts as one.
            Standing::TooLate => counted.was_refused().await,
        }
        standing.refusal().into()
    }

    /// Why a payment was not verified.
    pub(super) async fn unverified(
        &self,
        exchange: &mut Exchange,
        counted: &Counted,
        unverified: &Unverified,
    ) -> Refusal {
        match unverified {
            Unverified::Bad(_) => counted.was_refused().await,
            Unverified::Away(Away { fault, .. }) => self.broke(exchange, fault),
        }
        unverified.refusal()
    }
}
