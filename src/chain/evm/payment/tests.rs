//! Payments as the chain sees them.

use super::*;
use crate::chain::evm::Sought;
use crate::x402::permit2::EXACT_PROXY;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;

const PAYEE: Address = Address::repeat_byte(0x22);

pub(in crate::chain::evm) fn signed(nonce: u8) -> (Eip712Domain, SignedAuthorization) {
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(0x42)).unwrap();
    let domain = Eip712Domain::new("USDC", "2", 84532, Address::repeat_byte(0x11));
    let authorization = Authorization {
        from: signer.address(),
        to: Address::repeat_byte(0x22),
        value: U256::from(50_000),
        valid_after: U256::ZERO,
        valid_before: U256::from(1_800_000_000_u64),
        nonce: B256::repeat_byte(nonce),
        form: Form::Eip3009,
    };
    let hash = domain.signing_hash(&authorization);
    let signature = signer.sign_hash_sync(&hash).unwrap().as_bytes().into();
    (domain, SignedAuthorization { authorization, signature, approval: None })
}

/// A payment by Permit2, and what is known of it without its signature.
pub(in crate::chain::evm) fn permit(nonce: u8) -> (Payment, Sought) {
    let (_, mut signed) = signed(nonce);
    let token = Address::repeat_byte(0x11);
    signed.authorization.form =
        Form::Permit2(Permit { token, spender: EXACT_PROXY, facilitator: None });
    let mut sought = crate::chain::evm::receipt::tests::sought(nonce);
    sought.identity.contract = PERMIT2;
    sought.identity.payer = signed.authorization.from;
    (Payment::new(token, &Eip712Domain::permit2(84532), &signed), sought)
}

/// A payment by Permit2 of which only so much is moved.
pub(in crate::chain::evm) fn upto(nonce: u8, moves: u128) -> (Payment, Sought) {
    let (_, mut signed) = signed(nonce);
    let (token, facilitator) = (Address::repeat_byte(0x11), Some(Address::repeat_byte(0x44)));
    let permit = Permit { token, spender: crate::x402::permit2::UPTO_PROXY, facilitator };
    signed.authorization.form = Form::Permit2(permit);
    let (_, mut sought) = self::permit(nonce);
    sought.identity.payer = signed.authorization.from;
    let payment = Payment::new(token, &Eip712Domain::permit2(84532), &signed);
    (payment.moving(AtomicAmount::new(moves)), sought)
}

#[test]
fn what_was_used_goes_through_the_other_proxy_and_never_more_than_was_permitted() {
    for (moves, moved) in [(20_000, 20_000), (50_000, 50_000), (50_001, 50_000)] {
        let Call { to, data } = upto(7, moves).0.transfer();
        let call = UptoProxy::settleCall::abi_decode(&data).unwrap();
        assert_eq!(to, crate::x402::permit2::UPTO_PROXY);
        assert_eq!(
            (call.amount, call.permit.permitted.amount),
            (U256::from(moved), U256::from(50_000))
        );
        assert_eq!(call.witness.facilitator, Address::repeat_byte(0x44));
    }
}

#[test]
fn a_permit_goes_through_the_proxy_with_its_approval_if_it_has_one() {
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(0x42)).unwrap();
    let (asset, domain) = (Address::repeat_byte(0x11), Eip712Domain::permit2(84532));
    let (own, mut signed) = signed(7);
    signed.authorization.form =
        Form::Permit2(Permit { token: asset, spender: EXACT_PROXY, facilitator: None });
    let hash = domain.signing_hash(&signed.authorization);
    signed.signature = signer.sign_hash_sync(&hash).unwrap().as_bytes().into();
    let Call { to, data } = Payment::new(asset, &domain, &signed).transfer();
    let call = Proxy::settleCall::abi_decode(&data).unwrap();
    assert_eq!((to, call.owner, call.witness.to), (EXACT_PROXY, signer.address(), PAYEE));
    assert_eq!(call.permit.nonce, U256::from_be_bytes(B256::repeat_byte(7).0));
    assert_eq!(*call.signature, *signed.signature);

    let mut approval = Approval {
        owner: signer.address(),
        token: asset,
        spender: PERMIT2,
        value: U256::from(50_000),
        nonce: U256::ZERO,
        deadline: U256::from(9),
        signature: Box::default(),
    };
    let hash = approval.signing_hash(&own);
    approval.signature = signer.sign_hash_sync(&hash).unwrap().as_bytes().into();
    let parts: [B256; 2] =
        [&approval.signature[..32], &approval.signature[32..64]].map(|part| B256::from_slice(part));
    signed.approval = Some(Box::new(approval));
    let data = Payment::new(asset, &domain, &signed).transfer().data;
    let call = Proxy::settleWithPermitCall::abi_decode(&data).unwrap();
    assert_eq!([call.permit2612.r, call.permit2612.s], parts);
    assert_eq!(
        (call.permit2612.value, call.permit2612.deadline),
        (U256::from(50_000), U256::from(9))
    );
}

