//! A payment as the chain sees it: who proves it, and the calls that move it.

use alloy::sol_types::{SolCall, SolValue};
use alloy_primitives::{Address, B256, Bytes, b256};

use super::abi::{
    ByContract, ByKey, Eip2612Permit, Multicall3, PermitTransferFrom, Proxy, TokenPermissions,
    Witness, Wrapped,
};
use super::number::Number;
use crate::x402::permit2::{Approval, EXACT_PROXY, PERMIT2};
use crate::x402::{Authorization, Eip712Domain, Form, SignedAuthorization};

/// A payment to be verified or settled on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub(super) asset: Address,
    pub(super) authorization: Authorization,
    pub(super) proof: Proof,
    /// Lets Permit2 have the money first.
    approval: Option<Eip2612Permit>,
}

/// What proves a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The payer's own key, which we have recovered.
    Key { v: u8, r: B256, s: B256 },
    /// Whatever the payer's contract takes for its signature.
    Contract { signature: Bytes, deploy: Option<Deploy> },
}

/// How a wallet comes to be that is not there yet. Source: ERC-6492.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deploy {
    pub(super) factory: Address,
    pub(super) data: Bytes,
}

impl Payment {
    /// A payment in `asset`; a signature that no key proves is left to the payer's contract.
    pub fn new(asset: Address, domain: &Eip712Domain, signed: &SignedAuthorization) -> Self {
        let proof = match signed.prove(domain) {
            Ok(()) => by_key(&signed.signature),
            Err(_) => None,
        };
        let proof = proof.unwrap_or_else(|| by_contract(&signed.signature));
        let approval = signed.approval.as_deref().and_then(approval);
        Self { asset, authorization: signed.authorization.clone(), proof, approval }
    }

    /// Its number, which is taken once.
    pub(super) fn number(&self) -> Number {
        let Authorization { from: payer, nonce, form, .. } = self.authorization;
        let contract = match form {
            Form::Eip3009 => self.asset,
            Form::Permit2(_) => PERMIT2,
        };
        Number { method: self.authorization.method(), contract, payer, nonce }
    }

    /// Whether an approval came along.
    pub(super) fn brings_approval(&self) -> bool {
        self.approval.is_some()
    }

    /// Whether the events of both would be the same: those of Permit2 do not tell the number.
    pub(super) fn is_twin_of(&self, other: &Self) -> bool {
        let shown = |payment: &Self| {
            let Authorization { from, to, value, .. } = payment.authorization;
            (payment.asset, from, to, value)
        };
        let by_permit2 = |payment: &Self| payment.number().contract == PERMIT2;
        by_permit2(self) && by_permit2(other) && shown(self) == shown(other)
    }

    pub(super) fn deploy(&self) -> Option<&Deploy> {
        match &self.proof {
            Proof::Contract { deploy, .. } => deploy.as_ref(),
            Proof::Key { .. } => None,
        }
    }

    /// The wallet is there by now.
    pub(super) fn forget_deploy(&mut self) {
        if let Proof::Contract { deploy, .. } = &mut self.proof {
            *deploy = None;
        }
    }

    /// Whether somebody else's code judges it: its gas cannot be foretold.
    pub(super) fn is_by_contract(&self) -> bool {
        matches!(self.proof, Proof::Contract { .. })
    }

    /// The call that moves the money.
    pub(super) fn transfer(&self) -> Call {
        match self.authorization.form {
            Form::Eip3009 => Call { to: self.asset, data: self.by_asset() },
            Form::Permit2(_) => Call { to: EXACT_PROXY, data: self.by_proxy() },
        }
    }

    /// What x402's proxy is told, which tells Permit2.
    fn by_proxy(&self) -> Bytes {
        let Authorization { from: owner, to, value, valid_after, valid_before, nonce, .. } =
            self.authorization;
        let permit = PermitTransferFrom {
            permitted: TokenPermissions { token: self.asset, amount: value },
            nonce: nonce.into(),
            deadline: valid_before,
        };
        let witness = Witness { to, validAfter: valid_after };
        let signature: Bytes = match &self.proof {
            Proof::Key { v, r, s } => [r.as_slice(), s.as_slice(), &[*v]].concat().into(),
            Proof::Contract { signature, .. } => signature.clone(),
        };
        let data = match self.approval.clone() {
            None => Proxy::settleCall { permit, owner, witness, signature }.abi_encode(),
            Some(permit2612) => {
                Proxy::settleWithPermitCall { permit2612, permit, owner, witness, signature }
                    .abi_encode()
            }
        };
        data.into()
    }

