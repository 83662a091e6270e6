//! Which certificate a client who comes by TLS is shown.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pingora::listeners::tls::TlsSettings;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::Certificate;

/// The certificates of now, for every connection that begins.
#[derive(Debug)]
pub(super) struct Certificates(ArcSwap<ByName>);

/// Certificates by the names that they are for; whoever names none of these is shown the first.
#[derive(Debug)]
struct ByName {
    names: HashMap<Box<str>, Arc<CertifiedKey>>,
    first: Arc<CertifiedKey>,
}

impl Certificates {
    /// Nothing where none are configured: connections are not encrypted then.
    pub(super) fn new(configured: &[Certificate]) -> Option<Arc<Self>> {
        ByName::new(configured).map(|names| Arc::new(Self(ArcSwap::from_pointee(names))))
    }

    /// From now on connections begin with these. An empty list changes nothing.
    pub(super) fn exchange(&self, configured: &[Certificate]) {
        if let Some(names) = ByName::new(configured) {
            self.0.store(Arc::new(names));
        }
    }

    /// What pingora needs to know: these certificates, HTTP/2 for whoever speaks it.
    pub(super) fn settings(self: &Arc<Self>) -> pingora::Result<TlsSettings> {
        // The paths are not read where a resolver is.
        let mut settings = TlsSettings::intermediate("", "")?;
        let resolver = Arc::clone(self);
        settings.set_cert_resolver(resolver);
        settings.enable_h2();
        Ok(settings)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let now = self.0.load();
        let named = hello.server_name().and_then(|name| now.named(name));
        Some(Arc::clone(named.unwrap_or(&now.first)))
    }
}

impl ByName {
    fn new(configured: &[Certificate]) -> Option<Self> {
        let first = Arc::clone(&configured.first()?.certified);
        let mut names = HashMap::new();
        for certificate in configured {
            for name in &certificate.names {
                // Of two for one name, the one that is written first.
                names.entry(name.clone()).or_insert_with(|| Arc::clone(&certificate.certified));
            }
        }
        Some(Self { names, first })
    }

    fn named(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        self.names.get(name.as_str()).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.names.get(format!("*.{parent}").as_str())
        })
    }
}
