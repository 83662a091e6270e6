//! Would this payment settle now? Balance, authorization and transfer, in one round trip.

use alloy::sol_types::SolCall;
use alloy_primitives::Address;

use super::abi::Token;
use super::payment::{Call, MULTICALL3, Payment};
use super::probe::{At, Found, Probed};
use super::{Evm, Inner};
use crate::chain::fault;
use crate::fault::{Fault, Retry, Side};
use crate::x402::permit2::{EXACT_PROXY, PERMIT2};
use crate::x402::{ErrorReason, Form};

impl Evm {
    /// Judges a payment by the state of the last block, and by that block's clock.
    ///
    /// # Errors
    /// `Ok(Err(reason))`: it would not settle. `Err`: no node answers, no signer can pay for gas,
    /// or the asset is none.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn verify(&self, payment: &Payment) -> Result<Result<(), ErrorReason>, Fault> {
        let inner = &self.inner;
        if inner.lanes.iter().all(|lane| inner.is_empty(lane)) {
            let poor = "no signer can pay for gas";
            return Err(Fault::new(Side::Chain, Retry::Later, poor));
        }
        let place = tokio::time::timeout(inner.bounds.rpc_timeout, inner.verifying.acquire());
        let busy = || fault("too many verifications are waiting");
        let _place = place.await.map_err(|late| busy().caused_by(late))?;
        let (reads, subjects) = question(payment);
        let (call, gas_max) = (payment.transfer(), inner.bounds.gas_max);
        let found = match payment.settler() {
            Some(settler) if !inner.lanes.iter().any(|lane| lane.address() == settler) => {
                return Ok(Err(ErrorReason::Facilitator));
            }
            Some(settler) => {
                inner.rpc.probe_and_as((settler, &call), &reads, &subjects, gas_max).await?
            }
            None => {
                let calls: Vec<Call> = reads.into_iter().chain([call]).collect();
                inner.rpc.probe(At::Latest, &calls, &subjects, gas_max).await?
            }
        };
        judge(inner, payment, &found)
    }
}

/// What is read before the transfer is tried, and whose code is looked at.
fn question(payment: &Payment) -> (Vec<Call>, [Address; 4]) {
    let (owner, asset) = (payment.authorization.from, payment.asset);
    let balance = Call { to: asset, data: Token::balanceOfCall { owner }.abi_encode().into() };
    let allowance = Token::allowanceCall { owner, spender: PERMIT2 }.abi_encode();
    let allowance = match payment.authorization.form {
        Form::Eip3009 => None,
        Form::Permit2(_) => Some(Call { to: asset, data: allowance.into() }),
    };
    let reads = [balance, payment.number().question()].into_iter().chain(allowance);
    let deploy = payment.deploy();
    let deploy = deploy.map(|deploy| Call { to: deploy.factory, data: deploy.data.clone() });
    let proxy = match payment.authorization.form {
        Form::Eip3009 => EXACT_PROXY,
        Form::Permit2(permit) => permit.proxy(),
    };
    (reads.chain(deploy).collect(), [owner, asset, MULTICALL3, proxy])
}

/// Judges what was found, the plainest reason first.
fn judge(
    inner: &Inner,
    payment: &Payment,
    found: &Found,
) -> Result<Result<(), ErrorReason>, Fault> {
    let ([payer, asset, multicall, proxy], [balance, state, .., transfer]) =
        (found.code_sizes.as_slice(), found.results.as_slice())
    else {
        return Err(fault("a node's answer is not to this question"));
    };
    let lacks = |what| Err(Fault::new(Side::Chain, Retry::Never, what));
    let (value, number) = (payment.authorization.value, payment.number());
    let (allowance, reads) = match payment.authorization.form {
        Form::Eip3009 => (None, 2),
        Form::Permit2(_) if *proxy == 0 && payment.settler().is_some() => {
            return lacks("the chain has no x402UptoPermit2Proxy");
        }
        Form::Permit2(_) if *proxy == 0 => return lacks("the chain has no x402ExactPermit2Proxy"),
        Form::Permit2(_) => (found.results.get(2).and_then(Probed::word), 3),
    };
    let (balance, used) = match (balance.word(), state.word(), payment.authorization.form) {
        (Some(balance), Some(state), _) => (balance, number.is_used(state)),
        _ if *asset == 0 => return lacks("the asset has no code"),
        (_, _, Form::Eip3009) => return lacks("the asset has no EIP-3009"),
        (None, _, Form::Permit2(_)) => return lacks("the asset is no ERC-20"),
        (_, None, Form::Permit2(_)) => return lacks("the chain has no Permit2"),
    };
    let unapproved = number.contract == PERMIT2 && allowance.is_none_or(|most| most < value);
    // A wallet that is there is not deployed again; the attempt alone may take any gas.
    let reads = if *payer == 0 { reads } else { found.results.len().saturating_sub(1) };
    let gas = found.results.iter().skip(reads).map(|result| result.gas_used);
    let gas = gas.fold(0_u64, u64::saturating_add);
    let needs_code = payment.is_by_contract() && *payer == 0;
    let refused = if used {
        Some(ErrorReason::DuplicateSettlement)
    } else if needs_code && (payment.deploy().is_none() || *multicall == 0) {
        // No key has made the signature, and there is no contract that could take it.
        Some(ErrorReason::Signature)
    } else if balance < value {
        Some(ErrorReason::InsufficientFunds)
    } else if unapproved && !(payment.brings_approval() && transfer.ok) {
        Some(ErrorReason::AllowanceRequired)
    } else if !transfer.ok {
        Some(transfer.reason())
    } else if gas > inner.bounds.gas_max {
        Some(ErrorReason::TransactionState)
    } else {
        None
    };
    Ok(refused.map_or(Ok(()), Err))
}
