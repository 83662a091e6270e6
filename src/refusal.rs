//! Every way of saying no to a client, with its status, code and labels in one table.

mod shape;
mod words;

use std::borrow::Cow;
use std::time::Duration;

use crate::x402::{ErrorReason, SignInReason};

pub use self::shape::{Shape, Told};

/// We say no on purpose. One variant for each reason a client can tell apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A part of the request is not one that we forward; the text says which.
    RequestMalformed(Cow<'static, str>),
    /// The path has a second spelling.
    PathNotCanonical,
    /// Whoever asks comes from where nobody is served.
    AddressBlocked,
    /// Payments of this payer are not taken.
    PayerBlocked,
    /// No route has this path and host.
    NoSuchRoute,
    /// Only proxies that are trusted may ask here.
    NotTrusted,
    /// A route has this path, none with this method.
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: Box<str>,
    },
    /// The request's headers are longer than we read.
    HeadersTooLarge,
    /// The body is longer than the route allows.
    BodyTooLarge {
        /// Bytes.
        bytes_max: u64,
    },
    /// The body's type is not one the route takes.
    BodyTypeUnsupported,
    /// An answer would have to be given before it is settled, and others to this payer are not yet.
    OthersUnsettled,
    /// A bucket is empty.
    RateLimited {
        /// Which one.
        limit: Limit,
        /// The bucket's state and policy, as the `RateLimit` headers tell them.
        told: RateLimitHeaders,
        /// Until the next request passes.
        retry_after: Duration,
    },
    /// No payment came with the request.
    PaymentMissing,
    /// The payment header cannot be read.
    PaymentMalformed(Box<str>),
    /// Two payment headers that disagree.
    PaymentsDisagree,
    /// What the payment gives as its identifier is none.
    PaymentIdMalformed,
    /// The route wants an identifier with each payment.
    PaymentIdMissing,
    /// The payment was read and is not good.
    PaymentInvalid(ErrorReason),
    /// A wallet wants to be let in for what it has paid before, and is not.
    SignInInvalid(SignInReason),
    /// The same payment is being served right now.
    PaymentInUse,
    /// The same payment has bought an answer before.
    PaymentUsed {
        /// Of its settlement.
        transaction: Box<str>,
        /// Why its answer is not given again.
        answer: Unkept,
    },
    /// Another payment of this payer has the identifier, for another request.
    PaymentIdUsed,
    /// The same payment has been settled, and its answer is on its way to whoever asked first.
    AnswerUnderWay {
        /// Of its settlement.
        transaction: Box<str>,
    },
    /// The payment was settled before the upstream was asked, and the upstream has not answered.
    PaidNotServed {
        /// Of its settlement.
        transaction: Box<str>,
        /// What went wrong then, in one sentence.
        because: Box<str>,
    },
    /// The answer that the payment has bought cannot be read now.
    AnswerUnavailable {
        /// Of its settlement.
        transaction: Box<str>,
    },
    /// The upstream has answered well, and the payment could not be settled. Nothing moved.
    SettlementRejected(ErrorReason),
    /// Whether the money moved is not known yet.
    OutcomeUnknown {
        /// Of its settlement, when one was named.
        transaction: Option<Box<str>>,
    },
    /// Whoever verifies and settles payments cannot be asked now.
    FacilitatorUnavailable {
        /// Until somebody may be there again.
        retry_after: Duration,
    },
    /// The ledger cannot be written now, so no payment can be taken.
    LedgerUnavailable,
    /// No backend can be asked: its worker starts, its name does not resolve, its checks fail.
    UpstreamAway,
    /// The upstream cannot be reached, or broke off.
    UpstreamUnavailable,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// Our own fault.
    Internal,
}

/// Why the answer to a settled payment is not given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unkept {
    /// The payment was for another request.
    OtherRequest,
    /// Another sender came first, or another payment with the same number.
    OtherSender,
    /// It was not kept, or not so long.
    TooOld,
    /// It was too long to be kept.
    TooLong,
    /// It broke off.
    BrokenOff,
    /// It was a part of something.
    Part,
    /// There was no room to keep it.
    NoRoom,
}

