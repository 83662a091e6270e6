//! Where shared buckets are, as `gateway.toml` says it.

use std::fmt;
use std::str::FromStr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

/// `redis://HOST`, or `rediss://HOST` by TLS: a Redis. Displayed without user and password.
#[derive(Clone)]
pub struct StoreUrl {
    text: Box<str>,
    info: ConnectionInfo,
}

/// A text that is not the place of shared buckets. It is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// Not the URL of a Redis.
    #[error("this is no Redis; write `redis://HOST:PORT`, or `rediss://…` by TLS")]
    Unreadable,
    /// TLS to anybody.
    #[error("a certificate that is not looked at protects nothing; leave `#insecure` out")]
    Insecure,
}

impl StoreUrl {
    /// Whether there is a password in it.
    pub fn has_password(&self) -> bool {
        self.info.redis_settings().password().is_some()
    }

    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.info
    }
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        if !text.starts_with("redis://") && !text.starts_with("rediss://") {
            return Err(StoreUrlError::Unreadable);
        }
        let info = text.into_connection_info().map_err(|_| StoreUrlError::Unreadable)?;
        match info.addr() {
            ConnectionAddr::TcpTls { insecure: true, .. } => Err(StoreUrlError::Insecure),
            _ => Ok(Self { text: text.into(), info }),
        }
    }
}

impl PartialEq for StoreUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for StoreUrl {}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.info.addr() {
            ConnectionAddr::TcpTls { .. } => "rediss",
            _ => "redis",
        };
        write!(f, "{scheme}://{}", self.info.addr())?;
        match self.info.redis_settings().db() {
            0 => Ok(()),
            database => write!(f, "/{database}"),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, StoreUrlError>) {
        let read = text.parse::<StoreUrl>();
        if let Ok(url) = &read {
            assert!(!format!("{url} {url:?}").contains("hunter2"), "{url:?}");
        }
        let shown = read.map(|url| url.to_string());
        assert_eq!(shown, expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn a_redis_is_shown_without_who_asks() {
        check("redis://cache", Ok("redis://cache:6379"));
        check("redis://cache:7000/3", Ok("redis://cache:7000/3"));
        check("redis://gate:hunter2@cache:7000", Ok("redis://cache:7000"));
        check("rediss://:hunter2@cache", Ok("rediss://cache:6379"));
    }

    #[test]
    fn anything_else_is_none() {
        for text in ["", "cache:6379", "http://cache", "redis://", "redis://cache/three"] {
            check(text, Err(StoreUrlError::Unreadable));
        }
        check("rediss://cache/#insecure", Err(StoreUrlError::Insecure));
    }
}
