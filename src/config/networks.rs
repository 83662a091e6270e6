//! `[networks]`: where money moves, in which asset, to whom.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;

use crate::facilitator::chain::RpcUrl;
use crate::x402::network::Worth;
use crate::x402::requirements::AssetDomain;
use crate::x402::{Account, Domains, Eip712Domain, EvmDomains, KnownNetwork, Network};

use super::accounts::{Cluster, Memo, Spelling, account};
use super::chains;
use super::file::{FileEip712, FileNetwork};
use super::mistake::Mistake;
use super::reader::{Kind, Reader, Section};
use super::text::{OneOrMany, Text};
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
    /// Contract or mint of the asset.
    pub asset: Account,
    /// Decimals of the asset; a unit of it counts as a dollar.
    pub decimals: u8,
    /// How the asset is moved.
    pub transfer: Transfer,
    /// What signatures are checked under.
    pub domains: Domains,
    /// Who is paid.
    pub pay_to: Account,
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
    let spelling = spelling(name, &typed);
    let facts = match KnownNetwork::named(name) {
        Some(known) => built_in(known, &typed, reader),
        None => own(&mut typed, spelling, &span, reader),
    };
    let transfer = match spelling {
        Spelling::Hex => {
            out_of_place([("memo", typed.memo.as_ref().map(|text| text.span.clone()))], reader);
            let wanted = Typed { method: typed.transfer_method, sponsoring: typed.gas_sponsoring };
            transfer(wanted, domain(name, typed.eip712), &span, reader)
        }
        Spelling::Base58 => {
            let wanted = Typed { method: typed.transfer_method, sponsoring: typed.gas_sponsoring };
            Some(of_token(&wanted, typed.memo, reader))
        }
    };
    let pay_to = account(typed.pay_to, spelling, reader);
    let facilitators = named(typed.facilitator, facilitators, reader);
    let v1_name = reader.take_if(typed.v1_name).map(|Name(name)| name);
    let explorer = reader.take_if(typed.explorer).map(|WebUrl(url)| url);
    let rpc = match typed.rpc {
        Some(typed) => chains::nodes(typed, &span, reader)?,
        None => Vec::new(),
    };
    let Facts { network, asset, decimals, worth } = facts?;
    let transfer = transfer?;
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
    let explorer = explorer.or_else(|| known.and_then(|known| known.explorer).map(Into::into));
    Some(NetworkSettings {
        name: name.into(),
        v1_name: v1_name.unwrap_or_else(|| known.map_or(name, |known| known.name).into()),
        asset,
        decimals,
        domains: domains(&transfer, &network, asset),
        transfer,
        pay_to: pay_to?,
        facilitators: facilitators.into_iter().map(|(name, ..)| name).collect(),
        explorer,
        // What nobody knows is taken for real money.
        worth: worth.unwrap_or(Worth::Mainnet),
        rpc,
        network,
    })
}

/// How the money of a payment on Solana is moved.
fn of_token(wanted: &Typed, memo: Option<Text<Memo>>, reader: &mut Reader<'_>) -> Transfer {
    let of_evm = [
        ("transfer_method", wanted.method.as_ref().map(|text| text.span.clone())),
        ("gas_sponsoring", wanted.sponsoring.as_ref().map(|text| text.span.clone())),
    ];
    out_of_place(of_evm, reader);
    Transfer::Token(reader.take_if(memo).map(|Memo(memo)| memo))
}

/// How the accounts of a network are spelled, by its name or by what names its chain.
fn spelling(name: &str, typed: &FileNetwork) -> Spelling {
    let base58 = match KnownNetwork::named(name) {
        Some(known) => known.evm().is_none(),
        None => typed.caip2.is_some(),
    };
    if base58 { Spelling::Base58 } else { Spelling::Hex }
}

/// Keys that mean nothing on a network of this kind.
fn out_of_place<const N: usize>(
    keys: [(&'static str, Option<Range<usize>>); N],
    reader: &mut Reader<'_>,
) {
    for (key, span) in keys {
        if let Some(span) = span {
            let beside = "on a network of this kind";
            reader.wrong(span, Mistake::Meaningless { key, beside });
        }
    }
}

/// What signatures are checked under.
fn domains(transfer: &Transfer, network: &Network, asset: Account) -> Domains {
    let (Some(chain_id), Some(asset)) = (network.chain_id(), asset.evm()) else {
        return Domains::Svm;
    };
    let of_asset =
        |domain: &AssetDomain| Eip712Domain::new(&domain.name, &domain.version, chain_id, asset);
    let (payments, approvals) = match transfer {
        Transfer::Eip3009(domain) => (of_asset(domain), None),
        Transfer::Permit2(_) => (Eip712Domain::permit2(chain_id), None),
        Transfer::Sponsored(domain) => (Eip712Domain::permit2(chain_id), Some(of_asset(domain))),
        Transfer::Token(_) => return Domains::Svm,
    };
    Domains::Evm(EvmDomains { payments, approvals })
}

/// What has to be known of a network and its asset.
struct Facts {
    network: Network,
    asset: Account,
    decimals: u8,
    /// Nothing: nobody knows.
    worth: Option<Worth>,
}

/// The facts of a built-in network, which the section must not repeat.
fn built_in(known: &KnownNetwork, typed: &FileNetwork, reader: &mut Reader<'_>) -> Option<Facts> {
    let repeated = [
        ("chain_id", typed.chain_id.as_ref().map(Spanned::span)),
        ("caip2", typed.caip2.as_ref().map(|text| text.span.clone())),
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
        network: known.network(),
        // Each row of the table is parsed by a test.
        asset: known.usdc.parse().ok()?,
        decimals: known.decimals,
        worth: Some(known.worth),
    })
}

/// The facts of another network, all of which the section must name.
fn own(
    typed: &mut FileNetwork,
    spelling: Spelling,
    span: &Range<usize>,
    reader: &mut Reader<'_>,
) -> Option<Facts> {
    let chain_id = typed.chain_id.take();
    let cluster = typed.caip2.take().map(|text| reader.take(text).map(|Cluster(network)| network));
    let asset = typed.asset.take().map(|text| account(text, spelling, reader));
    let decimals = typed.decimals.take();
    let worth = typed.worth.take().map(|text| reader.take(text));
    if spelling == Spelling::Base58 {
        let of_evm = [
            ("chain_id", chain_id.as_ref().map(Spanned::span)),
            ("eip712", typed.eip712.as_ref().map(Spanned::span)),
        ];
        out_of_place(of_evm, reader);
    }
    for (key, there) in [
        ("chain_id", chain_id.is_some() || cluster.is_some()),
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
    let network = match cluster {
        Some(cluster) => cluster,
        None => chain_id.map(|id| Network::eip155(id.into_inner())),
    };
    Some(Facts {
        network: network?,
        asset: asset??,
        decimals: decimals?.into_inner(),
        worth: worth.flatten(),
    })
}

/// The asset's domain, built in or as the section names it.
fn domain(name: &str, typed: Option<Spanned<FileEip712>>) -> Option<AssetDomain> {
    match KnownNetwork::named(name) {
        Some(known) => known.evm().map(|known| AssetDomain {
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
