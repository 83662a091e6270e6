//! Each reason for which a permit, or the approval that comes with it, is refused.

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, U256};
use std::sync::Arc;
use std::time::Duration;

use super::wallet::{CLIENT, NOW, VALID_AFTER, VALID_BEFORE, header, headers, sign, terms};
use crate::clock::UnixMillis;
use crate::payment::prove::{SETTLE_MARGIN, SKEW_MAX, Window};
use crate::payment::{ContractWallets, Sender, present};
use crate::route::Terms;
use crate::x402::permit2::{Approval, EXACT_PROXY, PERMIT2, Permit};
use crate::x402::requirements::{AssetTransferMethod, EvmExtra, Extra};
use crate::x402::{
    Domains, Eip712Domain, ErrorReason, EvmDomains, Form, Offer, SignedAuthorization, Version,
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

fn signer() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(0x42)).unwrap()
}

/// What the asset signs under itself, as in the fixture.
fn asset_domain(offer: &Offer) -> Eip712Domain {
    Eip712Domain::new("USDC", "2", 84_532, offer.requirements.asset.evm().unwrap())
}

/// A route whose one offer is moved by Permit2, approvals included.
fn permitted() -> Terms {
    let mut terms = terms();
    terms.offers.truncate(1);
    let by = &mut terms.offers[0];
    let mut offer = (*by.offer).clone();
    let (payments, approvals) = (Eip712Domain::permit2(84_532), Some(asset_domain(&offer)));
    offer.domains = Domains::Evm(EvmDomains { payments, approvals });
    offer.v1 = None;
    offer.requirements.extra = Extra::Evm(EvmExtra {
        method: AssetTransferMethod::Permit2,
        domain: None,
        facilitator: None,
    });
    by.offer = Arc::new(offer);
    terms
}

fn approval(offer: &Offer) -> Approval {
    Approval {
        owner: signer().address(),
        token: offer.requirements.asset.evm().unwrap(),
        spender: PERMIT2,
        value: U256::from(offer.requirements.amount.units()),
        nonce: U256::from(3),
        deadline: U256::from(VALID_BEFORE),
        signature: Box::default(),
    }
}

/// A permit, changed before it is signed, and its approval, changed before that is.
fn permit(
    offer: &Offer,
    change: impl FnOnce(&mut crate::x402::Authorization),
    approve: Option<&dyn Fn(&mut Approval)>,
) -> SignedAuthorization {
    let mut signed = sign(offer, 1, |authorization| {
        let token = offer.requirements.asset.evm().unwrap();
        authorization.form =
            Form::Permit2(Permit { token, spender: EXACT_PROXY, facilitator: None });
        change(authorization);
    });
    signed.approval = approve.map(|change| {
        let mut approval = approval(offer);
        change(&mut approval);
        let hash = approval.signing_hash(&asset_domain(offer));
        approval.signature = signer().sign_hash_sync(&hash).unwrap().as_bytes().into();
        Box::new(approval)
    });
    signed
}

#[track_caller]
fn judged(
    terms: &Terms,
    signed: &SignedAuthorization,
    now: UnixMillis,
) -> Result<Window, ErrorReason> {
    let value = header(Version::V2, &terms.offers[0].offer, signed);
    let presented =
        present(&headers(&[("payment-signature", &value)]), terms, CLIENT, NOW).unwrap();
    let proven = presented.prove(now, ANSWER_TIMEOUT, ContractWallets::Refused);
    proven.map(|proven| proven.into_parts().1).map_err(|refusal| refusal.reason().unwrap())
}

#[track_caller]
fn check(
    change: impl FnOnce(&mut crate::x402::Authorization),
    expected: Result<Window, ErrorReason>,
) {
    let terms = permitted();
    let signed = permit(&terms.offers[0].offer, change, None);
    assert_eq!(judged(&terms, &signed, NOW), expected);
}

#[track_caller]
fn check_approval(change: impl Fn(&mut Approval), expected: Result<Window, ErrorReason>) {
    let terms = permitted();
    let signed = permit(&terms.offers[0].offer, |_| {}, Some(&change));
    assert_eq!(judged(&terms, &signed, NOW), expected);
}

