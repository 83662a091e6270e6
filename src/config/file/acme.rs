//! `[acme]` as typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::FileSecret;
use crate::acme::Challenge;
use crate::config::acme::{DirectoryUrl, Domain, EmailAddress, Terms};
use crate::config::text::{OneOrMany, Text};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct FileAcme {
    pub(in crate::config) domains: OneOrMany<Domain>,
    pub(in crate::config) terms: Text<Terms>,
    pub(in crate::config) storage: PathBuf,
    pub(in crate::config) contact: Option<OneOrMany<EmailAddress>>,
    pub(in crate::config) directory: Option<Text<DirectoryUrl>>,
    pub(in crate::config) ca: Option<Spanned<PathBuf>>,
    pub(in crate::config) challenge: Option<Text<Challenge>>,
    pub(in crate::config) http: Option<Text<SocketAddr>>,
    pub(in crate::config) external_account: Option<FileExternalAccount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct FileExternalAccount {
    pub(in crate::config) kid: Box<str>,
    pub(in crate::config) key: Spanned<FileSecret>,
}
