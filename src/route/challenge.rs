//! The 402 of a priced route, in both versions at once.

use std::sync::{Arc, OnceLock};

use alloy_primitives::Address;
use bytes::Bytes;

use super::path::CanonicalPath;
use super::pattern::PathPattern;
use super::{Challenge, Declared, FeePayer, FeePayers, Honoured, OfferedBy, ResourceUrl, Terms};
use crate::clock::UnixMillis;
use crate::x402::extensions::{Catalogued, Extensions, GasSponsoring};
use crate::x402::sign_in::offer::{Asking, Fresh, declared as sign_in};
use crate::x402::{
    AtomicAmount, Network, Offer, PaymentRequired, PaymentRequiredV1, PaymentRequirementsV1,
    Pubkey, Resource, Version, encoding,
};

/// Why a 402 cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// There is nothing to pay with.
    #[error("a price needs at least one way to pay it")]
    NoOffers,
    /// The version 2 header is longer than clients and proxies read.
    #[error(
        "the 402 header would have {bytes} bytes, and {HEADER_BYTES_MAX} is what clients read; \
         shorten the description or offer fewer networks"
    )]
    TooLong {
        /// Of the header's value.
        bytes: usize,
    },
    /// An object that cannot be JSON.
    #[error("the 402 cannot be written")]
    Json(#[from] serde_json::Error),
}

impl Challenge {
    /// Writes the 402 for this resource. Both halves name the same URL and give the same `error`.
    ///
    /// Of the offers, the version 1 body lists those whose network every version 1 client knows,
    /// or all where there is none: some clients reject a whole body for one network they do not
    /// know. It lists none that Permit2 moves, for which version 1 has no words. What catalogues
    /// read is left out where there is no room for it.
    ///
    /// # Errors
    /// `NoOffers`, and `TooLong` when the header has more than [`HEADER_BYTES_MAX`] bytes.
    ///
    /// Source: x402 v2 §5.1, v1 §5.1.
    pub fn new(
        resource: &Resource,
        offers: &[Arc<Offer>],
        declared: &Declared,
        error: &str,
    ) -> Result<Self, ChallengeError> {
        if offers.is_empty() {
            return Err(ChallengeError::NoOffers);
        }
        let networks = offers.iter().map(|offer| &offer.requirements.network);
        let json = serde_json::to_string(&PaymentRequired {
            x402_version: Version::V2,
            error: error.into(),
            resource: resource.clone(),
            accepts: offers.iter().map(|offer| offer.requirements.clone()).collect(),
            extensions: Extensions {
                eip2612_gas_sponsoring: offers
                    .iter()
                    .find_map(|offer| offer.evm()?.approvals.map(|_| GasSponsoring)),
                payment_identifier: declared.identifying.declared(),
                bazaar: declared.bazaar.clone(),
                sign_in: declared.sign_in.map(|_| sign_in(&resource.url, networks)),
            },
        })?;
        let header = encoding::encode(json.as_bytes());
        if header.len() > HEADER_BYTES_MAX {
            if declared.bazaar.is_some() {
                let shorter = Declared { bazaar: None, ..*declared };
                return Self::new(resource, offers, &shorter, error);
            }
            return Err(ChallengeError::TooLong { bytes: header.len() });
        }
        let body = serde_json::to_vec(&PaymentRequiredV1 {
            x402_version: Version::V1,
            error: error.into(),
            accepts: in_v1(resource, offers),
        })?;
        let fresh = declared.sign_in.and_then(|_| Fresh::of(&json));
        Ok(Self { header: header.into(), fresh, body: body.into() })
    }
}

impl Challenge {
    /// Of what cannot be paid yet.
    fn nothing() -> Self {
        Self { header: Bytes::new(), fresh: None, body: Bytes::from_static(b"{}") }
    }

    /// The value of `PAYMENT-REQUIRED` in one answer. `asking` is asked for what it has for itself.
    pub fn header_for(&self, asking: impl FnOnce() -> Asking) -> Bytes {
        match &self.fresh {
            Some(fresh) => fresh.written(&self.header, &asking()),
            None => self.header.clone(),
        }
    }
}