/// Values of the `RateLimit` and `RateLimit-Policy` headers. Source: IETF draft "RateLimit header
/// fields for HTTP".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimitHeaders {
    /// `RateLimit`.
    pub state: Box<str>,
    /// `RateLimit-Policy`.
    pub policy: Box<str>,
}

/// The buckets of the limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Unpaid requests of one client address.
    Unpaid,
    /// Refused payments of one client address.
    Refused,
    /// Paid requests of one payer in one class.
    Class,
}

/// Whether the same request may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retriable {
    /// It may.
    Yes,
    /// It will not.
    No,
}

/// Whether money was taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumed {
    /// The payment has been settled.
    Yes,
    /// It has not, and will not be for this request.
    No,
    /// It is not known yet.
    Unknown,
}

/// A row of the table: how a refusal is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// HTTP status.
    pub status: u16,
    /// `error` in the body, and the metric label.
    pub code: &'static str,
    /// `retriable` in the body.
    pub retriable: Retriable,
    /// `consumed` in the body.
    pub consumed: Consumed,
}

const fn row(status: u16, code: &'static str, retriable: Retriable, consumed: Consumed) -> Row {
    Row { status, code, retriable, consumed }
}

impl Refusal {
    /// How this refusal is told.
    pub fn row(&self) -> Row {
        use Consumed as Money;
        use Retriable::{No, Yes};
        match self {
            Self::RequestMalformed(_) => row(400, "bad_request", No, Money::No),
            Self::PathNotCanonical => row(400, "path_not_canonical", No, Money::No),
            Self::AddressBlocked => row(403, "address_blocked", No, Money::No),
            Self::PayerBlocked => row(403, "payer_blocked", No, Money::No),
            Self::NoSuchRoute => row(404, "not_found", No, Money::No),
            Self::NotTrusted => row(403, "not_trusted", No, Money::No),
            Self::MethodNotAllowed { .. } => row(405, "method_not_allowed", No, Money::No),
            Self::HeadersTooLarge => row(431, "headers_too_large", No, Money::No),
            Self::BodyTooLarge { .. } => row(413, "body_too_large", No, Money::No),
            Self::BodyTypeUnsupported => row(415, "unsupported_media_type", No, Money::No),
            Self::RateLimited { .. } => row(429, "rate_limit_exceeded", Yes, Money::No),
            Self::OthersUnsettled => row(429, "others_unsettled", Yes, Money::No),
            Self::PaymentMissing => row(402, "payment_required", Yes, Money::No),
            Self::PaymentMalformed(_) => row(400, "payment_malformed", No, Money::No),
            Self::PaymentsDisagree => row(400, "payments_disagree", No, Money::No),
            Self::PaymentIdMalformed => row(400, "payment_id_malformed", No, Money::No),
            Self::PaymentIdMissing => row(400, "payment_id_required", No, Money::No),
            Self::PaymentInvalid(_) => row(402, "payment_invalid", No, Money::No),
            Self::SignInInvalid(_) => row(402, "sign_in_invalid", No, Money::No),
            Self::PaymentInUse => row(409, "payment_in_use", Yes, Money::No),
            Self::PaymentUsed { .. } => row(409, "payment_used", No, Money::Yes),
            Self::PaymentIdUsed => row(409, "payment_id_used", No, Money::No),
            Self::AnswerUnderWay { .. } => row(409, "answer_under_way", Yes, Money::Yes),
            Self::PaidNotServed { .. } => row(502, "paid_not_served", Yes, Money::Yes),
            Self::AnswerUnavailable { .. } => row(503, "answer_unavailable", Yes, Money::Yes),
            Self::SettlementRejected(_) => row(402, "settlement_rejected", No, Money::No),
            Self::OutcomeUnknown { .. } => row(503, "outcome_unknown", Yes, Money::Unknown),
            Self::FacilitatorUnavailable { .. } => {
                row(503, "facilitator_unavailable", Yes, Money::No)
            }
            Self::LedgerUnavailable => row(503, "ledger_unavailable", Yes, Money::No),
            Self::UpstreamAway => row(503, "upstream_away", Yes, Money::No),
            Self::UpstreamUnavailable => row(502, "upstream_unavailable", Yes, Money::No),
            Self::UpstreamTimeout => row(504, "upstream_timeout", Yes, Money::No),
            Self::Internal => row(500, "internal", Yes, Money::No),
        }
    }
}

