//! Signed orders for the tests of every facilitator.

use std::sync::Arc;

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, U256};

use super::Order;
use crate::clock::UnixMillis;
use crate::x402::requirements::{AssetDomain, Extra};
use crate::x402::{
    AssetTransferMethod, AtomicAmount, Authorization, Eip712Domain, Form, Network, Offer,
    PaymentRequirements, PaymentRequirementsV1, SignedAuthorization, Version,
};

/// A moment inside the window of every order.
pub(super) const NOW: UnixMillis = UnixMillis::new(1_700_000_100_000);

/// What an order costs, in atomic units.
pub(super) const PRICE: u128 = 50_000;

/// An order with this nonce, on Base Sepolia, well signed.
pub(super) fn order(nonce: u8) -> Order {
    order_with(nonce, |_, _| {})
}

/// The same, with its offer and authorization changed before the payer signs.
pub(super) fn order_with(nonce: u8, change: impl FnOnce(&mut Offer, &mut Authorization)) -> Order {
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(0x42)).unwrap();
    let mut offer = offer(84532, "base-sepolia", 0x11, PRICE);
    let mut authorization = Authorization {
        from: signer.address(),
        to: offer.requirements.pay_to,
        value: U256::from(PRICE),
        valid_after: U256::from(1_700_000_000_u64),
        valid_before: U256::from(1_700_000_300_u64),
        nonce: B256::repeat_byte(nonce),
        form: Form::Eip3009,
    };
    change(&mut offer, &mut authorization);
    let hash = offer.domain.signing_hash(&authorization);
    let signature = signer.sign_hash_sync(&hash).unwrap().as_bytes().into();
    let payment = SignedAuthorization { authorization, signature, approval: None };
    Order { version: Version::V2, offer: Arc::new(offer), payment }
}

/// What an asset costs on a network, with `name` as version 1 calls it.
pub(crate) fn offer(chain_id: u64, name: &str, asset: u8, price: u128) -> Offer {
    let (asset, pay_to) = (Address::repeat_byte(asset), Address::repeat_byte(0x22));
    let domain = AssetDomain { name: "USDC".into(), version: "2".into() };
    let requirements = PaymentRequirements {
        scheme: "exact".into(),
        network: Network::eip155(chain_id),
        amount: AtomicAmount::new(price),
        asset,
        pay_to,
        max_timeout_seconds: 300,
        extra: Extra { method: AssetTransferMethod::Eip3009, domain: Some(domain.clone()) },
    };
    let v1 = PaymentRequirementsV1 {
        scheme: "exact".into(),
        network: name.into(),
        max_amount_required: AtomicAmount::new(price),
        resource: "https://api.example.com/paid".into(),
        description: "".into(),
        mime_type: "".into(),
        pay_to,
        max_timeout_seconds: 300,
        asset,
        extra: domain,
    };
    let domain = Eip712Domain::new("USDC", "2", chain_id, asset);
    Offer { requirements, v1: Some(v1), domain, approvals: None }
}
