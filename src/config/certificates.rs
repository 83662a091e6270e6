//! `[[certificates]]`: what the gateway shows to clients who come by TLS.

use std::path::Path;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use crate::certificate::{self, Part, Unfit};

use super::file::FileCertificate;
use super::mistake::Mistake;
use super::reader::Reader;
use super::watched::Watched;

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
            Err(unfit) => {
                let span = if unfit.part == Part::Chain { chain_span } else { key_span };
                reader.wrong(span, unfit.into());
                None
            }
        }
    });
    read.collect()
}

/// What is in a file, and that it was.
pub(super) fn read_file(path: &Path) -> Result<(Vec<u8>, Watched), Mistake> {
    let bytes = crate::bounded::read(path).map_err(Mistake::CertificateUnreadable)?;
    let watched = Watched::file(path, &bytes);
    Ok((bytes, watched))
}

type Read = (Arc<CertifiedKey>, Box<[Box<str>]>);

fn certificate(chain: &[u8], key: &[u8]) -> Result<Read, Unfit> {
    let chain = certificate::chain(chain)?;
    let names = certificate::names(&chain)?;
    Ok((Arc::new(certificate::pair(chain, key)?.0), names))
}

impl From<Unfit> for Mistake {
    fn from(unfit: Unfit) -> Self {
        Self::CertificateUnfit(unfit.to_string().into())
    }
}
