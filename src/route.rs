//! What is served, at which path, for how much: the routes and the table that finds one.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::clock::UnixMillis;
use crate::limit::Rate;
use crate::x402::extensions::Catalogued;
use crate::x402::sign_in::offer::Fresh;
use crate::x402::{Account, AtomicAmount, Identifying, Offer, Resource};

pub mod asker;
mod body;
pub mod challenge;
pub mod contract;
pub mod method;
pub mod path;
pub mod pattern;
pub mod table;
pub mod tariff;
mod trie;
pub mod upstream;
pub mod usage;

pub use asker::{AskedBy, Asker};
pub use challenge::ChallengeError;
pub use contract::{Contract, Document, DocumentError};
pub use method::{Methods, Verb};
pub use path::{CanonicalPath, CanonicalQuery, NotCanonical};
pub use pattern::{PathPattern, Pattern, PatternError, shape};
pub use table::{Found, RouteConflict, RouteTable, Undercut};
pub use tariff::{Field, PriceRule, Tariff, Tier, When};
pub use usage::Usage;

pub use crate::refusal::Shape;

/// One entry of `[[routes]]`, checked and ready to serve.
#[derive(Clone, Debug)]
pub struct Route {
    /// Label in logs and metrics; unique.
    pub name: Box<str>,
    /// For people, in a line.
    pub description: Box<str>,
    /// Media type of the answer, where it is known.
    pub mime_type: Box<str>,
    /// Whether the documents for agents name it.
    pub listing: Listing,
    /// Which requests it answers to.
    pub pattern: Pattern,
    /// Where requests for it go. Nothing: a proxy forwards them itself, and asks before it does.
    pub upstream: Option<Box<str>>,
    /// What it costs.
    pub charge: Charge,
    /// The rate class of its paid requests.
    pub class: Option<Box<str>>,
    /// So much of it is free for each client; nothing: none.
    pub free: Option<Rate>,
    /// What a paid request's body may be.
    pub body: BodyRules,
    /// From the request's last byte to the upstream's first.
    pub answer_timeout: Duration,
    /// When its payments are settled.
    pub settle: SettleMoment,
    /// Bytes of the longest answer that is kept for payers who come back; nothing: none is.
    pub keep_bytes_max: Option<usize>,
    /// In whose words it refuses.
    pub refusals: Shape,
    /// What a paid request must be, by a document of OpenAPI.
    pub contract: Option<Arc<Contract>>,
}

/// Whether the documents for agents name a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// They do.
    #[default]
    Listed,
    /// They do not.
    Unlisted,
}

/// When the payments of a route are settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SettleMoment {
    /// Once the upstream has answered well.
    #[default]
    AfterUpstream,
    /// Before the upstream is asked. When it fails, the payer is owed an answer.
    BeforeUpstream,
}

/// What a route costs.
#[derive(Clone, Debug)]
pub enum Charge {
    /// Nothing.
    Free,
    /// One fixed amount, payable in each of the offers.
    Exact(Box<Terms>),
    /// An amount that depends on the request.
    ByRequest(Box<Tariff>),
}

impl Charge {
    /// The terms of one tier; nothing where it is free.
    pub fn terms(&self, tier: Tier) -> Option<&Terms> {
        match self {
            Self::Free => None,
            Self::Exact(terms) => Some(terms),
            Self::ByRequest(tariff) => Some(tariff.terms(tier)),
        }
    }

    /// All terms that it has, those of no rule first. None where it is free.
    pub fn all(&self) -> impl Iterator<Item = &Terms> {
        let (one, tariff) = match self {
            Self::Free => (None, None),
            Self::Exact(terms) => (Some(&**terms), None),
            Self::ByRequest(tariff) => (None, Some(&**tariff)),
        };
        one.into_iter().chain(tariff.into_iter().flat_map(Tariff::all))
    }

    /// Whether an answer says what it costs, in some asset.
    pub fn is_by_usage(&self) -> bool {
        self.all().any(Terms::is_by_usage)
    }

    /// Takes what `before` offered for the same requests until this moment; see
    /// [`Terms::honour`].
    pub fn honour(&mut self, before: &Self, until: UnixMillis, now: UnixMillis) {
        let (rules, otherwise) = match self {
            Self::Free => return,
            Self::Exact(terms) => (&mut [][..], &mut **terms),
            Self::ByRequest(tariff) => (&mut tariff.rules[..], &mut tariff.otherwise),
        };
        if let Some(before) = before.terms(Tier::Otherwise) {
            otherwise.honour(before, until, now);
        }
        let Self::ByRequest(before) = before else { return };
        for rule in rules {
            let same = before.rules.iter().find(|before| before.when == rule.when);
            if let Some(before) = same {
                rule.terms.honour(&before.terms, until, now);
            }
        }
    }

    fn all_mut(&mut self) -> Vec<&mut Terms> {
        match self {
            Self::Free => Vec::new(),
            Self::Exact(terms) => vec![&mut **terms],
            Self::ByRequest(tariff) => {
                let Tariff { rules, otherwise } = &mut **tariff;
                let of_rules = rules.iter_mut().map(|rule| &mut rule.terms);
                std::iter::once(otherwise).chain(of_rules).collect()
            }
        }
    }

