//! What a 402 offers besides ways to pay: the extensions that this gateway knows.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::requirements::Resource;

/// The object `extensions` of a 402. Source: x402 v2 §5.1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Extensions {
    /// Whoever settles pays for the approval that Permit2 needs, where the asset has EIP-2612.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eip2612_gas_sponsoring: Option<GasSponsoring>,
    /// Whether the client may, or must, name what it buys.
    #[serde(default, rename = "payment-identifier", skip_serializing_if = "Option::is_none")]
    pub payment_identifier: Option<Value>,
    /// How what is paid for is called, for catalogues of paid APIs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bazaar: Option<Value>,
    /// What a wallet that has paid lately signs to be let in again.
    #[serde(default, rename = "sign-in-with-x", skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<Value>,
}

/// What whoever settles may tell a catalogue of paid APIs: what was paid for, and how it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogued {
    /// What is paid for, as its 402 names it.
    pub resource: Resource,
    /// The extension `bazaar` of that 402.
    pub bazaar: Value,
}

/// That approvals by EIP-2612 are taken. Nothing of it varies.
///
/// Source: x402 extension `eip2612GasSponsoring`; npm `@x402/extensions` 2.27.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GasSponsoring;

impl Extensions {
    pub(super) fn is_empty(&self) -> bool {
        let Self { eip2612_gas_sponsoring, payment_identifier, bazaar, sign_in } = self;
        let none = [payment_identifier, bazaar, sign_in].into_iter().all(Option::is_none);
        eip2612_gas_sponsoring.is_none() && none
    }
}

impl Serialize for GasSponsoring {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let declared: &RawValue =
            serde_json::from_str(DECLARED).map_err(serde::ser::Error::custom)?;
        declared.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for GasSponsoring {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

const DECLARED: &str = include_str!("eip2612_gas_sponsoring.json");
