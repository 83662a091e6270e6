//! Signed orders for the tests of every facilitator.

use std::sync::Arc;

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, U256};

use super::Order;
use super::simulated::Simulated;
use crate::clock::UnixMillis;
use crate::x402::permit2::{EXACT_PROXY, Permit};
use crate::x402::requirements::{AssetDomain, EvmExtra, Extra, ExtraV1};
use crate::x402::svm::{self, SvmExtra};
use crate::x402::{
    AssetTransferMethod, AtomicAmount, Authorization, Domains, Eip712Domain, EvmDomains, Form,
    KnownNetwork, Network, Offer, PaymentRequirements, PaymentRequirementsV1, SignedAuthorization,
    SvmPayment, Version,
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
        to: offer.requirements.pay_to.evm().unwrap(),
        value: U256::from(PRICE),
        valid_after: U256::from(1_700_000_000_u64),
        valid_before: U256::from(1_700_000_300_u64),
        nonce: B256::repeat_byte(nonce),
        form: Form::Eip3009,
    };
    change(&mut offer, &mut authorization);
    let hash = offer.evm().unwrap().payments.signing_hash(&authorization);
    let signature = signer.sign_hash_sync(&hash).unwrap().as_bytes().into();
    let payment = SignedAuthorization { authorization, signature, approval: None };
    let (version, offer) = (Version::V2, Arc::new(offer));
    Order { version, offer, payment: payment.into(), catalogued: None, actual: None, parents: None }
}

/// An order with this nonce in this asset, moved by Permit2 and well signed.
pub(super) fn permitted(nonce: u8, asset: u8) -> Order {
    order_with(nonce, |offer, authorization| {
        let token = Address::repeat_byte(asset);
        offer.requirements.asset = token.into();
        let extra =
            EvmExtra { method: AssetTransferMethod::Permit2, domain: None, facilitator: None };
        offer.requirements.extra = Extra::Evm(extra);
        offer.v1 = None;
        let payments = Eip712Domain::permit2(84532);
        offer.domains = Domains::Evm(EvmDomains { payments, approvals: None });
        authorization.form =
            Form::Permit2(Permit { token, spender: EXACT_PROXY, facilitator: None });
    })
}

/// An order of this number on Solana devnet, whose fee the simulated chain pays, well signed.
pub(super) fn on_solana(number: u64) -> Order {
    let extra = SvmExtra { fee_payer: Simulated::fee_payer(), memo: None };
    let due = svm::fixture::due(&extra);
    let requirements = PaymentRequirements {
        scheme: "exact".into(),
        network: KnownNetwork::named("solana-devnet").unwrap().network(),
        amount: due.amount,
        asset: due.asset.into(),
        pay_to: due.pay_to.into(),
        max_timeout_seconds: 300,
        extra: Extra::Svm(extra.clone()),
    };
    let offer = Offer { requirements, v1: None, domains: Domains::Svm };
    let bytes = svm::fixture::transaction(svm::fixture::draft(&extra, number)).encode();
    let payment = SvmPayment::decode(&bytes).unwrap().into();
    Order {
        version: Version::V2,
        offer: Arc::new(offer),
        payment,
        catalogued: None,
        actual: None,
        parents: None,
    }
}

/// What an asset costs on a network, with `name` as version 1 calls it.
pub(crate) fn offer(chain_id: u64, name: &str, asset: u8, price: u128) -> Offer {
    let (asset, pay_to) = (Address::repeat_byte(asset), Address::repeat_byte(0x22));
    let domain = AssetDomain { name: "USDC".into(), version: "2".into() };
    let requirements = PaymentRequirements {
        scheme: "exact".into(),
        network: Network::eip155(chain_id),
        amount: AtomicAmount::new(price),
        asset: asset.into(),
        pay_to: pay_to.into(),
        max_timeout_seconds: 300,
        extra: Extra::Evm(EvmExtra {
            method: AssetTransferMethod::Eip3009,
            domain: Some(domain.clone()),
            facilitator: None,
        }),
    };
    let v1 = PaymentRequirementsV1 {
        scheme: "exact".into(),
        network: name.into(),
        max_amount_required: AtomicAmount::new(price),
        resource: "https://api.example.com/paid".into(),
        description: "".into(),
        mime_type: "".into(),
        pay_to: pay_to.into(),
        max_timeout_seconds: 300,
        asset: asset.into(),
        extra: ExtraV1::Evm(domain),
    };
    let payments = Eip712Domain::new("USDC", "2", chain_id, asset);
    let domains = Domains::Evm(EvmDomains { payments, approvals: None });
    Offer { requirements, v1: Some(v1), domains }
}
