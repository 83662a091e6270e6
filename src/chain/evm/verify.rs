//! Would this payment settle now? Balance, authorization and transfer, in one round trip.

use alloy::sol_types::SolCall;
use alloy_primitives::{Address, U256};

use super::abi::Token;
use super::payment::{Call, MULTICALL3, Payment};
use super::probe::{At, Found};
use super::{Evm, Inner};
use crate::fault::{Fault, Retry, Side};
use crate::x402::ErrorReason;

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
        let (calls, subjects) = question(payment);
        let found = inner.rpc.probe(At::Latest, &calls, &subjects, inner.bounds.gas_max).await?;
        judge(inner, payment, &found)
    }
}

fn question(payment: &Payment) -> (Vec<Call>, [Address; 3]) {
    let owner = payment.authorization.from;
    let (asset, nonce) = (payment.asset, payment.authorization.nonce);
    let balance = Token::balanceOfCall { owner }.abi_encode();
    let state = Token::authorizationStateCall { authorizer: owner, nonce }.abi_encode();
    let reads = [balance, state].map(|data| Call { to: asset, data: data.into() });
    let deploy = payment.deploy();
    let deploy = deploy.map(|deploy| Call { to: deploy.factory, data: deploy.data.clone() });
    let transfer = Call { to: asset, data: payment.transfer() };
    let calls = reads.into_iter().chain(deploy).chain([transfer]).collect();
    (calls, [owner, asset, MULTICALL3])
}

/// Judges what was found, the plainest reason first.
fn judge(
    inner: &Inner,
    payment: &Payment,
    found: &Found,
) -> Result<Result<(), ErrorReason>, Fault> {
    let ([payer, asset, multicall], [balance, state, .., transfer]) =
        (found.code_sizes.as_slice(), found.results.as_slice())
    else {
        return Err(fault("a node's answer is not to this question"));
    };
    let (Some(balance), Some(state)) = (balance.word(), state.word()) else {
        let what = if *asset == 0 { "the asset has no code" } else { "the asset has no EIP-3009" };
        return Err(Fault::new(Side::Chain, Retry::Never, what));
    };
    // A wallet that is there is not deployed again; the attempt alone may take any gas.
    let reads = if *payer == 0 { 2 } else { found.results.len().saturating_sub(1) };
    let gas = found.results.iter().skip(reads).map(|result| result.gas_used);
    let gas = gas.fold(0_u64, u64::saturating_add);
    let needs_code = payment.is_by_contract() && *payer == 0;
    let refused = if state != U256::ZERO {
        Some(ErrorReason::DuplicateSettlement)
    } else if needs_code && (payment.deploy().is_none() || *multicall == 0) {
        // No key has made the signature, and there is no contract that could take it.
        Some(ErrorReason::Signature)
    } else if balance < payment.authorization.value {
        Some(ErrorReason::InsufficientFunds)
    } else if !transfer.ok {
        Some(transfer.reason())
    } else if gas > inner.bounds.gas_max {
        Some(ErrorReason::TransactionState)
    } else {
        None
    };
    Ok(refused.map_or(Ok(()), Err))
}

fn fault(context: &'static str) -> Fault {
    Fault::new(Side::Chain, Retry::Later, context)
}
