//! The 402 as a page, for a person with a browser: what it costs, and a wallet that pays.
//!
//! The page asks nothing of any other host. Its script and its style are the same for every route,
//! so that the policy it is sent with names them by their digests and allows nothing else.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::digest::Digest;
use crate::route::Terms;
use crate::x402::{AssetTransferMethod, encoding};

/// What the script reads.
#[derive(Serialize)]
struct Data<'a> {
    /// The 402 of version 2.
    required: &'a RawValue,
    offers: Vec<Shown>,
}

/// A way to pay, for people.
#[derive(Serialize)]
struct Shown {
    /// Its place among those of the 402.
    at: usize,
    dollars: String,
    network: String,
    /// Chain id, where a wallet of a browser can pay.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<u64>,
    /// What a transaction's hash is put behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    explorer: Option<&'static str>,
}

/// The page of a 402. `header` is the value of its `PAYMENT-REQUIRED`.
///
/// # Errors
/// The header is none of ours.
pub fn page(terms: &Terms, header: &[u8]) -> Result<Bytes, serde_json::Error> {
    let required = encoding::decode(header).unwrap_or_default();
    let required: &RawValue = serde_json::from_slice(&required)?;
    let offers = terms.offers.iter().enumerate().map(|(at, by)| {
        let due = &by.offer.requirements;
        let known = due.network.known();
        let by_signature = by.offer.method() == Some(AssetTransferMethod::Eip3009);
        let most = due.amount.to_decimal(by.decimals);
        Shown {
            at,
            dollars: if by.usage.is_some() { format!("{most} at most") } else { most },
            network: known.map_or_else(|| due.network.to_string(), |known| known.name.to_owned()),
            chain: due.network.chain_id().filter(|_| by_signature),
            explorer: known.and_then(|known| known.explorer),
        }
    });
    let data = serde_json::to_string(&Data { required, offers: offers.collect() })?;
    // Nothing in it ends the element it stands in.
    let data = data.replace('<', "\\u003c");
    Ok(PAGE.replacen("{{terms}}", &data, 1).into())
}

/// What a browser may do with the page: run its own script, ask its own host.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest =
        |text: &str| format!("'sha256-{}'", STANDARD.encode(Digest::of(text.as_bytes()).bytes()));
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src blob:; \
         media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        digest(SCRIPT),
        digest(STYLE)
    )
});

static PAGE: LazyLock<String> = LazyLock::new(|| {
    let page = include_str!("paywall/page.html").replacen("{{style}}", STYLE, 1);
    page.replacen("{{script}}", SCRIPT, 1)
});

const SCRIPT: &str = include_str!("paywall/page.js");
const STYLE: &str = include_str!("paywall/page.css");
