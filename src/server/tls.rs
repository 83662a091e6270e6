//! Which certificate a client who comes by TLS is shown.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pingora::listeners::tls::Acceptor;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::acme::{self, Challenges, Issued};
use crate::config::Certificate;

/// The certificates of now, for every connection that begins.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    /// Of the configuration's files.
    files: ArcSwap<ByName>,
    /// Of an authority.
    issued: ArcSwap<ByName>,
    /// What that authority wants to see.
    challenges: Arc<Challenges>,
}

/// Certificates by the names that they are for, and the first.
#[derive(Debug, Default)]
struct ByName {
    names: HashMap<Box<str>, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    /// From now on connections begin with these files.
    pub(super) fn exchange(&self, configured: &[Certificate]) {
        let each = configured.iter().map(|one| (&one.certified, &*one.names));
        self.files.store(Arc::new(ByName::new(each)));
    }

    /// The same with what an authority has issued, or with nothing of it.
    pub(super) fn exchange_issued(&self, issued: Option<&Issued>) {
        let each = issued.into_iter().map(|one| (&one.certified, &*one.names));
        self.issued.store(Arc::new(ByName::new(each)));
    }

    /// What an authority is shown that looks whether a name leads here.
    pub(super) fn challenges(&self) -> &Arc<Challenges> {
        &self.challenges
    }

    /// What a listener needs to know: these certificates, HTTP/2 for whoever speaks it.
    ///
    /// # Errors
    /// None with the provider; rustls' own.
    pub(super) fn acceptor(self: &Arc<Self>) -> Result<Acceptor, rustls::Error> {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions()?.with_no_client_auth();
        let resolver = Arc::clone(self);
        let mut config = config.with_cert_resolver(resolver);
        config.alpn_protocols = [b"h2", &b"http/1.1"[..], acme::ALPN].map(<[u8]>::to_vec).to_vec();
        Ok(Acceptor::from_server_config(Arc::new(config)))
    }
}

impl ResolvesServerCert for Certificates {
    /// Whoever names none of them is shown the first, and refuses it. Without any it is we who
    /// refuse.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        if hello.alpn().is_some_and(|offered| offered.eq([acme::ALPN])) {
            return self.challenges.certificate(name?);
        }
        let (files, issued) = (self.files.load(), self.issued.load());
        let named = name.and_then(|name| files.named(name).or_else(|| issued.named(name)));
        named.or(files.first.as_ref()).or(issued.first.as_ref()).cloned()
    }
}

impl ByName {
    fn new<'a>(each: impl Iterator<Item = (&'a Arc<CertifiedKey>, &'a [Box<str>])>) -> Self {
        let mut found = Self::default();
        for (certified, names) in each {
            found.first.get_or_insert_with(|| Arc::clone(certified));
            for name in names {
                // Of two for one name, the one that is written first.
                found.names.entry(name.clone()).or_insert_with(|| Arc::clone(certified));
            }
        }
        found
    }

    fn named(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        self.names.get(name.as_str()).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.names.get(format!("*.{parent}").as_str())
        })
    }
}
