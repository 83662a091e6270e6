//! Why a request is not forwarded for its payment.

use crate::payment::Returning;
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