    /// Whether something has to be paid.
    pub fn is_priced(&self) -> bool {
        !matches!(self, Self::Free)
    }
}

impl Route {
    /// The route as it is told by whoever pays fees now, if that changes it. What it offered before
    /// is taken until a moment.
    pub fn told(&self, payers: &FeePayers<'_>, until: UnixMillis, now: UnixMillis) -> Option<Self> {
        if self.charge.all().all(|terms| terms.is_told(payers)) {
            return None;
        }
        let mut route = self.clone();
        for terms in route.charge.all_mut() {
            terms.tell(payers, until, now);
        }
        Some(route)
    }
}

/// Who pays the fee of a payment for an offer that has to say so, where that is known.
pub type FeePayers<'a> = dyn Fn(&OfferedBy) -> Option<FeePayer> + 'a;

/// Who pays fees, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeePayer {
    /// Its account.
    pub key: Account,
    /// The facilitators who sign for it, in their order.
    pub facilitators: Arc<[Arc<str>]>,
}

/// The terms of a priced route.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What the 402 says is paid for; its URL ends with the route's path pattern.
    pub resource: Resource,
    /// Ways to pay as they are configured, in that order; never empty. On Solana and under `upto`
    /// nobody is named who pays the fee.
    pub wanted: Vec<OfferedBy>,
    /// Those of them that can be paid, because it is known who pays the fee.
    pub offers: Vec<OfferedBy>,
    /// What the 402 says besides.
    pub declared: Declared,
    /// Ways to pay of before a reload, which are still taken for a while and not told.
    pub honoured: Vec<Honoured>,
    /// The 402 of a request without payment, with the URL of `resource`.
    pub challenge: Challenge,
    /// What to pay in the words of the published assistant API, where a route refuses in them.
    pub instructions: Option<Instructions>,
    /// Which URL the 402 names.
    pub url: ResourceUrl,
    /// The whole answer to a request without payment, where [`Terms::url`] is fixed. Kept by
    /// whoever writes answers, when the first one is written.
    pub ready: OnceLock<Box<http::Response<Bytes>>>,
    /// The same as a page for browsers.
    pub ready_page: OnceLock<Box<http::Response<Bytes>>>,
}

/// What a 402 says besides ways to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Whether clients name what they buy.
    pub identifying: Identifying,
    /// How to call the route, for catalogues: the extension `bazaar`.
    pub bazaar: Option<Value>,
    /// How long a wallet that has paid is let in again by its signature; nothing: it is not.
    pub sign_in: Option<Duration>,
}

/// The first way to pay, for a person to read. Source: PROTOCOL §9.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instructions {
    /// Decimal.
    pub amount: Box<str>,
    /// What the asset is called.
    pub currency: Box<str>,
    /// Whom to pay.
    pub recipient: Box<str>,
    /// The network's name in the configuration.
    pub chain: Box<str>,
}

/// Which URL the 402 of a route names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceUrl {
    /// The route's own: its pattern is one path, and its 402 is ready made.
    Fixed {
        /// That path.
        path: Box<str>,
    },
    /// The request's: the server's public URL with the request's path behind it.
    OfRequest {
        /// The public URL, without a final `/`.
        origin: Box<str>,
    },
}

/// An offer and who settles it.
#[derive(Clone, Debug)]
pub struct OfferedBy {
    /// The offer.
    pub offer: Arc<Offer>,
    /// Decimals of its asset.
    pub decimals: u8,
    /// What whoever settles may tell a catalogue of it.
    pub catalogued: Option<Arc<Catalogued>>,
    /// Names of facilitators, the one to ask first before the others. Never empty.
    pub facilitators: Arc<[Arc<str>]>,
    /// The most that one payer may owe on its network when an answer goes out before its money has
    /// moved; nothing: none does.
    pub risk: Option<AtomicAmount>,
    /// What an answer costs by what it says of its usage, up to the offer's amount; nothing: the
    /// whole amount.
    pub usage: Option<Arc<Usage>>,
}

/// An offer of before a reload: whoever has signed for it has not seen the new one.
#[derive(Clone, Debug)]
pub struct Honoured {
    /// The offer and who settles it.
    pub by: OfferedBy,
    /// Until when it is taken.
    pub until: UnixMillis,
}

/// The two halves of a 402, ready to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Value of `PAYMENT-REQUIRED`: base64 of the version 2 object.
    pub header: Bytes,
    /// What each answer has for itself in it, where it has something.
    pub fresh: Option<Fresh>,
    /// The version 1 object.
    pub body: Bytes,
}

/// What a paid request's body may be. Looked at before any money is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyRules {
    /// Media types without parameters, in lower case; empty: any.
    pub types: Vec<Box<str>>,
    /// Bytes; nothing: the server's own bound.
    pub bytes_max: Option<u64>,
}
