//! What comes on a connection before there is a request to judge, and how long it may take.

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

/// What a client may ask of a connection's patience.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long it may not take a byte, and how long the head of a request may take to come.
    pub stall_max: Duration,
    /// Bytes of a head. A little more is answered; whoever sends much more is not.
    pub head_bytes_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Http1,
    Http2,
}

/// On HTTP/1 each head, on HTTP/2 the connection's first bytes. pingora bounds each pause in it,
/// and not their sum.
pub(super) struct Opening {
    bounds: Bounds,
    speaks: Speaks,
    bytes: usize,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Opening {
    pub(super) fn new(bounds: Bounds, speaks: Speaks) -> Self {
        Self { bounds, speaks, bytes: 0, deadline: None }
    }

    /// So many bytes were read to see what is spoken.
    pub(super) fn peeked(&mut self, bytes: usize, speaks: Speaks) {
        (self.bytes, self.speaks) = (bytes, speaks);
    }

    /// A request runs; what comes next begins anew.
    pub(super) fn is_over(&mut self) {
        if self.bytes > 0 {
            (self.bytes, self.deadline) = (0, None);
        }
    }

    /// Ends the connection of a client whose request does not come to its point. `read` is what has
    /// come of it now.
    pub(super) fn read(
        &mut self,
        context: &mut Context<'_>,
        read: Poll<Result<usize>>,
    ) -> Poll<Result<usize>> {
        let (begun, bytes_max) = match self.speaks {
            Speaks::Http2 if self.bytes >= PREFACE.len() => return read,
            Speaks::Http2 => (true, usize::MAX),
            Speaks::Http1 => (self.bytes > 0, self.bounds.head_bytes_max.saturating_mul(ROOM)),
        };
        match read {
            Poll::Ready(Ok(bytes)) => {
                // What comes with the end of a head may be the beginning of a long body.
                let too_long = self.bytes > bytes_max;
                self.bytes = self.bytes.saturating_add(bytes);
                match too_long {
                    true => Poll::Ready(Err(Error::other("the head of a request is too long"))),
                    false => read,
                }
            }
            Poll::Pending if begun => {
                let wait_max = self.bounds.stall_max;
                let deadline = || Box::pin(tokio::time::sleep(wait_max));
                let deadline = self.deadline.get_or_insert_with(deadline);
                ready!(deadline.as_mut().poll(context));
                Poll::Ready(Err(ErrorKind::TimedOut.into()))
            }
            read => read,
        }
    }
}

/// With what a connection of HTTP/2 begins. Source: RFC 9113 §3.4.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How many times as long as a head may be what is read of one, so that it can be refused in words.
const ROOM: usize = 2;
