//! What is served, at which path, for how much: the routes and the table that finds one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::x402::{Offer, Resource};

/// One entry of `[[routes]]`, checked and ready to serve.
#[derive(Debug)]
pub struct Route {
    /// Label in logs and metrics; unique.
    pub name: Box<str>,
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
}

/// What a route costs.
#[derive(Debug)]
pub enum Charge {
    /// Nothing.
    Free,
    /// One fixed amount, payable in each of the offers.
    Exact(Terms),
}

/// The terms of a priced route. `offers` is never empty.
#[derive(Debug)]
pub struct Terms {
    /// What the 402 says is paid for.
    pub resource: Resource,
    /// Ways to pay, in the order of the configuration.
    pub offers: Vec<OfferedBy>,
    /// The 402 of a request without payment, for a route whose URL is fixed.
    pub challenge: Challenge,
}

/// An offer and who settles it.
#[derive(Clone, Debug)]
pub struct OfferedBy {
    /// The offer.
    pub offer: Arc<Offer>,
    /// Name of the facilitator.
    pub facilitator: Arc<str>,
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
