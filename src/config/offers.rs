//! One way to pay for a route, in both versions' words.

use std::time::Duration;

use crate::x402::requirements::{ExtraV1, SCHEME_EXACT};
use crate::x402::svm::SvmExtra;
use crate::x402::{AtomicAmount, Offer, PaymentRequirements, PaymentRequirementsV1};

use super::networks::NetworkSettings;
use super::transfer::Transfer;

/// An offer to take `amount` on a network. What it says of the resource is empty: the 402 knows.
pub(super) fn offer(network: &NetworkSettings, amount: AtomicAmount, answer: Duration) -> Offer {
    let max_timeout_seconds = (answer + SETTLE_ALLOWANCE).as_secs();
    let v1 = |extra: ExtraV1| PaymentRequirementsV1 {
        scheme: SCHEME_EXACT.into(),
        network: network.v1_name.clone(),
        max_amount_required: amount,
        resource: Box::default(),
        description: Box::default(),
        mime_type: Box::default(),
        pay_to: network.pay_to,
        max_timeout_seconds,
        asset: network.asset,
        extra,
    };
    Offer {
        requirements: PaymentRequirements {
            scheme: SCHEME_EXACT.into(),
            network: network.network.clone(),
            amount,
            asset: network.asset,
            pay_to: network.pay_to,
            max_timeout_seconds,
            extra: network.transfer.extra(),
        },
        v1: match &network.transfer {
            Transfer::Eip3009(domain) => Some(v1(ExtraV1::Evm(domain.clone()))),
            Transfer::Token(memo) => Some(v1(ExtraV1::Svm(SvmExtra::of_nobody(memo.clone())))),
            Transfer::Permit2(_) | Transfer::Sponsored(_) => None,
        },
        domains: network.domains,
    }
}

/// What a client's signature should outlive the upstream's answer by: settlement, a slow upload,
/// and clocks that disagree by minutes. With the usual minute for the answer it comes to the 300
/// seconds that published servers ask for.
const SETTLE_ALLOWANCE: Duration = Duration::from_secs(240);
