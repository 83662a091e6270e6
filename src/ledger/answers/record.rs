//! An answer, and what is written of it.

use std::sync::Arc;

use bytes::Bytes;

use super::room::Share;
use crate::digest::Digest;
use crate::ledger::ExchangeId;
use crate::x402::PaymentIdentity;

/// An answer as it was given, without what belongs to one connection only.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(Box<str>, Box<[u8]>)>,
    /// The whole body.
    pub body: Bytes,
    /// The memory it takes.
    pub(super) share: Option<Share>,
}

/// What became of an answer that was paid for.
#[derive(Debug)]
pub enum Outcome {
    /// It was kept.
    Whole(Arc<Answer>),
    /// It was not.
    Missing(Missing),
}

/// Why an answer was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Missing {
    /// It was longer than answers are kept.
    TooLong,
    /// It broke off: the upstream's connection, or an HTTP/2 client that took its request back.
    BrokenOff,
    /// It was a part only: 206.
    Part,
    /// Too many answers were under way at once.
    NoRoom,
}

/// One line: everything but the answer itself.
#[derive(Debug)]
pub struct Line {
    /// The payment.
    pub identity: PaymentIdentity,
    /// The exchange in which it was given.
    pub exchange: ExchangeId,
    /// Of the whole signed payment.
    pub payment: Digest,
    /// Of the request.
    pub request: Digest,
    /// Why it is missing, if it is.
    pub missing: Option<Missing>,
    /// What the answer takes in memory.
    pub(super) bytes: usize,
    /// The answer, if it is still in memory.
    pub(super) at_hand: Option<Arc<Record>>,
}

/// A line and its answer on their way to the store.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) identity: PaymentIdentity,
    pub(super) exchange: ExchangeId,
    pub(super) payment: Digest,
    pub(super) request: Digest,
    pub(super) outcome: Outcome,
}

/// Counters of a place of answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Answers by what became of them, since the start: `whole`, or the name of a [`Missing`].
    pub outcomes: Vec<(&'static str, u64)>,
    /// Bytes that are kept now.
    pub bytes: u64,
}

impl Answer {
    /// The same, in memory that was taken for it.
    pub(super) fn holding(mut self, share: Share) -> Self {
        self.share = Some(share);
        self
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.body.len().saturating_add(headers_bytes(&self.headers))
    }
}

/// Bytes that headers take.
pub(super) fn headers_bytes(headers: &[(Box<str>, Box<[u8]>)]) -> usize {
    headers.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum()
}

impl Missing {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::TooLong, Self::BrokenOff, Self::Part, Self::NoRoom];

    /// The word in the store and in metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::BrokenOff => "broken_off",
            Self::Part => "part",
            Self::NoRoom => "no_room",
        }
    }
}

impl Outcome {
    /// The word in the store and in metric labels.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Whole(_) => WHOLE,
            Self::Missing(missing) => missing.name(),
        }
    }
}

impl Record {
    /// What it takes in the store.
    pub(super) fn bytes(&self) -> usize {
        match &self.outcome {
            Outcome::Whole(answer) => answer.bytes().saturating_add(LINE_BYTES),
            Outcome::Missing(_) => LINE_BYTES,
        }
    }

    /// Its line, with the answer at hand.
    pub(super) fn line(self: &Arc<Self>) -> Line {
        Line {
            identity: self.identity.clone(),
            exchange: self.exchange,
            payment: self.payment,
            request: self.request,
            missing: match &self.outcome {
                Outcome::Whole(_) => None,
                Outcome::Missing(missing) => Some(*missing),
            },
            bytes: self.bytes(),
            at_hand: Some(Arc::clone(self)),
        }
    }
}

impl Line {
    pub(super) fn at_hand(&self) -> Option<Arc<Answer>> {
        match &self.at_hand.as_ref()?.outcome {
            Outcome::Whole(answer) => Some(Arc::clone(answer)),
            Outcome::Missing(_) => None,
        }
    }
}

/// The outcome of an answer that was kept.
pub(super) const WHOLE: &str = "whole";

/// What a line takes beside headers and body, with its place in the indexes.
pub(super) const LINE_BYTES: usize = 512;