fn second(seconds: u64) -> UnixMillis {
    UnixMillis::new(i64::try_from(seconds).unwrap() * 1000)
}

#[test]
fn a_permit_as_it_should_be_is_proven() {
    check(|_| {}, Ok(Window::Open));
    check_approval(|_| {}, Ok(Window::Open));
}

#[test]
fn a_permit_for_another_spender_or_asset_is_refused() {
    let form = |token, spender| Form::Permit2(Permit { token, spender, facilitator: None });
    let asset = permitted().offers[0].offer.requirements.asset.evm().unwrap();
    check(|it| it.form = form(asset, PERMIT2), Err(ErrorReason::Spender));
    check(|it| it.form = form(Address::ZERO, EXACT_PROXY), Err(ErrorReason::Token));
}

#[test]
fn another_payee_or_amount_is_refused() {
    check(|it| it.to = Address::ZERO, Err(ErrorReason::RecipientMismatch));
    check(|it| it.value += U256::ONE, Err(ErrorReason::ValueMismatch));
    check(|it| it.value -= U256::ONE, Err(ErrorReason::ValueMismatch));
}

#[test]
fn the_window_of_a_permit_counts_as_any() {
    let opens =
        |seconds| move |it: &mut crate::x402::Authorization| it.valid_after = U256::from(seconds);
    let latest = NOW.plus(SKEW_MAX).seconds();
    check(opens(latest), Ok(Window::Open));
    check(opens(latest + 1), Err(ErrorReason::ValidAfter));
    let ends =
        |seconds| move |it: &mut crate::x402::Authorization| it.valid_before = U256::from(seconds);
    let needed = NOW.plus(ANSWER_TIMEOUT).plus(SETTLE_MARGIN).seconds();
    check(ends(needed), Ok(Window::Open));
    check(ends(needed - 1), Ok(Window::Closing));
    check(ends(VALID_AFTER), Ok(Window::Closing));
}

#[test]
fn what_nobody_signed_is_refused() {
    let terms = permitted();
    let good = permit(&terms.offers[0].offer, |_| {}, None);
    let broken = |change: fn(&mut SignedAuthorization)| {
        let mut signed = good.clone();
        change(&mut signed);
        assert_eq!(judged(&terms, &signed, NOW), Err(ErrorReason::Signature));
    };
    broken(|signed| signed.signature[3] ^= 1);
    broken(|signed| signed.authorization.nonce.0[0] ^= 1);
    broken(|signed| signed.authorization.from = Address::repeat_byte(9));
    broken(|signed| signed.signature = signed.signature[..64].into());
    broken(|signed| {
        let order = alloy_primitives::uint!(
            0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256
        );
        let twin = order - U256::from_be_slice(&signed.signature[32..64]);
        signed.signature[32..64].copy_from_slice(&twin.to_be_bytes::<32>());
        signed.signature[64] ^= 27 ^ 28;
    });
}

#[test]
fn an_approval_that_does_not_fit_is_refused() {
    check_approval(|it| it.owner = Address::ZERO, Err(ErrorReason::ApprovalOwner));
    check_approval(|it| it.token = Address::ZERO, Err(ErrorReason::ApprovalToken));
    check_approval(|it| it.spender = EXACT_PROXY, Err(ErrorReason::ApprovalSpender));
    check_approval(|it| it.value = U256::MAX, Err(ErrorReason::ApprovalValue));
    check_approval(|it| it.deadline = U256::from(NOW.seconds()), Ok(Window::Closing));
}

#[test]
fn an_approval_that_its_payer_has_not_signed_is_refused() {
    let terms = permitted();
    let mut signed = permit(&terms.offers[0].offer, |_| {}, Some(&|_| {}));
    signed.approval.as_mut().unwrap().nonce += U256::ONE;
    assert_eq!(judged(&terms, &signed, NOW), Err(ErrorReason::ApprovalFormat));
}

