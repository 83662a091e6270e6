//! An offer as the server keeps it, and the identity of a payment.

use std::fmt;

use alloy_primitives::{Address, B256};

use super::permit2::PERMIT2;
use super::requirements::AssetTransferMethod;
use super::{
    Eip712Domain, Form, Network, PaymentRequirements, PaymentRequirementsV1, SignedAuthorization,
    Version,
};

/// One way to pay for a route, in both versions' words, with the domains hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// In the words of version 2.
    pub requirements: PaymentRequirements,
    /// In the words of version 1, which has none for Permit2. Its `resource` is the route's own
    /// URL.
    pub v1: Option<PaymentRequirementsV1>,
    /// What signatures are checked under: the asset's domain, or Permit2's.
    pub domain: Eip712Domain,
    /// What approvals for Permit2 are checked under, where they are paid for: the asset's domain.
    pub approvals: Option<Eip712Domain>,
}

impl Offer {
    /// What makes a payment for this offer itself.
    pub fn identity(&self, payment: &SignedAuthorization) -> PaymentIdentity {
        PaymentIdentity {
            network: self.requirements.network.clone(),
            contract: match payment.authorization.form {
                Form::Eip3009 => self.requirements.asset,
                Form::Permit2(_) => PERMIT2,
            },
            payer: payment.authorization.from,
            nonce: payment.authorization.nonce,
        }
    }

    /// How it moves the asset.
    pub fn method(&self) -> AssetTransferMethod {
        self.requirements.extra.method
    }

    /// Its network as a version of the protocol names it; version 1 has no name for some.
    pub fn network_in(&self, version: Version) -> &str {
        match (version, &self.v1) {
            (Version::V1, Some(v1)) => &v1.network,
            (Version::V1, None) | (Version::V2, _) => self.requirements.network.as_str(),
        }
    }
}

/// What makes two payments the same: what was signed, never how it was written.
///
/// Displayed as `eip155:8453/0xcontract/0xpayer/0xnonce`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentIdentity {
    /// CAIP-2 network.
    pub network: Network,
    /// Who takes each number of a payer once: the asset itself, or [`PERMIT2`] for all assets.
    pub contract: Address,
    /// Who pays.
    pub payer: Address,
    /// The payer's own number for this payment.
    pub nonce: B256,
}

impl PaymentIdentity {
    /// How its money is moved.
    pub fn method(&self) -> AssetTransferMethod {
        match self.contract {
            PERMIT2 => AssetTransferMethod::Permit2,
            _ => AssetTransferMethod::Eip3009,
        }
    }
}

impl fmt::Display for PaymentIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:#x}/{:#x}/{:#x}", self.network, self.contract, self.payer, self.nonce)
    }
}
