//! `[acme]`: certificates that an authority issues by itself.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::uri::Scheme;
use rustls::pki_types::DnsName;

use crate::acme::{Challenge, ExternalAccount, Settings};

use super::certificates::Certificate;
use super::file::{FileAcme, FileExternalAccount};
use super::mistake::Mistake;
use super::reader::Reader;
use super::servers::authorities;
use super::text::{OneOrMany, Written};
use super::words::web_uri;

/// Reads `[acme]`. Nothing where there is none, or `reader` has noted why. `taken` are the
/// addresses of other listeners.
pub(super) fn acme(
    typed: Option<FileAcme>,
    certificates: &[Certificate],
    taken: &[SocketAddr],
    reader: &mut Reader<'_>,
) -> Option<Settings> {
    let typed = typed?;
    let names = names(typed.domains, certificates, reader);
    let agreed = reader.take(typed.terms);
    let contact = typed.contact.map(|contact| reader.take_all(contact.items)).unwrap_or_default();
    let directory = reader.take_if(typed.directory);
    let authorities = typed.ca.map(|path| authorities(path, reader));
    let challenge = typed.challenge.map(|typed| (typed.span.clone(), reader.take(typed)));
    let (place, challenge) = challenge.unwrap_or((0..0, Some(Challenge::default())));
    let http = typed.http.map(|typed| (typed.span.clone(), reader.take(typed)));
    match (&http, challenge) {
        (None, Some(Challenge::Http01)) => reader.wrong(place, Mistake::NoHttp),
        (Some((span, Some(http))), _) if taken.contains(http) && http.port() != 0 => {
            reader.wrong(span.clone(), Mistake::HttpAddress);
        }
        (None | Some(_), _) => {}
    }
    let external = typed.external_account.map(|typed| external(typed, reader));
    agreed?;
    Some(Settings {
        names: names?,
        contact: contact.into_iter().map(|EmailAddress(address)| address).collect(),
        storage: reader.beside(&typed.storage),
        directory: directory.map_or_else(|| LETS_ENCRYPT.into(), |DirectoryUrl(url)| url),
        authorities: authorities.map_or(Some(Box::default()), |read| read)?,
        challenge: challenge?,
        http: http.map_or(Some(None), |(_, http)| http.map(Some))?,
        external: external.map_or(Some(None), |read| read.map(Some))?,
    })
}

/// The names, if each is one, is there once, and is shown no other certificate.
fn names(
    typed: OneOrMany<Domain>,
    certificates: &[Certificate],
    reader: &mut Reader<'_>,
) -> Option<Box<[Box<str>]>> {
    let count = typed.items.len();
    if !(1..=NAMES_MAX).contains(&count) {
        reader.wrong(typed.span, Mistake::DomainCount { count, max: NAMES_MAX });
        return None;
    }
    let mut names: Vec<Box<str>> = Vec::new();
    for typed in typed.items {
        let span = typed.span.clone();
        let Some(Domain(name)) = reader.take(typed) else { continue };
        if names.contains(&name) {
            reader.wrong(span, Mistake::Twice(name));
        } else if certificates.iter().any(|other| is_for(other, &name)) {
            reader.wrong(span, Mistake::DomainCertified(name));
        } else {
            names.push(name);
        }
    }
    (names.len() == count).then(|| names.into())
}

fn is_for(certificate: &Certificate, name: &str) -> bool {
    let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    let mut named = certificate.names.iter();
    named.any(|named| **named == *name || wildcard.as_deref() == Some(&**named))
}

/// An account by its name and the key to it, which is not repeated.
fn external(typed: FileExternalAccount, reader: &mut Reader<'_>) -> Option<ExternalAccount> {
    let span = typed.key.span();
    let (key, _) = reader.secret_text(typed.key)?;
    match BASE64_URL_SAFE_NO_PAD.decode(key.trim_end_matches('=')) {
        Ok(key) => Some(ExternalAccount { kid: typed.kid, key: key.into() }),
        Err(_) => {
            reader.wrong(span, Mistake::ExternalKey);
            None
        }
    }
}

/// A DNS name in lower case, without a final point.
pub(super) struct Domain(pub(super) Box<str>);

impl Written for Domain {
    const EXPECTED: &'static str = "a DNS name in quotes such as \"api.example.com\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        if text.starts_with("*.") {
            return Err(Mistake::Wildcard);
        }
        let named = DnsName::try_from(text).is_ok() && !text.ends_with('.');
        // The last label of an address is a number; of a name it never is.
        let last = text.rsplit('.').next().unwrap_or_default();
        match named && !last.bytes().all(|b| b.is_ascii_digit()) {
            true => Ok(Self(text.to_ascii_lowercase().into())),
            false => Err(Mistake::not("a DNS name", text, "one such as \"api.example.com\"")),
        }
    }
}

/// Where an authority may write to.
pub(super) struct EmailAddress(Box<str>);

impl Written for EmailAddress {
    const EXPECTED: &'static str = "an address of e-mail in quotes such as \"ops@example.com\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"._+-@".contains(&b);
        let parts: Vec<_> = text.split('@').collect();
        match *parts {
            [one, host] if !one.is_empty() && !host.is_empty() && text.bytes().all(fits) => {
                Ok(Self(text.into()))
            }
            _ => Err(Mistake::not("an address of e-mail", text, "one such as \"ops@example.com\"")),
        }
    }
}

/// Where an authority says what it can: an `https` URL.
pub(super) struct DirectoryUrl(Box<str>);

impl Written for DirectoryUrl {
    const EXPECTED: &'static str = "the URL of a directory in quotes";

    fn read(text: &str) -> Result<Self, Mistake> {
        match web_uri(text)?.scheme() == Some(&Scheme::HTTPS) {
            true => Ok(Self(text.into())),
            false => Err(Mistake::not("the URL of a directory", text, "one of https://")),
        }
    }
}

/// Consent to the authority's terms.
pub(super) struct Terms;

impl Written for Terms {
    const EXPECTED: &'static str = "\"agreed\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "agreed" => Ok(Self),
            _ => Err(Mistake::not("consent to the authority's terms", text, Self::EXPECTED)),
        }
    }
}

impl Written for Challenge {
    const EXPECTED: &'static str = "\"tls-alpn-01\" or \"http-01\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let found = Self::ALL.into_iter().find(|challenge| challenge.name() == text);
        let unlike = || match text {
            "dns-01" => Mistake::NotYet("`dns-01`", DNS_INSTEAD),
            _ => Mistake::not("a challenge", text, Self::EXPECTED),
        };
        found.ok_or_else(unlike)
    }
}

/// As many as Let's Encrypt puts into one certificate.
const NAMES_MAX: usize = 100;
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const DNS_INSTEAD: &str =
    "write \"tls-alpn-01\" or \"http-01\", or name a certificate under [[certificates]]";
