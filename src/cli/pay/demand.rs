//! What a 402 asks for, read leniently: an offer that cannot be paid must not hide one that can.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::x402::extensions::Extensions;
use crate::x402::{Version, encoding};

/// The offers of a 402.
#[derive(Debug)]
pub struct Demand {
    /// The version it is written in, and must be paid in.
    pub version: Version,
    /// URL of the resource, as the server names it.
    pub resource: Option<String>,
    /// Why the server wants to be paid, in its words.
    pub error: Option<String>,
    /// The offers that can be read.
    pub offers: Vec<Offer>,
    /// Offers that cannot.
    pub unread: usize,
    /// Version 2: the resource object, echoed when paying.
    pub(super) resource_object: Option<Box<RawValue>>,
    /// Version 2: the extensions, echoed when paying.
    pub(super) extensions: Option<Box<RawValue>>,
}

/// One offer as the server wrote it; nothing in it has been looked at.
#[derive(Debug)]
pub struct Offer {
    /// Such as `exact`.
    pub scheme: String,
    /// CAIP-2 network in version 2, a name in version 1.
    pub network: String,
    /// Atomic units of the asset.
    pub amount: String,
    /// Contract of the asset.
    pub asset: String,
    /// Who is paid.
    pub pay_to: String,
    /// Seconds from signing to settlement that the server wants.
    pub max_timeout_seconds: u64,
    /// The asset's domain, as far as the offer says.
    pub(super) extra: Extra,
    /// The very bytes, echoed when paying: servers compare.
    pub(super) raw: Box<RawValue>,
}

