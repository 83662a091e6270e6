//! A certificate with what vouches for it, and its key: read, and found to belong together.

use rustls::Error;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// Why a chain or its key is no good. What is wrong with a key is not told in the key's own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unfit {
    /// Which of the two.
    pub part: Part,
    why: Box<str>,
}

/// What a mistake is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The certificate and what vouches for it.
    Chain,
    /// Its private key.
    Key,
}

impl Unfit {
    fn new(part: Part, why: impl Into<Box<str>>) -> Self {
        Self { part, why: why.into() }
    }
}

/// The certificates of a text in PEM; at least one.
///
/// # Errors
/// Not PEM, or without a certificate.
pub fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unfit> {
    let unfit = |why: String| Unfit::new(Part::Chain, why);
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| unfit(error.to_string()))?;
    match chain.is_empty() {
        true => Err(unfit("there is none in it".to_owned())),
        false => Ok(chain),
    }
}

/// A chain and its key, which belong together. The key is in PEM.
///
/// # Errors
/// No key, one of a kind that cannot be used, or another's.
pub fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: &[u8],
) -> Result<(CertifiedKey, PrivateKeyDer<'static>), Unfit> {
    let unfit = |why: &str| Unfit::new(Part::Key, why);
    let key = PrivateKeyDer::from_pem_slice(key);
    let key = key.map_err(|_| unfit("there is no key in PEM in it"))?;
    let certified = CertifiedKey::from_der(chain, key.clone_key(), &default_provider());
    let certified = certified.map_err(|error| match error {
        Error::InconsistentKeys(_) => unfit("the key is another's"),
        error => unfit(&error.to_string()),
    })?;
    Ok((certified, key))
}

/// The DNS names that a chain's first certificate is for, in lower case; `*.` in front stands for
/// one label. At least one.
///
/// # Errors
/// It cannot be read, or is for no DNS name.
pub fn names(chain: &[CertificateDer<'_>]) -> Result<Box<[Box<str>]>, Unfit> {
    let unfit = |why: String| Unfit::new(Part::Chain, why);
    let first = chain.first().ok_or_else(|| unfit("there is none in it".to_owned()))?;
    let certificate = webpki::EndEntityCert::try_from(first);
    let certificate = certificate.map_err(|error| unfit(format!("it cannot be read: {error}")))?;
    let names = certificate.valid_dns_names().map(|name| name.to_ascii_lowercase().into());
    let names: Box<[Box<str>]> = names.collect();
    if names.is_empty() {
        return Err(unfit("it is for no DNS name".to_owned()));
    }
    Ok(names)
}
