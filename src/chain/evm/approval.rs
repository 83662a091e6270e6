//! What payments by Permit2 find on a chain: its contracts, and what a payer has approved.

use alloy::sol_types::SolCall;
use alloy_primitives::{Address, U256};

use super::abi::Token;
use super::payment::Call;
use super::probe::{At, Found, Probed};
use super::reader::{Reader, STATE_GAS_MAX};
use crate::chain::fault;
use crate::fault::Fault;
use crate::x402::Eip712Domain;
use crate::x402::permit2::PERMIT2;

/// What a payment by Permit2 needs and a chain has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Permit2 itself.
    Permit2,
    /// One of x402's proxies, at this address.
    Proxy(Address),
    /// Code at the asset's address.
    Asset,
    /// EIP-2612 in the asset, for approvals that come along.
    Eip2612,
    /// Approvals are signed under another domain than the asset has.
    Domain,
}

/// What Permit2 may take of a payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approved {
    /// Atomic units of the asset.
    pub allowance: U256,
    /// Number of the payer's next approval by EIP-2612, where the asset has that.
    pub next: Option<U256>,
}

impl Reader {
    /// What payments of this asset by Permit2 lack, through these proxies; `approvals` is the
    /// domain of those that come along.
    ///
    /// # Errors
    /// No node answers.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn lacks(
        &self,
        asset: Address,
        proxies: &[Address],
        approvals: Option<&Eip712Domain>,
    ) -> Result<Vec<Lack>, Fault> {
        let separator = Token::DOMAIN_SEPARATORCall {}.abi_encode().into();
        let calls = [
            Call { to: asset, data: separator },
            number_of_next(asset, Address::with_last_byte(1)),
        ];
        let subjects: Vec<Address> = [PERMIT2, asset].iter().chain(proxies).copied().collect();
        let Found { code_sizes, results, .. } = self.probe(&calls, &subjects).await?;
        let missing = |at: usize| code_sizes.get(at).is_none_or(|size| *size == 0);
        let [separator, next] = words(&results);
        let domain = approvals.filter(|_| separator.is_some());
        let lacks = [
            (Lack::Permit2, missing(0)),
            (Lack::Asset, missing(1)),
            (Lack::Eip2612, approvals.is_some() && !missing(1) && next.is_none()),
            (Lack::Domain, domain.is_some_and(|domain| separator != Some(domain.word()))),
        ];
        let missing = |(at, proxy): (usize, &Address)| (Lack::Proxy(*proxy), missing(at));
        let proxies = (2..).zip(proxies).map(missing);
        let all = proxies.chain(lacks);
        Ok(all.filter_map(|(lack, is_so)| is_so.then_some(lack)).collect())
    }

    /// What Permit2 may take of this owner's asset.
    ///
    /// # Errors
    /// No node answers, or the asset says nothing of allowances.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn approved(&self, asset: Address, owner: Address) -> Result<Approved, Fault> {
        let allowance = Token::allowanceCall { owner, spender: PERMIT2 }.abi_encode().into();
        let calls = [Call { to: asset, data: allowance }, number_of_next(asset, owner)];
        let Found { results, .. } = self.probe(&calls, &[]).await?;
        let [allowance, next] = words(&results);
        let allowance = allowance.ok_or_else(|| fault("the asset says nothing of allowances"))?;
        Ok(Approved { allowance, next })
    }

    async fn probe(&self, calls: &[Call], subjects: &[Address]) -> Result<Found, Fault> {
        self.rpc.probe(At::Latest, calls, subjects, STATE_GAS_MAX).await
    }
}

fn number_of_next(asset: Address, owner: Address) -> Call {
    Call { to: asset, data: Token::noncesCall { owner }.abi_encode().into() }
}

fn words(results: &[Probed]) -> [Option<U256>; 2] {
    [0, 1].map(|at| results.get(at).and_then(Probed::word))
}
