//! `[facilitators.NAME.chain]`: our own signers, and the nodes they speak to.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use crate::bounded;
use crate::facilitator::chain::evm::{Bounds, FeeCaps, Settings as Signers, keys};
use crate::facilitator::chain::{RpcUrl, Settings};

use crate::x402::Network;

use super::clusters;
use super::file::{FileBatch, FileChain, FileGas, FileSecret, FileSigner};
use super::mistake::Mistake;
use super::networks::NetworkSettings;
use super::reader::Reader;
use super::units::{Coins, Delay, Gwei, Timeout};
use super::watched::Watched;

/// Reads a section; `span` is that of its name, where keys in it must not be shown.
pub(super) fn chain(
    mut typed: FileChain,
    span: &Range<usize>,
    networks: &[&NetworkSettings],
    reader: &mut Reader<'_>,
) -> Option<Settings> {
    if let Some(cluster) = cluster_of(networks) {
        return clusters::cluster(typed, span, cluster, reader).map(Settings::Svm);
    }
    let chain_id = chain_id(span, networks, reader);
    let rpc = nodes(std::mem::take(&mut typed.rpc), span, reader);
    let several = std::mem::take(&mut typed.signers);
    let signers: Vec<FileSigner> = typed.signer.take().into_iter().chain(several).collect();
    let bounds = bounds(typed, span, chain_id, reader);
    if signers.is_empty() {
        reader.wrong(span.clone(), Mistake::missing_key("signer"));
    }
    let mut keys = Vec::new();
    for typed in signers {
        match reader.signer(typed) {
            Ok(key) => keys.push(key),
            Err(mistake) => reader.wrong(span.clone(), mistake),
        }
    }
    let mut addresses: Vec<_> = keys.iter().map(|key| key.address()).collect();
    addresses.sort_unstable();
    if addresses.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
        reader.wrong(span.clone(), Mistake::Twice("signer".into()));
    }
    let (chain_id, rpc, bounds) = (chain_id?, rpc?, bounds?);
    Some(Settings::Evm(Signers { chain_id, rpc, signers: keys, bounds }))
}

/// The one network of all that name this facilitator, if it is a Solana cluster.
fn cluster_of<'a>(networks: &[&'a NetworkSettings]) -> Option<&'a Network> {
    let mut all = networks.iter().map(|network| &network.network);
    let first = all.next().filter(|network| network.is_solana())?;
    all.all(|network| network == first).then_some(first)
}

/// Nodes by their URLs, which may hold keys. Nothing when there is none.
pub(super) fn nodes(
    typed: Vec<FileSecret>,
    span: &Range<usize>,
    reader: &mut Reader<'_>,
) -> Option<Vec<RpcUrl>> {
    if typed.is_empty() {
        reader.wrong(span.clone(), Mistake::missing_key("rpc"));
    }
    let mut urls = Vec::new();
    for secret in typed {
        match reader.node(secret) {
            Ok(url) => urls.push(url),
            Err(mistake) => reader.wrong(span.clone(), mistake),
        }
    }
    (!urls.is_empty()).then_some(urls)
}

/// The one chain of all networks that name this facilitator.
fn chain_id(
    span: &Range<usize>,
    networks: &[&NetworkSettings],
    reader: &mut Reader<'_>,
) -> Option<u64> {
    let mut chains: Vec<&Network> = networks.iter().map(|network| &network.network).collect();
    chains.sort_unstable();
    chains.dedup();
    match chains.as_slice() {
        [chain] => chain.chain_id(),
        // What is wrong with its network has been said.
        [] if !reader.wrong.is_empty() => None,
        _ => {
            reader.wrong(span.clone(), Mistake::NotOneChain { chains: chains.len() });
            None
        }
    }
}

