//! The address of a node, which often is a secret.

use std::fmt;

use reqwest::Url;

/// Where a node is asked. Only scheme, host and port are ever shown: providers put keys in paths.
#[derive(Clone)]
pub struct RpcUrl {
    url: Url,
    /// A node in this process, which is asked in place of one behind the URL.
    #[cfg(test)]
    pub(in crate::chain) node: Option<std::sync::Arc<dyn super::answer::Node>>,
}

impl PartialEq for RpcUrl {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url
    }
}

impl Eq for RpcUrl {}

/// A text that is no node's address. It is not repeated: it may hold a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an http:// or https:// URL")]
pub struct RpcUrlError;

impl RpcUrl {
    /// Scheme, host and port.
    pub fn shown(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{}://{host}:{port}", self.url.scheme()),
            None => format!("{}://{host}", self.url.scheme()),
        }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

impl std::str::FromStr for RpcUrl {
    type Err = RpcUrlError;

    fn from_str(text: &str) -> Result<Self, RpcUrlError> {
        let url: Url = text.parse().map_err(|_| RpcUrlError)?;
        let web = matches!(url.scheme(), "http" | "https");
        if web && url.has_host() && url.fragment().is_none() {
            Ok(Self {
                url,
                #[cfg(test)]
                node: None,
            })
        } else {
            Err(RpcUrlError)
        }
    }
}

impl fmt::Debug for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_is_shown() {
        let url: RpcUrl = "https://user:pass@node.example:8443/v2/KEY?k=KEY".parse().unwrap();
        assert_eq!(format!("{url:?}"), "https://node.example:8443");
        let plain: RpcUrl = "http://127.0.0.1:8545".parse().unwrap();
        assert_eq!(plain.shown(), "http://127.0.0.1:8545");
    }

    #[test]
    fn other_schemes_are_no_nodes() {
        for text in ["", "node.example", "ws://node.example", "https://", "http://a/#b"] {
            assert_eq!(text.parse::<RpcUrl>(), Err(RpcUrlError), "{text}");
        }
    }
}