#[test]
fn where_nobody_pays_for_approvals_they_are_not_looked_at() {
    let mut terms = permitted();
    let mut offer = (*terms.offers[0].offer).clone();
    let signed = permit(&offer, |_| {}, Some(&|it| it.spender = Address::ZERO));
    let payments = offer.evm().unwrap().payments;
    offer.domains = Domains::Evm(EvmDomains { payments, approvals: None });
    terms.offers[0].offer = Arc::new(offer);
    assert_eq!(judged(&terms, &signed, second(VALID_AFTER)), Ok(Window::Open));
}

#[test]
fn a_payment_of_the_other_method_is_for_no_offer() {
    let (by_asset, by_permit) = (terms(), permitted());
    for (terms, signed) in [
        (&by_permit, sign(&by_permit.offers[0].offer, 1, |_| {})),
        (&by_asset, permit(&by_asset.offers[0].offer, |_| {}, None)),
    ] {
        let value = header(Version::V2, &terms.offers[0].offer, &signed);
        let refused =
            present(&headers(&[("payment-signature", &value)]), terms, CLIENT, NOW).unwrap_err();
        assert_eq!(refused.reason(), Some(ErrorReason::Requirements));
    }
}

#[test]
fn one_number_of_a_payer_is_one_payment_whatever_the_asset() {
    let terms = permitted();
    let one = (*terms.offers[0].offer).clone();
    let mut two = one.clone();
    two.requirements.asset = Address::repeat_byte(0x99).into();
    let identity = |offer: &Offer| offer.identity(&permit(offer, |_| {}, None).into());
    assert_eq!(identity(&one), identity(&two));
    assert_eq!(identity(&one).contract, PERMIT2);
    assert_ne!(identity(&one), one.identity(&sign(&one, 1, |_| {}).into()));
}

#[test]
fn of_two_offers_of_an_asset_a_payment_takes_the_one_of_its_method() {
    let mut terms = terms();
    terms.offers.truncate(1);
    terms.offers.extend(permitted().offers);
    let offers = [&terms.offers[0].offer, &terms.offers[1].offer];
    for (offer, signed) in
        [(offers[0], sign(offers[0], 1, |_| {})), (offers[1], permit(offers[1], |_| {}, None))]
    {
        let lines = header(Version::V2, offer, &signed);
        let lines = headers(&[("payment-signature", &lines)]);
        let presented = present(&lines, &terms, CLIENT, NOW).unwrap();
        assert_eq!(presented.offer().method(), offer.method());
    }
}

#[test]
fn what_a_permit_has_bought_belongs_to_all_that_was_signed_for_it() {
    let terms = permitted();
    let offer = &terms.offers[0].offer;
    let digest = |signed: &SignedAuthorization| {
        let signed = signed.clone().into();
        Sender::At(CLIENT).with(&offer.identity(&signed), &signed)
    };
    let good = permit(offer, |_| {}, None);
    let changed = |change: fn(&mut SignedAuthorization)| {
        let mut signed = good.clone();
        change(&mut signed);
        assert!(!digest(&signed).is(&digest(&good)));
    };
    let form = |token, spender| Form::Permit2(Permit { token, spender, facilitator: None });
    let other = permit(offer, |it| it.form = form(Address::ZERO, EXACT_PROXY), None);
    let unlike = SignedAuthorization { signature: good.signature.clone(), ..other };
    assert!(!digest(&unlike).is(&digest(&good)));
    changed(|signed| signed.signature[3] ^= 1);
    changed(|signed| signed.authorization.value += U256::ONE);
    changed(|signed| signed.authorization.to = Address::ZERO);
    changed(|signed| signed.authorization.valid_after += U256::ONE);
    changed(|signed| signed.authorization.valid_before += U256::ONE);
    changed(|signed| signed.authorization.form = Form::Eip3009);
    // Whoever comes back need not bring the approval again.
    let approved = SignedAuthorization { approval: Some(approval(offer).into()), ..good.clone() };
    assert!(digest(&approved).is(&digest(&good)));
}
