//! Permit2 as `exact` and `upto` use it: what is signed besides the authorization, and the approval
//! before.

use alloy::sol_types::SolStruct;
use alloy_primitives::{Address, B256, U256, address};

use super::evm::{Authorization, Eip712Domain, SignatureError, signed_by};

/// What a permit says that an EIP-3009 authorization does not: there it is the domain's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// Contract of the asset.
    pub token: Address,
    /// Who may use it, which must be [`Permit::proxy`]: only that pays nobody but the payee.
    pub spender: Address,
    /// Under `upto`: who alone may have the proxy move some of the amount, once. Nothing: `exact`.
    pub facilitator: Option<Address>,
}

/// An EIP-2612 permit by which a payer lets Permit2 take an asset. Whoever settles pays its gas.
///
/// Source: x402 extension `eip2612GasSponsoring`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Whose asset it is.
    pub owner: Address,
    /// Contract of the asset.
    pub token: Address,
    /// Who may take it, which must be [`PERMIT2`].
    pub spender: Address,
    /// Atomic units. The proxy wants exactly what the payment is worth.
    pub value: U256,
    /// Of EIP-2612: counts the owner's permits at this asset.
    pub nonce: U256,
    /// Unix seconds; the last moment at which the asset takes it.
    pub deadline: U256,
    /// 65 bytes, `r ‖ s ‖ v`.
    pub signature: Box<[u8]>,
}

impl Eip712Domain {
    /// The domain of Permit2, which has no version. Source: Uniswap/permit2 `EIP712.sol`.
    pub fn permit2(chain_id: u64) -> Self {
        Self::of("Permit2", None, chain_id, PERMIT2)
    }
}

impl Permit {
    /// One for x402's proxy.
    pub fn of(token: Address, facilitator: Option<Address>) -> Self {
        let permit = Self { token, spender: EXACT_PROXY, facilitator };
        Self { spender: permit.proxy(), ..permit }
    }

    /// x402's proxy for it.
    pub fn proxy(&self) -> Address {
        self.facilitator.map_or(EXACT_PROXY, |_| UPTO_PROXY)
    }

    pub(super) fn struct_hash(&self, authorization: &Authorization) -> B256 {
        let Authorization { to, value, valid_after, valid_before, nonce, .. } = *authorization;
        let (Self { token, spender, .. }, nonce, deadline) = (*self, nonce.into(), valid_before);
        match self.facilitator {
            None => sol::PermitWitnessTransferFrom {
                permitted: sol::TokenPermissions { token, amount: value },
                spender,
                nonce,
                deadline,
                witness: sol::Witness { to, validAfter: valid_after },
            }
            .eip712_hash_struct(),
            Some(facilitator) => sol_upto::PermitWitnessTransferFrom {
                permitted: sol_upto::TokenPermissions { token, amount: value },
                spender,
                nonce,
                deadline,
                witness: sol_upto::Witness { to, facilitator, validAfter: valid_after },
            }
            .eip712_hash_struct(),
        }
    }
}

impl Approval {
    /// Proves that the owner's own key made it; a contract cannot, the proxy takes `v`, `r`, `s`.
    ///
    /// # Errors
    /// As [`SignedAuthorization::prove`](super::SignedAuthorization::prove).
    pub fn prove(&self, asset: &Eip712Domain) -> Result<(), SignatureError> {
        signed_by(&self.signature, self.signing_hash(asset), self.owner)
    }

    /// The hash that the owner signs, under the asset's own domain.
    pub fn signing_hash(&self, asset: &Eip712Domain) -> B256 {
        let Self { owner, spender, value, nonce, deadline, .. } = *self;
        asset.hash(sol::Permit { owner, spender, value, nonce, deadline }.eip712_hash_struct())
    }
}

/// Permit2, at the same address on every chain that has it. Source: Uniswap/permit2.
pub const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");

/// x402ExactPermit2Proxy, at the same address on every chain that has it.
///
/// Source: x402 `scheme_exact_evm.md`, annex; npm `@x402/evm` 2.27, `x402ExactPermit2ProxyAddress`.
pub const EXACT_PROXY: Address = address!("402085c248EeA27D92E8b30b2C58ed07f9E20001");

/// x402UptoPermit2Proxy, at the same address on every chain that has it.
///
/// Source: npm `@x402/evm` 2.27, `x402UptoPermit2ProxyAddress`.
pub const UPTO_PROXY: Address = address!("4020A4f3b7b90ccA423B9fabCc0CE57C6C240002");

/// What is signed. Source: x402 `scheme_exact_evm.md`, annex (`WITNESS_TYPE_STRING`); EIP-2612.
mod sol {
    #![allow(missing_docs, unreachable_pub, reason = "written by the macro")]

    alloy::sol! {
        struct TokenPermissions {
            address token;
            uint256 amount;
        }
        struct Witness {
            address to;
            uint256 validAfter;
        }
        struct PermitWitnessTransferFrom {
            TokenPermissions permitted;
            address spender;
            uint256 nonce;
            uint256 deadline;
            Witness witness;
        }

        struct Permit {
            address owner;
            address spender;
            uint256 value;
            uint256 nonce;
            uint256 deadline;
        }
    }
}

/// What is signed under `upto`. Source: npm `@x402/evm` 2.27, `uptoPermit2WitnessTypes`.
mod sol_upto {
    #![allow(missing_docs, unreachable_pub, reason = "written by the macro")]

    alloy::sol! {
        struct TokenPermissions {
            address token;
            uint256 amount;
        }
        struct Witness {
            address to;
            address facilitator;
            uint256 validAfter;
        }
        struct PermitWitnessTransferFrom {
            TokenPermissions permitted;
            address spender;
            uint256 nonce;
            uint256 deadline;
            Witness witness;
        }
    }
}
