//! A payment as the chain sees it: who proves it, and the calls that move it.

use alloy::sol_types::{SolCall, SolValue};
use alloy_primitives::{Address, B256, Bytes, U256, b256};

use super::abi::{
    ByContract, ByKey, Eip2612Permit, Multicall3, PermitTransferFrom, Proxy, TokenPermissions,
    UptoProxy, UptoWitness, Witness, Wrapped,
};
use super::number::Number;
use crate::x402::permit2::{Approval, PERMIT2, Permit};
use crate::x402::{AtomicAmount, Authorization, Eip712Domain, Form, SignedAuthorization};

/// A payment to be verified or settled on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub(super) asset: Address,
    pub(super) authorization: Authorization,
    pub(super) proof: Proof,
    /// Lets Permit2 have the money first.
    approval: Option<Eip2612Permit>,
    /// What is moved of what was authorized.
    moves: U256,
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
        let (authorization, moves) = (signed.authorization.clone(), signed.authorization.value);
        let mut payment = Self { asset, authorization, proof, approval, moves };
        if payment.settler().is_some() {
            // It is alone in its transaction: nobody is deployed there.
            payment.forget_deploy();
        }
        payment
    }

    /// The same that moves so much of what was authorized, where that may be less.
    pub fn moving(mut self, amount: AtomicAmount) -> Self {
        if self.settler().is_some() {
            self.moves = U256::from(amount.units()).min(self.authorization.value);
        }
        self
    }

    /// Who alone can have it moved, in a transaction of its own: the scheme `upto`. Nothing:
    /// anybody.
    pub(super) fn settler(&self) -> Option<Address> {
        self.authorization.form.facilitator()
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
            let Authorization { from, to, .. } = payment.authorization;
            (payment.asset, from, to, payment.moves)
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
            Form::Permit2(permit) => Call { to: permit.proxy(), data: self.by_proxy(permit) },
        }
    }

    /// What x402's proxy is told, which tells Permit2.
    fn by_proxy(&self, signed: Permit) -> Bytes {
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
        let amount = self.moves;
        let upto = signed.facilitator.map(|facilitator| UptoWitness {
            to,
            facilitator,
            validAfter: valid_after,
        });
        let data = match (self.approval.clone(), upto) {
            (None, None) => Proxy::settleCall { permit, owner, witness, signature }.abi_encode(),
            (Some(permit2612), None) => {
                Proxy::settleWithPermitCall { permit2612, permit, owner, witness, signature }
                    .abi_encode()
            }
            (None, Some(witness)) => {
                UptoProxy::settleCall { permit, amount, owner, witness, signature }.abi_encode()
            }
            (Some(permit2612), Some(witness)) => UptoProxy::settleWithPermitCall {
                permit2612,
                permit,
                amount,
                owner,
                witness,
                signature,
            }
            .abi_encode(),
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

/// What a contract itself is asked about.
pub(super) fn unwrapped(signature: &[u8]) -> Bytes {
    match by_contract(signature) {
        Proof::Contract { signature, .. } => signature,
        Proof::Key { .. } => Bytes::new(),
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
pub(super) mod tests;