#[test]
fn only_permits_of_the_same_money_are_twins() {
    let (one, two) = (permit(1).0, permit(2).0);
    assert!(one.is_twin_of(&two) && !payment(1).is_twin_of(&payment(2)));
    let mut dearer = two.clone();
    dearer.moves += U256::ONE;
    assert!(!one.is_twin_of(&dearer) && !one.is_twin_of(&payment(1)));
}

pub(in crate::chain::evm) fn payment(nonce: u8) -> Payment {
    let (domain, signed) = signed(nonce);
    Payment::new(Address::repeat_byte(0x11), &domain, &signed)
}

fn with(signature: Vec<u8>) -> Payment {
    let (domain, mut signed) = signed(1);
    signed.signature = signature.into();
    Payment::new(Address::repeat_byte(0x11), &domain, &signed)
}

#[test]
fn a_keys_signature_goes_in_three_parts_with_the_recovery_byte_of_the_contract() {
    for v in [0, 27] {
        let (domain, mut signed) = signed(1);
        signed.signature[64] = signed.signature[64] - 27 + v;
        let payment = Payment::new(Address::repeat_byte(0x11), &domain, &signed);
        let call = ByKey::transferWithAuthorizationCall::abi_decode(&payment.transfer().data);
        let call = call.unwrap();
        assert!(matches!(call.v, 27 | 28), "{}", call.v);
        assert_eq!(call.r.as_slice(), &signed.signature[..32]);
        assert_eq!(call.s.as_slice(), &signed.signature[32..64]);
    }
}

#[test]
fn what_no_key_proves_is_the_contracts_to_judge() {
    let mut foreign = signed(1).1.signature.to_vec();
    foreign[5] ^= 1;
    for signature in [foreign, vec![], vec![7; 300]] {
        let payment = with(signature.clone());
        assert!(payment.is_by_contract() && payment.deploy().is_none());
        let call = ByContract::transferWithAuthorizationCall::abi_decode(&payment.transfer().data);
        assert_eq!(call.unwrap().signature, signature);
    }
}

#[test]
fn a_wrapped_signature_names_its_factory() {
    let factory = Address::repeat_byte(0x77);
    let wrapped = Wrapped { factory, deploy: vec![1, 2].into(), signature: vec![3; 65].into() };
    let bytes = [wrapped.abi_encode_params(), WRAPPED_SUFFIX.to_vec()].concat();
    let payment = with(bytes);
    assert_eq!(payment.deploy(), Some(&Deploy { factory, data: vec![1, 2].into() }));
    let call = ByContract::transferWithAuthorizationCall::abi_decode(&payment.transfer().data);
    assert_eq!(call.unwrap().signature, vec![3; 65]);
    let Call { to, data } = call_for(&[&payment]);
    assert_eq!(to, MULTICALL3);
    let calls = Multicall3::aggregate3Call::abi_decode(&data).unwrap().calls;
    assert_eq!(calls.iter().map(|call| call.target).collect::<Vec<_>>(), [factory, payment.asset]);
}

#[test]
fn a_suffix_alone_wraps_nothing() {
    let payment = with([vec![9; 31], WRAPPED_SUFFIX.to_vec()].concat());
    assert!(payment.deploy().is_none());
}

#[test]
fn one_goes_alone_and_several_together_with_failures_allowed() {
    let (one, two) = (payment(1), payment(2));
    assert_eq!(call_for(&[&one]), one.transfer());
    assert_eq!(one.transfer().to, one.asset);
    let calls = Multicall3::aggregate3Call::abi_decode(&call_for(&[&one, &two]).data).unwrap();
    let calls: Vec<_> =
        calls.calls.into_iter().map(|c| (c.target, c.allowFailure, c.callData)).collect();
    let expected = [(one.asset, true, one.transfer().data), (two.asset, true, two.transfer().data)];
    assert_eq!(calls, expected);
}
