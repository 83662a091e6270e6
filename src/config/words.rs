//! Names, addresses, URLs and choices as they are typed.

use std::net::{IpAddr, SocketAddr};

use http::Uri;
use http::uri::{PathAndQuery, Scheme};
use ipnet::IpNet;
use rustls::pki_types::ServerName;

use crate::facilitator::simulated::Signatures;
use crate::ledger::LedgerUrl;
use crate::limit::By;
use crate::observe::access::Form;
use crate::route::upstream::{Balance, Bundled, Http, Origin};
use crate::route::{Pattern, SettleMoment, Shape};
use crate::x402::Identifying;
use crate::x402::network::Worth;

use super::mistake::Mistake;
use super::server::Switch;
use super::text::Written;

/// The name of a section or a route, 1 to 64 of `[A-Za-z0-9_.-]`.
pub(super) struct Name(pub(super) Box<str>);

impl Written for Name {
    const EXPECTED: &'static str = "a name in quotes";

    fn read(text: &str) -> Result<Self, Mistake> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.into()))
        } else {
            Err(Mistake::not("a name", text, "up to 64 of A-Z, a-z, 0-9, `_`, `-` and `.`"))
        }
    }
}

impl Written for SocketAddr {
    const EXPECTED: &'static str = "an address and a port in quotes such as \"127.0.0.1:8402\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        let instead = format!("\"127.0.0.1:{}\"", port.unwrap_or(8402));
        text.parse().map_err(|_| Mistake::not("an address and a port", text, &instead))
    }
}

impl Written for IpNet {
    const EXPECTED: &'static str = "an address block in quotes such as \"10.0.0.0/8\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let one = || text.parse::<IpAddr>().map(Self::from);
        let block: Self = text.parse().or_else(|_| one()).map_err(|_| {
            Mistake::not("an address block", text, "\"10.0.0.0/8\" or \"2001:db8::/32\"")
        })?;
        if block.prefix_len() == 0 {
            return Err(Mistake::not("a block but everyone", text, "smaller ones"));
        }
        Ok(block.trunc())
    }
}

/// `type/subtype` in lower case, without parameters.
pub(super) struct MediaType(pub(super) Box<str>);

impl Written for MediaType {
    const EXPECTED: &'static str = "a media type in quotes such as \"image/png\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let token = |part: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
            !part.is_empty() && part.bytes().all(fits)
        };
        match text.split_once('/') {
            Some((left, right)) if token(left) && token(right) => {
                Ok(Self(text.to_ascii_lowercase().into()))
            }
            _ => Err(Mistake::not("a media type", text, "one such as \"image/png\"")),
        }
    }
}

/// An absolute `http` or `https` URL without user, query and fragment.
pub(super) struct WebUrl(pub(super) Box<str>);

impl Written for WebUrl {
    const EXPECTED: &'static str = "a URL in quotes such as \"https://example.com\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        web_uri(text)?;
        Ok(Self(text.into()))
    }
}

/// What clients put before a path: a [`WebUrl`] without a final slash.
pub(super) struct PublicUrl(pub(super) Box<str>);

impl Written for PublicUrl {
    const EXPECTED: &'static str = "a URL in quotes such as \"https://api.example.com\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        web_uri(text)?;
        Ok(Self(text.trim_end_matches('/').into()))
    }
}

/// Scheme, host and port of a server.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ServerUrl {
    pub(super) origin: Origin,
    pub(super) is_https: bool,
}

impl Written for ServerUrl {
    const EXPECTED: &'static str = "a URL in quotes such as \"http://127.0.0.1:9000\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let uri = web_uri(text)?;
        if !matches!(uri.path(), "" | "/") {
            return Err(Mistake::UpstreamPath);
        }
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        let usual = if is_https { 443 } else { 80 };
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')).unwrap_or(host);
        let origin = Origin { host: host.into(), port: uri.port_u16().unwrap_or(usual) };
        Ok(Self { origin, is_https })
    }
}

impl Written for Balance {
    const EXPECTED: &'static str =
        "\"round-robin\", \"least-connections\", \"hash-payer\" or \"hash-ip\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let found = Self::ALL.into_iter().find(|balance| balance.name() == text);
        found.ok_or_else(|| Mistake::not("a way to balance", text, Self::EXPECTED))
    }
}

/// A path and a query that are asked for as they are.
pub(super) struct HealthPath(pub(super) Box<str>);

impl Written for HealthPath {
    const EXPECTED: &'static str = "a path in quotes such as \"/healthz\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let fits = text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        match text.parse::<PathAndQuery>() {
            Ok(_) if fits => Ok(Self(text.into())),
            Ok(_) | Err(_) => Err(Mistake::not("a path", text, "one such as \"/healthz\"")),
        }
    }
}

/// The name or address that a certificate is for.
pub(super) struct ServerNameText(pub(super) Box<str>);

impl Written for ServerNameText {
    const EXPECTED: &'static str = "a name in quotes such as \"api.example.com\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match ServerName::try_from(text) {
            Ok(_) => Ok(Self(text.into())),
            Err(_) => {
                Err(Mistake::not("the name of a server", text, "one such as \"api.example.com\""))
            }
        }
    }
}