/// Why a 402 cannot be paid at all.
#[derive(Debug, thiserror::Error)]
pub enum DemandError {
    /// Neither half is there.
    #[error("the 402 has neither a PAYMENT-REQUIRED header nor a body with offers")]
    Missing,
    /// More than is read of a stranger's 402.
    #[error("the 402 is longer than {DEMAND_BYTES_MAX} bytes")]
    TooLong,
    /// The header is not base64.
    #[error("the PAYMENT-REQUIRED header is not base64")]
    Base64(#[source] base64::DecodeError),
    /// Not the JSON of a 402.
    #[error("the 402 is not the JSON of x402")]
    Json(#[source] serde_json::Error),
    /// Neither version 1 nor version 2.
    #[error("the 402 is of x402 version {0}; 1 and 2 are known")]
    Version(u64),
    /// More than is read of a stranger's 402.
    #[error("the 402 has more than {OFFERS_MAX} offers")]
    TooManyOffers,
}

/// Longest 402 that is read, header or body, in bytes.
pub(super) const DEMAND_BYTES_MAX: usize = 128 * 1024;
const OFFERS_MAX: usize = 64;

impl Demand {
    /// Reads a 402: the header of version 2 when there is one, else the body.
    ///
    /// # Errors
    /// See [`DemandError`].
    pub fn read(header: Option<&[u8]>, body: &[u8]) -> Result<Self, DemandError> {
        match header {
            Some(text) if text.len() > DEMAND_BYTES_MAX => Err(DemandError::TooLong),
            Some(text) => Self::from_json(&encoding::decode(text).map_err(DemandError::Base64)?),
            None if body.is_empty() => Err(DemandError::Missing),
            None => Self::from_json(body),
        }
    }

    /// Whether whoever settles sends, and pays for, an approval by EIP-2612 that comes along.
    pub fn sponsors_approvals(&self) -> bool {
        let read = self.extensions.as_ref().and_then(|raw| parsed::<Extensions>(raw));
        read.is_some_and(|extensions| extensions.eip2612_gas_sponsoring.is_some())
    }

    /// Reads the JSON of a 402.
    ///
    /// # Errors
    /// All but `Base64`.
    pub fn from_json(json: &[u8]) -> Result<Self, DemandError> {
        if json.len() > DEMAND_BYTES_MAX {
            return Err(DemandError::TooLong);
        }
        let wire: WireDemand = serde_json::from_slice(json).map_err(DemandError::Json)?;
        let version = match wire.x402_version {
            1 => Version::V1,
            2 => Version::V2,
            other => return Err(DemandError::Version(other)),
        };
        if wire.accepts.len() > OFFERS_MAX {
            return Err(DemandError::TooManyOffers);
        }
        let count = wire.accepts.len();
        let read: Vec<_> = wire.accepts.into_iter().filter_map(Offer::read).collect();
        let named = wire.resource.as_ref().and_then(|raw| parsed::<WireResource>(raw));
        let resource = named
            .map(|resource| resource.url)
            .or_else(|| read.iter().find_map(|(_, resource)| resource.clone()));
        let offers: Vec<_> = read.into_iter().map(|(offer, _)| offer).collect();
        Ok(Self {
            version,
            resource,
            error: wire.error,
            unread: count.saturating_sub(offers.len()),
            offers,
            resource_object: wire.resource,
            extensions: wire.extensions,
        })
    }
}

impl Offer {
    /// The offer, and the resource that an offer of version 1 names.
    fn read(raw: Box<RawValue>) -> Option<(Self, Option<String>)> {
        let wire: WireOffer = parsed(&raw)?;
        let offer = Self {
            scheme: wire.scheme,
            network: wire.network,
            amount: wire.amount,
            asset: wire.asset,
            pay_to: wire.pay_to,
            max_timeout_seconds: wire.max_timeout_seconds,
            extra: wire.extra.unwrap_or_default(),
            raw,
        };
        Some((offer, wire.resource))
    }
}

fn parsed<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDemand {
    x402_version: u64,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    resource: Option<Box<RawValue>>,
    accepts: Vec<Box<RawValue>>,
    #[serde(default)]
    extensions: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct WireResource {
    url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireOffer {
    scheme: String,
    network: String,
    #[serde(alias = "maxAmountRequired")]
    amount: String,
    asset: String,
    pay_to: String,
    max_timeout_seconds: u64,
    #[serde(default)]
    extra: Option<Extra>,
    #[serde(default)]
    resource: Option<String>,
}

/// The keys of `extra` that matter here.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Extra {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default, rename = "assetTransferMethod")]
    pub(super) method: Option<String>,
    /// Under `upto`: who settles.
    #[serde(default, rename = "facilitatorAddress")]
    pub(super) facilitator: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = r#"{"scheme":"exact","network":"base","maxAmountRequired":"1","asset":"a",
        "payTo":"b","maxTimeoutSeconds":60,"resource":"http://x/"}"#;

    fn read(json: &str) -> Result<Demand, DemandError> {
        Demand::read(None, json.as_bytes())
    }

    #[test]
    fn an_unreadable_offer_does_not_hide_the_next() {
        let demand = read(&format!(r#"{{"x402Version":1,"accepts":[{{}},7,{OFFER}]}}"#)).unwrap();
        assert_eq!((demand.offers.len(), demand.unread), (1, 2));
        assert_eq!(demand.resource.as_deref(), Some("http://x/"));
        assert_eq!(demand.version, Version::V1);
    }

    #[test]
    fn the_header_is_read_before_the_body() {
        let header = encoding::encode(br#"{"x402Version":2,"accepts":[]}"#);
        let demand = Demand::read(Some(header.as_bytes()), b"{}").unwrap();
        assert_eq!(demand.version, Version::V2);
    }

    #[test]
    fn what_is_no_402_is_told_apart() {
        assert!(matches!(read(""), Err(DemandError::Missing)));
        assert!(matches!(read("<html>"), Err(DemandError::Json(_))));
        assert!(matches!(read(r#"{"x402Version":3,"accepts":[]}"#), Err(DemandError::Version(3))));
        assert!(matches!(Demand::read(Some(b"*"), b""), Err(DemandError::Base64(_))));
        assert!(matches!(read(&" ".repeat(DEMAND_BYTES_MAX + 1)), Err(DemandError::TooLong)));
        let many = vec!["1"; OFFERS_MAX + 1].join(",");
        let many = read(&format!(r#"{{"x402Version":2,"accepts":[{many}]}}"#));
        assert!(matches!(many, Err(DemandError::TooManyOffers)));
    }
}
