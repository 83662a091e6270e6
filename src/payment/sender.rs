//! Who may have what a payment has bought.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::digest::{Digest, Digesting};
use crate::x402::payload::OutgoingExact;
use crate::x402::{Identified, PaymentId, PaymentIdentity, Signed};

/// What tells whoever paid from whoever has read the payment on the chain, where it lies open once
/// it is settled, signature and all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// The payer's own name for what it buys, which is on no chain.
    Named(PaymentId),
    /// The `Idempotency-Key` of its request.
    Keyed(HeaderValue),
    /// Where its request came from.
    At(ClientTag),
}

/// The address of a client, as far as it is counted.
pub type ClientTag = [u8; 16];

impl Sender {
    pub(super) fn of(headers: &HeaderMap, identified: &Identified, client: ClientTag) -> Self {
        let key = headers.get(IDEMPOTENCY_KEY).filter(|key| key.len() >= KEY_BYTES_MIN);
        match (identified, key) {
            (Identified::By(id), _) => Self::Named(id.clone()),
            (Identified::Not | Identified::Badly, Some(key)) => Self::Keyed(key.clone()),
            (Identified::Not | Identified::Badly, None) => Self::At(client),
        }
    }

    /// The digest of everything that a payer has signed for this payment, of the signature, and of
    /// the sender. An approval that came along is no part of what was bought.
    pub(super) fn with(&self, identity: &PaymentIdentity, payment: &Signed) -> Digest {
        // No authorization fails to be written; one that did would match no other's identity.
        let signed = serde_json::to_vec(&OutgoingExact::from(payment)).unwrap_or_default();
        let identity = identity.to_string();
        let (how, sender) = match self {
            Self::Named(id) => (b"id", id.as_str().as_bytes()),
            Self::Keyed(key) => (b"ik", key.as_bytes()),
            Self::At(client) => (b"at", &client[..]),
        };
        Digesting::of(&[identity.as_bytes(), &signed, how, sender]).end()
    }
}

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What is shorter could be guessed.
const KEY_BYTES_MIN: usize = 16;
