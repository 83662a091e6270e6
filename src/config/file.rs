//! `gateway.toml` as typed: every key, none checked against another.

mod acme;
mod chain;
mod limits;
mod signer;
mod upstream;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use toml::Spanned;

use crate::digest::Digest;
use crate::discovery::Serve;
use crate::facilitator::simulated::Signatures;
use crate::ledger::{Keep, LedgerUrl};
use crate::observe::traces::Sample;
use crate::route::{AskedBy, Pattern, Shape};
use crate::x402::AssetTransferMethod;
use crate::x402::network::Worth;

pub(super) use self::acme::{FileAcme, FileExternalAccount};
pub(super) use self::chain::{FileBatch, FileChain, FileGas};
pub(super) use self::limits::{FileLimit, FileLimits, FileSwitch};
pub(super) use self::signer::FileSigner;
pub(super) use self::upstream::{FileHealth, FileUpstream, FileUpstreamTls};
use super::accounts::{AccountText, Cluster, Memo};
use super::answers::Keep as KeepAnswer;
use super::bypass::RouteName;
use super::check::Mode;
use super::include::FilesText;
use super::prices::{FilePrice, FileRule};
use super::server::Switch;
use super::sign_in::SignIn;
use super::text::{OneOrMany, Text};
use super::transfer::GasSponsoring;
use super::units::{Delay, Dollars, Size, Timeout};
use super::words::{Identify, Lines, MediaType, Name, PublicUrl, Settle, WebUrl};

/// Sections by name; the name's place is kept.
pub(super) type Sections<T> = BTreeMap<Spanned<Box<str>>, T>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileConfig {
    pub(super) include: Option<OneOrMany<FilesText>>,
    #[serde(default)]
    pub(super) server: FileServer,
    pub(super) check: Option<FileCheck>,
    #[serde(default)]
    pub(super) certificates: Vec<FileCertificate>,
    pub(super) acme: Option<FileAcme>,
    pub(super) ledger: FileLedger,
    #[serde(default)]
    pub(super) answers: FileAnswers,
    #[serde(default)]
    pub(super) defaults: FileDefaults,
    #[serde(default)]
    pub(super) discovery: FileDiscovery,
    pub(super) traces: Option<FileTraces>,
    #[serde(default)]
    pub(super) dashboard: FileDashboard,
    #[serde(default)]
    pub(super) networks: Sections<FileNetwork>,
    #[serde(default)]
    pub(super) facilitators: Sections<FileFacilitator>,
    #[serde(default)]
    pub(super) limits: FileLimits,
    #[serde(default)]
    pub(super) upstreams: Sections<FileUpstream>,
    #[serde(default)]
    pub(super) routes: Vec<Spanned<FileRoute>>,
    #[serde(default)]
    pub(super) bypass: Vec<Spanned<FileBypass>>,
    #[serde(default)]
    pub(super) block: FileBlock,
}

