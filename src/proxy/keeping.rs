//! The copy of a paid answer beside its stream, and the digest of the request that it answers.

use http::{HeaderMap, Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;

use super::inspect;
use super::patient::{Leash, Swallowing};
use super::weigh::read_before;
use crate::digest::{Digest, Digesting};
use crate::ledger::answers::{Copying, Going};

/// What is kept of one paid exchange. Dropped before its end, nothing is.
#[derive(Debug)]
pub struct Keeping {
    /// Of the request's head: where a request that is sent again begins anew.
    head: Digesting,
    request: Digesting,
    sent: Sent,
    answer: Answer,
    /// From the settlement on, the answer goes on without its client.
    swallowing: Option<Swallowing>,
}

/// Whether the whole request has gone to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Partly,
    Whole,
}

#[derive(Debug)]
enum Answer {
    NotYet,
    Streaming(Copying),
    Whole(Copying),
    HandedIn,
}

/// How an exchange has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Well,
    Badly,
}

impl Keeping {
    pub(super) fn of(request: &RequestHeader) -> Self {
        let head = digesting(request);
        let (sent, answer, swallowing) = (Sent::Partly, Answer::NotYet, None);
        Self { request: head.clone(), head, sent, answer, swallowing }
    }

    /// The request goes to an upstream, perhaps once more.
    pub(super) fn forwarded(&mut self) {
        (self.request, self.sent) = (self.head.clone(), Sent::Partly);
    }

    /// A piece of the request's body goes to the upstream.
    pub(super) fn sent(&mut self, piece: &[u8], last: bool) {
        self.request.add(piece);
        if last {
            self.sent = Sent::Whole;
        }
    }

    /// The answer begins, and is paid for. An upgrade is no answer that could be given again.
    pub(super) fn begins(&mut self, session: &Session, head: &ResponseHeader, copying: Copying) {
        let mut copying = copying;
        let length = head.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
        let no_body = session.req_header().method == Method::HEAD;
        let length = length.filter(|_| !no_body).and_then(|digits| digits.parse().ok());
        let going = copying.head(head.status.as_u16(), kept(&head.headers, no_body), length);
        self.answer = Answer::Streaming(copying);
        self.swallow(session, going);
    }

    fn swallow(&mut self, session: &Session, going: Going) {
        self.swallowing = match going {
            Going::On => Leash::of(session).map(|leash| leash.swallow()),
            Going::Over => None,
        };
    }

    /// A piece of the answer's body comes from the upstream. One that is not going to be kept is
    /// not read to its end for a client that has gone.
    pub(super) fn received(&mut self, piece: &[u8], last: bool) {
        let Answer::Streaming(copying) = &mut self.answer else { return };
        if copying.add(piece) == Going::Over {
            self.swallowing = None;
        }
        if last && let Answer::Streaming(copying) = self.take() {
            self.answer = Answer::Whole(copying);
            // The client may come back as soon as it has the last byte: it is handed in before.
            if self.sent == Sent::Whole {
                self.hand_in(Ended::Well);
            }
        }
    }

    /// The exchange is over.
    pub(super) fn ended(mut self, ended: Ended) {
        self.hand_in(ended);
    }

    /// Whether the client has left while its answer went on.
    pub(super) fn client_left(&self) -> bool {
        self.swallowing.as_ref().is_some_and(Swallowing::client_left)
    }

    fn hand_in(&mut self, ended: Ended) {
        let request = self.request.clone().end();
        match (self.take(), self.sent, ended) {
            (Answer::Whole(copying), Sent::Whole, _)
            | (Answer::Streaming(copying), Sent::Whole, Ended::Well) => copying.end(request),
            (Answer::Whole(copying) | Answer::Streaming(copying), _, _) => {
                copying.broke_off(request);
            }
            (Answer::NotYet | Answer::HandedIn, _, _) => {}
        }
    }

    fn take(&mut self) -> Answer {
        std::mem::replace(&mut self.answer, Answer::HandedIn)
    }
}

/// Reads the body of a request that asks for an answer of before, and gives the request's digest.
///
/// # Errors
/// `Err(None)`: the client is gone; else the bytes that are too many.
pub(super) async fn digest_of(
    session: &mut Session,
    bytes_max: u64,
    read: &mut u64,
) -> Result<Digest, Unread> {
    let mut digesting = digesting(session.req_header());
    if let Some(body) = read_before(session) {
        *read = u64::try_from(body.len()).unwrap_or(u64::MAX);
        digesting.add(&body);
        return Ok(digesting.end());
    }
    loop {
        match session.downstream_session.read_request_body().await {
            Ok(Some(piece)) => {
                *read = read.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                if *read > bytes_max {
                    return Err(Unread::TooLong);
                }
                digesting.add(&piece);
            }
            Ok(None) => return Ok(digesting.end()),
            Err(_) => return Err(Unread::BrokeOff),
        }
    }
}

/// Why a request's body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    TooLong,
    BrokeOff,
}

/// What makes two requests the same: method, host, path, query, and the body that follows.
fn digesting(request: &RequestHeader) -> Digesting {
    let (path, query) = inspect::target(request);
    let host = inspect::host(request).unwrap_or_default().to_ascii_lowercase();
    let method = request.method.as_str().as_bytes();
    let (asked, query) = (if query.is_some() { &b"?"[..] } else { b"" }, query.unwrap_or_default());
    Digesting::of(&[method, host.as_bytes(), path, asked, query])
}

/// The headers of an answer that belong to it and not to one connection. A `HEAD` answer keeps the
/// length of the body that it does not have.
fn kept(headers: &HeaderMap, no_body: bool) -> Vec<(Box<str>, Box<[u8]>)> {
    let kept = inspect::end_to_end(headers).into_iter();
    let kept = kept.filter(|(name, _)| no_body || **name != header::CONTENT_LENGTH);
    kept.map(|(name, value)| (name.as_str().into(), value.as_bytes().into())).collect()
}
