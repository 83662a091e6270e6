//! What a 402 says of `sign-in-with-x`, and the part of it that no two answers share.

use std::ops::Range;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::x402::{Network, encoding};

/// Where the header of a 402 has what each answer has for itself: a nonce and two moments. The rest
/// is written once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// In the header.
    place: Range<usize>,
    /// What that place decodes to.
    json: Box<[u8]>,
    /// What is written anew in it.
    written: Range<usize>,
}

/// What one answer has for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// A number that no other answer has.
    pub nonce: u128,
    /// As RFC 3339, to the millisecond.
    pub issued_at: String,
    /// The same.
    pub expires_at: String,
}

/// The object `sign-in-with-x` for a resource at this URL that is paid on these networks. Its nonce
/// and its moments are nobody's.
///
/// Source: x402 extension `sign-in-with-x`; npm `@x402/extensions` 2.27,
/// `enrichSIWxPaymentRequiredResponse`.
pub fn declared<'a>(url: &str, networks: impl Iterator<Item = &'a Network>) -> Value {
    let mut chains: Vec<Value> = Vec::new();
    for network in networks {
        let kind = if network.is_solana() { "ed25519" } else { "eip191" };
        let chain = json!({ "chainId": network, "type": kind });
        if !chains.contains(&chain) {
            chains.push(chain);
        }
    }
    json!({
        "info": {
            "domain": domain(url),
            // These three in the order that [`Asking::text`] has: of letters, and of this list.
            "expirationTime": NO_MOMENT,
            "issuedAt": NO_MOMENT,
            "nonce": NO_NONCE,
            "uri": url,
            "version": super::VERSION,
        },
        "schema": schema(),
        "supportedChains": chains,
    })
}

/// Whom a wallet speaks to that is let in to this URL: the host, and the port where there is one.
pub fn domain(url: &str) -> &str {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    behind.split('/').next().unwrap_or_default()
}

impl Fresh {
    /// The place in the base64 of this JSON; nothing where it offers no sign-in.
    pub fn of(json: &str) -> Option<Self> {
        let text = Asking::of_nobody().text();
        // No text within the JSON has a bare quotation mark, so nothing else looks like it.
        let at = json.find(&text)?;
        let first = at - at % 3;
        let last = at.checked_add(text.len())?.next_multiple_of(3);
        let begins = at.checked_sub(first)?;
        Some(Self {
            place: first / 3 * 4..last / 3 * 4,
            json: json.as_bytes().get(first..last)?.into(),
            written: begins..begins.checked_add(text.len())?,
        })
    }

    /// The same header for one answer.
    pub fn written(&self, header: &Bytes, asking: &Asking) -> Bytes {
        let mut json = self.json.clone();
        let text = asking.text();
        let place = json.get_mut(self.written.clone()).filter(|old| old.len() == text.len());
        let (before, behind) = (header.get(..self.place.start), header.get(self.place.end..));
        let (Some(place), Some(before), Some(behind)) = (place, before, behind) else {
            return header.clone();
        };
        place.copy_from_slice(text.as_bytes());
        [before, encoding::encode(&json).as_bytes(), behind].concat().into()
    }
}

impl Asking {
    fn of_nobody() -> Self {
        Self { nonce: 0, issued_at: NO_MOMENT.to_owned(), expires_at: NO_MOMENT.to_owned() }
    }

    /// As it stands in the JSON. The same length for all.
    fn text(&self) -> String {
        let Self { nonce, issued_at, expires_at } = self;
        format!(
            r#""expirationTime":"{expires_at}","issuedAt":"{issued_at}","nonce":"{nonce:032x}""#
        )
    }
}

/// What a client may send, for whoever checks it against a schema.
fn schema() -> Value {
    let text = || json!({ "type": "string" });
    let moment = || json!({ "type": "string", "format": "date-time" });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "domain": text(),
            "address": text(),
            "statement": text(),
            "uri": { "type": "string", "format": "uri" },
            "version": text(),
            "chainId": text(),
            "type": text(),
            "nonce": text(),
            "issuedAt": moment(),
            "expirationTime": moment(),
            "notBefore": moment(),
            "requestId": text(),
            "resources": { "type": "array", "items": { "type": "string", "format": "uri" } },
            "signature": text(),
        },
        "required": [
            "domain", "address", "uri", "version", "chainId", "type", "nonce", "issuedAt",
            "signature",
        ],
    })
}

/// As long as every moment.
const NO_MOMENT: &str = "0000-00-00T00:00:00.000Z";

/// As long as every nonce.
const NO_NONCE: &str = "00000000000000000000000000000000";

#[cfg(test)]
mod tests {
    use super::*;

    /// A 402 whose sign-in begins at another byte each time.
    #[test]
    fn only_what_is_an_answers_own_changes() {
        let networks = ["eip155:84532", "eip155:8453", "eip155:84532"];
        let networks = networks.map(|name| name.parse::<Network>().unwrap());
        for padding in 0..7 {
            let declared = declared("https://a.example:8443/x", networks.iter());
            let whole = json!({ "a": "x".repeat(padding), "s": declared }).to_string();
            let header = Bytes::from(encoding::encode(whole.as_bytes()));
            let asking = Asking {
                nonce: 0xfeed << 64,
                issued_at: "2026-11-21T09:30:00.000Z".to_owned(),
                expires_at: "2026-11-21T09:35:00.000Z".to_owned(),
            };
            let written = Fresh::of(&whole).unwrap().written(&header, &asking);
            let decoded = encoding::decode(&written).unwrap();
            let mut expected: Value = serde_json::from_str(&whole).unwrap();
            let info = &mut expected["s"]["info"];
            info["nonce"] = "000000000000feed0000000000000000".into();
            info["issuedAt"] = asking.issued_at.into();
            info["expirationTime"] = asking.expires_at.into();
            let found: Value = serde_json::from_slice(&decoded).unwrap();
            assert_eq!(found, expected);
            assert_eq!(found["s"]["info"]["domain"], "a.example:8443");
            assert_eq!(found["s"]["supportedChains"].as_array().unwrap().len(), 2);
        }
        assert_eq!(Fresh::of(r#"{"a":"nonce"}"#), None);
    }
}
