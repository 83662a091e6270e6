//! `[facilitators]`: who verifies and settles.

use std::collections::BTreeMap;

use crate::facilitator::{chain, http, simulated};
use crate::x402::requirements::SCHEME_EXACT;
use crate::x402::{AtomicAmount, SupportedKind};

use super::chains;
use super::file::{FileDelay, FileFacilitator, FileHttp, FileSimulated};
use super::mistake::Mistake;
use super::networks::{Money, NetworkSettings};
use super::reader::{Reader, Section};
use super::units::{Delay, Dollars};
use super::words::WebUrl;

/// One section of `[facilitators]`, checked.
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
        let served: Vec<_> = networks.filter(|network| *network.facilitator == *name).collect();
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
    let WebUrl(url) = reader.take(typed.url)?;
    let mut settings = http::Settings::new(url);
    settings.verify_timeout = verify_timeout.map_or(settings.verify_timeout, |timeout| timeout.0);
    settings.settle_timeout = settle_timeout.map_or(settings.settle_timeout, |timeout| timeout.0);
    settings.in_flight_max = typed.in_flight_max.map_or(settings.in_flight_max, |max| max.get());
    settings.headers =
        headers.into_iter().map(|(name, secret)| (name, secret.value().clone())).collect();
    settings.kinds = networks.iter().map(|network| kind(network)).collect();
    Some(settings)
}

/// What a facilitator must be able to settle for a network.
fn kind(network: &NetworkSettings) -> SupportedKind {
    SupportedKind {
        x402_version: 2,
        scheme: SCHEME_EXACT.to_owned(),
        network: network.network.to_string(),
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
