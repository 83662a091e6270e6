//! `[upstreams.NAME]` as typed.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{FileSecret, Sections};
use crate::config::text::Text;
use crate::config::units::{Megabytes, Timeout};
use crate::config::words::{HealthPath, ServerNameText, ServerUrl};
use crate::route::upstream::{Balance, Bundled, Http};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct FileUpstream {
    pub(in crate::config) url: Option<Text<ServerUrl>>,
    pub(in crate::config) urls: Option<Spanned<Vec<Text<ServerUrl>>>>,
    pub(in crate::config) bundled: Option<Text<Bundled>>,
    pub(in crate::config) balance: Option<Text<Balance>>,
    pub(in crate::config) health: Option<Spanned<FileHealth>>,
    pub(in crate::config) tls: Option<Spanned<FileUpstreamTls>>,
    pub(in crate::config) http: Option<Text<Http>>,
    #[serde(default)]
    pub(in crate::config) headers: Sections<Spanned<FileSecret>>,
    pub(in crate::config) connect_timeout: Option<Text<Timeout>>,
    pub(in crate::config) answer_timeout: Option<Text<Timeout>>,
    pub(in crate::config) parallel: Option<Spanned<NonZeroUsize>>,
    pub(in crate::config) queue: Option<Spanned<NonZeroUsize>>,
    pub(in crate::config) memory: Option<Text<Megabytes>>,
    pub(in crate::config) deadline: Option<Text<Timeout>>,
    pub(in crate::config) model: Option<Spanned<PathBuf>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct FileHealth {
    pub(in crate::config) path: Option<Text<HealthPath>>,
    pub(in crate::config) every: Option<Text<Timeout>>,
    pub(in crate::config) timeout: Option<Text<Timeout>>,
    pub(in crate::config) fails: Option<NonZeroUsize>,
    pub(in crate::config) passes: Option<NonZeroUsize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct FileUpstreamTls {
    pub(in crate::config) ca: Option<Spanned<PathBuf>>,
    pub(in crate::config) certificate: Option<Spanned<PathBuf>>,
    /// A path, where it is no reference.
    pub(in crate::config) key: Option<Spanned<FileSecret>>,
    pub(in crate::config) server_name: Option<Text<ServerNameText>>,
}
