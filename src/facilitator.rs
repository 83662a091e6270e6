//! Who verifies and settles payments for us, and what they can answer.

use std::sync::Arc;

use crate::fault::Fault;
use crate::x402::{ErrorReason, Offer, SignedAuthorization, Version};

/// A payment to verify or settle, and the offer it is for.
#[derive(Clone, Debug)]
pub struct Order {
    /// The version the client speaks; facilitators are asked in the same.
    pub version: Version,
    /// The offer of the route, never what the client echoed.
    pub offer: Arc<Offer>,
    /// What the client signed; its signature has been proven.
    pub payment: SignedAuthorization,
}

/// What a facilitator says of a payment before it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It could be settled now.
    Good,
    /// It could not.
    Bad(ErrorReason),
}

/// What became of a settlement.
#[derive(Debug)]
pub enum Outcome {
    /// The money moved.
    Settled {
        /// `0x` and 64 hex digits.
        transaction: Box<str>,
    },
    /// It did not move and will not.
    Rejected(ErrorReason),
    /// Nobody knows: no answer, or none that can be believed. It may have moved.
    Unknown {
        /// When one was named.
        transaction: Option<Box<str>>,
        /// Why it is not known.
        fault: Fault,
    },
}

/// What a later look finds of a payment whose settlement was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trace {
    /// The money moved.
    Moved {
        /// `0x` and 64 hex digits.
        transaction: Box<str>,
    },
    /// It did not, and nothing that was sent is still under way.
    NotMoved,
    /// This facilitator cannot tell.
    CannotTell,
}
