//! `[upstreams.NAME]` of servers: where they are, which is chosen, how they are looked at, and whom
//! connections to them trust.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use toml::Spanned;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::certificate::{Part, chain, pair};
use crate::route::upstream::{Balance, Health, Servers, Shown, Tls};

use super::certificates::bytes_of;
use super::file::{FileHealth, FileSecret, FileUpstreamTls};
use super::mistake::Mistake;
use super::reader::Reader;
use super::text::Text;
use super::units::Timeout;
use super::words::{HealthPath, ServerNameText, ServerUrl};

/// What is said of servers beside where they are, as typed.
pub(super) struct FileServers {
    pub(super) balance: Option<Text<Balance>>,
    pub(super) health: Option<Spanned<FileHealth>>,
    pub(super) tls: Option<Spanned<FileUpstreamTls>>,
}

impl FileServers {
    /// Reads it with their URLs, of which there is at least one.
    pub(super) fn read(
        self,
        urls: Vec<Text<ServerUrl>>,
        reader: &mut Reader<'_>,
    ) -> Option<Servers> {
        let urls = all(urls, reader);
        let is_https = urls.as_ref().and_then(|urls| Some(urls.first()?.is_https));
        let tls = match (self.tls, is_https) {
            (Some(typed), Some(false)) => {
                let beside = "without https";
                reader.wrong(typed.span(), Mistake::Meaningless { key: "tls", beside });
                None
            }
            (Some(typed), _) => Some(tls(typed.into_inner(), reader)?),
            (None, is_https) => is_https.filter(|https| *https).map(|_| Tls::default()),
        };
        let balance = reader.take_if(self.balance).unwrap_or_default();
        let health = self.health.map(|typed| health(typed.into_inner(), reader));
        let origins = urls?.into_iter().map(|url| url.origin).collect();
        Some(Servers { origins, tls, balance, health })
    }

    /// Beside a bundled service.
    pub(super) fn mean_nothing(&self, reader: &mut Reader<'_>) {
        let found: [(&str, Option<Range<usize>>); 3] = [
            ("balance", self.balance.as_ref().map(|balance| balance.span.clone())),
            ("health", self.health.as_ref().map(Spanned::span)),
            ("tls", self.tls.as_ref().map(Spanned::span)),
        ];
        for (key, span) in found {
            if let Some(span) = span {
                reader.wrong(span, Mistake::Meaningless { key, beside: "beside `bundled`" });
            }
        }
    }
}

/// The URLs, if each is one, of one scheme, and there once.
fn all(typed: Vec<Text<ServerUrl>>, reader: &mut Reader<'_>) -> Option<Vec<ServerUrl>> {
    let count = typed.len();
    let mut urls: Vec<ServerUrl> = Vec::new();
    for typed in typed {
        let span = typed.span.clone();
        let Some(url) = reader.take(typed) else { continue };
        if urls.iter().any(|other| other.is_https != url.is_https) {
            reader.wrong(span, Mistake::OneScheme);
        } else if urls.contains(&url) {
            let shown = format!("{}:{}", url.origin.host, url.origin.port);
            reader.wrong(span, Mistake::Twice(shown.into()));
        } else {
            urls.push(url);
        }
    }
    (urls.len() == count).then_some(urls)
}

fn health(typed: FileHealth, reader: &mut Reader<'_>) -> Health {
    let (every, timeout) = (reader.take_if(typed.every), reader.take_if(typed.timeout));
    Health {
        path: reader.take_if(typed.path).map(|HealthPath(path)| path),
        every: every.map_or(EVERY, |Timeout(length)| length),
        timeout: timeout.map_or(TIMEOUT, |Timeout(length)| length),
        fails: typed.fails.unwrap_or(FAILS),
        passes: typed.passes.unwrap_or(PASSES),
    }
}

fn tls(typed: FileUpstreamTls, reader: &mut Reader<'_>) -> Option<Tls> {
    let FileUpstreamTls { ca, certificate, key, server_name } = typed;
    let server_name = server_name.map(|name| reader.take(name));
    let authorities = ca.map(|path| authorities(path, reader));
    let shown = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(shown(certificate, key, reader)),
        (None, None) => None,
        (Some(certificate), None) => Some(alone(certificate.span(), reader)),
        (None, Some(key)) => Some(alone(key.span(), reader)),
    };
    Some(Tls {
        server_name: server_name
            .map_or(Some(None), |name| name.map(|ServerNameText(name)| Some(name)))?,
        authorities: authorities.map_or(Some(Box::default()), |read| read)?,
        shown: shown.map_or(Some(None), |read| read.map(Some))?,
    })
}

/// A certificate without its key, or a key without its certificate.
fn alone<T>(span: Range<usize>, reader: &mut Reader<'_>) -> Option<T> {
    reader.wrong(span, Mistake::Together("`certificate`", "`key`"));
    None
}

/// Who vouches for servers. Each is tried: a connection would find out too late.
pub(super) fn authorities(
    typed: Spanned<PathBuf>,
    reader: &mut Reader<'_>,
) -> Option<Box<[Box<[u8]>]>> {
    let span = typed.span();
    let found = bytes_of(typed.get_ref(), reader).and_then(|pem| Ok(chain(&pem)?));
    let found = found.and_then(|certificates| {
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            let added = store.add(certificate.clone());
            added.map_err(|error| Mistake::CertificateUnfit(error.to_string().into()))?;
        }
        whole(&certificates)
    });
    found.map_err(|mistake| reader.wrong(span, mistake)).ok()
}

fn shown(
    certificate: Spanned<PathBuf>,
    key: Spanned<FileSecret>,
    reader: &mut Reader<'_>,
) -> Option<Shown> {
    let (chain_span, key_span) = (certificate.span(), key.span());
    let read = bytes_of(certificate.get_ref(), reader).and_then(|pem| Ok(chain(&pem)?));
    let read = read.and_then(|chain| Ok((whole(&chain)?, chain)));
    let read = read.map_err(|mistake| reader.wrong(chain_span.clone(), mistake)).ok();
    let key = match key.into_inner() {
        FileSecret::Literal(path) => bytes_of(&PathBuf::from(&*path), reader),
        reference => reader.plain(reference).map(String::into_bytes),
    };
    let key = key.map_err(|mistake| reader.wrong(key_span.clone(), mistake)).ok();
    let (shown, chain) = read?;
    match pair(chain, &key?) {
        Ok((_, key)) => Some(Shown { chain: shown, key: key.secret_der().into() }),
        Err(unfit) => {
            let span = if unfit.part == Part::Chain { chain_span } else { key_span };
            reader.wrong(span, unfit.into());
            None
        }
    }
}

/// Certificates that others can read too: whoever builds connections of them does not ask.
fn whole(certificates: &[CertificateDer<'_>]) -> Result<Box<[Box<[u8]>]>, Mistake> {
    let each = certificates.iter().map(|der| match X509Certificate::from_der(der) {
        Ok(_) => Ok((**der).into()),
        Err(error) => Err(Mistake::CertificateUnfit(error.to_string().into())),
    });
    each.collect()
}

/// Names and addresses of one upstream; each may stand for several backends.
pub(super) const URLS_MAX: usize = 16;

const EVERY: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(2);
const FAILS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2);
const PASSES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);
