//! The payment that a request carries, and the offer of the route that it is for.

use alloy_primitives::U256;
use http::{HeaderMap, HeaderName};

use super::{ClientTag, Sender};
use crate::clock::UnixMillis;
use crate::facilitator::pool::RETRY_AFTER;
use crate::refusal::Refusal;
use crate::route::{OfferedBy, Terms};
use crate::x402::payload::{Choice, PayloadError};
use crate::x402::{
    Account, ErrorReason, Identified, Identifying, Offer, PaymentId, PaymentIdentity,
    PaymentPayload, Signed, Version,
};

/// A payment for one offer of the route. Nothing in it is proven.
#[derive(Clone, Debug)]
pub struct Presented {
    pub(super) version: Version,
    pub(super) offered: OfferedBy,
    pub(super) payment: Signed,
    /// What its payer calls what it buys.
    pub(super) id: Option<PaymentId>,
    pub(super) sender: Sender,
}

/// The request headers that may carry a payment. Source: x402 v2 (HTTP transport), x402 v1; the
/// third is what some published APIs tell their clients to send.
pub static PAYMENT_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("payment-signature"),
    HeaderName::from_static("x-payment"),
    HeaderName::from_static("x-payment-response"),
];

/// Whether a request has a header that may carry a payment.
pub fn is_brought(headers: &HeaderMap) -> bool {
    PAYMENT_HEADERS.iter().any(|name| headers.contains_key(name))
}

/// Reads the payment of a request for a route with these terms, from this client.
///
/// # Errors
/// `PaymentMissing`: there is none. `PaymentMalformed`: it cannot be read. `PaymentsDisagree`: two
/// that are not the same. `PaymentInvalid`: it is for no offer of this route.
/// `FacilitatorUnavailable`: nobody has said yet who pays the fee there. `PaymentIdMalformed`,
/// `PaymentIdMissing`: it does not name what it buys, or names it badly.
pub fn present(
    headers: &HeaderMap,
    terms: &Terms,
    client: ClientTag,
    now: UnixMillis,
) -> Result<Presented, Refusal> {
    let payload = read(headers)?;
    let id = match (terms.declared.identifying, &payload.identified) {
        (Identifying::Off, _) | (Identifying::Optional, Identified::Not) => None,
        (Identifying::Required, Identified::Not) => return Err(Refusal::PaymentIdMissing),
        (_, Identified::Badly) => return Err(Refusal::PaymentIdMalformed),
        (_, Identified::By(id)) => Some(id.clone()),
    };
    let offered = choose(&payload, terms, now).map_err(|reason| match &payload.choice {
        Choice::V1 { network, .. } | Choice::V2 { network, .. } if terms.awaits(network) => {
            Refusal::FacilitatorUnavailable { retry_after: RETRY_AFTER }
        }
        Choice::V1 { .. } | Choice::V2 { .. } => Refusal::PaymentInvalid(reason),
    });
    let offered = offered?.clone();
    let sender = Sender::of(headers, &payload.identified, client);
    let PaymentPayload { choice, mut payment, .. } = payload;
    let asked = offered.offer.evm().is_some_and(|domains| domains.approvals.is_some());
    if let (Signed::Evm(signed), false) = (&mut payment, asked) {
        // Nobody asked for it: an extension that is not known.
        signed.approval = None;
    }
    Ok(Presented { version: choice.version(), offered, payment, id, sender })
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

    /// Who pays.
    pub fn payer(&self) -> Account {
        self.payment.payer()
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
    PaymentPayload { choice, payment, .. }: &PaymentPayload,
    terms: &'a Terms,
    now: UnixMillis,
) -> Result<&'a OfferedBy, ErrorReason> {
    let honoured = terms.honoured.iter().filter(|past| now < past.until).map(|past| &past.by);
    let all = || terms.offers.iter().chain(honoured.clone());
    let (scheme, network) = match choice {
        Choice::V1 { scheme, network } | Choice::V2 { scheme, network, .. } => (scheme, network),
    };
    let named = |offer: &Offer| match choice {
        Choice::V1 { network, .. } => offer.v1.as_ref().is_some_and(|v1| v1.network == *network),
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
    let signed = |by: &&OfferedBy| is_signed_for(&by.offer, payment);
    let fits = |by: &&OfferedBy| named(&by.offer) && agreed(&by.offer) && by.offer.takes(payment);
    let mut fits = all().filter(fits);
    let first = fits.next().ok_or(ErrorReason::Requirements)?;
    if terms.honoured.is_empty() || signed(&first) {
        return Ok(first);
    }
    Ok(fits.find(signed).unwrap_or(first))
}

/// Whether a payment is of what an offer asks for, as far as that tells offers apart.
fn is_signed_for(offer: &Offer, payment: &Signed) -> bool {
    match (payment, offer.svm()) {
        (Signed::Evm(signed), _) => {
            let (due, signed) = (&offer.requirements, &signed.authorization);
            let owed = U256::from(due.amount.units()) == signed.value && due.pay_to == signed.to;
            owed && due.facilitator() == signed.form.facilitator()
        }
        (Signed::Svm(signed), Some(due)) => signed.judge(&due).is_ok(),
        (Signed::Svm(_), None) => false,
    }
}

fn told(error: &PayloadError) -> Refusal {
    match error {
        PayloadError::Version(_) => Refusal::PaymentInvalid(ErrorReason::Version),
        PayloadError::Transaction(reason) => Refusal::PaymentInvalid(*reason),
        PayloadError::TooLong | PayloadError::Base64(_) | PayloadError::Json(_) => {
            Refusal::PaymentMalformed(error.to_string().into())
        }
    }
}
