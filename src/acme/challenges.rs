//! What an authority is shown that looks whether a name leads here.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use instant_acme::KeyAuthorization;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

/// The protocol that an authority asks for by TLS. Source: RFC 8737 §6.2.
pub const ALPN: &[u8] = b"acme-tls/1";

/// What is shown while an order runs; nothing else of the time.
#[derive(Debug, Default)]
pub struct Challenges(ArcSwap<Shown>);

/// The answers of one order.
#[derive(Debug, Default)]
pub(super) struct Shown {
    tokens: HashMap<Box<str>, Arc<str>>,
    names: HashMap<Box<str>, Arc<CertifiedKey>>,
}

/// Shows them until it is dropped.
pub(super) struct Showing(Arc<Challenges>);

impl Challenges {
    /// What a path below `/.well-known/acme-challenge/` is answered.
    pub fn token(&self, token: &str) -> Option<Arc<str>> {
        self.0.load().tokens.get(token).cloned()
    }

    /// What a connection that speaks [`ALPN`] and names this is shown.
    pub fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.load().names.get(name.to_ascii_lowercase().as_str()).cloned()
    }

    pub(super) fn show(self: &Arc<Self>, shown: Shown) -> Showing {
        self.0.store(Arc::new(shown));
        Showing(Arc::clone(self))
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        self.0.0.store(Arc::default());
    }
}

impl Shown {
    /// Answers a token.
    pub(super) fn token(&mut self, token: &str, answer: &KeyAuthorization) {
        self.tokens.insert(token.into(), answer.as_str().into());
    }

    /// Shows a certificate of our own that holds the answer. Source: RFC 8737 §3.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn name(&mut self, name: &str, answer: &KeyAuthorization) -> Result<(), Unmade> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.custom_extensions =
            vec![CustomExtension::new_acme_identifier(answer.digest().as_ref())];
        let key = KeyPair::generate()?;
        let chain = vec![params.self_signed(&key)?.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = default_provider().key_provider.load_private_key(key)?;
        // It is not read again: what is critical in it is for an authority alone.
        self.names.insert(name.into(), Arc::new(CertifiedKey::new(chain, key)));
        Ok(())
    }
}

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unmade {
    #[error("it cannot be written")]
    Written(#[from] rcgen::Error),
    #[error("it cannot be used")]
    Used(#[from] rustls::Error),
}
