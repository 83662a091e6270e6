//! `tollgate check --online`: asks the facilitators of a configuration what they settle.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::ServeError;
use super::assemble::{facilitators, limits, reader};
use crate::config::{Config, FacilitatorSettings, NetworkSettings};
use crate::facilitator::Facilitator;
use crate::facilitator::chain::{Lack, Lanes, Reader, RpcUrl, svm};
use crate::facilitator::http::Http;
use crate::fault::Fault;
use crate::limit::Store;
use crate::limit::shared::SharedError;
use crate::x402::permit2::{EXACT_PROXY, PERMIT2, UPTO_PROXY};
use crate::x402::requirements::{SCHEME_EXACT, SCHEME_UPTO};
use crate::x402::{Account, AssetTransferMethod, Domains, SupportedKind};

/// What the look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Online {
    /// Each network has a facilitator that settles there.
    Good,
    /// Some network has none, or lacks what Permit2 needs.
    Bad,
}

/// Asks `/supported` of every hosted facilitator, all at once, each within its `verify_timeout`
/// twice at most, and writes for each network, in its order, who settles there and who does not.
/// Where payments are by Permit2, the chain is asked what they lack.
///
/// # Errors
/// A facilitator cannot be set up, or `out` cannot be written.
pub async fn check(config: &Config, out: &mut impl Write) -> Result<Online, ServeError> {
    let facilitators = facilitators(config, &Lanes::default())?;
    let answers = ask(&facilitators).await;
    let limits = match &config.limits.store {
        Some(store) => Some((store, limits(store)?.connect().await)),
        None => None,
    };
    let (mut looked, mut clusters) = (HashMap::new(), HashMap::new());
    for (name, network) in &config.networks {
        let by_permit2 = network.transfer.method() == Some(AssetTransferMethod::Permit2);
        if by_permit2 || is_upto(config, network) {
            looked.insert(&**name, look(config, network).await?);
        }
        if let Some(found) = look_at_cluster(config, network).await? {
            clusters.insert(&**name, found);
        }
    }
    let shared = limits.map_or(Ok(Online::Good), |(store, reached)| counted(store, &reached, out));
    let settled = write(config, &facilitators, &Told { answers, looked, clusters }, out);
    let (shared, settled) =
        shared.and_then(|shared| Ok((shared, settled?))).map_err(ServeError::Process)?;
    Ok(if shared == Online::Bad { shared } else { settled })
}

/// Whether limits can be shared.
fn counted(
    store: &Store,
    reached: &Result<(), SharedError>,
    out: &mut impl Write,
) -> io::Result<Online> {
    writeln!(out, "\nlimits ({})", store.url)?;
    let (said, online) = match reached {
        Ok(()) => ("gateways count together".to_owned(), Online::Good),
        Err(why) => (format!("each gateway would count for itself: {why}"), Online::Bad),
    };
    writeln!(out, "  store      {said}")?;
    Ok(online)
}

/// What was found.
struct Told<'a> {
    /// Of each hosted facilitator.
    answers: Answers,
    /// Of each network that is paid on by Permit2.
    looked: HashMap<&'a str, Looked>,
    /// Of each Solana network whose nodes are known: what is missing for anybody to be paid.
    clusters: HashMap<&'a str, Result<Option<svm::Lack>, Fault>>,
}

/// What payments by Permit2 lack, if anybody could be asked.
type Looked = Option<Result<Vec<Lack>, Fault>>;

/// What payments by Permit2 lack on a network; nothing where no node of it is known.
async fn look(config: &Config, network: &NetworkSettings) -> Result<Looked, ServeError> {
    let nodes = nodes(config, network);
    if nodes.is_empty() {
        return Ok(None);
    }
    let (Some(asset), Domains::Evm(domains)) = (network.asset.evm(), &network.domains) else {
        return Ok(None);
    };
    let mut proxies = Vec::new();
    if network.transfer.method() == Some(AssetTransferMethod::Permit2) {
        proxies.push(EXACT_PROXY);
    }
    if is_upto(config, network) {
        proxies.push(UPTO_PROXY);
    }
    match reader(&network.network, nodes)? {
        Reader::Evm(reader) => {
            Ok(Some(reader.lacks(asset, &proxies, domains.approvals.as_ref()).await))
        }
        Reader::Svm(_) => Ok(None),
    }
}

