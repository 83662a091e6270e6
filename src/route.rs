//! What is served, at which path, for how much: the routes and the table that finds one.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use crate::clock::UnixMillis;
use crate::x402::{AtomicAmount, Identifying, Offer, Resource};

mod body;
pub mod challenge;
pub mod method;
pub mod path;
pub mod pattern;
pub mod table;
mod trie;
pub mod upstream;

pub use challenge::ChallengeError;
pub use method::{Methods, Verb};
pub use path::{CanonicalPath, CanonicalQuery, NotCanonical};
pub use pattern::{PathPattern, Pattern, PatternError};
pub use table::{Found, RouteConflict, RouteTable, Undercut};

/// One entry of `[[routes]]`, checked and ready to serve.
#[derive(Debug)]
pub struct Route {
    /// Label in logs and metrics; unique.
    pub name: Box<str>,
    /// Which requests it answers to.
    pub pattern: Pattern,
    /// Where requests for it go.
    pub upstream: Box<str>,
    /// What it costs.
    pub charge: Charge,
    /// The rate class of its paid requests.
    pub class: Option<Box<str>>,
    /// What a paid request's body may be.
    pub body: BodyRules,
    /// From the request's last byte to the upstream's first.
    pub answer_timeout: Duration,
    /// When its payments are settled.
    pub settle: SettleMoment,
    /// Bytes of the longest answer that is kept for payers who come back; nothing: none is.
    pub keep_bytes_max: Option<usize>,
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
#[derive(Debug)]
pub enum Charge {
    /// Nothing.
    Free,
    /// One fixed amount, payable in each of the offers.
    Exact(Box<Terms>),
}

/// The terms of a priced route. `offers` is never empty.
#[derive(Debug)]
pub struct Terms {
    /// What the 402 says is paid for; its URL ends with the route's path pattern.
    pub resource: Resource,
    /// Ways to pay, in the order of the configuration.
    pub offers: Vec<OfferedBy>,
    /// Whether clients name what they buy.
    pub identifying: Identifying,
    /// Ways to pay of before a reload, which are still taken for a while and not told.
    pub honoured: Vec<Honoured>,
    /// The 402 of a request without payment, with the URL of `resource`.
    pub challenge: Challenge,
    /// Which URL the 402 names.
    pub url: ResourceUrl,
    /// The whole answer to a request without payment, where [`Terms::url`] is fixed. Kept by
    /// whoever writes answers, when the first one is written.
    pub ready: OnceLock<Box<http::Response<Bytes>>>,
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
    /// Names of facilitators, the one to ask first before the others. Never empty.
    pub facilitators: Arc<[Arc<str>]>,
    /// The most that one payer may owe on its network when an answer goes out before its money has
    /// moved; nothing: none does.
    pub risk: Option<AtomicAmount>,
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
