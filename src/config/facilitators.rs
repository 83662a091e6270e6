//! `[facilitators]`: who verifies and settles.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::http::header::AUTHORIZATION;
use toml::Spanned;

use crate::facilitator::http::Auth;
use crate::facilitator::http::cdp::{CdpKey, CdpKeyError};
use crate::facilitator::{chain, http, simulated};
use crate::route::Route;
use crate::x402::requirements::SCHEME_EXACT;
use crate::x402::{AssetTransferMethod, AtomicAmount};

use super::chains;
use super::file::{FileAuth, FileCdp, FileDelay, FileFacilitator, FileHttp, FileSimulated};
use super::mistake::Mistake;
use super::networks::{Money, NetworkSettings};
use super::reader::{Reader, Section};
use super::units::{Delay, Dollars};
use super::words::WebUrl;

/// One section of `[facilitators]`, checked.
#[expect(clippy::large_enum_variant, reason = "there are a few of them, and they are read once")]
#[derive(Clone, Debug)]
pub enum FacilitatorSettings {
    /// A stand-in for a chain, in this process.
    Simulated(simulated::Settings),
    /// Somebody else's, spoken to over HTTP.
    Http(http::Settings),
    /// Our own signers.
    Chain(chain::Settings),
}

/// Whose money the facilitators move, by what their sections say before they are read.
pub(super) fn moved_by(
    typed: &BTreeMap<Box<str>, Section<FileFacilitator>>,
) -> BTreeMap<Box<str>, Money> {
    let money = |section: &Section<FileFacilitator>| match section.typed.simulated {
        Some(_) => Money::Simulated,
        None => Money::OfTheChain,
    };
    typed.iter().map(|(name, section)| (name.clone(), money(section))).collect()
}

/// Reads all sections. One with a mistake is there as nothing.
pub(super) fn facilitators(
    typed: BTreeMap<Box<str>, Section<FileFacilitator>>,
    networks: &BTreeMap<Box<str>, Option<NetworkSettings>>,
    reader: &mut Reader<'_>,
) -> BTreeMap<Box<str>, Option<FacilitatorSettings>> {
    let mut settings = BTreeMap::new();
    for (name, section) in typed {
        let networks = networks.values().flatten();
        let serves = |network: &&NetworkSettings| network.facilitators.iter().any(|n| **n == *name);
        let served: Vec<_> = networks.filter(serves).collect();
        settings.insert(name, facilitator(section, &served, reader));
    }
    settings
}

fn facilitator(
    Section { span, typed }: Section<FileFacilitator>,
    networks: &[&NetworkSettings],
    reader: &mut Reader<'_>,
) -> Option<FacilitatorSettings> {
    match (typed.http, typed.simulated, typed.chain) {
        (Some(typed), None, None) => http(typed, networks, reader).map(FacilitatorSettings::Http),
        (None, Some(typed), None) => {
            simulated(typed, networks, reader).map(FacilitatorSettings::Simulated)
        }
        (None, None, Some(typed)) => {
            chains::chain(typed, &span, networks, reader).map(FacilitatorSettings::Chain)
        }
        (None, None, None) => {
            reader.wrong(span, Mistake::Neither("`http`, `chain`", "`simulated`"));
            None
        }
        (Some(_), Some(_), _) => {
            reader.wrong(span, Mistake::Both("`http`", "`simulated`"));
            None
        }
        (Some(_), None, Some(_)) => {
            reader.wrong(span, Mistake::Both("`http`", "`chain`"));
            None
        }
        (None, Some(_), Some(_)) => {
            reader.wrong(span, Mistake::Both("`simulated`", "`chain`"));
            None
        }
    }
}

fn http(
    typed: FileHttp,
    networks: &[&NetworkSettings],
    reader: &mut Reader<'_>,
) -> Option<http::Settings> {
    let verify_timeout = reader.take_if(typed.verify_timeout);
    let settle_timeout = reader.take_if(typed.settle_timeout);
    let headers = reader.headers(typed.headers);
    let has_header = headers.iter().any(|(name, _)| name == AUTHORIZATION);
    let auth = auth(typed.auth, has_header, reader);
    let WebUrl(url) = reader.take(typed.url)?;
    let mut settings = http::Settings::new(url);
    settings.verify_timeout = verify_timeout.map_or(settings.verify_timeout, |timeout| timeout.0);
    settings.settle_timeout = settle_timeout.map_or(settings.settle_timeout, |timeout| timeout.0);
    settings.in_flight_max = typed.in_flight_max.map_or(settings.in_flight_max, |max| max.get());
    settings.headers =
        headers.into_iter().map(|(name, secret)| (name, secret.value().clone())).collect();
    settings.wanted = networks.iter().map(|network| wanted(network)).collect();
    settings.auth = auth?;
    Some(settings)
}

