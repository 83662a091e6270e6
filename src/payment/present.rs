//! The payment that a request carries, and the offer of the route that it is for.

use alloy_primitives::U256;
use http::{HeaderMap, HeaderName};

use crate::clock::UnixMillis;
use crate::refusal::Refusal;
use crate::route::{OfferedBy, Terms};
use crate::x402::payload::{Choice, PayloadError};
use crate::x402::{
    ErrorReason, Offer, PaymentIdentity, PaymentPayload, SignedAuthorization, Version,
};

/// A payment for one offer of the route. Nothing in it is proven.
#[derive(Clone, Debug)]
pub struct Presented {
    pub(super) version: Version,
    pub(super) offered: OfferedBy,
    pub(super) payment: SignedAuthorization,
}

/// The request headers that may carry a payment. Source: x402 v2 (HTTP transport), x402 v1; the
/// third is what some published APIs tell their clients to send.
pub static PAYMENT_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("payment-signature"),
    HeaderName::from_static("x-payment"),
    HeaderName::from_static("x-payment-response"),
];

/// Reads the payment of a request for a route with these terms.
///
/// # Errors
/// `PaymentMissing`: there is none. `PaymentMalformed`: it cannot be read. `PaymentsDisagree`: two
/// that are not the same. `PaymentInvalid`: it is for no offer of this route.
pub fn present(headers: &HeaderMap, terms: &Terms, now: UnixMillis) -> Result<Presented, Refusal> {
    let payload = read(headers)?;
    let offered = choose(&payload, terms, now).map_err(Refusal::PaymentInvalid)?.clone();
    let PaymentPayload { choice, payment } = payload;
    Ok(Presented { version: choice.version(), offered, payment })
}

/// What a request's payment headers say, all of them together.
pub(super) fn read(headers: &HeaderMap) -> Result<PaymentPayload, Refusal> {
    let mut found: Option<PaymentPayload> = None;
    let values = PAYMENT_HEADERS.iter().flat_map(|name| headers.get_all(name));
    for value in values {
        let next = PaymentPayload::decode(value.as_bytes()).map_err(|error| told(&error))?;
        match &found {
            None => found = Some(next),
            Some(first) if first.payment == next.payment => {}
            Some(_) => return Err(Refusal::PaymentsDisagree),
        }
    }
    found.ok_or(Refusal::PaymentMissing)
}

impl Presented {
    /// What makes this payment the same as another.
    pub fn identity(&self) -> PaymentIdentity {
        self.offered.offer.identity(&self.payment)
    }

    /// The offer that the client took.
    pub fn offer(&self) -> &Offer {
        &self.offered.offer
    }
}

/// The offer that the client names. In version 2 it echoes the offer's terms: they must be the
/// ones of now, or of a short while ago, so that nobody pays a price that they did not see. In
/// version 1 only what was signed tells an offer of a while ago from the one of now.
fn choose<'a>(
    PaymentPayload { choice, payment }: &PaymentPayload,
    terms: &'a Terms,
    now: UnixMillis,
) -> Result<&'a OfferedBy, ErrorReason> {
    let honoured = terms.honoured.iter().filter(|past| now < past.until).map(|past| &past.by);
    let all = || terms.offers.iter().chain(honoured.clone());
    let (scheme, network) = match choice {
        Choice::V1 { scheme, network } | Choice::V2 { scheme, network, .. } => (scheme, network),
    };
    let named = |offer: &Offer| match choice {
        Choice::V1 { network, .. } => offer.v1.network == *network,
        Choice::V2 { network, .. } => offer.requirements.network.as_str() == &**network,
    };
    if !all().any(|by| by.offer.requirements.scheme == *scheme) {
        return Err(ErrorReason::Scheme);
    }
    if network.is_empty() || !all().any(|by| named(&by.offer)) {
        return Err(ErrorReason::Network);
    }
    let agreed = |offer: &Offer| match choice {
        Choice::V1 { .. } => true,
        Choice::V2 { amount, asset, pay_to, .. } => {
            let due = &offer.requirements;
            (due.amount, due.asset, due.pay_to) == (*amount, *asset, *pay_to)
        }
    };
    let signed = |by: &&OfferedBy| {
        let (due, signed) = (&by.offer.requirements, &payment.authorization);
        (U256::from(due.amount.units()), due.pay_to) == (signed.value, signed.to)
    };
    let mut fits = all().filter(|by| named(&by.offer) && agreed(&by.offer));
    let first = fits.next().ok_or(ErrorReason::Requirements)?;
    if terms.honoured.is_empty() || signed(&first) {
        return Ok(first);
    }
    Ok(fits.find(signed).unwrap_or(first))
}

fn told(error: &PayloadError) -> Refusal {
    match error {
        PayloadError::Version(_) => Refusal::PaymentInvalid(ErrorReason::Version),
        PayloadError::TooLong | PayloadError::Base64(_) | PayloadError::Json(_) => {
            Refusal::PaymentMalformed(error.to_string().into())
        }
    }
}
