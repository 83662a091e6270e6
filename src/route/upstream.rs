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
    /// A server of its own.
    Url {
        /// Host name or address; an IPv6 address without brackets.
        host: Box<str>,
        /// Port.
        port: u16,
        /// Whether the connection is encrypted.
        tls: Tls,
        /// The name that its certificate must have.
        sni: Box<str>,
    },
    /// A service of this binary, started and watched by the gateway.
    Bundled {
        /// Which one.
        service: Bundled,
        /// What it is told at its start.
        work: Work,
    },
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

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// It is not.
    Plain,
    /// It is, and the certificate is verified.
    Verified,
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
        let upstream = Upstream {
            kind: Kind::Url { host: "a".into(), port: 80, tls: Tls::Plain, sni: "a".into() },
            http: Http::One,
            headers: vec![(http::header::AUTHORIZATION, secret(SecretSource::Literal))],
            connect_timeout: Duration::ZERO,
            answer_timeout: Duration::ZERO,
        };
        assert!(!format!("{upstream:?}").contains("hunter2"));
        assert!(!format!("{:?}", secret(SecretSource::Literal).value()).contains("hunter2"));
    }
}