/// What a facilitator must be able to settle for a network.
fn wanted(network: &NetworkSettings) -> http::Wanted {
    http::Wanted {
        scheme: SCHEME_EXACT.into(),
        network: network.network.as_str().into(),
        v1_network: match network.transfer.method() {
            Some(AssetTransferMethod::Eip3009) | None => Some(network.v1_name.clone()),
            Some(AssetTransferMethod::Permit2) => None,
        },
    }
}

/// Adds what routes with a price by usage want of hosted facilitators.
pub(super) fn want_upto(
    facilitators: &mut BTreeMap<Box<str>, Option<FacilitatorSettings>>,
    routes: &[Arc<Route>],
) {
    let terms = routes.iter().flat_map(|route| route.charge.all());
    for by in terms.flat_map(|terms| &terms.wanted).filter(|by| by.offer.is_upto()) {
        let due = &by.offer.requirements;
        let (scheme, network) = (due.scheme.clone(), due.network.as_str().into());
        let wanted = http::Wanted { scheme, network, v1_network: None };
        for name in by.facilitators.iter() {
            if let Some(Some(FacilitatorSettings::Http(settings))) = facilitators.get_mut(&**name)
                && !settings.wanted.contains(&wanted)
            {
                settings.wanted.push(wanted.clone());
            }
        }
    }
}

/// How a facilitator knows who asks. Nothing when there was a mistake.
fn auth(
    typed: Option<Spanned<FileAuth>>,
    has_header: bool,
    reader: &mut Reader<'_>,
) -> Option<Auth> {
    let Some(typed) = typed else { return Some(Auth::None) };
    let span = typed.span();
    if has_header {
        reader.wrong(span.clone(), Mistake::Both("`auth`", "`headers.authorization`"));
    }
    match typed.into_inner() {
        FileAuth { bearer: Some(token), cdp: None } => {
            let span = token.span();
            let (token, _) = reader.secret_text(token)?;
            let auth = Auth::bearer(&token);
            if auth.is_none() {
                reader.wrong(span, Mistake::SecretUnfit);
            }
            auth
        }
        FileAuth { bearer: None, cdp: Some(FileCdp { key_id, key_secret }) } => {
            let (id_span, secret_span) = (key_id.span(), key_secret.span());
            let (id, secret) = (reader.secret_text(key_id), reader.secret_text(key_secret));
            let key = CdpKey::new(&id?.0, &secret?.0).map_err(|error| {
                let span = if error == CdpKeyError::Id { id_span } else { secret_span };
                reader.wrong(span, Mistake::CdpKey(error));
            });
            key.ok().map(Auth::Cdp)
        }
        FileAuth { bearer: Some(_), cdp: Some(_) } => {
            reader.wrong(span, Mistake::Both("`bearer`", "`cdp`"));
            None
        }
        FileAuth { bearer: None, cdp: None } => {
            reader.wrong(span, Mistake::Neither("`bearer`", "`cdp`"));
            None
        }
    }
}

fn simulated(
    typed: FileSimulated,
    networks: &[&NetworkSettings],
    reader: &mut Reader<'_>,
) -> Option<simulated::Settings> {
    let defaults = simulated::Settings::default();
    let balance = match typed.balance {
        None => Some(defaults.balance),
        Some(typed) => {
            let span = typed.span.clone();
            let dollars = reader.take(typed)?;
            balance(&dollars, networks).map_err(|mistake| reader.wrong(span, mistake)).ok()
        }
    };
    let FileDelay { verify, settle } = typed.delay;
    let length = |delay: Option<Delay>| delay.map(|Delay(length)| length).filter(|l| !l.is_zero());
    Some(simulated::Settings {
        networks: networks.iter().map(|network| network.network.clone()).collect(),
        play: simulated::Play::default(),
        balance: balance?,
        balances: BTreeMap::new(),
        signatures: reader.take_if(typed.signatures).unwrap_or_default(),
        journal: typed.journal,
        delay: simulated::Delay {
            verify: length(reader.take_if(verify)),
            settle: length(reader.take_if(settle)),
        },
    })
}

/// A balance in atomic units of what these networks are paid in.
fn balance(dollars: &Dollars, networks: &[&NetworkSettings]) -> Result<AtomicAmount, Mistake> {
    let finest = networks.iter().map(|network| network.decimals).max();
    dollars.amount(finest.unwrap_or(USDC_DECIMALS)).map_err(|_| {
        Mistake::not("an amount of this asset", &dollars.typed(), "fewer decimals, or less,")
    })
}

const USDC_DECIMALS: u8 = 6;
