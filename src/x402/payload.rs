//! What a client sends to pay: the object of `PAYMENT-SIGNATURE` and `X-PAYMENT`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::exact::WireExact;
pub use super::exact::{OutgoingExact, OutgoingExtensions};
use super::extensions::Catalogued;
use super::{
    Account, AtomicAmount, ErrorReason, Identified, PaymentRequirements, PaymentRequirementsV1,
    Resource, Signed, encoding,
};

/// A version of the protocol; on the wire the number 1 or 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Version {
    /// Requirements in the body, networks by name.
    V1,
    /// Requirements in a header, networks by CAIP-2.
    V2,
}

/// A decoded payment. Nothing in it is proven; `choice` is what the client says it accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentPayload {
    /// Which offer the client took, in the words of its version.
    pub choice: Choice,
    /// What it signed.
    pub payment: Signed,
    /// What it calls what it buys; version 1 has no word for that.
    pub identified: Identified,
}

/// The client's word on which offer it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Version 1 names scheme and network only.
    V1 {
        /// Such as `exact`.
        scheme: Box<str>,
        /// Such as `base`.
        network: Box<str>,
    },
    /// Version 2 echoes the requirements; the parts that name an offer are kept.
    V2 {
        /// Such as `exact`.
        scheme: Box<str>,
        /// CAIP-2 network.
        network: Box<str>,
        /// Atomic units.
        amount: AtomicAmount,
        /// Contract or mint of the asset.
        asset: Account,
        /// Who is paid.
        pay_to: Account,
    },
}

/// Why bytes are not a payment.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Longer than [`PAYLOAD_BYTES_MAX`].
    #[error("the payment header is longer than {PAYLOAD_BYTES_MAX} bytes")]
    TooLong,
    /// Not base64.
    #[error("the payment header is not base64")]
    Base64(#[source] base64::DecodeError),
    /// Not the JSON of a payment.
    #[error("the payment header is not the JSON of a payment: {0}")]
    Json(#[source] serde_json::Error),
    /// A transaction that could not be anybody's payment.
    #[error("the transaction is no payment: {}", .0.code())]
    Transaction(ErrorReason),
    /// Neither version 1 nor version 2.
    #[error("x402Version is {0}; this server speaks 1 and 2")]
    Version(u64),
}

/// Longest payment header that is read, in bytes of base64.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024;

impl PaymentPayload {
    /// Reads a payment header.
    ///
    /// # Errors
    /// See [`PayloadError`]; the input is bounded before anything is decoded.
    pub fn decode(header: &[u8]) -> Result<Self, PayloadError> {
        if header.len() > PAYLOAD_BYTES_MAX {
            return Err(PayloadError::TooLong);
        }
        let json = encoding::decode(header).map_err(PayloadError::Base64)?;
        Self::from_json(&json)
    }

    /// Reads the JSON inside a payment header.
    ///
    /// # Errors
    /// `Json`, `Transaction` or `Version`.
    pub fn from_json(json: &[u8]) -> Result<Self, PayloadError> {
        let wire: WirePayload<'_> = serde_json::from_slice(json).map_err(PayloadError::Json)?;
        let mut identified = Identified::Not;
        let choice = match wire.x402_version {
            1 => Choice::V1 {
                scheme: present(wire.scheme, "scheme")?.into(),
                network: present(wire.network, "network")?.into(),
            },
            2 => {
                identified = Identified::read(wire.extensions);
                let accepted = present(wire.accepted, "accepted")?;
                let accepted: WireAccepted<'_> =
                    serde_json::from_str(accepted.get()).map_err(PayloadError::Json)?;
                Choice::V2 {
                    scheme: accepted.scheme.into(),
                    network: accepted.network.into(),
                    amount: accepted.amount,
                    asset: accepted.asset,
                    pay_to: accepted.pay_to,
                }
            }
            other => return Err(PayloadError::Version(other)),
        };
        let exact: WireExact<'_> =
            serde_json::from_str(wire.payload.get()).map_err(PayloadError::Json)?;
        let payment = exact.signed(wire.extensions)?;
        Ok(Self { choice, payment, identified })
    }

    /// The version the client speaks, and wants to be answered in.
    pub fn version(&self) -> Version {
        self.choice.version()
    }
}

impl Choice {
    /// The version whose words these are.
    pub fn version(&self) -> Version {
        match self {
            Self::V1 { .. } => Version::V1,
            Self::V2 { .. } => Version::V2,
        }
    }
}

/// The one spelling of a payment that is sent on: to a facilitator, or by our own client.
///
/// Built from what was read and from the route's own requirements, never from the client's bytes.
#[derive(Serialize)]
#[serde(untagged)]
pub enum OutgoingPayload<'a> {
    /// Version 1.
    #[serde(rename_all = "camelCase")]
    V1 {
        /// Always 1.
        x402_version: Version,
        /// Such as `exact`.
        scheme: &'a str,
        /// Such as `base`.
        network: &'a str,
        /// What was signed.
        payload: OutgoingExact<'a>,
    },
    /// Version 2.
    #[serde(rename_all = "camelCase")]
    V2 {
        /// Always 2.
        x402_version: Version,
        /// What is paid for, where a catalogue may be told of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        resource: Option<&'a Resource>,
        /// The offer taken.
        accepted: &'a PaymentRequirements,
        /// What was signed.
        payload: OutgoingExact<'a>,
        /// What came along.
        #[serde(skip_serializing_if = "Option::is_none")]
        extensions: Option<OutgoingExtensions<'a>>,
    },
}