impl Written for Pattern {
    const EXPECTED: &'static str = "a method and a path in quotes such as \"POST /v1/images\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        text.parse().map_err(Mistake::Pattern)
    }
}

impl Written for Bundled {
    const EXPECTED: &'static str = "the name of a bundled service in quotes";

    fn read(text: &str) -> Result<Self, Mistake> {
        let names = Self::ALL.into_iter().map(Self::name);
        match Self::named(text) {
            Some(_) if !cfg!(feature = "worker") => {
                Err(Mistake::NotYet("a bundled service", "build with the feature `worker`"))
            }
            Some(service) => Ok(service),
            None => Err(Mistake::unknown_name("bundled service", text, names)),
        }
    }
}

impl Written for Http {
    const EXPECTED: &'static str = "\"1.1\" or \"2\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "1.1" => Ok(Self::One),
            "2" => Ok(Self::Two),
            _ => Err(Mistake::not("a version of HTTP", text, Self::EXPECTED)),
        }
    }
}

impl Written for Worth {
    const EXPECTED: &'static str = "\"mainnet\" or \"testnet\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "mainnet" => Ok(Self::Mainnet),
            "testnet" => Ok(Self::Testnet),
            _ => Err(Mistake::not("a network's worth", text, Self::EXPECTED)),
        }
    }
}

impl Written for Signatures {
    const EXPECTED: &'static str = "\"checked\" or \"trusted\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "checked" => Ok(Self::Checked),
            "trusted" => Ok(Self::Trusted),
            _ => Err(Mistake::not("a way to take signatures", text, Self::EXPECTED)),
        }
    }
}

impl Written for By {
    const EXPECTED: &'static str = "\"ip\" or \"payer\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "ip" => Ok(Self::Ip),
            "payer" => Ok(Self::Payer),
            _ => Err(Mistake::not("a way to count", text, Self::EXPECTED)),
        }
    }
}

impl Written for Switch {
    const EXPECTED: &'static str = "\"on\" or \"off\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(Mistake::not("a switch", text, Self::EXPECTED)),
        }
    }
}

/// Whether lines are written, and for whom.
pub(super) struct Lines(pub(super) Option<Form>);

impl Written for Lines {
    const EXPECTED: &'static str = "\"on\", \"human\" or \"off\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "on" => Ok(Self(Some(Form::Json))),
            "human" => Ok(Self(Some(Form::Human))),
            "off" => Ok(Self(None)),
            _ => Err(Mistake::not("a kind of log", text, Self::EXPECTED)),
        }
    }
}

impl Written for LedgerUrl {
    const EXPECTED: &'static str = "a URL in quotes such as \"sqlite://tollgate.db\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        text.parse().map_err(Mistake::Ledger)
    }
}

/// When a route's payments are settled.
pub(super) struct Settle(pub(super) SettleMoment);

impl Written for Settle {
    const EXPECTED: &'static str = "\"after-upstream\" or \"before-upstream\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "after-upstream" => Ok(Self(SettleMoment::AfterUpstream)),
            "before-upstream" => Ok(Self(SettleMoment::BeforeUpstream)),
            "after-answer" => Err(Mistake::NotYet("`after-answer`", SETTLE_INSTEAD)),
            _ => Err(Mistake::not("a moment to settle", text, Self::EXPECTED)),
        }
    }
}

impl Written for Shape {
    const EXPECTED: &'static str = "\"x402\" or \"assistant\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "x402" => Ok(Self::X402),
            "assistant" => Ok(Self::Assistant),
            _ => Err(Mistake::not("a shape of refusals", text, Self::EXPECTED)),
        }
    }
}

/// Whether a route's clients name what they buy.
pub(super) struct Identify(pub(super) Identifying);

impl Written for Identify {
    const EXPECTED: &'static str = "\"optional\", \"required\" or \"off\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "off" => Ok(Self(Identifying::Off)),
            "optional" => Ok(Self(Identifying::Optional)),
            "required" => Ok(Self(Identifying::Required)),
            _ => Err(Mistake::not("a rule for identifiers", text, Self::EXPECTED)),
        }
    }
}

/// Reads an absolute URL of the web.
pub(super) fn web_uri(text: &str) -> Result<Uri, Mistake> {
    // Before an `@` there is a password.
    let shown = if text.contains('@') { "it, a user in it," } else { text };
    let wrong = || Mistake::not("a URL", shown, "one such as \"https://example.com\"");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let host = uri.host().is_some_and(|host| !host.is_empty());
    let port = uri
        .authority()
        .is_some_and(|authority| !authority.as_str().ends_with(':') && uri.port_u16() != Some(0));
    if web && host && port && !user && uri.query().is_none() && !text.contains('#') {
        Ok(uri)
    } else {
        Err(wrong())
    }
}

const NAME_BYTES_MAX: usize = 64;
const SETTLE_INSTEAD: &str = "write \"after-upstream\", or leave the key out";
