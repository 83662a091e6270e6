//! What the client is told of its payment.

use super::Settled;
use crate::x402::{AtomicAmount, ErrorReason, SettleResponse, Version, encoding};

/// The headers of a settled payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Header name: `PAYMENT-RESPONSE`, and `X-PAYMENT-RESPONSE` for version 1.
    pub name: &'static str,
    /// Base64 of a [`SettleResponse`].
    pub value: String,
}

/// What a receipt says.
#[derive(Debug)]
pub(super) struct Paid<'a> {
    /// The client's.
    pub(super) version: Version,
    /// As that version names it.
    pub(super) network: &'a str,
    /// In its chain's own spelling.
    pub(super) payer: String,
    /// Hash of the transfer.
    pub(super) transaction: &'a str,
    /// Atomic units.
    pub(super) amount: AtomicAmount,
}

impl Settled {
    /// The receipt in the words of the client's version.
    ///
    /// # Errors
    /// None that a payment can cause; `serde_json`'s own.
    pub fn receipts(&self) -> Result<Vec<Receipt>, serde_json::Error> {
        let (offer, version) = (&self.order.offer, self.order.version);
        let paid = Paid {
            version,
            network: offer.network_in(version),
            payer: self.order.payer().to_string(),
            transaction: &self.transaction,
            amount: self.order.amount(),
        };
        paid.receipts()
    }
}

impl Paid<'_> {
    pub(super) fn receipts(self) -> Result<Vec<Receipt>, serde_json::Error> {
        let names: &[&'static str] = match self.version {
            Version::V1 => &[V1_HEADER, V2_HEADER],
            Version::V2 => &[V2_HEADER],
        };
        let response = SettleResponse {
            success: true,
            error_reason: None,
            payer: Some(self.payer),
            transaction: self.transaction.to_owned(),
            network: self.network.to_owned(),
            amount: Some(self.amount.to_string()),
        };
        let value = encoding::encode_json(&response)?;
        Ok(names.iter().map(|name| Receipt { name, value: value.clone() }).collect())
    }
}

/// The `PAYMENT-RESPONSE` of a payment that was presented and did not settle.
///
/// # Errors
/// None that a payment can cause; `serde_json`'s own.
pub fn failure(reason: ErrorReason, network: &str) -> Result<String, serde_json::Error> {
    encoding::encode_json(&SettleResponse {
        success: false,
        error_reason: Some(reason.code().to_owned()),
        payer: None,
        transaction: String::new(),
        network: network.to_owned(),
        amount: None,
    })
}

/// Version 2's header.
pub const V2_HEADER: &str = "payment-response";
/// Version 1's header.
pub const V1_HEADER: &str = "x-payment-response";
