//! Where requests go: an API behind the gateway, or a service that comes with it.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

/// One section of `[upstreams]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Where it is.
    pub kind: Kind,
    /// What is spoken there.
    pub http: Http,
    /// Set on every request that goes there.
    pub headers: Vec<(HeaderName, Secret)>,
    /// Until a connection stands.
    pub connect_timeout: Duration,
    /// From the request's last byte to the answer's first, unless the route says otherwise.
    pub answer_timeout: Duration,
}

/// Where an upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Servers of its own.
    Servers(Servers),
    /// A service of this binary, started and watched by the gateway.
    Bundled {
        /// Which one.
        service: Bundled,
        /// What it is told at its start.
        work: Work,
    },
}

/// Servers that give the same answers. Each address of each of their names is a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// Where they are; at least one.
    pub origins: Box<[Origin]>,
    /// How connections are encrypted, if they are.
    pub tls: Option<Tls>,
    /// Which backend a request goes to.
    pub balance: Balance,
    /// How backends are looked at beside the requests, if they are.
    pub health: Option<Health>,
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Host name or address; an IPv6 address without brackets.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
}

/// Whom to trust, and as whom to come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The name that each certificate must have; nothing: its host's.
    pub server_name: Option<Box<str>>,
    /// Who vouches for certificates, each as X.509 in DER; empty: whom the system trusts.
    pub authorities: Box<[Box<[u8]>]>,
    /// What is shown to a server that asks who comes.
    pub shown: Option<Shown>,
}

/// A certificate with its chain and its key, which belong together.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    /// X.509 in DER, the certificate first; at least one.
    pub chain: Box<[Box<[u8]>]>,
    /// Its private key in DER.
    pub key: Box<[u8]>,
}

/// Which backend a request goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// The next one, in turn.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way.
    LeastConnections,
    /// Always the same for one payer; where nobody pays, for one client.
    HashPayer,
    /// Always the same for one client.
    HashIp,
}

/// How backends are looked at beside the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is asked for by `GET` and must be answered 2xx; nothing: a connection is enough.
    pub path: Option<Box<str>>,
    /// Between the end of one look and the next.
    pub every: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// So many failures in a row take a backend out; before it was ever well, one.
    pub fails: NonZeroUsize,
    /// So many successes in a row take it back in.
    pub passes: NonZeroUsize,
}

/// What a bundled service takes on. What is not said it decides by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Requests that it works on at once.
    pub parallel: Option<NonZeroUsize>,
    /// Requests that wait for their turn; one more is answered 503.
    pub queue: NonZeroUsize,
    /// Megabytes for those worked on.
    pub memory_mb: Option<NonZeroU32>,
    /// Longest time from a request's last byte to its answer.
    pub deadline: Option<Duration>,
    /// A model file in place of what is built in.
    pub model: Option<PathBuf>,
}

/// The protocol that an upstream is spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1, with upgrades.
    #[default]
    One,
    /// HTTP/2 from the first byte on, with trailers: what gRPC needs.
    Two,
}

/// The services that come with the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bundled {
    /// Photo in, cut-out back.
    BackgroundRemoval,
}

impl Bundled {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::BackgroundRemoval];

    /// Its name in `gateway.toml` and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BackgroundRemoval => "background-removal",
        }
    }

    /// The service of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }
}

impl Balance {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::RoundRobin, Self::LeastConnections, Self::HashPayer, Self::HashIp];

    /// Its name in `gateway.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastConnections => "least-connections",
            Self::HashPayer => "hash-payer",
            Self::HashIp => "hash-ip",
        }
    }
}

impl Origin {
    /// `host:port` as a URL has it, without the port that its scheme has anyway.
    pub fn authority(&self, tls: Option<&Tls>) -> String {
        let Self { host, port } = self;
        let usual = if tls.is_some() { 443 } else { 80 };
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
        if *port == usual { host } else { format!("{host}:{port}") }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificates and a key", self.chain.len())
    }
}

/// A header's value that is never shown. Its `Debug` is where it came from.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: HeaderValue,
    source: SecretSource,
}

/// Where a secret came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// It stands in `gateway.toml`.
    Literal,
    /// The environment variable of this name.
    Env(Box<str>),
    /// The file at this path.
    File(PathBuf),
}

impl Secret {
    /// A secret and where it came from.
    pub fn new(mut value: HeaderValue, source: SecretSource) -> Self {
        value.set_sensitive(true);
        Self { value, source }
    }

    /// The value itself, marked as sensitive; for the wire only.
    pub fn value(&self) -> &HeaderValue {
        &self.value
    }

    /// Where it came from.
    pub fn source(&self) -> &SecretSource {
        &self.source
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "… ({})", self.source)
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal => f.write_str("in the file"),
            Self::Env(name) => write!(f, "env {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = |source| Secret::new(HeaderValue::from_static("hunter2"), source);
        let shown = format!("{:?}", secret(SecretSource::Env("KEY".into())));
        assert_eq!(shown, "… (env KEY)");
        let shown = Shown { chain: [].into(), key: (*b"hunter2").into() };
        assert_eq!(format!("{shown:?}"), "0 certificates and a key");
        let upstream = Upstream {
            kind: Kind::Servers(Servers {
                origins: [Origin { host: "a".into(), port: 443 }].into(),
                tls: Some(Tls { shown: Some(shown), ..Tls::default() }),
                balance: Balance::default(),
                health: None,
            }),
            http: Http::One,
            headers: vec![(http::header::AUTHORIZATION, secret(SecretSource::Literal))],
            connect_timeout: Duration::ZERO,
            answer_timeout: Duration::ZERO,
        };
        assert!(!format!("{upstream:?}").contains("hunter2"));
        assert!(!format!("{:?}", secret(SecretSource::Literal).value()).contains("hunter2"));
    }

    #[test]
    fn an_authority_has_the_port_that_its_scheme_has_not() {
        let shown = |host: &str, port, tls| Origin { host: host.into(), port }.authority(tls);
        let tls = Tls::default();
        assert_eq!(shown("a", 80, None), "a");
        assert_eq!(shown("a", 443, None), "a:443");
        assert_eq!(shown("a", 443, Some(&tls)), "a");
        assert_eq!(shown("::1", 80, Some(&tls)), "[::1]:80");
    }
}
