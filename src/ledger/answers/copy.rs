//! The copy of an answer that is made while the client is given its stream.

use std::sync::Arc;

use super::Inner;
use super::desk::Put;
use super::keeper::Op;
use super::record::{Answer, LINE_BYTES, Missing, Outcome, Record, headers_bytes};
use super::room::Share;
use crate::digest::Digest;
use crate::ledger::ExchangeId;
use crate::x402::PaymentIdentity;

/// An exchange whose answer is being made. Whoever comes back with its payment hears that.
#[derive(Debug)]
pub struct Running {
    inner: Option<Arc<Inner>>,
    identity: PaymentIdentity,
    exchange: ExchangeId,
}

/// A copy under way. Dropped, it is as if the answer had broken off.
#[derive(Debug)]
pub struct Copying {
    running: Running,
    payment: Digest,
    share: Option<Share>,
    bytes_max: usize,
    status: u16,
    headers: Vec<(Box<str>, Box<[u8]>)>,
    body: Vec<u8>,
    missing: Option<Missing>,
}

/// Whether a copy goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Going {
    /// It does.
    On,
    /// The answer will not be kept, whatever follows.
    Over,
}

impl Running {
    pub(super) fn begin(
        inner: Option<Arc<Inner>>,
        identity: PaymentIdentity,
        exchange: ExchangeId,
    ) -> Self {
        if let Some(inner) = &inner {
            inner.desk.begin(identity.clone(), exchange);
        }
        Self { inner, identity, exchange }
    }

    /// Begins to copy an answer to this payment, up to `bytes_max` bytes of body.
    pub fn copy(self, payment: Digest, bytes_max: usize) -> Copying {
        let mut share = self.inner.as_ref().map(|inner| inner.room.share());
        let room = share.as_mut().is_some_and(|share| share.grow(LINE_BYTES).is_ok());
        Copying {
            running: self,
            payment,
            share,
            bytes_max,
            status: 0,
            headers: Vec::new(),
            body: Vec::new(),
            missing: (!room).then_some(Missing::NoRoom),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(inner) = &self.inner {
            inner.desk.end(&self.identity, self.exchange);
        }
    }
}

impl Copying {
    /// Notes the head. `body_bytes` is what the body will have, where it is known.
    pub fn head(
        &mut self,
        status: u16,
        headers: Vec<(Box<str>, Box<[u8]>)>,
        body_bytes: Option<usize>,
    ) -> Going {
        let bytes = headers_bytes(&headers);
        (self.status, self.headers) = (status, headers);
        if status == PARTIAL_CONTENT {
            return self.give_up(Missing::Part);
        }
        if body_bytes.is_some_and(|bytes| bytes > self.bytes_max) {
            return self.give_up(Missing::TooLong);
        }
        if self.grow(bytes) == Going::Over {
            return Going::Over;
        }
        // Reserved at once where the length is known: no copy of a copy.
        let bytes = body_bytes.unwrap_or(0);
        if self.grow(bytes) == Going::On {
            self.body.reserve_exact(bytes);
        }
        self.going()
    }

    /// Adds a piece of the body.
    pub fn add(&mut self, piece: &[u8]) -> Going {
        if self.missing.is_some() {
            return Going::Over;
        }
        let bytes = self.body.len().saturating_add(piece.len());
        if bytes > self.bytes_max {
            return self.give_up(Missing::TooLong);
        }
        if bytes > self.body.capacity() {
            // Doubles, like the vector would, but asks first.
            let wanted = bytes.max(self.body.capacity().saturating_mul(2)).min(self.bytes_max);
            if self.grow(wanted.saturating_sub(self.body.capacity())) == Going::Over {
                return Going::Over;
            }
            self.body.reserve_exact(wanted.saturating_sub(self.body.len()));
        }
        self.body.extend_from_slice(piece);
        Going::On
    }

    /// Whether it still goes on.
    pub fn going(&self) -> Going {
        if self.missing.is_some() { Going::Over } else { Going::On }
    }

    /// The answer is whole: it is kept from now on, and written soon.
    pub fn end(mut self, request: Digest) {
        let outcome = match self.missing {
            Some(missing) => Outcome::Missing(missing),
            None => Outcome::Whole(Arc::new(Answer {
                status: self.status,
                headers: std::mem::take(&mut self.headers),
                body: std::mem::take(&mut self.body).into(),
                share: self.share.take(),
            })),
        };
        self.hand_in(outcome, request);
    }

    /// The answer has ended before its end.
    pub fn broke_off(self, request: Digest) {
        let missing = self.missing.unwrap_or(Missing::BrokenOff);
        self.hand_in(Outcome::Missing(missing), request);
    }

    fn hand_in(self, outcome: Outcome, request: Digest) {
        let Running { inner: Some(inner), identity, exchange } = &self.running else { return };
        let record = Arc::new(Record {
            identity: identity.clone(),
            exchange: *exchange,
            payment: self.payment,
            request,
            outcome,
        });
        let put = inner.desk.put(Arc::clone(&record));
        if put == Put::Here && inner.ops.send(Op::Keep(Arc::clone(&record))).is_err() {
            inner.desk.take(&record);
        }
        // Dropped here, behind the answer: it is under way until it is at the desk.
        drop(self.running);
    }

    fn grow(&mut self, bytes: usize) -> Going {
        match self.share.as_mut().map(|share| share.grow(bytes)) {
            Some(Ok(())) => self.going(),
            Some(Err(_)) | None => self.give_up(Missing::NoRoom),
        }
    }

    fn give_up(&mut self, missing: Missing) -> Going {
        self.missing.get_or_insert(missing);
        (self.headers, self.body) = (Vec::new(), Vec::new());
        if let Some(share) = &mut self.share {
            share.empty();
        }
        Going::Over
    }
}

const PARTIAL_CONTENT: u16 = 206;
