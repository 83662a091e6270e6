//! What a facilitator says it can settle, and whether that is what we want of it.

use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwapOption;

use crate::fault::{Fault, Retry, Side};
use crate::x402::requirements::{SCHEME_EXACT, SCHEME_UPTO};
use crate::x402::{Account, Offer, Pubkey, SupportedKind, SupportedResponse, Version};

/// A network that a facilitator is wanted for, in both versions' words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Such as `exact`.
    pub scheme: Box<str>,
    /// CAIP-2, for version 2.
    pub network: Box<str>,
    /// The name in version 1, if that has words for it.
    pub v1_network: Option<Box<str>>,
}

/// The last answer of `/supported`.
#[derive(Debug, Default)]
pub(super) struct Listing {
    wanted: Vec<Wanted>,
    listed: ArcSwapOption<SupportedResponse>,
    refreshes_failed: AtomicU32,
}

impl Listing {
    pub(super) fn new(wanted: Vec<Wanted>) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Keeps an answer, or counts that there was none.
    pub(super) fn keep(&self, asked: Result<SupportedResponse, Fault>) -> Result<(), Fault> {
        match asked {
            Ok(list) => {
                self.listed.store(Some(list.into()));
                self.refreshes_failed.store(0, Ordering::Relaxed);
                Ok(())
            }
            Err(fault) => {
                self.refreshes_failed.fetch_add(1, Ordering::Relaxed);
                Err(fault)
            }
        }
    }

    /// Whether an answer lists this offer in the words of this version.
    pub(super) fn supports(&self, offer: &Offer, version: Version) -> bool {
        let scheme = &offer.requirements.scheme;
        let spoken = version == Version::V2 || offer.v1.is_some();
        spoken && self.lists(version.into(), scheme, offer.network_in(version))
    }

    /// Whether nothing speaks against settling this offer: it is listed, or nothing is known.
    pub(super) fn settles(&self, offer: &Offer) -> bool {
        self.listed.load().is_none()
            || self.supports(offer, Version::V2)
            || self.supports(offer, Version::V1)
    }

    /// Whether there is a list that was answered lately, with all that is wanted on it, each in
    /// the words of one version at least: what a payer has signed is the same in both.
    pub(super) fn ready(&self) -> Result<(), Fault> {
        let fault = |retry, context| Fault::new(Side::Facilitator, retry, context);
        if self.listed.load().is_none() {
            return Err(fault(Retry::Later, "/supported has not been answered yet"));
        }
        if self.refreshes_failed.load(Ordering::Relaxed) >= REFRESHES_FAILED_MAX {
            return Err(fault(Retry::Later, "/supported has not been answered lately"));
        }
        let listed = |wanted: &Wanted| {
            let in_v1 = wanted.v1_network.as_deref();
            let fee = match &*wanted.scheme {
                SCHEME_UPTO => self.facilitator(&wanted.network).is_some(),
                _ if wanted.network.starts_with("solana:") => {
                    self.fee_payer(&wanted.network).is_some()
                }
                _ => true,
            };
            let listed = self.lists(2, &wanted.scheme, &wanted.network)
                || in_v1.is_some_and(|network| self.lists(1, &wanted.scheme, network));
            listed && fee
        };
        if !self.wanted.iter().all(listed) {
            return Err(fault(Retry::Never, "/supported does not list what the routes offer"));
        }
        Ok(())
    }

    /// Who pays the fees of payments on a Solana network, as its list says in either version.
    pub(super) fn fee_payer(&self, network: &str) -> Option<Pubkey> {
        let list = self.listed.load();
        let wanted = self.wanted.iter().find(|wanted| &*wanted.network == network);
        let v1_network = wanted.and_then(|wanted| wanted.v1_network.as_deref());
        let of = |version: u8, network: &str| {
            let kinds = list.iter().flat_map(|list| &list.kinds);
            let mut here = kinds.filter(|kind| {
                kind.x402_version == version
                    && kind.scheme == SCHEME_EXACT
                    && kind.network == network
            });
            here.find_map(SupportedKind::fee_payer)
        };
        of(2, network).or_else(|| of(1, v1_network?))
    }

    /// Who settles payments under `upto` on an EVM network, as its list says.
    pub(super) fn facilitator(&self, network: &str) -> Option<Account> {
        let list = self.listed.load();
        let kinds = list.iter().flat_map(|list| &list.kinds);
        let mut here = kinds.filter(|kind| {
            kind.x402_version == 2 && kind.scheme == SCHEME_UPTO && kind.network == network
        });
        here.find_map(SupportedKind::facilitator)
    }

    /// What it lists, as it says it.
    pub(super) fn kinds(&self) -> Vec<SupportedKind> {
        self.listed.load().as_ref().map_or_else(Vec::new, |list| list.kinds.clone())
    }

    fn lists(&self, version: u8, scheme: &str, network: &str) -> bool {
        let same = |kind: &SupportedKind| {
            kind.x402_version == version && kind.scheme == scheme && kind.network == network
        };
        self.listed.load().as_ref().is_some_and(|list| list.kinds.iter().any(same))
    }
}

/// Refreshes that may fail in a row before the facilitator counts as gone.
pub const REFRESHES_FAILED_MAX: u32 = 3;
