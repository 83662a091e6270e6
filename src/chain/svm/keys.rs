//! The key of a fee payer, as wallets export it and as `solana-keygen` keeps it.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};

use crate::x402::svm::{Pubkey, signature_of, signature_text};

/// Who pays the fees. Never shown but by its address.
#[derive(Clone)]
pub struct FeePayer {
    key: SigningKey,
    address: Pubkey,
}

/// A signature of the fee payer, and how it is written: the name of the transaction.
pub(super) struct Signed {
    pub(super) signature: [u8; 64],
    pub(super) name: Box<str>,
}

/// Why a text is no key. What it holds is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither of the two spellings.
    #[error("not a key: neither 64 bytes in base58 nor the 64 numbers of solana-keygen")]
    NotAKey,
    /// The second half is not the address of the first.
    #[error("not a key: its second half is not the address of its first")]
    OtherAddress,
}

impl FeePayer {
    /// Reads a key: 64 bytes, the secret and its address, in base58 or as a JSON array.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let both = match text.starts_with('[') {
            true => serde_json::from_str::<Vec<u8>>(text).ok().and_then(|all| all.try_into().ok()),
            // As long as a signature, and written like one.
            false => signature_of(text),
        };
        let both: [u8; 64] = both.ok_or(KeyError::NotAKey)?;
        let key = SigningKey::from_keypair_bytes(&both).map_err(|_| KeyError::OtherAddress)?;
        let address = Pubkey::new_from_array(key.verifying_key().to_bytes());
        Ok(Self { key, address })
    }

    /// Its address.
    pub fn address(&self) -> Pubkey {
        self.address
    }

    /// Signs a message. The same message has always the same signature. Source: RFC 8032.
    pub(super) fn sign(&self, message: &[u8]) -> Signed {
        let signature = self.key.sign(message).to_bytes();
        Signed { signature, name: signature_text(&signature).into() }
    }
}

impl PartialEq for FeePayer {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl Eq for FeePayer {}

impl fmt::Debug for FeePayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeePayer({})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x402::svm::fixture;

    fn both() -> [u8; 64] {
        fixture::key(fixture::FEE_PAYER).to_keypair_bytes()
    }

    #[test]
    fn both_spellings_are_the_same_key() {
        let numbers = serde_json::to_string(&both().to_vec()).unwrap();
        for text in [signature_text(&both()), numbers.clone(), format!(" {numbers}\n")] {
            let address = FeePayer::parse(&text).map(|key| key.address());
            assert_eq!(address, Ok(fixture::pubkey(fixture::FEE_PAYER)));
        }
    }

    #[test]
    fn anything_else_is_none_and_is_not_repeated() {
        let mut other = both();
        other[63] ^= 1;
        let check = |text: &str, expected: KeyError| {
            let error = FeePayer::parse(text).unwrap_err();
            assert_eq!(error, expected);
            assert!(text.len() < 8 || !error.to_string().contains(&text[..8]), "{error}");
        };
        check(&signature_text(&other), KeyError::OtherAddress);
        for text in ["", "[]", "[1,2", "[256]", "hunter2hunter2"] {
            check(text, KeyError::NotAKey);
        }
        let secret = fixture::pubkey(fixture::FEE_PAYER).to_string();
        check(&secret, KeyError::NotAKey);
        check(&serde_json::to_string(&both()[..32].to_vec()).unwrap(), KeyError::NotAKey);
    }

    #[test]
    fn a_key_is_not_shown() {
        let shown = format!("{:?}", FeePayer::parse(&signature_text(&both())).unwrap());
        assert_eq!(shown, format!("FeePayer({})", fixture::pubkey(fixture::FEE_PAYER)));
    }
}
