//! A certificate that was issued, with its key.

use std::sync::Arc;

use instant_acme::CertificateIdentifier;
use rustls::sign::CertifiedKey;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::certificate::{self, Unfit};
use crate::clock::UnixMillis;

/// A certificate that was issued, with its key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// What is shown to clients.
    pub certified: Arc<CertifiedKey>,
    /// The DNS names that it is for, in lower case.
    pub names: Box<[Box<str>]>,
    /// Since when it is good.
    pub from: UnixMillis,
    /// Until when.
    pub until: UnixMillis,
    /// By what its authority knows it, if it says.
    id: Option<CertificateIdentifier<'static>>,
}

/// Why a text is no certificate with its key.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A part is none, or they do not belong together.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// It does not say how long it is good.
    #[error("its time cannot be read")]
    Time,
}

impl Issued {
    /// Reads a key and a chain, both in PEM and in one text.
    ///
    /// # Errors
    /// It is none, or not whole, or does not say how long it is good.
    pub fn read(pem: &[u8]) -> Result<Self, Unreadable> {
        let chain = certificate::chain(pem)?;
        let names = certificate::names(&chain)?;
        let first = chain.first().map(|der| X509Certificate::from_der(der));
        let Some(Ok((_, first))) = first else { return Err(Unreadable::Time) };
        let [from, until] = [first.validity().not_before, first.validity().not_after]
            .map(|time| UnixMillis::new(time.timestamp().saturating_mul(1_000)));
        let id = identifier(&first);
        let (certified, _) = certificate::pair(chain, pem)?;
        Ok(Self { certified: Arc::new(certified), names, from, until, id })
    }

    /// Whether it is for these names and no others, in any order.
    pub fn is_for(&self, names: &[Box<str>]) -> bool {
        self.names.len() == names.len() && names.iter().all(|name| self.names.contains(name))
    }

    pub(super) fn id(&self) -> Option<&CertificateIdentifier<'static>> {
        self.id.as_ref()
    }
}

/// Source: RFC 9773 §4.1.
fn identifier(certificate: &X509Certificate<'_>) -> Option<CertificateIdentifier<'static>> {
    let authority = certificate.extensions().iter().find_map(|one| match one.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(one) => one.key_identifier.as_ref(),
        _ => None,
    });
    let (authority, serial) = (authority?.0, certificate.tbs_certificate.raw_serial());
    Some(CertificateIdentifier::new(authority.into(), serial.into()).into_owned())
}
