//! `[networks]`: where money moves, in which asset, to whom.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use alloy_primitives::Address;
use toml::Spanned;

use crate::facilitator::chain::RpcUrl;
use crate::x402::network::Worth;
use crate::x402::requirements::AssetDomain;
use crate::x402::{Eip712Domain, KnownNetwork, Network};

use super::chains;
use super::file::{FileEip712, FileNetwork};
use super::mistake::Mistake;
use super::reader::{Kind, Reader, Section};
use super::text::OneOrMany;
use super::transfer::{Transfer, Typed, transfer};
use super::words::{Name, WebUrl};

/// One section of `[networks]`, checked.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// The name of the section.
    pub name: Box<str>,
    /// Its CAIP-2 name.
    pub network: Network,
    /// Its name in version 1.
    pub v1_name: Box<str>,
    /// Contract of the asset.
    pub asset: Address,
    /// Decimals of the asset; a unit of it counts as a dollar.
    pub decimals: u8,
    /// How the asset is moved.
    pub transfer: Transfer,
    /// The domain that payments are signed under, hashed.
    pub signed_under: Eip712Domain,
    /// The one for approvals of Permit2, where they are taken.
    pub approved_under: Option<Eip712Domain>,
    /// Who is paid.
    pub pay_to: Address,
    /// The names of the facilitators, the one to ask first before the others. Never empty.
    pub facilitators: Arc<[Arc<str>]>,
    /// Where a person looks a transaction up: the hash goes at the end.
    pub explorer: Option<Box<str>>,
    /// Whether its money is real.
    pub worth: Worth,
    /// Nodes by which the gateway looks up what the facilitator cannot tell.
    pub rpc: Vec<RpcUrl>,
}

/// What a facilitator moves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Money {
    /// What there is on the chain.
    OfTheChain,
    /// Test balances.
    Simulated,
}

/// Reads all sections. One with a mistake is there as nothing, so that its name is known.
pub(super) fn networks(
    typed: BTreeMap<Box<str>, Section<FileNetwork>>,
    facilitators: &BTreeMap<Box<str>, Money>,
    reader: &mut Reader<'_>,
) -> BTreeMap<Box<str>, Option<NetworkSettings>> {
    let read = |(name, section): (Box<str>, Section<FileNetwork>)| {
        let settings = network(&name, section, facilitators, reader);
        (name, settings)
    };
    typed.into_iter().map(read).collect()
}

fn network(
    name: &str,
    Section { span, mut typed }: Section<FileNetwork>,
    facilitators: &BTreeMap<Box<str>, Money>,
    reader: &mut Reader<'_>,
) -> Option<NetworkSettings> {
    let worth_span = typed.worth.as_ref().map(|text| text.span.clone());
    let facts = match KnownNetwork::named(name) {
        Some(known) => built_in(known, &typed, reader),
        None => own(&mut typed, &span, reader),
    };
    let wanted = Typed { method: typed.transfer_method, sponsoring: typed.gas_sponsoring };
    let transfer = transfer(wanted, domain(name, typed.eip712), &span, reader);
    let pay_to = reader.take(typed.pay_to);
    let facilitators = named(typed.facilitator, facilitators, reader);
    let v1_name = reader.take_if(typed.v1_name).map(|Name(name)| name);
    let explorer = reader.take_if(typed.explorer).map(|WebUrl(url)| url);
    let rpc = match typed.rpc {
        Some(typed) => chains::nodes(typed, &span, reader)?,
        None => Vec::new(),
    };
    let Facts { chain_id, asset, decimals, worth, .. } = facts?;
    let transfer = transfer?;
    let of_asset =
        |domain: &AssetDomain| Eip712Domain::new(&domain.name, &domain.version, chain_id, asset);
    let (signed_under, approved_under) = match &transfer {
        Transfer::Eip3009(domain) => (of_asset(domain), None),
        Transfer::Permit2(_) => (Eip712Domain::permit2(chain_id), None),
        Transfer::Sponsored(domain) => (Eip712Domain::permit2(chain_id), Some(of_asset(domain))),
    };
    let network = Network::eip155(chain_id);
    let known = network.known();
    if let Some((known, span)) = known.zip(worth_span).filter(|(k, _)| Some(k.worth) != worth) {
        reader.wrong(span, Mistake::NetworkKnown { key: "worth", network: known.name.into() });
    }
    let worth = known.map(|known| known.worth).or(worth);
    let facilitators = facilitators?;
    if worth != Some(Worth::Testnet) {
        for (simulated, span, _) in facilitators.iter().filter(|(.., m)| *m == Money::Simulated) {
            let network = name.into();
            let mistake = match worth {
                Some(_) => Mistake::SimulatedMainnet { network, facilitator: (**simulated).into() },
                None => Mistake::SimulatedUnknown { network },
            };
            reader.wrong(span.clone(), mistake);
        }
    }
    Some(NetworkSettings {
        name: name.into(),
        v1_name: v1_name.unwrap_or_else(|| known.map_or(name, |known| known.name).into()),
        asset,
        decimals,
        transfer,
        signed_under,
        approved_under,
        pay_to: pay_to?,
        facilitators: facilitators.into_iter().map(|(name, ..)| name).collect(),
        explorer: explorer.or_else(|| known.map(|known| known.explorer.into())),
        // What nobody knows is taken for real money.
        worth: worth.unwrap_or(Worth::Mainnet),
        rpc,
        network,
    })
}