impl Terms {
    /// Joins a price to a path. `about.url` is the server's public URL; the path is added to it.
    ///
    /// # Errors
    /// As [`Challenge::new`].
    pub fn new(
        about: Resource,
        path: &PathPattern,
        offers: Vec<OfferedBy>,
        declared: Declared,
    ) -> Result<Self, ChallengeError> {
        let origin: Box<str> = about.url.trim_end_matches('/').into();
        let resource = Resource { url: format!("{origin}{path}").into(), ..about };
        let url = if path.is_fixed() {
            ResourceUrl::Fixed { path: path.to_string().into() }
        } else {
            ResourceUrl::OfRequest { origin }
        };
        let catalogued = declared.bazaar.clone();
        let catalogued = catalogued.map(|bazaar| Catalogued { resource: resource.clone(), bazaar });
        let catalogued = catalogued.map(Arc::new);
        let known = |by| OfferedBy { catalogued: catalogued.clone(), ..by };
        let offers: Vec<OfferedBy> = offers.into_iter().map(known).collect();
        // Whether all fits is found out now, and not when it is known who pays fees.
        let longest = |by: &OfferedBy| {
            let fee_payer = match by.offer.svm() {
                Some(_) => LONGEST.into(),
                None => Address::ZERO.into(),
            };
            Arc::new(by.offer.paid_by(fee_payer))
        };
        let longest: Vec<_> = offers.iter().map(longest).collect();
        let challenge = Challenge::new(&resource, &longest, &declared, PAYMENT_REQUIRED)?;
        let known = offers.iter().zip(&longest).all(|(by, longest)| by.offer == *longest);
        let mut terms = Self {
            resource,
            offers: payable(&offers, &|_| None),
            wanted: offers,
            honoured: Vec::new(),
            declared,
            challenge,
            instructions: None,
            url,
            ready: OnceLock::new(),
            ready_page: OnceLock::new(),
        };
        if !known {
            terms.challenge = Challenge::nothing();
            terms.write();
        }
        Ok(terms)
    }

    /// Whether an answer says what it costs, in some asset.
    pub fn is_by_usage(&self) -> bool {
        self.wanted.iter().any(|by| by.usage.is_some())
    }

    /// Whether these payers of fees are the ones that it tells.
    pub(super) fn is_told(&self, payers: &FeePayers<'_>) -> bool {
        let same = |(told, by): (&OfferedBy, &OfferedBy)| {
            let extra = |by: &OfferedBy| by.offer.requirements.extra.clone();
            extra(told) == extra(by) && told.facilitators == by.facilitators
        };
        // Without an offer that names who pays the fee there is nothing to ask for.
        if !self.wanted.iter().any(|by| by.offer.awaits_fee_payer()) {
            return true;
        }
        let offers = payable(&self.wanted, payers);
        // Who is away for a while is not forgotten: what it has said may still be true.
        offers.len() < self.offers.len()
            || (offers.len() == self.offers.len() && self.offers.iter().zip(&offers).all(same))
    }

    /// Offers what can be paid with these payers of fees; what was offered before is taken until a
    /// moment.
    pub(super) fn tell(&mut self, payers: &FeePayers<'_>, until: UnixMillis, now: UnixMillis) {
        if self.is_told(payers) {
            return;
        }
        let before = self.clone();
        self.offers = payable(&self.wanted, payers);
        self.honoured.clear();
        self.honour(&before, until, now);
        self.write();
    }

    /// Makes the 402 ready; there is none while nothing can be paid.
    fn write(&mut self) {
        let offers = bare(&self.offers);
        let written = Challenge::new(&self.resource, &offers, &self.declared, PAYMENT_REQUIRED);
        if let Ok(challenge) = written {
            self.challenge = challenge;
        }
        self.ready = OnceLock::new();
        self.ready_page = OnceLock::new();
    }

    /// Whether a payment on this network cannot be taken now, only because it is not known who pays
    /// its fee.
    pub fn awaits(&self, network: &str) -> bool {
        let here = |by: &&OfferedBy| {
            let names = [Version::V1, Version::V2].map(|version| by.offer.network_in(version));
            names.contains(&network)
        };
        let waits = |by: &OfferedBy| by.offer.awaits_fee_payer() && here(&by);
        self.wanted.iter().any(waits) && !self.offers.iter().any(|by| here(&by))
    }

    /// Takes what `before` offered, and these do not, until this moment; what `before` took from
    /// its own past as long as it did.
    pub fn honour(&mut self, before: &Self, until: UnixMillis, now: UnixMillis) {
        let offered = before.offers.iter().map(|by| Honoured { by: by.clone(), until });
        let past = before.honoured.iter().filter(|past| now < past.until).cloned();
        let due = |by: &OfferedBy| {
            let due = &by.offer.requirements;
            (due.network.clone(), due.asset, due.pay_to, due.amount, due.extra.clone())
        };
        for past in offered.chain(past) {
            let known = |by: &OfferedBy| due(by) == due(&past.by);
            let told = self.offers.iter().any(known);
            if !told && !self.honoured.iter().any(|other| known(&other.by)) {
                self.honoured.push(past);
            }
        }
    }

