//! The many ways of writing one payment header.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::Value;

/// How the JSON is written.
#[derive(Clone, Copy, Debug)]
pub enum Keys {
    AsIs,
    /// Every object's keys from the last to the first.
    Reversed,
    /// With white space wherever JSON allows it.
    Spaced,
}

/// How the base64 is written.
#[derive(Clone, Copy, Debug)]
pub enum Base64 {
    Standard,
    Unpadded,
    Url,
    UrlUnpadded,
}

/// All ways, each with another.
pub fn dialects() -> impl Iterator<Item = (Keys, Base64)> {
    let all = [Base64::Standard, Base64::Unpadded, Base64::Url, Base64::UrlUnpadded];
    let keys = [Keys::AsIs, Keys::Reversed, Keys::Spaced];
    keys.into_iter().flat_map(move |keys| all.map(|base64| (keys, base64)))
}

/// Writes one JSON value as a header.
pub fn write(value: &Value, keys: Keys, base64: Base64) -> String {
    let json = match keys {
        Keys::AsIs => value.to_string(),
        Keys::Reversed => reversed(value),
        Keys::Spaced => serde_json::to_string_pretty(value).unwrap() + " \n",
    };
    match base64 {
        Base64::Standard => STANDARD.encode(json),
        Base64::Unpadded => STANDARD_NO_PAD.encode(json),
        Base64::Url => URL_SAFE.encode(json),
        Base64::UrlUnpadded => URL_SAFE_NO_PAD.encode(json),
    }
}

fn reversed(value: &Value) -> String {
    let Value::Object(fields) = value else { return value.to_string() };
    let field = |(key, value): (&String, &Value)| format!("{key:?}:{}", reversed(value));
    let fields: Vec<_> = fields.iter().rev().map(field).collect();
    format!("{{{}}}", fields.join(","))
}
