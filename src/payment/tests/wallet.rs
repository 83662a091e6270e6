//! A payer with a key, and a route that can be paid in three ways.

use std::sync::{Arc, OnceLock};

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{B256, U256};
use bytes::Bytes;
use http::HeaderMap;

use crate::clock::UnixMillis;
use crate::facilitator::fixture::offer;
use crate::payment::{ClientTag, Presented, present};
use crate::route::{Challenge, Declared, OfferedBy, ResourceUrl, Terms};
use crate::x402::payload::OutgoingPayload;
use crate::x402::{
    Authorization, Form, Identifying, Offer, Resource, SignedAuthorization, Version, encoding,
};

/// Where requests come from.
pub(super) const CLIENT: ClientTag = [7; 16];
/// A moment inside the window of every authorization: 100 s after its start, 300 s before its end.
pub(super) const NOW: UnixMillis = UnixMillis::new(1_700_000_100_000);
/// Unix seconds; the first moment of the window.
pub(super) const VALID_AFTER: u64 = 1_700_000_000;
/// Unix seconds; the end of the window.
pub(super) const VALID_BEFORE: u64 = 1_700_000_400;

/// Of those who settle all three offers, in their order.
pub(super) const FACILITATORS: [&str; 2] = ["dev", "spare"];

fn names() -> Arc<[Arc<str>]> {
    FACILITATORS.map(Arc::from).into()
}

/// What may be paid: one asset on Base Sepolia, a dearer one there, the first on Base.
pub(super) fn terms() -> Terms {
    let offers = [
        offer(84532, "base-sepolia", 0x11, 50_000),
        offer(84532, "base-sepolia", 0x12, 60_000),
        offer(8453, "base", 0x11, 50_000),
    ];
    let by = |offer| OfferedBy {
        offer: Arc::new(offer),
        decimals: 6,
        catalogued: None,
        facilitators: names(),
        risk: None,
        usage: None,
    };
    let url = "https://api.example.com/paid".into();
    Terms {
        instructions: None,
        resource: Resource { url, description: "".into(), mime_type: "".into() },
        wanted: offers.clone().map(by).into(),
        offers: offers.map(by).into(),
        honoured: Vec::new(),
        declared: Declared { identifying: Identifying::Optional, bazaar: None, sign_in: None },
        challenge: Challenge { header: Bytes::new(), fresh: None, body: Bytes::new() },
        url: ResourceUrl::Fixed { path: "/paid".into() },
        ready: OnceLock::new(),
        ready_page: OnceLock::new(),
    }
}

/// An authorization for this offer, changed before the payer signs it.
pub(super) fn sign(
    offer: &Offer,
    nonce: u64,
    change: impl FnOnce(&mut Authorization),
) -> SignedAuthorization {
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(0x42)).unwrap();
    let mut authorization = Authorization {
        from: signer.address(),
        to: offer.requirements.pay_to.evm().unwrap(),
        value: U256::from(offer.requirements.amount.units()),
        valid_after: U256::from(VALID_AFTER),
        valid_before: U256::from(VALID_BEFORE),
        nonce: B256::left_padding_from(&nonce.to_be_bytes()),
        form: Form::Eip3009,
    };
    change(&mut authorization);
    let hash = offer.evm().unwrap().payments.signing_hash(&authorization);
    let signature = signer.sign_hash_sync(&hash).unwrap().as_bytes().into();
    SignedAuthorization { authorization, signature, approval: None }
}

/// The value of a payment header for this offer.
pub(super) fn header(version: Version, offer: &Offer, payment: &SignedAuthorization) -> String {
    let payment = payment.clone().into();
    let payload = match version {
        Version::V1 => OutgoingPayload::v1(offer.v1.as_ref().unwrap(), &payment),
        Version::V2 => OutgoingPayload::v2(&offer.requirements, &payment),
    };
    encoding::encode_json(&payload).unwrap()
}

/// Headers of a request.
pub(super) fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

/// Payments with nonces from 0 on, each for one of the offers.
pub(super) fn presented(count: u64) -> Vec<Presented> {
    let terms = terms();
    let offers = terms.offers.iter().map(|by| &by.offer).cycle();
    let one = |(nonce, offer): (u64, &Arc<Offer>)| {
        let value = header(Version::V2, offer, &sign(offer, nonce, |_| {}));
        present(&headers(&[("payment-signature", &value)]), &terms, CLIENT, NOW).unwrap()
    };
    (0..count).zip(offers).map(one).collect()
}
