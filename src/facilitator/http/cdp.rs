//! Tokens for Coinbase's hosted facilitator: a JWT for each request, with Ed25519 or ES256.
//!
//! Source: docs.cdp.coinbase.com, "JWT authentication"; RFC 7515, RFC 7518 §3.4, RFC 8037.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;

use crate::clock::UnixMillis;
use crate::fault::{Fault, Retry, Side};

/// A secret API key of CDP. Never printed.
#[derive(Clone)]
pub struct CdpKey {
    id: Box<str>,
    pair: Arc<Pair>,
}

/// Why a text is no key. Says nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CdpKeyError {
    /// Neither of the two forms.
    #[error("the key is neither base64 of the 64 bytes of an Ed25519 key nor a PEM block")]
    Form,
    /// The base64 of something else.
    #[error("an Ed25519 key has 64 bytes, this has {0}")]
    Length(usize),
    /// Two halves that do not belong together.
    #[error("the halves of the Ed25519 key do not belong together")]
    Halves,
    /// A PEM block with another key in it, or half of one.
    #[error("the PEM block holds no private key on the curve P-256")]
    Curve,
    /// An id that cannot be one.
    #[error("the key's id is empty, or longer than 256 characters")]
    Id,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
}

impl CdpKey {
    /// The key of this id. `secret` is what CDP hands out: base64 of 64 bytes for Ed25519, else a
    /// PEM block, whose line breaks may be typed as `\n`.
    ///
    /// # Errors
    /// See [`CdpKeyError`].
    pub fn new(id: &str, secret: &str) -> Result<Self, CdpKeyError> {
        let id = id.trim();
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Err(CdpKeyError::Id);
        }
        let secret = secret.trim();
        let pair = if secret.contains("-----BEGIN") { es256(secret) } else { ed25519(secret) };
        Ok(Self { id: id.into(), pair: Arc::new(pair?) })
    }

    /// A token for one request, `uri` being its method, host and path as in
    /// `POST api.example.com/verify`. No two are the same.
    pub(super) fn token(&self, uri: &str, now: UnixMillis) -> Result<String, Fault> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| cannot_sign().caused_by(error))?;
        let nonce = alloy_primitives::hex::encode(nonce);
        let begins = now.seconds().saturating_sub(SKEW_SECONDS);
        let head = Head { alg: self.pair.algorithm(), kid: &self.id, typ: "JWT", nonce };
        let claims = Claims {
            sub: &self.id,
            iss: "cdp",
            iat: begins,
            nbf: begins,
            exp: begins.saturating_add(LIFETIME_SECONDS),
            uris: [uri],
        };
        let signed = format!("{}.{}", part(&head)?, part(&claims)?);
        let signature = self.pair.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{signature}"))
    }

    /// The kind, in a few words.
    pub fn kind(&self) -> &'static str {
        match &*self.pair {
            Pair::Ed25519(_) => "requests signed for CDP, Ed25519",
            Pair::Es256(_) => "requests signed for CDP, ES256",
        }
    }

    /// The public half: 32 bytes for Ed25519, an uncompressed point for ES256.
    pub fn public(&self) -> Vec<u8> {
        match &*self.pair {
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Es256(pair) => pair.public_key().as_ref().to_vec(),
        }
    }
}

/// Two keys with one public half are one.
impl PartialEq for CdpKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.public() == other.public()
    }
}

impl fmt::Debug for CdpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

impl Pair {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::Es256(_) => "ES256",
        }
    }

    /// The signature, in base64url.
    fn sign(&self, bytes: &[u8]) -> Result<String, Fault> {
        match self {
            Self::Ed25519(pair) => Ok(URL_SAFE_NO_PAD.encode(pair.sign(bytes))),
            Self::Es256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), bytes);
                let signature = signature.map_err(|_unspecified| cannot_sign())?;
                Ok(URL_SAFE_NO_PAD.encode(signature))
            }
        }
    }
}

#[derive(Serialize)]
struct Head<'a> {
    alg: &'static str,
    kid: &'a str,
    typ: &'static str,
    nonce: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iss: &'static str,
    iat: u64,
    nbf: u64,
    exp: u64,
    uris: [&'a str; 1],
}

fn part(object: &impl Serialize) -> Result<String, Fault> {
    let json = serde_json::to_vec(object).map_err(|error| cannot_sign().caused_by(error))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

fn ed25519(secret: &str) -> Result<Pair, CdpKeyError> {
    let bytes = STANDARD.decode(secret).map_err(|_| CdpKeyError::Form)?;
    let halves: [u8; 64] =
        bytes.try_into().map_err(|bytes: Vec<u8>| CdpKeyError::Length(bytes.len()))?;
    let (seed, public) = halves.split_at(32);
    let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public);
    pair.map(Pair::Ed25519).map_err(|_| CdpKeyError::Halves)
}

fn es256(secret: &str) -> Result<Pair, CdpKeyError> {
    let pem = secret.replace("\\n", "\n");
    let pkcs8 = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        Ok(PrivateKeyDer::Sec1(key)) => from_sec1(key.secret_sec1_der())?,
        Ok(PrivateKeyDer::Pkcs8(key)) => key.secret_pkcs8_der().to_vec(),
        Ok(_) | Err(_) => return Err(CdpKeyError::Curve),
    };
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8, &SystemRandom::new());
    pair.map(Pair::Es256).map_err(|_| CdpKeyError::Curve)
}

/// `-----BEGIN EC PRIVATE KEY-----` in the frame of PKCS #8, which is what ring reads.
fn from_sec1(sec1: &[u8]) -> Result<Vec<u8>, CdpKeyError> {
    let key = der(0x04, sec1)?;
    der(0x30, &[&[0x02, 0x01, 0x00], P256, &key].concat())
}

/// One element of DER.
fn der(tag: u8, content: &[u8]) -> Result<Vec<u8>, CdpKeyError> {
    let length = u8::try_from(content.len()).map_err(|_| CdpKeyError::Curve)?;
    let head = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
    Ok([&head, content].concat())
}

fn cannot_sign() -> Fault {
    Fault::new(Side::Ours, Retry::Later, "a request could not be signed")
}

/// `SEQUENCE { id-ecPublicKey, prime256v1 }`
const P256: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07,
];

/// CDP takes tokens of at most two minutes.
const LIFETIME_SECONDS: u64 = 120;

/// How far CDP's clock may be behind ours. As much of the lifetime is behind us at the start.
const SKEW_SECONDS: u64 = 30;

const NONCE_BYTES: usize = 16;
const ID_BYTES_MAX: usize = 256;

#[cfg(test)]
pub(crate) mod tests;
