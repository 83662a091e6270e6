//! What the payer of a simulated chain has signed.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{Address, U256};

use super::gateway::CHAIN_ID;
use super::wallet::{self, NOW, VALID_BEFORE};
use crate::chain::evm::tests::{Key, key};
use crate::payment::{Presented, present};
use crate::route::{OfferedBy, Terms};
use crate::x402::permit2::{EXACT_PROXY, Permit};
use crate::x402::requirements::{AssetTransferMethod, EvmExtra, Extra};
use crate::x402::{Domains, Eip712Domain, EvmDomains, Form, Offer, SignedAuthorization, Version};

/// A payment, and what the chain calls it.
#[derive(Clone)]
pub(super) struct Signed {
    pub(super) presented: Presented,
    pub(super) key: Key,
    /// What it pays with.
    pub(super) asset: Address,
}

/// Payments of one payer, by EIP-3009 and by Permit2, of which several look alike on the chain.
/// They are the same in every world, and made once.
pub(super) fn signatures() -> &'static [(Arc<Offer>, SignedAuthorization)] {
    static SIGNATURES: OnceLock<Vec<(Arc<Offer>, SignedAuthorization)>> = OnceLock::new();
    SIGNATURES.get_or_init(|| {
        let terms = terms();
        let one = |nonce: u64| {
            let offer = &terms.offers[usize::try_from(nonce).unwrap() % terms.offers.len()].offer;
            let fresh = nonce >= PAYMENTS;
            let end = if fresh { VALID_BEFORE + 3_600 } else { VALID_BEFORE - 60 * (nonce % 4) };
            let (token, spender) = (offer.requirements.asset.evm().unwrap(), EXACT_PROXY);
            let signed = wallet::sign(offer, nonce, |a| {
                a.valid_before = U256::from(end);
                if offer.method() == Some(AssetTransferMethod::Permit2) {
                    a.form = Form::Permit2(Permit { token, spender, facilitator: None });
                }
            });
            (Arc::clone(offer), signed)
        };
        (0..PAYMENTS + 2 * FRESH).map(one).collect()
    })
}

/// Two assets with EIP-3009 and two that Permit2 moves.
fn terms() -> Terms {
    let mut terms = wallet::terms();
    terms.offers.truncate(2);
    let permitted = |(at, by): (u8, &OfferedBy)| {
        let mut offer = (*by.offer).clone();
        let payments = Eip712Domain::permit2(CHAIN_ID);
        offer.domains = Domains::Evm(EvmDomains { payments, approvals: None });
        offer.v1 = None;
        offer.requirements.asset = Address::repeat_byte(0x31 + at).into();
        offer.requirements.extra = Extra::Evm(EvmExtra {
            method: AssetTransferMethod::Permit2,
            domain: None,
            facilitator: None,
        });
        OfferedBy { offer: Arc::new(offer), ..by.clone() }
    };
    let permitted: Vec<_> = (0..).zip(&terms.offers).map(permitted).collect();
    terms.offers.extend(permitted);
    terms
}

impl Signed {
    pub(super) fn of((offer, signed): &(Arc<Offer>, SignedAuthorization)) -> Self {
        let value = wallet::header(Version::V2, offer, signed);
        let headers = wallet::headers(&[("payment-signature", &value)]);
        let presented = present(&headers, &terms(), wallet::CLIENT, NOW).unwrap();
        let asset = offer.requirements.asset.evm().unwrap();
        Self { presented, key: key(offer, signed), asset }
    }
}

/// Few, so that they meet.
pub(super) const PAYMENTS: u64 = 8;
/// For each gateway at the end.
pub(super) const FRESH: u64 = 8;
