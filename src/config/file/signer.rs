//! A signing key as typed, which no message ever repeats.

use std::fmt;
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::FileSecret;

/// Where a signing key is. Whatever else is typed is kept as nothing, so that it is not shown.
pub(in crate::config) enum FileSigner {
    /// In an environment variable.
    Env(Box<str>),
    /// In a file of its own.
    File(PathBuf),
    /// In a keystore, which this password opens.
    Keystore(PathBuf, FileSecret),
    /// The key itself: the wrong place.
    Literal,
    /// None of these, or several.
    Other,
}

impl<'de> Deserialize<'de> for FileSigner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SignerVisitor)
    }
}

struct SignerVisitor;

impl<'de> Visitor<'de> for SignerVisitor {
    type Value = FileSigner;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ env = \"NAME\" }, { file = \"PATH\" } or a keystore with its password")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<FileSigner, E> {
        Ok(FileSigner::Literal)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<FileSigner, E> {
        Ok(FileSigner::Literal)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FileSigner, A::Error> {
        let (mut env, mut file, mut keystore, mut password) = (None, None, None, None);
        let mut strange = false;
        while let Some(key) = map.next_key::<Box<str>>()? {
            match &*key {
                "env" => env = Some(map.next_value::<Box<str>>()?),
                "file" => file = Some(map.next_value::<PathBuf>()?),
                "keystore" => keystore = Some(map.next_value::<PathBuf>()?),
                "password" => password = Some(map.next_value::<FileSecret>()?),
                _ => {
                    strange = true;
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(match (env, file, keystore, password) {
            _ if strange => FileSigner::Other,
            (Some(name), None, None, None) => FileSigner::Env(name),
            (None, Some(path), None, None) => FileSigner::File(path),
            (None, None, Some(path), Some(password)) => FileSigner::Keystore(path, password),
            _ => FileSigner::Other,
        })
    }
}
