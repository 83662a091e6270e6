//! The receipt of a settled payment, as the server gives it.

use http::HeaderMap;

use crate::x402::{SettleResponse, encoding};

/// The object of `PAYMENT-RESPONSE` or `X-PAYMENT-RESPONSE`. The server's word, not the chain's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt(pub SettleResponse);

impl Receipt {
    /// The receipt in an answer's headers, when there is one that can be read.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let value = HEADERS.iter().find_map(|name| headers.get(*name))?;
        if value.len() > RECEIPT_BYTES_MAX {
            return None;
        }
        let json = encoding::decode(value.as_bytes()).ok()?;
        serde_json::from_slice(&json).ok().map(Self)
    }

    /// The transaction, when it looks like one: `0x` and 64 hex digits.
    pub fn transaction(&self) -> Option<&str> {
        transaction(&self.0.transaction)
    }
}

/// A text, when it is `0x` and 64 hex digits.
pub(super) fn transaction(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("0x")?;
    let hash = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    hash.then_some(text)
}

const HEADERS: [&str; 2] = ["payment-response", "x-payment-response"];
const RECEIPT_BYTES_MAX: usize = 16 * 1024;
