//! Base64 of JSON, the form of every x402 header: every dialect is read, one is written.

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine as _};
use serde::Serialize;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Reads base64 in the standard or the URL alphabet, padded or not.
///
/// # Errors
/// A byte that is in neither alphabet, or a length that no input has.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, DecodeError> {
    // Most clients write the standard one, so nobody looks for the other's letters before.
    let is_url_safe = || text.iter().any(|byte| matches!(byte, b'-' | b'_'));
    STANDARD.decode(text).or_else(|error| match is_url_safe() {
        true => URL_SAFE.decode(text),
        false => Err(error),
    })
}

/// Writes base64 in the standard alphabet with padding.
pub fn encode(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Writes an object as base64 of its compact JSON.
///
/// # Errors
/// None for the types of this crate; `serde_json`'s own for a type that cannot be JSON.
pub fn encode_json<T: Serialize>(object: &T) -> Result<String, serde_json::Error> {
    serde_json::to_vec(object).map(|json| encode(&json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_reads_the_same() {
        for text in ["+/+/AA==", "+/+/AA", "-_-_AA==", "-_-_AA"] {
            assert_eq!(decode(text.as_bytes()).unwrap(), [0xfb, 0xff, 0xbf, 0x00], "{text}");
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        for text in ["a b=", "a", "*", "-+AA"] {
            assert!(decode(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn one_dialect_is_written() {
        assert_eq!(encode(&[0xfb, 0xff, 0xbf, 0x00]), "+/+/AA==");
    }
}
