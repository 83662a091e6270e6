//! Certificates that an authority issues by itself, to whoever the names lead to.
//!
//! Source: RFC 8555, RFC 8737 for TLS-ALPN-01, RFC 9773 for when to renew.

mod challenges;
mod client;
mod issued;
mod order;
mod plan;
mod storage;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use self::challenges::{ALPN, Challenges};
pub use self::issued::Issued;
pub use self::order::{Failure, issue, window};
pub use self::plan::{Orders, Window, due};
pub use self::storage::Storage;

/// What is ordered, of whom, and where it is kept. The terms of the authority are agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The DNS names of the one certificate, in lower case; at least one, each once.
    pub names: Box<[Box<str>]>,
    /// Whom the authority may write to: addresses of e-mail.
    pub contact: Box<[Box<str>]>,
    /// The folder of account and certificates.
    pub storage: PathBuf,
    /// The authority's directory: an `https` URL.
    pub directory: Box<str>,
    /// Who alone vouches for the directory's own certificate, in DER; whom the system trusts where
    /// it is empty.
    pub authorities: Box<[Box<[u8]>]>,
    /// How the authority sees that names lead here.
    pub challenge: Challenge,
    /// Where requests without TLS are answered, if anywhere.
    pub http: Option<SocketAddr>,
    /// Of whom the authority knows already.
    pub external: Option<ExternalAccount>,
}

/// How an authority sees that names lead here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Challenge {
    /// By a connection to port 443 that shows a certificate made for it.
    #[default]
    TlsAlpn01,
    /// By a request without TLS to port 80.
    Http01,
}

impl Challenge {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::TlsAlpn01, Self::Http01];

    /// The word in `gateway.toml`, which is the protocol's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Http01 => "http-01",
        }
    }
}

/// An account that a person has with the authority, as it names it.
#[derive(Clone, PartialEq, Eq)]
pub struct ExternalAccount {
    /// Which one.
    pub kid: Box<str>,
    /// What it shares with the authority.
    pub key: Box<[u8]>,
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Settings {
    /// The host of the authority, with its port where that is not the usual one.
    pub fn authority(&self) -> &str {
        let rest = self.directory.split_once("://").map_or(&*self.directory, |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}
