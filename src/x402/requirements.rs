//! What a resource server asks for: one offer to pay, and the 402 that lists the offers.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::{AtomicAmount, Network, Version};

/// One way to pay for a resource. Source: x402 v2 §5.1.2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequirements {
    /// The scheme; here always `exact`.
    pub scheme: Box<str>,
    /// CAIP-2 network.
    pub network: Network,
    /// Atomic units of the asset.
    pub amount: AtomicAmount,
    /// Contract of the asset.
    #[serde(serialize_with = "checksummed")]
    pub asset: Address,
    /// Who is paid.
    #[serde(serialize_with = "checksummed")]
    pub pay_to: Address,
    /// Seconds from signing to settlement that the client should allow for.
    pub max_timeout_seconds: u64,
    /// The asset's EIP-712 domain.
    pub extra: AssetDomain,
}

/// Name and version of an asset's EIP-712 domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetDomain {
    /// Domain name.
    pub name: Box<str>,
    /// Domain version.
    pub version: Box<str>,
}

/// The same offer in the words of version 1. Source: x402 v1 §5.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequirementsV1 {
    /// The scheme; here always `exact`.
    pub scheme: Box<str>,
    /// The network's name of version 1, such as `base`.
    pub network: Box<str>,
    /// Atomic units of the asset.
    pub max_amount_required: AtomicAmount,
    /// URL of the resource.
    pub resource: Box<str>,
    /// For people.
    pub description: Box<str>,
    /// Media type of the answer; clients insist on a string.
    pub mime_type: Box<str>,
    /// Who is paid.
    #[serde(serialize_with = "checksummed")]
    pub pay_to: Address,
    /// Seconds from signing to settlement that the client should allow for.
    pub max_timeout_seconds: u64,
    /// Contract of the asset.
    #[serde(serialize_with = "checksummed")]
    pub asset: Address,
    /// The asset's EIP-712 domain.
    pub extra: AssetDomain,
}

/// What is paid for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// Its absolute URL.
    pub url: Box<str>,
    /// For people.
    #[serde(default)]
    pub description: Box<str>,
    /// Media type of the answer.
    #[serde(default)]
    pub mime_type: Box<str>,
}

/// The object of the `PAYMENT-REQUIRED` header. Source: x402 v2 §5.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequired {
    /// Always 2.
    pub x402_version: Version,
    /// Why the request was not served.
    #[serde(default)]
    pub error: Box<str>,
    /// What is paid for.
    pub resource: Resource,
    /// The offers; the client takes one.
    pub accepts: Vec<PaymentRequirements>,
    /// What else the server understands, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<serde_json::Value>,
}

/// The body of a 402 in version 1. Source: x402 v1 §5.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequiredV1 {
    /// Always 1.
    pub x402_version: Version,
    /// Why the request was not served.
    pub error: Box<str>,
    /// The offers; the client takes one.
    pub accepts: Vec<PaymentRequirementsV1>,
}

fn checksummed<S: serde::Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&address.to_checksum(None))
}

/// The one scheme of this module's payments.
pub const SCHEME_EXACT: &str = "exact";