/// Whether some route is priced by usage there.
fn is_upto(config: &Config, network: &NetworkSettings) -> bool {
    let terms = config.routes.iter().flat_map(|route| route.charge.all());
    let mut offers = terms.flat_map(|terms| &terms.wanted).map(|by| &by.offer);
    offers.any(|offer| offer.is_upto() && offer.requirements.network == network.network)
}

/// What a Solana network lacks; nothing for another, or where no node of it is known.
async fn look_at_cluster(
    config: &Config,
    network: &NetworkSettings,
) -> Result<Option<Result<Option<svm::Lack>, Fault>>, ServeError> {
    let nodes = nodes(config, network);
    let (Some(mint), Some(pay_to), false) =
        (network.asset.svm(), network.pay_to.svm(), nodes.is_empty())
    else {
        return Ok(None);
    };
    match reader(&network.network, nodes)? {
        Reader::Svm(reader) => Ok(Some(reader.lack(mint, pay_to).await)),
        Reader::Evm(_) => Ok(None),
    }
}

fn cluster(found: &Result<Option<svm::Lack>, Fault>, out: &mut impl Write) -> io::Result<Online> {
    let said = match found {
        Ok(None) => {
            writeln!(out, "  cluster    mint and token account of `pay_to` are there")?;
            return Ok(Online::Good);
        }
        Ok(Some(svm::Lack::Mint)) => "no mint at `asset`".to_owned(),
        Ok(Some(svm::Lack::WholeTransfers)) => {
            "the mint keeps a part of each transfer: nobody would be paid in full".to_owned()
        }
        Ok(Some(svm::Lack::TokenAccount(address))) => {
            format!("no token account {address}: open it for `pay_to`, or nobody can pay")
        }
        Err(fault) => format!("cannot be looked at: {fault}"),
    };
    writeln!(out, "  cluster    {said}")?;
    Ok(Online::Bad)
}

/// The network's own nodes, or those of a facilitator of ours that settles there.
fn nodes(config: &Config, network: &NetworkSettings) -> Vec<RpcUrl> {
    let ours = network.facilitators.iter().filter_map(|name| config.facilitators.get(&**name));
    let of_ours = ours.filter_map(|settings| match settings {
        FacilitatorSettings::Chain(settings) => Some(settings.rpc().to_vec()),
        FacilitatorSettings::Http(_) | FacilitatorSettings::Simulated(_) => None,
    });
    let own = Some(network.rpc.clone()).filter(|nodes| !nodes.is_empty());
    own.into_iter().chain(of_ours).next().unwrap_or_default()
}

fn permit2(network: &NetworkSettings, looked: &Looked, out: &mut impl Write) -> io::Result<Online> {
    let lacks = match looked {
        None => {
            writeln!(
                out,
                "  permit2    not looked for: give [networks.{}] an `rpc`",
                network.name
            )?;
            return Ok(Online::Good);
        }
        Some(Err(fault)) => {
            writeln!(out, "  permit2    cannot be looked for: {fault}")?;
            return Ok(Online::Bad);
        }
        Some(Ok(lacks)) => lacks,
    };
    if lacks.is_empty() {
        writeln!(out, "  permit2    all that it needs is on the chain")?;
        return Ok(Online::Good);
    }
    for lack in lacks {
        writeln!(out, "  permit2    {}", missing(*lack, network))?;
    }
    Ok(Online::Bad)
}

/// What is missing, and what to do.
fn missing(lack: Lack, network: &NetworkSettings) -> String {
    let asset = network.asset;
    match lack {
        Lack::Permit2 => format!("no Permit2 at {PERMIT2}: this network cannot use it"),
        Lack::Proxy(UPTO_PROXY) => format!(
            "no x402UptoPermit2Proxy at {UPTO_PROXY}: until it is there, no price by usage is paid \
             on this network; see x402's contracts/evm"
        ),
        Lack::Proxy(proxy) => format!(
            "no x402ExactPermit2Proxy at {proxy}: anybody may deploy it there, see x402's \
             contracts/evm; until then no payment settles"
        ),
        Lack::Asset => format!("no contract at {asset}: look at `asset` and `chain_id`"),
        Lack::Eip2612 => format!(
            "no EIP-2612 in {asset}: leave out `gas_sponsoring`; payers approve Permit2 themselves"
        ),
        Lack::Domain => format!(
            "{asset} has another EIP-712 domain than `eip712` says: approvals that come along \
             would fail"
        ),
    }
}

