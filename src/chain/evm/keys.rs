//! Signing keys as operators keep them: 64 hex digits, or an encrypted keystore.

use std::path::Path;

use alloy::signers::local::PrivateKeySigner;

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
    PrivateKeySigner::decrypt_keystore(path, password).map_err(|_| KeyError::Keystore)
}

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
    fn a_key_is_not_shown() {
        let shown = format!("{:?}", from_hex(KEY).unwrap());
        assert!(!shown.contains(&KEY[..16]), "{shown}");
    }
}
