//! `[facilitators.NAME.chain]` as typed.

use std::num::NonZeroUsize;

use serde::Deserialize;
use toml::Spanned;

use super::super::text::Text;
use super::super::units::{Coins, Delay, Gwei, Timeout};
use super::{FileSecret, FileSigner};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct FileChain {
    pub(in crate::config) rpc: Vec<FileSecret>,
    pub(in crate::config) signer: Option<FileSigner>,
    #[serde(default)]
    pub(in crate::config) signers: Vec<FileSigner>,
    pub(in crate::config) confirmations: Option<Spanned<u64>>,
    #[serde(default)]
    pub(in crate::config) batch: FileBatch,
    #[serde(default)]
    pub(in crate::config) gas: FileGas,
    pub(in crate::config) in_flight_max: Option<NonZeroUsize>,
    pub(in crate::config) rpc_timeout: Option<Text<Timeout>>,
    pub(in crate::config) settle_timeout: Option<Text<Timeout>>,
    pub(in crate::config) replace_after: Option<Text<Timeout>>,
    pub(in crate::config) poll: Option<Text<Timeout>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct FileBatch {
    pub(in crate::config) window: Option<Text<Delay>>,
    pub(in crate::config) max: Option<Spanned<usize>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(in crate::config) struct FileGas {
    pub(in crate::config) max: Option<Spanned<u64>>,
    pub(in crate::config) fee_max: Option<Text<Gwei>>,
    pub(in crate::config) tip_max: Option<Text<Gwei>>,
    pub(in crate::config) low: Option<Text<Coins>>,
}
