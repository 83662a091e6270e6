//! Signing keys as operators keep them: 64 hex digits, or an encrypted keystore.

use std::path::Path;

use alloy::signers::local::PrivateKeySigner;
use serde::Deserialize;

/// Why something is no key. What it holds is never repeated.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not 64 hex digits, or no key of the curve.
    #[error("not a private key of 64 hex digits")]
    NotHex,
    /// Not a keystore of version 3, or another password's.
    #[error("the keystore cannot be opened: it is none, or the password is wrong")]
    Keystore,
}

/// Reads a private key from its hex digits.
///
/// # Errors
/// See [`KeyError::NotHex`].
pub fn from_hex(text: &str) -> Result<PrivateKeySigner, KeyError> {
    text.trim().parse().map_err(|_| KeyError::NotHex)
}

/// Opens an encrypted keystore, as geth, foundry and many wallets write it. Takes a second: that
/// is what it is for. Source: Web3 Secret Storage, version 3.
///
/// # Errors
/// See [`KeyError::Keystore`].
pub fn from_keystore(path: &Path, password: &str) -> Result<PrivateKeySigner, KeyError> {
    let text = crate::bounded::read(path).map_err(|_| KeyError::Keystore)?;
    let sealed: Sealed = serde_json::from_slice(&text).map_err(|_| KeyError::Keystore)?;
    if !sealed.crypto.is_sound() {
        return Err(KeyError::Keystore);
    }
    PrivateKeySigner::decrypt_keystore(path, password).map_err(|_| KeyError::Keystore)
}

/// What a keystore says of itself. Whoever opens it believes each word: a short one would be a
/// panic, a large one all memory there is.
#[derive(Deserialize)]
struct Sealed {
    crypto: Crypto,
}

#[derive(Deserialize)]
struct Crypto {
    cipherparams: CipherParams,
    kdfparams: KdfParams,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Deserialize)]
struct KdfParams {
    dklen: u64,
    #[serde(default)]
    c: u64,
    #[serde(default)]
    n: u64,
    #[serde(default)]
    r: u64,
    #[serde(default)]
    p: u64,
}

impl Crypto {
    fn is_sound(&self) -> bool {
        let KdfParams { dklen, c, n, r, p } = self.kdfparams;
        // Of no rounds it would still be asked for the rest.
        let memory = n.max(1).saturating_mul(r.max(1));
        self.cipherparams.iv.len() == IV_DIGITS
            && (DERIVED_MIN..=DERIVED_MAX).contains(&dklen)
            && c <= ROUNDS_MAX
            && memory <= MEMORY_MAX
            && r.saturating_mul(p) <= MEMORY_MAX
            && memory.saturating_mul(p) <= WORK_MAX
    }
}

const IV_DIGITS: usize = 32;
/// Half of it decrypts, half of it proves the password.
const DERIVED_MIN: u64 = 32;
const DERIVED_MAX: u64 = 64;
/// Of PBKDF2. The usual keystore has 262,144.
const ROUNDS_MAX: u64 = 10_000_000;
/// Of scrypt, in 128 bytes: 1 GiB. The usual keystore has a quarter of it.
const MEMORY_MAX: u64 = 1 << 23;
/// Of scrypt: eight times the usual.
const WORK_MAX: u64 = 1 << 24;

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of the definition, with PBKDF2. Source: Web3 Secret Storage.
    const KEYSTORE: &str = include_str!("../../../tests/config/keystore.json");
    const KEY: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

    #[test]
    fn a_key_is_64_hex_digits_with_or_without_a_prefix() {
        let key = from_hex(KEY).unwrap();
        assert_eq!(from_hex(&format!("0x{KEY}\n")).unwrap().address(), key.address());
        for text in ["", "0x", &KEY[1..], &"0".repeat(64), "hunter2"] {
            let error = from_hex(text).unwrap_err().to_string();
            assert_eq!(error, "not a private key of 64 hex digits");
        }
    }

    #[test]
    fn a_keystore_opens_with_its_password_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        std::fs::write(&path, KEYSTORE).unwrap();
        let key = from_keystore(&path, "testpassword").unwrap();
        assert_eq!(key.address(), from_hex(KEY).unwrap().address());
        for (path, password) in [(&*path, "hunter2"), (dir.path(), "testpassword")] {
            let error = from_keystore(path, password).unwrap_err();
            assert!(!error.to_string().contains(password), "{error}");
        }
    }

    #[test]
    fn a_keystore_that_says_nonsense_of_itself_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        let sound: serde_json::Value = serde_json::from_str(KEYSTORE).unwrap();
        for (place, value) in [
            ("/crypto/kdfparams/dklen", serde_json::json!(31)),
            ("/crypto/kdfparams/dklen", serde_json::json!(255)),
            ("/crypto/kdfparams/c", serde_json::json!(u32::MAX)),
            ("/crypto/cipherparams/iv", serde_json::json!("6087dab2")),
            (
                "/crypto/kdfparams",
                serde_json::json!({ "dklen": 32, "salt": "00", "p": 1,
                "n": 2_147_483_648_u32, "r": 1_048_576 }),
            ),
            ("/crypto", serde_json::json!({})),
        ] {
            let mut broken = sound.clone();
            *broken.pointer_mut(place).unwrap() = value;
            std::fs::write(&path, broken.to_string()).unwrap();
            let error = from_keystore(&path, "testpassword").unwrap_err();
            assert!(matches!(error, KeyError::Keystore), "{place}");
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        let shown = format!("{:?}", from_hex(KEY).unwrap());
        assert!(!shown.contains(&KEY[..16]), "{shown}");
    }
}