/// What a file may hold that another includes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileIncluded {
    #[serde(default)]
    pub(super) routes: Vec<Spanned<FileRoute>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileServer {
    pub(super) listen: Option<Text<SocketAddr>>,
    pub(super) admin: Option<Text<SocketAddr>>,
    pub(super) public_url: Option<Text<PublicUrl>>,
    #[serde(default)]
    pub(super) trusted_proxies: Vec<Text<IpNet>>,
    pub(super) drain: Option<Text<Delay>>,
    pub(super) grace: Option<Text<Delay>>,
    pub(super) threads: Option<NonZeroUsize>,
    pub(super) access_log: Option<Text<Lines>>,
    pub(super) header_bytes_max: Option<Text<Size>>,
    pub(super) body_bytes_max: Option<Text<Size>>,
    pub(super) connections_max: Option<NonZeroUsize>,
    pub(super) keepalive: Option<Text<Timeout>>,
    pub(super) client_timeout: Option<Text<Timeout>>,
    pub(super) watch: Option<Text<Switch>>,
    pub(super) price_grace: Option<Text<Delay>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileCheck {
    pub(super) listen: Text<SocketAddr>,
    pub(super) asked_by: Text<AskedBy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileBypass {
    pub(super) name: Text<Name>,
    #[serde(default)]
    pub(super) addresses: Vec<Text<IpNet>>,
    #[serde(default)]
    pub(super) keys: Vec<Text<Digest>>,
    #[serde(default)]
    pub(super) routes: Vec<Text<RouteName>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileBlock {
    #[serde(default)]
    pub(super) addresses: Vec<Text<IpNet>>,
    #[serde(default)]
    pub(super) payers: Vec<Text<AccountText>>,
    pub(super) addresses_file: Option<Spanned<PathBuf>>,
    pub(super) payers_file: Option<Spanned<PathBuf>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileCertificate {
    pub(super) chain: Spanned<PathBuf>,
    pub(super) key: Spanned<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileLedger {
    pub(super) url: Text<LedgerUrl>,
    pub(super) keep: Option<Text<Keep>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileDefaults {
    pub(super) refusals: Option<Text<Shape>>,
    pub(super) free: Option<FileSwitch>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileDiscovery {
    pub(super) serve: Option<Text<Serve>>,
    pub(super) paywall: Option<Text<Switch>>,
    pub(super) title: Option<Box<str>>,
    #[serde(default)]
    pub(super) description: Box<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileTraces {
    pub(super) endpoint: Text<WebUrl>,
    #[serde(default)]
    pub(super) headers: Sections<Spanned<FileSecret>>,
    pub(super) sample: Option<Text<Sample>>,
    #[serde(default)]
    pub(super) trusted_parents: Vec<Text<IpNet>>,
    pub(super) service: Option<Text<Name>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileDashboard {
    pub(super) token: Option<Spanned<FileSecret>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileAnswers {
    pub(super) max: Option<Text<KeepAnswer>>,
    pub(super) total: Option<Text<Size>>,
    pub(super) memory: Option<Text<Size>>,
    pub(super) age: Option<Text<Timeout>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileNetwork {
    pub(super) pay_to: Text<AccountText>,
    pub(super) facilitator: OneOrMany<Name>,
    pub(super) explorer: Option<Text<WebUrl>>,
    pub(super) chain_id: Option<Spanned<u64>>,
    pub(super) caip2: Option<Text<Cluster>>,
    pub(super) asset: Option<Text<AccountText>>,
    pub(super) decimals: Option<Spanned<u8>>,
    pub(super) eip712: Option<Spanned<FileEip712>>,
    pub(super) transfer_method: Option<Text<AssetTransferMethod>>,
    pub(super) gas_sponsoring: Option<Text<GasSponsoring>>,
    pub(super) rpc: Option<Vec<FileSecret>>,
    pub(super) v1_name: Option<Text<Name>>,
    pub(super) memo: Option<Text<Memo>>,
    pub(super) worth: Option<Text<Worth>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileEip712 {
    pub(super) name: Box<str>,
    pub(super) version: Box<str>,
}

/// One of its keys is there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileFacilitator {
    pub(super) http: Option<FileHttp>,
    pub(super) simulated: Option<FileSimulated>,
    pub(super) chain: Option<FileChain>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileHttp {
    pub(super) url: Text<WebUrl>,
    pub(super) verify_timeout: Option<Text<Timeout>>,
    pub(super) settle_timeout: Option<Text<Timeout>>,
    pub(super) in_flight_max: Option<NonZeroUsize>,
    #[serde(default)]
    pub(super) headers: Sections<Spanned<FileSecret>>,
    pub(super) auth: Option<Spanned<FileAuth>>,
}

/// One of its keys is there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileAuth {
    pub(super) bearer: Option<Spanned<FileSecret>>,
    pub(super) cdp: Option<FileCdp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileCdp {
    pub(super) key_id: Spanned<FileSecret>,
    pub(super) key_secret: Spanned<FileSecret>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileSimulated {
    pub(super) balance: Option<Text<Dollars>>,
    pub(super) journal: Option<PathBuf>,
    pub(super) signatures: Option<Text<Signatures>>,
    #[serde(default)]
    pub(super) delay: FileDelay,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileDelay {
    pub(super) verify: Option<Text<Delay>>,
    pub(super) settle: Option<Text<Delay>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileRoute {
    pub(super) name: Option<Text<Name>>,
    pub(super) r#match: Text<Pattern>,
    pub(super) mode: Option<Text<Mode>>,
    pub(super) upstream: Option<Text<Name>>,
    pub(super) price: FilePrice,
    #[serde(default)]
    pub(super) price_rules: Vec<Spanned<FileRule>>,
    pub(super) networks: Option<Spanned<Vec<Text<Name>>>>,
    pub(super) class: Option<Text<Name>>,
    pub(super) free: Option<FileSwitch>,
    #[serde(default)]
    pub(super) description: Box<str>,
    pub(super) mime_type: Option<Text<MediaType>>,
    pub(super) body: Option<Spanned<FileBody>>,
    pub(super) timeout: Option<Text<Timeout>>,
    pub(super) settle: Option<Text<Settle>>,
    pub(super) risk: Option<Text<Dollars>>,
    pub(super) keep_answer: Option<Text<KeepAnswer>>,
    pub(super) payment_identifier: Option<Text<Identify>>,
    pub(super) sign_in: Option<Text<SignIn>>,
    pub(super) refusals: Option<Text<Shape>>,
    pub(super) openapi: Option<Spanned<PathBuf>>,
    pub(super) discovery: Option<Text<Switch>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct FileBody {
    #[serde(default)]
    pub(super) types: Vec<Text<MediaType>>,
    pub(super) max: Option<Text<Size>>,
}

/// A secret, or where it is.
pub(super) enum FileSecret {
    /// In the file itself.
    Literal(Box<str>),
    /// In an environment variable.
    Env(Box<str>),
    /// In a file of its own.
    File(PathBuf),
    /// In two places at once.
    Both,
    /// In none.
    Neither,
}

/// `{ env = "NAME" }` or `{ file = "PATH" }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSecretPlace {
    env: Option<Box<str>>,
    file: Option<PathBuf>,
}

impl<'de> Deserialize<'de> for FileSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = FileSecret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, { env = \"NAME\" } or { file = \"PATH\" }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<FileSecret, E> {
        Ok(FileSecret::Literal(text.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FileSecret, A::Error> {
        let place = FileSecretPlace::deserialize(MapAccessDeserializer::new(map))?;
        Ok(match (place.env, place.file) {
            (Some(name), None) => FileSecret::Env(name),
            (None, Some(path)) => FileSecret::File(path),
            (Some(_), Some(_)) => FileSecret::Both,
            (None, None) => FileSecret::Neither,
        })
    }
}
