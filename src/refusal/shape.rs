//! In whose words refusals are told: the protocol's, or those of an API that promised others.

use super::{Refusal, Row};

/// Which statuses and codes a client was promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Those of the table: 402 for whatever is wrong with a payment.
    #[default]
    X402,
    /// Those of the published assistant API: 402 `payment_required` with `paymentInstructions`,
    /// 401 `unauthorized` for a proof that is invalid or expired, 400 `bad_request`, 429
    /// `rate_limit_exceeded`. What it says nothing of is told as in the table.
    Assistant,
}

/// How a refusal is told in one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// HTTP status.
    pub status: u16,
    /// `error` in the body.
    pub code: &'static str,
}

impl Told {
    /// Whether the terms come along, so that a client can pay now.
    pub fn shows_terms(self) -> bool {
        matches!(self.status, 401 | 402)
    }
}

impl Refusal {
    /// Its status and code in this shape.
    pub fn told(&self, shape: Shape) -> Told {
        let Row { status, code, .. } = self.row();
        let told = |status, code| Told { status, code };
        match shape {
            Shape::X402 => told(status, code),
            Shape::Assistant => match self {
                Self::PaymentMissing | Self::SettlementRejected(_) | Self::SignInInvalid(_) => {
                    told(402, "payment_required")
                }
                Self::PaymentInvalid(_) | Self::PaymentMalformed(_) => told(401, "unauthorized"),
                Self::RequestMalformed(_)
                | Self::PathNotCanonical
                | Self::PaymentsDisagree
                | Self::PaymentIdMalformed
                | Self::PaymentIdMissing => told(400, "bad_request"),
                Self::OthersUnsettled => told(429, "rate_limit_exceeded"),
                Self::AddressBlocked
                | Self::PayerBlocked
                | Self::NoSuchRoute
                | Self::NotTrusted
                | Self::MethodNotAllowed { .. }
                | Self::HeadersTooLarge
                | Self::BodyTooLarge { .. }
                | Self::BodyTypeUnsupported
                | Self::RateLimited { .. }
                | Self::PaymentInUse
                | Self::PaymentUsed { .. }
                | Self::PaymentIdUsed
                | Self::AnswerUnderWay { .. }
                | Self::PaidNotServed { .. }
                | Self::AnswerUnavailable { .. }
                | Self::OutcomeUnknown { .. }
                | Self::FacilitatorUnavailable { .. }
                | Self::LedgerUnavailable
                | Self::UpstreamAway
                | Self::UpstreamUnavailable
                | Self::UpstreamTimeout
                | Self::Internal => told(status, code),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::{Consumed, every};

    #[test]
    fn the_protocols_words_are_the_tables() {
        for refusal in every() {
            let (row, told) = (refusal.row(), refusal.told(Shape::X402));
            assert_eq!((told.status, told.code), (row.status, row.code));
            assert_eq!(told.shows_terms(), row.status == 402, "{refusal:?}");
        }
    }

    /// Source: PROTOCOL §9.
    #[test]
    fn the_assistant_has_four_codes_for_what_it_promised() {
        for refusal in every() {
            let Told { status, code } = refusal.told(Shape::Assistant);
            match status {
                400 => assert_eq!(code, "bad_request"),
                401 => assert_eq!(code, "unauthorized"),
                402 => assert_eq!(code, "payment_required"),
                429 => assert_eq!(code, "rate_limit_exceeded"),
                _ => assert_eq!((status, code), (refusal.row().status, refusal.row().code)),
            }
        }
    }

    #[test]
    fn nobody_is_asked_to_pay_whose_money_may_have_moved() {
        for refusal in every().iter().filter(|refusal| refusal.row().consumed != Consumed::No) {
            assert!(!refusal.told(Shape::Assistant).shows_terms(), "{refusal:?}");
        }
    }
}