impl<'a> OutgoingPayload<'a> {
    /// A payment in version 1 words.
    pub fn v1(offer: &'a PaymentRequirementsV1, payment: &'a Signed) -> Self {
        let (scheme, network) = (&*offer.scheme, &*offer.network);
        Self::V1 { x402_version: Version::V1, scheme, network, payload: payment.into() }
    }

    /// A payment in version 2 words.
    pub fn v2(accepted: &'a PaymentRequirements, payment: &'a Signed) -> Self {
        let extensions = payment.evm().and_then(OutgoingExtensions::of);
        let (x402_version, payload) = (Version::V2, payment.into());
        Self::V2 { x402_version, resource: None, accepted, payload, extensions }
    }

    /// The same, and what a catalogue may be told; version 1 has no words for it.
    #[must_use]
    pub fn catalogued(self, known: Option<&'a Catalogued>) -> Self {
        match (self, known) {
            (Self::V2 { x402_version, accepted, payload, extensions, .. }, Some(known)) => {
                let mut extensions = extensions.unwrap_or_default();
                extensions.bazaar = Some(&known.bazaar);
                let (resource, extensions) = (Some(&known.resource), Some(extensions));
                Self::V2 { x402_version, resource, accepted, payload, extensions }
            }
            (same, _) => same,
        }
    }
}

impl From<Version> for u8 {
    fn from(version: Version) -> Self {
        match version {
            Version::V1 => 1,
            Version::V2 => 2,
        }
    }
}

impl TryFrom<u8> for Version {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            1 => Ok(Self::V1),
            2 => Ok(Self::V2),
            _ => Err("x402Version is neither 1 nor 2"),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePayload<'a> {
    x402_version: u64,
    #[serde(borrow, default)]
    scheme: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    network: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    accepted: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow, default)]
    extensions: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAccepted<'a> {
    #[serde(borrow)]
    scheme: Cow<'a, str>,
    #[serde(borrow)]
    network: Cow<'a, str>,
    amount: AtomicAmount,
    asset: Account,
    pay_to: Account,
}

fn present<T>(field: Option<T>, name: &'static str) -> Result<T, PayloadError> {
    field.ok_or_else(|| PayloadError::Json(serde::de::Error::missing_field(name)))
}

#[cfg(test)]
mod tests;