    /// What the asset is told under EIP-3009.
    fn by_asset(&self) -> Bytes {
        let Authorization { from, to, value, valid_after, valid_before, nonce, .. } =
            self.authorization;
        let data = match &self.proof {
            Proof::Key { v, r, s } => ByKey::transferWithAuthorizationCall {
                from,
                to,
                value,
                validAfter: valid_after,
                validBefore: valid_before,
                nonce,
                v: *v,
                r: *r,
                s: *s,
            }
            .abi_encode(),
            Proof::Contract { signature, .. } => ByContract::transferWithAuthorizationCall {
                from,
                to,
                value,
                validAfter: valid_after,
                validBefore: valid_before,
                nonce,
                signature: signature.clone(),
            }
            .abi_encode(),
        };
        data.into()
    }
}

/// Where a transaction goes, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) to: Address,
    pub(super) data: Bytes,
}

/// The one transaction that moves all of these. One alone goes where it is moved.
///
/// What a factory is told comes from the payer. It is Multicall3 that says it, which owns nothing
/// and may do nothing that the payer could not do as well.
pub(super) fn call_for(payments: &[&Payment]) -> Call {
    if let [payment] = payments
        && payment.deploy().is_none()
    {
        return payment.transfer();
    }
    let call = |target, data| Multicall3::Call3 { target, allowFailure: true, callData: data };
    let calls = payments.iter().flat_map(|payment| {
        let deploy = payment.deploy().map(|deploy| call(deploy.factory, deploy.data.clone()));
        let Call { to, data } = payment.transfer();
        deploy.into_iter().chain([call(to, data)])
    });
    let data = Multicall3::aggregate3Call { calls: calls.collect() }.abi_encode();
    Call { to: MULTICALL3, data: data.into() }
}

fn by_key(signature: &[u8]) -> Option<Proof> {
    let [rs @ .., v] = <&[u8; 65]>::try_from(signature).ok()?;
    let (r, s) = rs.split_at_checked(32)?;
    // The asset's contract takes 27 and 28 only.
    let v = if *v < 27 { v.checked_add(27)? } else { *v };
    Some(Proof::Key { v, r: B256::try_from(r).ok()?, s: B256::try_from(s).ok()? })
}

/// What the proxy is told of an approval, if a key can have made its signature.
fn approval(approval: &Approval) -> Option<Eip2612Permit> {
    let Approval { value, deadline, ref signature, .. } = *approval;
    match by_key(signature)? {
        Proof::Key { v, r, s } => Some(Eip2612Permit { value, deadline, r, s, v }),
        Proof::Contract { .. } => None,
    }
}

fn by_contract(signature: &[u8]) -> Proof {
    let unwrapped = signature
        .strip_suffix(WRAPPED_SUFFIX.as_slice())
        .and_then(|wrapped| Wrapped::abi_decode_params(wrapped).ok());
    match unwrapped {
        Some(Wrapped { factory, deploy, signature }) => {
            Proof::Contract { signature, deploy: Some(Deploy { factory, data: deploy }) }
        }
        None => Proof::Contract { signature: signature.to_vec().into(), deploy: None },
    }
}

/// Source: ERC-6492.
const WRAPPED_SUFFIX: B256 =
    b256!("6492649264926492649264926492649264926492649264926492649264926492");

/// At the same address on every chain that has it. Source: mds1/multicall3.
pub(super) const MULTICALL3: Address =
    alloy_primitives::address!("cA11bde05977b3631167028862bE2a173976CA11");

#[cfg(test)]
pub(super) mod tests {
    use alloy::signers::SignerSync;
    use alloy::signers::local::PrivateKeySigner;
    use alloy_primitives::U256;

    use super::*;
    use crate::chain::evm::Sought;
    use crate::x402::permit2::Permit;

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
        signed.authorization.form = Form::Permit2(Permit { token, spender: EXACT_PROXY });
        let mut sought = crate::chain::evm::receipt::tests::sought(nonce);
        sought.identity.contract = PERMIT2;
        sought.identity.payer = signed.authorization.from;
        (Payment::new(token, &Eip712Domain::permit2(84532), &signed), sought)
    }

    #[test]
    fn a_permit_goes_through_the_proxy_with_its_approval_if_it_has_one() {
        let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(0x42)).unwrap();
        let (asset, domain) = (Address::repeat_byte(0x11), Eip712Domain::permit2(84532));
        let (own, mut signed) = signed(7);
        signed.authorization.form = Form::Permit2(Permit { token: asset, spender: EXACT_PROXY });
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
        let parts: [B256; 2] = [&approval.signature[..32], &approval.signature[32..64]]
            .map(|part| B256::from_slice(part));
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
        dearer.authorization.value += U256::ONE;
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
            let call =
                ByContract::transferWithAuthorizationCall::abi_decode(&payment.transfer().data);
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
        assert_eq!(
            calls.iter().map(|call| call.target).collect::<Vec<_>>(),
            [factory, payment.asset]
        );
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
        let expected =
            [(one.asset, true, one.transfer().data), (two.asset, true, two.transfer().data)];
        assert_eq!(calls, expected);
    }
}
