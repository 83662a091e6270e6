//! `[[certificates]]`: what the gateway shows to clients who come by TLS.

use std::path::Path;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use crate::bounded;
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
}

/// Reads `[[certificates]]`, with its files.
pub(super) fn certificates(
    typed: Vec<FileCertificate>,
    reader: &mut Reader<'_>,
) -> Vec<Certificate> {
    let read = typed.into_iter().filter_map(|FileCertificate { chain, key }| {
        let (chain_span, key_span) = (chain.span(), key.span());
        let mut bytes_of = |path: &Path, span| {
            let read = bytes_of(path, reader);
            read.map_err(|mistake| reader.wrong(span, mistake)).ok()
        };
        let read_chain = bytes_of(chain.as_ref(), chain_span.clone());
        let read_key = bytes_of(key.as_ref(), key_span.clone());
        match certificate(&read_chain?, &read_key?) {
            Ok((certified, names)) => Some(Certificate { certified, names }),
            Err(unfit) => {
                let span = if unfit.part == Part::Chain { chain_span } else { key_span };
                reader.wrong(span, unfit.into());
                None
            }
        }
    });
    read.collect()
}

/// What is in a file, which is watched from now on.
pub(super) fn bytes_of(path: &Path, reader: &mut Reader<'_>) -> Result<Vec<u8>, Mistake> {
    let path = reader.beside(path);
    let read = bounded::read(&path);
    reader.watched.push(Watched::found(&path, &read));
    read.map_err(Mistake::CertificateUnreadable)
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
