//! SHA-256 of what was signed, and of what was asked for.

use std::str::FromStr;

use ring::digest::{Context, SHA256};
use subtle::ConstantTimeEq as _;

/// 32 bytes that stand for something longer.
#[derive(Clone, Copy, Debug)]
pub struct Digest([u8; Digest::BYTES]);

/// A text that is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hex digits")]
pub struct DigestError;

/// A digest under way: what is added piece by piece counts as one.
#[derive(Clone)]
pub struct Digesting(Context);

impl Digest {
    /// Its length.
    pub const BYTES: usize = 32;

    /// Of these bytes, as `sha256sum` prints it.
    pub fn of(bytes: &[u8]) -> Self {
        let mut digesting = Digesting(Context::new(&SHA256));
        digesting.add(bytes);
        digesting.end()
    }

    /// Whether two are the same; takes as long wherever they differ.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The one with these bytes; nothing when they are not 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl Eq for Digest {}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; Self::BYTES];
        alloy_primitives::hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError)?;
        Ok(Self(bytes))
    }
}

impl Digesting {
    /// A digest that begins with these fields, none of which runs into the next.
    pub fn of(fields: &[&[u8]]) -> Self {
        let mut digesting = Self(Context::new(&SHA256));
        for field in fields {
            let length = u64::try_from(field.len()).unwrap_or(u64::MAX);
            digesting.0.update(&length.to_be_bytes());
            digesting.0.update(field);
        }
        digesting
    }

    /// Adds a piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of everything that was added.
    pub fn end(self) -> Digest {
        let mut bytes = [0; Digest::BYTES];
        // SHA-256 has exactly as many.
        bytes.copy_from_slice(self.0.finish().as_ref());
        Digest(bytes)
    }
}

impl std::fmt::Debug for Digesting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digesting")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(fields: &[&[u8]], pieces: &[&[u8]]) -> Digest {
        let mut digesting = Digesting::of(fields);
        pieces.iter().for_each(|piece| digesting.add(piece));
        digesting.end()
    }

    #[test]
    fn pieces_count_as_one_and_fields_do_not_run_together() {
        let whole = digest(&[b"POST", b"/a"], &[b"body"]);
        assert!(whole.is(&digest(&[b"POST", b"/a"], &[b"bo", b"", b"dy"])));
        for other in [
            digest(&[b"POST/", b"a"], &[b"body"]),
            digest(&[b"POST", b"/a"], &[b"bodY"]),
            digest(&[b"POST", b"/a"], &[]),
            digest(&[b"POST", b"/a", b""], &[b"body"]),
        ] {
            assert!(!whole.is(&other));
        }
    }

    #[test]
    fn it_is_sha_256() {
        let empty = digest(&[], &[]);
        assert_eq!(empty.bytes()[..4], [0xe3, 0xb0, 0xc4, 0x42]);
        assert!(Digest::from_bytes(empty.bytes()).unwrap().is(&empty));
        assert!(Digest::from_bytes(&[0; 31]).is_none());
    }

    #[test]
    fn a_digest_is_what_sha256sum_prints() {
        let printed = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
        assert_eq!(printed.parse(), Ok(Digest::of(b"one")));
        for text in ["", "77", "7692c3", &printed.replace('7', "g")] {
            assert_eq!(text.parse::<Digest>(), Err(DigestError), "{text}");
        }
    }
}