/// What has to be known of a network and its asset.
struct Facts {
    chain_id: u64,
    asset: Address,
    decimals: u8,
    /// Nothing: nobody knows.
    worth: Option<Worth>,
}

/// The facts of a built-in network, which the section must not repeat.
fn built_in(known: &KnownNetwork, typed: &FileNetwork, reader: &mut Reader<'_>) -> Option<Facts> {
    let repeated = [
        ("chain_id", typed.chain_id.as_ref().map(Spanned::span)),
        ("asset", typed.asset.as_ref().map(|text| text.span.clone())),
        ("decimals", typed.decimals.as_ref().map(Spanned::span)),
        ("eip712", typed.eip712.as_ref().map(Spanned::span)),
        ("worth", typed.worth.as_ref().map(|text| text.span.clone())),
    ];
    for (key, span) in repeated {
        if let Some(span) = span {
            reader.wrong(span, Mistake::NetworkKnown { key, network: known.name.into() });
        }
    }
    Some(Facts {
        chain_id: known.chain_id,
        // Each row of the table is parsed by a test.
        asset: known.usdc.parse().ok()?,
        decimals: known.decimals,
        worth: Some(known.worth),
    })
}

/// The facts of another network, all of which the section must name.
fn own(typed: &mut FileNetwork, span: &Range<usize>, reader: &mut Reader<'_>) -> Option<Facts> {
    let chain_id = typed.chain_id.take().map(Spanned::into_inner);
    let asset = typed.asset.take().map(|text| reader.take(text));
    let decimals = typed.decimals.take();
    let worth = typed.worth.take().map(|text| reader.take(text));
    for (key, there) in [
        ("chain_id", chain_id.is_some()),
        ("asset", asset.is_some()),
        ("decimals", decimals.is_some()),
    ] {
        if !there {
            reader.wrong(span.clone(), Mistake::missing_key(key));
        }
    }
    if let Some(decimals) = decimals.as_ref().filter(|typed| *typed.get_ref() > DECIMALS_MAX) {
        let text = decimals.get_ref().to_string();
        reader.wrong(decimals.span(), Mistake::not("a number of decimals", &text, "18 or less"));
        return None;
    }
    Some(Facts {
        chain_id: chain_id?,
        asset: asset??,
        decimals: decimals?.into_inner(),
        worth: worth.flatten(),
    })
}

/// The asset's domain, built in or as the section names it.
fn domain(name: &str, typed: Option<Spanned<FileEip712>>) -> Option<AssetDomain> {
    match KnownNetwork::named(name) {
        Some(known) => Some(AssetDomain {
            name: known.eip712_name.into(),
            version: known.eip712_version.into(),
        }),
        None => typed
            .map(Spanned::into_inner)
            .map(|FileEip712 { name, version }| AssetDomain { name, version }),
    }
}

/// A facilitator as a network names it, where, and whose money it moves.
type Named = (Arc<str>, Range<usize>, Money);

/// The facilitators of a network, in their order. Nothing when one of them is none.
fn named(
    typed: OneOrMany<Name>,
    facilitators: &BTreeMap<Box<str>, Money>,
    reader: &mut Reader<'_>,
) -> Option<Vec<Named>> {
    if typed.items.is_empty() || typed.items.len() > FACILITATORS_MAX {
        reader.wrong(typed.span, Mistake::FacilitatorCount { count: typed.items.len() });
        return None;
    }
    let count = typed.items.len();
    let mut found: Vec<Named> = Vec::new();
    for item in typed.items {
        let span = item.span.clone();
        let Some(name) = reader.refer(Kind::Facilitator, item) else { continue };
        if found.iter().any(|(before, ..)| **before == *name) {
            reader.wrong(span, Mistake::Twice(name));
            continue;
        }
        let Some(money) = facilitators.get(&name).copied() else { continue };
        if found.first().is_some_and(|(.., first)| *first != money) {
            reader.wrong(span, Mistake::FacilitatorMix);
            continue;
        }
        found.push((Arc::from(name), span, money));
    }
    (found.len() == count).then_some(found)
}

/// A payment that nobody takes is offered to each in turn, so their waits add up.
const FACILITATORS_MAX: usize = 8;

const DECIMALS_MAX: u8 = 18;
