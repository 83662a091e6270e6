//! What a resource server asks for: one offer to pay, and the 402 that lists the offers.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::extensions::Extensions;
use super::svm::SvmExtra;
use super::{Account, AtomicAmount, Network, Version};

/// One way to pay for a resource. Source: x402 v2 §5.1.2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequirements {
    /// `exact`, or `upto` where the amount is the most that is paid.
    pub scheme: Box<str>,
    /// CAIP-2 network.
    pub network: Network,
    /// Atomic units of the asset.
    pub amount: AtomicAmount,
    /// Contract or mint of the asset.
    pub asset: Account,
    /// Who is paid.
    pub pay_to: Account,
    /// Seconds from signing to settlement that the client should allow for.
    pub max_timeout_seconds: u64,
    /// How the asset is moved, and what is signed for that.
    pub extra: Extra,
}

impl PaymentRequirements {
    /// Under `upto`: who settles, if it is known.
    pub fn facilitator(&self) -> Option<Address> {
        self.extra.evm()?.facilitator?.evm()
    }
}

/// What `exact` adds to an offer, by the kind of its network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Extra {
    /// On Solana, where nothing is paid without a fee payer.
    Svm(SvmExtra),
    /// On EVM networks.
    Evm(EvmExtra),
}

impl Extra {
    /// What it says of an offer on Solana.
    pub fn svm(&self) -> Option<&SvmExtra> {
        match self {
            Self::Svm(svm) => Some(svm),
            Self::Evm(_) => None,
        }
    }

    /// What it says of an offer on an EVM network.
    pub fn evm(&self) -> Option<&EvmExtra> {
        match self {
            Self::Svm(_) => None,
            Self::Evm(evm) => Some(evm),
        }
    }
}

/// What `exact` and `upto` on EVM networks add to an offer. Source: x402 `scheme_exact_evm.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvmExtra {
    /// Left out where it is the usual one.
    #[serde(
        rename = "assetTransferMethod",
        default,
        skip_serializing_if = "AssetTransferMethod::is_usual"
    )]
    pub method: AssetTransferMethod,
    /// The asset's EIP-712 domain, where the payer has to sign under it.
    #[serde(flatten)]
    pub domain: Option<AssetDomain>,
    /// Under `upto`: who settles, whom the payer names; nothing while it is not known.
    ///
    /// Source: npm `@x402/evm` 2.27, `UptoEvmScheme.enhancePaymentRequirements`.
    #[serde(rename = "facilitatorAddress", default, skip_serializing_if = "Option::is_none")]
    pub facilitator: Option<Account>,
}

/// How an asset is moved by whoever has its owner's signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AssetTransferMethod {
    /// By the asset itself, in the way of USDC.
    #[default]
    Eip3009,
    /// By Permit2, for any ERC-20 whose owner has approved it.
    Permit2,
}

impl AssetTransferMethod {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eip3009 => "eip3009",
            Self::Permit2 => "permit2",
        }
    }

    /// Whether clients take it for meant when nothing is said.
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
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
    pub pay_to: Account,
    /// Seconds from signing to settlement that the client should allow for.
    pub max_timeout_seconds: u64,
    /// Contract or mint of the asset.
    pub asset: Account,
    /// What `exact` adds to it.
    pub extra: ExtraV1,
}

/// What `exact` adds to an offer in the words of version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ExtraV1 {
    /// On Solana.
    Svm(SvmExtra),
    /// The asset's EIP-712 domain.
    Evm(AssetDomain),
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
    /// What else the client may make use of.
    #[serde(default, skip_serializing_if = "Extensions::is_empty")]
    pub extensions: Extensions,
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

/// The scheme in which the whole amount is paid.
pub const SCHEME_EXACT: &str = "exact";

/// The scheme in which the amount is the most that is paid.
pub const SCHEME_UPTO: &str = "upto";