fn bounds(
    typed: FileChain,
    span: &Range<usize>,
    chain_id: Option<u64>,
    reader: &mut Reader<'_>,
) -> Option<Bounds> {
    let usual = Usual::of(chain_id.unwrap_or_default());
    if typed.confirmations.is_none() && usual.confirmations.is_none() && chain_id.is_some() {
        reader.wrong(span.clone(), Mistake::missing_key("confirmations"));
    }
    let deep = usual.confirmations.unwrap_or_default();
    let FileBatch { window, max: batch_max } = typed.batch;
    let FileGas { max: gas_max, fee_max, tip_max, low } = typed.gas;
    let confirmations = within(typed.confirmations, deep, (0, CONFIRMATIONS_MAX), reader);
    let batch_max = within(batch_max, BATCH_MAX, (1, BATCH_MAX_MAX), reader);
    let gas_max = within(gas_max, GAS_MAX, (GAS_LEAST, GAS_MOST), reader);
    let mut time = |text, usual| reader.take_if(text).map_or(usual, |Timeout(length)| length);
    let (rpc_timeout, settle_timeout) =
        (time(typed.rpc_timeout, RPC_TIMEOUT), time(typed.settle_timeout, SETTLE_TIMEOUT));
    let (replace_after, poll) = (time(typed.replace_after, REPLACE_AFTER), time(typed.poll, POLL));
    let mut gwei = |text, usual| reader.take_if(text).map_or(usual, |Gwei(wei)| wei);
    let caps =
        FeeCaps { fee_max: gwei(fee_max, usual.fee_max), tip_max: gwei(tip_max, usual.tip_max) };
    Some(Bounds {
        confirmations: confirmations?,
        batch_window: reader.take_if(window).map_or(WINDOW, |Delay(length)| length),
        batch_max: batch_max?,
        in_flight_max: typed.in_flight_max.map_or(IN_FLIGHT_MAX, std::num::NonZero::get),
        gas_max: gas_max?,
        caps,
        balance_low: reader.take_if(low).map_or(usual.low, |Coins(wei)| wei),
        rpc_timeout,
        settle_timeout,
        replace_after,
        poll,
    })
}

/// A number within bounds, or the usual one.
pub(super) fn within<T: Copy + PartialOrd + std::fmt::Display>(
    typed: Option<Spanned<T>>,
    usual: T,
    (least, most): (T, T),
    reader: &mut Reader<'_>,
) -> Option<T> {
    let Some(typed) = typed else { return Some(usual) };
    let number = *typed.get_ref();
    if number >= least && number <= most {
        return Some(number);
    }
    let instead = format!("{least} to {most}");
    let mistake = Mistake::not("a number that is of use here", &number.to_string(), &instead);
    reader.wrong(typed.span(), mistake);
    None
}

/// What is usual on a chain.
struct Usual {
    /// How deep blocks stay. Nothing: nobody knows.
    confirmations: Option<u64>,
    /// What gas costs, in wei.
    fee_max: u128,
    tip_max: u128,
    low: u128,
}

impl Usual {
    const fn of(chain_id: u64) -> Self {
        match chain_id {
            // Base: a hundredth of a gwei on most days.
            8453 | 84532 => Self {
                // One sequencer, which takes no block back.
                confirmations: Some(1),
                fee_max: 5 * GWEI,
                tip_max: GWEI,
                low: COIN / 2_000,
            },
            // Polygon: 30 gwei of tip are the least that is taken.
            137 | 80002 => Self {
                // Blocks of the last seconds may go away, until validators have agreed on one.
                confirmations: Some(5),
                fee_max: 2_000 * GWEI,
                tip_max: 500 * GWEI,
                low: COIN,
            },
            _ => Self {
                confirmations: None,
                fee_max: 200 * GWEI,
                tip_max: 10 * GWEI,
                low: COIN / 200,
            },
        }
    }
}

impl Reader<'_> {
    fn signer(
        &mut self,
        typed: FileSigner,
    ) -> Result<alloy::signers::local::PrivateKeySigner, Mistake> {
        match typed {
            FileSigner::Env(name) => {
                keys::from_hex(&self.plain(FileSecret::Env(name))?).map_err(Mistake::Key)
            }
            FileSigner::File(path) => {
                keys::from_hex(&self.plain(FileSecret::File(path))?).map_err(Mistake::Key)
            }
            FileSigner::Keystore(path, password) => {
                let password = self.plain(password)?;
                let path = self.beside(&path);
                self.watched.push(Watched::found(&path, &bounded::read(&path)));
                keys::from_keystore(&path, &password).map_err(Mistake::Key)
            }
            FileSigner::Literal => Err(Mistake::KeyInFile),
            FileSigner::Other => Err(Mistake::KeyPlace),
        }
    }

    fn node(&mut self, typed: FileSecret) -> Result<RpcUrl, Mistake> {
        let text = self.plain(typed)?;
        text.parse().map_err(|_| Mistake::NodeUrl)
    }
}

const GWEI: u128 = 1_000_000_000;
const COIN: u128 = 1_000_000_000_000_000_000;
const CONFIRMATIONS_MAX: u64 = 256;
const WINDOW: Duration = Duration::from_millis(5);
const BATCH_MAX: usize = 50;
/// Beyond it nodes refuse to simulate: a call may carry 48 KiB of code.
const BATCH_MAX_MAX: usize = 64;
/// What geth promises to keep of one sender.
const IN_FLIGHT_MAX: usize = 16;
const GAS_MAX: u64 = 500_000;
const GAS_LEAST: u64 = 50_000;
const GAS_MOST: u64 = 5_000_000;
const RPC_TIMEOUT: Duration = Duration::from_secs(5);
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);
const REPLACE_AFTER: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(250);