    /// Whether this amount is or was asked for on a network.
    pub fn took(&self, network: &Network, amount: AtomicAmount) -> bool {
        let past = self.honoured.iter().map(|past| &past.by);
        let mut all = self.offers.iter().chain(past).map(|by| &by.offer.requirements);
        all.any(|due| due.network == *network && due.amount == amount)
    }

    /// The path of the route's one URL; nothing where it has several.
    pub fn fixed_path(&self) -> Option<&[u8]> {
        match &self.url {
            ResourceUrl::Fixed { path } => Some(path.as_bytes()),
            ResourceUrl::OfRequest { .. } => None,
        }
    }

    /// The URL that a request at `path` pays for.
    pub fn url_of(&self, path: &CanonicalPath<'_>) -> Box<str> {
        match &self.url {
            ResourceUrl::Fixed { .. } => self.resource.url.clone(),
            ResourceUrl::OfRequest { origin } => format!("{origin}{}", path.as_str()).into(),
        }
    }

    /// The 402 of a request at `path` that brought no payment. Ready made on a fixed path.
    pub fn challenge_at(&self, path: &CanonicalPath<'_>) -> Challenge {
        match &self.url {
            ResourceUrl::Fixed { .. } => self.challenge.clone(),
            ResourceUrl::OfRequest { .. } => {
                self.challenge_for(&self.url_of(path), PAYMENT_REQUIRED)
            }
        }
    }

    /// The 402 that names this URL and gives this reason.
    ///
    /// Never fails: a URL that would make the header too long is named by the route's pattern.
    pub fn challenge_for(&self, url: &str, error: &str) -> Challenge {
        let (offers, declared) = (bare(&self.offers), &self.declared);
        let named = Resource { url: url.into(), ..self.resource.clone() };
        Challenge::new(&named, &offers, declared, error)
            .or_else(|_| Challenge::new(&self.resource, &offers, declared, error))
            .unwrap_or_else(|_| self.challenge.clone())
    }
}

/// The offers that can be paid, with these payers of fees.
fn payable(wanted: &[OfferedBy], payers: &FeePayers<'_>) -> Vec<OfferedBy> {
    let told = |by: &OfferedBy| {
        if !by.offer.awaits_fee_payer() {
            return Some(by.clone());
        }
        let FeePayer { key, facilitators } = payers(by)?;
        let offer = Arc::new(by.offer.paid_by(key));
        Some(OfferedBy { offer, facilitators, ..by.clone() })
    };
    wanted.iter().filter_map(told).collect()
}

/// The key that is longest in base58.
const LONGEST: Pubkey = Pubkey::new_from_array([0xff; 32]);

fn bare(offers: &[OfferedBy]) -> Vec<Arc<Offer>> {
    offers.iter().map(|offered| Arc::clone(&offered.offer)).collect()
}

fn in_v1(resource: &Resource, offers: &[Arc<Offer>]) -> Vec<PaymentRequirementsV1> {
    let offers: Vec<_> = offers.iter().filter_map(|offer| offer.v1.as_ref()).collect();
    let known = |v1: &PaymentRequirementsV1| V1_NETWORKS.contains(&&*v1.network);
    let some_known = offers.iter().any(|v1| known(v1));
    let listed = offers.into_iter().filter(|v1| !some_known || known(v1));
    listed
        .map(|v1| PaymentRequirementsV1 {
            resource: resource.url.clone(),
            description: resource.description.clone(),
            mime_type: resource.mime_type.clone(),
            ..v1.clone()
        })
        .collect()
}

/// What `error` says in the 402 of a request without payment.
pub const PAYMENT_REQUIRED: &str = "payment_required";

/// Bytes of the version 2 header's value: with its name the line stays under 8 KiB.
pub const HEADER_BYTES_MAX: usize = 8 * 1024 - "PAYMENT-REQUIRED: \r\n".len();

/// The networks that every version 1 client knows.
const V1_NETWORKS: [&str; 4] = ["base", "base-sepolia", "avalanche", "avalanche-fuji"];

#[cfg(test)]
mod tests;
