//! How a facilitator knows who asks: not at all, by a token, or by a signature for each request.

use std::fmt;

use ::http::{HeaderValue, Method};

use super::cdp::CdpKey;
use crate::clock::UnixMillis;
use crate::fault::{Fault, Retry, Side};

/// What goes into `Authorization`. Never printed.
#[derive(Clone, Default, PartialEq)]
pub enum Auth {
    /// Nothing, beside the headers of the configuration.
    #[default]
    None,
    /// `Bearer` and a token.
    Bearer(HeaderValue),
    /// `Bearer` and a token that is signed for each request, as Coinbase's CDP wants it.
    Cdp(CdpKey),
}

impl Auth {
    /// A fixed token. Nothing when no header can carry it.
    pub fn bearer(token: &str) -> Option<Self> {
        HeaderValue::from_str(&format!("Bearer {token}")).ok().map(Self::Bearer)
    }

    /// The value of `Authorization` for one request at `place`, which is host and path.
    pub(super) fn header(
        &self,
        method: &Method,
        place: &str,
        now: UnixMillis,
    ) -> Result<Option<HeaderValue>, Fault> {
        let mut value = match self {
            Self::None => return Ok(None),
            Self::Bearer(value) => value.clone(),
            Self::Cdp(key) => {
                let token = key.token(&format!("{method} {place}"), now)?;
                HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| {
                    Fault::new(Side::Ours, Retry::Never, "a token is no header").caused_by(error)
                })?
            }
        };
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// The kind, in a few words; nothing of the secret.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bearer(_) => "a bearer token",
            Self::Cdp(key) => key.kind(),
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}
