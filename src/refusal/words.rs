//! What a refusal says to a client: the sentence, the wait, the transaction, the protocol's reason.

use std::time::Duration;

use super::{Limit, Refusal, Unkept};
use crate::x402::ErrorReason;
use crate::x402::identifier::PaymentIdError;

impl Refusal {
    /// One sentence for a person.
    pub fn message(&self) -> String {
        match self {
            Self::RequestMalformed(what) => what.to_string(),
            Self::PathNotCanonical => {
                "the path has another spelling; send it decoded and without dot segments".to_owned()
            }
            Self::AddressBlocked => "nothing is served to this address".to_owned(),
            Self::PayerBlocked => {
                "payments of this payer are not taken here; nothing was taken".to_owned()
            }
            Self::NoSuchRoute => "nothing is served at this path".to_owned(),
            Self::NotTrusted => {
                "only the proxies that `trusted_proxies` names may ask here".to_owned()
            }
            Self::MethodNotAllowed { allow } => format!("this path takes {allow}"),
            Self::HeadersTooLarge => "the request's headers are too long".to_owned(),
            Self::BodyTooLarge { bytes_max } => format!("the body may have {bytes_max} bytes"),
            Self::BodyTypeUnsupported => "this route does not take that Content-Type".to_owned(),
            Self::RateLimited { limit, .. } => limit.message().to_owned(),
            Self::PaymentMissing => "payment is required".to_owned(),
            Self::PaymentMalformed(why) => why.to_string(),
            Self::PaymentsDisagree => "the payment headers disagree; send one".to_owned(),
            Self::PaymentIdMalformed => PaymentIdError.to_string(),
            Self::PaymentIdMissing => "this route wants a `payment-identifier`".to_owned(),
            Self::PaymentInvalid(reason) => format!("the payment is not good: {}", reason.code()),
            Self::SignInInvalid(reason) => format!("{}; or pay", reason.message()),
            Self::PaymentInUse => "this payment is being served right now".to_owned(),
            Self::PaymentUsed { answer, .. } => answer.message().to_owned(),
            Self::PaymentIdUsed => "this identifier stands for another request".to_owned(),
            Self::AnswerUnderWay { .. } => {
                "the answer to this payment is on its way; ask again, it costs nothing more"
                    .to_owned()
            }
            Self::PaidNotServed { because, .. } => format!(
                "the payment was settled, and then: {because}; send the same payment again, it \
                 costs nothing more"
            ),
            Self::AnswerUnavailable { .. } => {
                "the answer to this payment cannot be read right now; ask again, it costs nothing \
                 more"
                    .to_owned()
            }
            Self::SettlementRejected(reason) => {
                format!("the payment could not be settled: {}; nothing was taken", reason.code())
            }
            Self::OutcomeUnknown { .. } => {
                "whether the payment was taken is not known yet; do not pay again".to_owned()
            }
            Self::FacilitatorUnavailable { .. } => {
                "payments cannot be verified right now".to_owned()
            }
            Self::LedgerUnavailable => "payments cannot be recorded right now".to_owned(),
            Self::OthersUnsettled => {
                "other answers to this payer are not settled yet; nothing was taken".to_owned()
            }
            Self::UpstreamAway => "the service behind this gateway is not ready".to_owned(),
            Self::UpstreamUnavailable => {
                "the service behind this gateway cannot be reached".to_owned()
            }
            Self::UpstreamTimeout => "the service behind this gateway was too slow".to_owned(),
            Self::Internal => "something broke on our side".to_owned(),
        }
    }

    /// How long to wait before trying again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. }
            | Self::FacilitatorUnavailable { retry_after } => Some(*retry_after),
            Self::PaymentInUse
            | Self::OthersUnsettled
            | Self::AnswerUnderWay { .. }
            | Self::PaidNotServed { .. }
            | Self::UpstreamAway => Some(Duration::from_secs(1)),
            Self::OutcomeUnknown { .. }
            | Self::AnswerUnavailable { .. }
            | Self::LedgerUnavailable => Some(Duration::from_secs(5)),
            Self::RequestMalformed(_)
            | Self::PathNotCanonical
            | Self::AddressBlocked
            | Self::PayerBlocked
            | Self::NoSuchRoute
            | Self::NotTrusted
            | Self::MethodNotAllowed { .. }
            | Self::HeadersTooLarge
            | Self::BodyTooLarge { .. }
            | Self::BodyTypeUnsupported
            | Self::PaymentMissing
            | Self::PaymentMalformed(_)
            | Self::PaymentsDisagree
            | Self::PaymentIdMalformed
            | Self::PaymentIdMissing
            | Self::PaymentInvalid(_)
            | Self::SignInInvalid(_)
            | Self::PaymentUsed { .. }
            | Self::PaymentIdUsed
            | Self::SettlementRejected(_)
            | Self::UpstreamUnavailable
            | Self::UpstreamTimeout
            | Self::Internal => None,
        }
    }

    /// The transaction to name to the client.
    pub fn transaction(&self) -> Option<&str> {
        match self {
            Self::PaymentUsed { transaction, .. }
            | Self::AnswerUnderWay { transaction }
            | Self::PaidNotServed { transaction, .. }
            | Self::AnswerUnavailable { transaction } => Some(transaction),
            Self::OutcomeUnknown { transaction } => transaction.as_deref(),
            _ => None,
        }
    }

    /// The protocol's own reason, where there is one.
    pub fn reason(&self) -> Option<ErrorReason> {
        match self {
            Self::PaymentInvalid(reason) | Self::SettlementRejected(reason) => Some(*reason),
            _ => None,
        }
    }

    /// Its code, or that of a refused sign-in.
    pub fn reason_code(&self) -> Option<&'static str> {
        match self {
            Self::SignInInvalid(reason) => Some(reason.code()),
            _ => self.reason().map(ErrorReason::code),
        }
    }
}

impl Unkept {
    const fn message(self) -> &'static str {
        match self {
            Self::OtherRequest => "this payment has bought the answer to another request",
            Self::OtherSender => "its answer is given only to whoever sent this payment first",
            Self::TooOld => "this payment has bought an answer before, which is not kept any more",
            Self::TooLong => "this payment has bought an answer that was too long to be kept",
            Self::BrokenOff => "this payment has bought an answer that broke off",
            Self::Part => "this payment has bought a part of something, which is not kept",
            Self::NoRoom => "this payment has bought an answer that there was no room to keep",
        }
    }
}

impl Limit {
    const fn message(self) -> &'static str {
        match self {
            Self::Unpaid => "too many unpaid requests from this address",
            Self::Refused => "too many refused payments from this address",
            Self::Class => "too many requests by this payer",
        }
    }
}
