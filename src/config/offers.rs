//! One way to pay for a route, in both versions' words.

use std::time::Duration;

use crate::x402::requirements::{EvmExtra, Extra, ExtraV1, SCHEME_EXACT, SCHEME_UPTO};
use crate::x402::svm::SvmExtra;
use crate::x402::{
    AssetTransferMethod, AtomicAmount, Domains, Eip712Domain, EvmDomains, Offer,
    PaymentRequirements, PaymentRequirementsV1,
};

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

/// An offer to take up to `max` by the scheme `upto`; nothing where a network has none. Whoever
/// settles is not named yet. Whatever else moves the asset there, here it is Permit2: nothing else
/// moves less than what was signed.
pub(super) fn upto(
    network: &NetworkSettings,
    max: AtomicAmount,
    answer: Duration,
) -> Option<Offer> {
    let (chain_id, evm) = (network.network.chain_id()?, network.domains.evm()?);
    let extra = EvmExtra {
        method: AssetTransferMethod::Permit2,
        domain: network.transfer.domain().cloned(),
        facilitator: None,
    };
    let exact = offer(network, max, answer.saturating_add(ANSWER_LENGTH_MAX));
    let requirements = PaymentRequirements {
        scheme: SCHEME_UPTO.into(),
        extra: Extra::Evm(extra),
        ..exact.requirements
    };
    let payments = Eip712Domain::permit2(chain_id);
    let domains = Domains::Evm(EvmDomains { payments, approvals: evm.approvals });
    Some(Offer { requirements, v1: None, domains })
}

/// How long an answer may go on whose end says what it costs: what was signed outlasts it.
const ANSWER_LENGTH_MAX: Duration = Duration::from_secs(600);

/// What a client's signature should outlive the upstream's answer by: settlement, a slow upload,
/// and clocks that disagree by minutes. With the usual minute for the answer it comes to the 300
/// seconds that published servers ask for.
const SETTLE_ALLOWANCE: Duration = Duration::from_secs(240);
