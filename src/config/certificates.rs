//! `[[certificates]]`: what the gateway shows to clients who come by TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_primitives::{B256, keccak256};
use rustls::Error;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::file::FileCertificate;
use super::mistake::Mistake;
use super::reader::Reader;

/// A certificate with its chain and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Chain and key, which belong together.
    pub certified: Arc<CertifiedKey>,
    /// The DNS names that it is for, in lower case; `*.` in front stands for one label. At least
    /// one.
    pub names: Box<[Box<str>]>,
    /// What it was read from.
    pub files: [Watched; 2],
}

/// A file, and a digest of what was in it when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Where it is.
    pub path: PathBuf,
    /// Keccak-256 of all of it.
    pub digest: B256,
}

/// Reads `[[certificates]]`, with its files.
pub(super) fn certificates(
    typed: Vec<FileCertificate>,
    reader: &mut Reader<'_>,
) -> Vec<Certificate> {
    let read = typed.into_iter().filter_map(|FileCertificate { chain, key }| {
        let (chain_span, key_span) = (chain.span(), key.span());
        let mut bytes_of = |path: &Path, span| match read_file(&reader.beside(path)) {
            Ok(read) => Some(read),
            Err(mistake) => {
                reader.wrong(span, mistake);
                None
            }
        };
        let read_chain = bytes_of(chain.as_ref(), chain_span.clone());
        let (chain, chain_file) = read_chain?;
        let (key, key_file) = bytes_of(key.as_ref(), key_span.clone())?;
        match certificate(&chain, &key) {
            Ok((certified, names)) => {
                Some(Certificate { certified, names, files: [chain_file, key_file] })
            }
            Err((Part::Chain, mistake)) => {
                reader.wrong(chain_span, mistake);
                None
            }
            Err((Part::Key, mistake)) => {
                reader.wrong(key_span, mistake);
                None
            }
        }
    });
    read.collect()
}

/// Which of the two files a mistake is in.
pub(super) enum Part {
    Chain,
    Key,
}

/// What is in a file, and that it was.
pub(super) fn read_file(path: &Path) -> Result<(Vec<u8>, Watched), Mistake> {
    let bytes = crate::bounded::read(path).map_err(Mistake::CertificateUnreadable)?;
    let digest = keccak256(&bytes);
    Ok((bytes, Watched { path: path.to_owned(), digest }))
}

type Read = (Arc<CertifiedKey>, Box<[Box<str>]>);

fn certificate(chain: &[u8], key: &[u8]) -> Result<Read, (Part, Mistake)> {
    let chain = chain_of(chain).map_err(|mistake| (Part::Chain, mistake))?;
    let first = chain.first().map(names).unwrap_or_else(|| Ok(Box::default()));
    let names = first.map_err(|why| (Part::Chain, Mistake::CertificateUnfit(why.into())))?;
    Ok((Arc::new(pair(chain, key)?.0), names))
}

/// The certificates of a text in PEM; at least one.
pub(super) fn chain_of(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Mistake> {
    let unfit = |why: String| Mistake::CertificateUnfit(why.into());
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| unfit(error.to_string()))?;
    match chain.is_empty() {
        true => Err(unfit("there is none in it".to_owned())),
        false => Ok(chain),
    }
}

/// A chain and its key, which belong together.
pub(super) fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: &[u8],
) -> Result<(CertifiedKey, PrivateKeyDer<'static>), (Part, Mistake)> {
    let unfit = |part| move |why: String| (part, Mistake::CertificateUnfit(why.into()));
    // What is wrong with a key is not told in the key's own words.
    let key = PrivateKeyDer::from_pem_slice(key);
    let key = key.map_err(|_| unfit(Part::Key)("there is no key in PEM in it".to_owned()))?;
    let certified = CertifiedKey::from_der(chain, key.clone_key(), &default_provider());
    let certified = certified.map_err(|error| match error {
        Error::InconsistentKeys(_) => unfit(Part::Key)("the key is another's".to_owned()),
        error => unfit(Part::Key)(error.to_string()),
    })?;
    Ok((certified, key))
}

fn names(certificate: &CertificateDer<'_>) -> Result<Box<[Box<str>]>, String> {
    let certificate = webpki::EndEntityCert::try_from(certificate);
    let certificate = certificate.map_err(|error| format!("it cannot be read: {error}"))?;
    let names = certificate.valid_dns_names().map(|name| name.to_ascii_lowercase().into());
    let names: Box<[Box<str>]> = names.collect();
    if names.is_empty() {
        return Err("it is for no DNS name".to_owned());
    }
    Ok(names)
}
