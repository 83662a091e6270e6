//! An offer as the server keeps it, and the identity of a payment.

use std::fmt;

use alloy_primitives::{Address, B256};

use super::{
    Eip712Domain, Network, PaymentRequirements, PaymentRequirementsV1, SignedAuthorization, Version,
};

/// One way to pay for a route, in both versions' words, with the asset's domain hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// In the words of version 2.
    pub requirements: PaymentRequirements,
    /// In the words of version 1. Its `resource` is the route's own URL.
    pub v1: PaymentRequirementsV1,
    /// What signatures are checked under.
    pub domain: Eip712Domain,
}

impl Offer {
    /// What makes a payment for this offer itself.
    pub fn identity(&self, payment: &SignedAuthorization) -> PaymentIdentity {
        PaymentIdentity {
            network: self.requirements.network.clone(),
            asset: self.requirements.asset,
            payer: payment.authorization.from,
            nonce: payment.authorization.nonce,
        }
    }

    /// Its network as a version of the protocol names it.
    pub fn network_in(&self, version: Version) -> &str {
        match version {
            Version::V1 => &self.v1.network,
            Version::V2 => self.requirements.network.as_str(),
        }
    }
}

/// What makes two payments the same: what was signed, never how it was written.
///
/// Displayed as `eip155:8453/0xasset/0xpayer/0xnonce`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentIdentity {
    /// CAIP-2 network.
    pub network: Network,
    /// Contract of the asset.
    pub asset: Address,
    /// Who pays.
    pub payer: Address,
    /// The payer's own number for this payment.
    pub nonce: B256,
}

impl fmt::Display for PaymentIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:#x}/{:#x}/{:#x}", self.network, self.asset, self.payer, self.nonce)
    }
}