/// From where a facilitator settles under `upto` on a network, as its list says.
fn upto<'a>(
    mut kinds: impl Iterator<Item = &'a SupportedKind>,
    network: &NetworkSettings,
) -> Option<Account> {
    let name = network.network.as_str();
    let here = |kind: &&SupportedKind| kind.scheme == SCHEME_UPTO && kind.network == name;
    kinds.find(here).and_then(SupportedKind::facilitator)
}

type Answers = HashMap<Arc<str>, Result<Vec<SupportedKind>, Fault>>;

async fn ask(facilitators: &HashMap<Arc<str>, Facilitator>) -> Answers {
    let mut asking = JoinSet::new();
    for (name, facilitator) in facilitators {
        if let Facilitator::Http(http) = facilitator {
            let (name, http) = (Arc::clone(name), Arc::clone(http));
            asking.spawn(async move { (name, kinds(&http).await) });
        }
    }
    asking.join_all().await.into_iter().collect()
}

async fn kinds(http: &Http) -> Result<Vec<SupportedKind>, Fault> {
    http.refresh().await?;
    Ok(http.listed())
}

fn write(
    config: &Config,
    facilitators: &HashMap<Arc<str>, Facilitator>,
    Told { answers, looked, clusters }: &Told<'_>,
    out: &mut impl Write,
) -> io::Result<Online> {
    let mut online = Online::Good;
    for (name, network) in &config.networks {
        writeln!(out, "\n{name} ({})", network.network)?;
        let (mut settled, mut by_usage) = (false, false);
        for facilitator in network.facilitators.iter() {
            let listed = |version: u8, name: &str| {
                let same = |kind: &SupportedKind| {
                    let exact = kind.scheme == SCHEME_EXACT;
                    exact && kind.x402_version == version && kind.network == name
                };
                matches!(answers.get(facilitator), Some(Ok(kinds)) if kinds.iter().any(same))
            };
            let v1 = listed(1, &network.v1_name);
            let v2 = listed(2, network.network.as_str());
            let hosted = matches!(facilitators.get(facilitator), Some(Facilitator::Http(_)));
            let said = match (answers.get(facilitator), v1, v2) {
                _ if !hosted => "settles in this process".to_owned(),
                (Some(Err(fault)), ..) => format!("does not say what it settles: {fault}"),
                (_, true, true) => "settles `exact` here, in versions 1 and 2".to_owned(),
                (_, true, false) => "settles `exact` here, in version 1 only".to_owned(),
                (_, false, true) => "settles `exact` here, in version 2 only".to_owned(),
                (_, false, false) => "answers, and does not settle `exact` here".to_owned(),
            };
            writeln!(out, "  {facilitator:<10} {said}")?;
            settled |= v1 || v2 || !hosted;
            if hosted && is_upto(config, network) {
                let kinds = answers.get(facilitator).and_then(|told| told.as_ref().ok());
                let found = upto(kinds.into_iter().flatten(), network);
                let said = match found {
                    Some(from) => format!("settles `upto` here, from {from}"),
                    None => "does not settle `upto` here, which a price by usage needs".to_owned(),
                };
                writeln!(out, "  {:<10} {said}", "")?;
                by_usage |= found.is_some();
            } else {
                by_usage |= !hosted;
            }
        }
        if !settled {
            writeln!(out, "  nobody is known to settle here now")?;
            online = Online::Bad;
        }
        if is_upto(config, network) && !by_usage {
            writeln!(out, "  nobody is known to settle `upto` here now")?;
            online = Online::Bad;
        }
        if let Some(found) = clusters.get(&**name)
            && cluster(found, out)? == Online::Bad
        {
            online = Online::Bad;
        }
        if let Some(looked) = looked.get(&**name)
            && permit2(network, looked, out)? == Online::Bad
        {
            online = Online::Bad;
        }
    }
    Ok(online)
}