impl Refusal {
    /// Whether only a request that is paid for, or has to be, is refused so.
    pub fn is_of_payment(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::PayerBlocked
            | Self::OthersUnsettled
            | Self::PaymentMissing
            | Self::PaymentMalformed(_)
            | Self::PaymentsDisagree
            | Self::PaymentIdMalformed
            | Self::PaymentIdMissing
            | Self::PaymentInvalid(_)
            | Self::SignInInvalid(_)
            | Self::PaymentInUse
            | Self::PaymentUsed { .. }
            | Self::PaymentIdUsed
            | Self::AnswerUnderWay { .. }
            | Self::PaidNotServed { .. }
            | Self::AnswerUnavailable { .. }
            | Self::SettlementRejected(_)
            | Self::OutcomeUnknown { .. }
            | Self::FacilitatorUnavailable { .. }
            | Self::LedgerUnavailable => true,
            Self::RequestMalformed(_)
            | Self::PathNotCanonical
            | Self::AddressBlocked
            | Self::NoSuchRoute
            | Self::NotTrusted
            | Self::MethodNotAllowed { .. }
            | Self::HeadersTooLarge
            | Self::BodyTooLarge { .. }
            | Self::BodyTypeUnsupported
            | Self::UpstreamAway
            | Self::UpstreamUnavailable
            | Self::UpstreamTimeout
            | Self::Internal => false,
        }
    }
}

impl Limit {
    /// The word in headers, logs and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::Refused => "refused",
            Self::Class => "class",
        }
    }
}

/// One of each, in the order of the README's table.
pub fn every() -> Vec<Refusal> {
    let reason = ErrorReason::Signature;
    vec![
        Refusal::RequestMalformed("the request has no Host".into()),
        Refusal::PathNotCanonical,
        Refusal::PaymentMalformed("the payment header is not base64".into()),
        Refusal::PaymentsDisagree,
        Refusal::PaymentIdMalformed,
        Refusal::PaymentIdMissing,
        Refusal::PaymentMissing,
        Refusal::PaymentInvalid(reason),
        Refusal::SignInInvalid(SignInReason::NotPaid),
        Refusal::SettlementRejected(reason),
        Refusal::NotTrusted,
        Refusal::AddressBlocked,
        Refusal::PayerBlocked,
        Refusal::NoSuchRoute,
        Refusal::MethodNotAllowed { allow: "POST, OPTIONS".into() },
        Refusal::PaymentInUse,
        Refusal::PaymentUsed { transaction: "0x…".into(), answer: Unkept::OtherRequest },
        Refusal::PaymentIdUsed,
        Refusal::AnswerUnderWay { transaction: "0x…".into() },
        Refusal::BodyTooLarge { bytes_max: 25_000_000 },
        Refusal::BodyTypeUnsupported,
        Refusal::RateLimited {
            limit: Limit::Unpaid,
            told: RateLimitHeaders::default(),
            retry_after: Duration::from_secs(2),
        },
        Refusal::OthersUnsettled,
        Refusal::HeadersTooLarge,
        Refusal::Internal,
        Refusal::UpstreamUnavailable,
        Refusal::PaidNotServed { transaction: "0x…".into(), because: "it broke off".into() },
        Refusal::UpstreamAway,
        Refusal::OutcomeUnknown { transaction: None },
        Refusal::FacilitatorUnavailable { retry_after: Duration::from_secs(1) },
        Refusal::LedgerUnavailable,
        Refusal::AnswerUnavailable { transaction: "0x…".into() },
        Refusal::UpstreamTimeout,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart() {
        let mut codes: Vec<_> = every().iter().map(|refusal| refusal.row().code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), every().len());
    }

    #[test]
    fn money_that_may_have_moved_is_never_answered_with_402() {
        for refusal in every() {
            let Row { status, consumed, .. } = refusal.row();
            assert!(consumed == Consumed::No || status != 402, "{refusal:?}");
        }
    }

    #[test]
    fn unavailable_says_when_to_come_back() {
        for refusal in every() {
            let status = refusal.row().status;
            assert!(!matches!(status, 429 | 503) || refusal.retry_after().is_some(), "{refusal:?}");
        }
    }
}
