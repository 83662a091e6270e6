//! What a client still sends when it is answered already, read within bounds.

use std::time::Duration;

use http::header;
use pingora::proxy::Session;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Drained {
    Done,
    NotYet,
}

/// Reads a small body before the answer, so that the connection can be used again.
pub(super) async fn drain_before(session: &mut Session) -> Drained {
    if session.is_body_done() {
        return Drained::Done;
    }
    let headers = &session.req_header().headers;
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let small = length.and_then(|text| text.parse().ok()).is_some_and(|n: usize| n <= SMALL_MAX);
    if !small || headers.contains_key(header::EXPECT) {
        return Drained::NotYet;
    }
    drain(session, SMALL_MAX, SMALL_TIMEOUT).await;
    if session.is_body_done() { Drained::Done } else { Drained::NotYet }
}

/// Reads on after the answer: a client that sends its whole body before it listens would otherwise
/// see a reset connection in place of the terms.
pub(super) async fn drain_after(session: &mut Session) {
    if !session.req_header().headers.contains_key(header::EXPECT) {
        drain(session, DRAIN_BYTES_MAX, DRAIN_TIMEOUT).await;
    }
}

async fn drain(session: &mut Session, bytes_max: usize, timeout: Duration) {
    let reading = async {
        let mut left = bytes_max;
        while let Ok(Some(piece)) = session.read_request_body().await {
            match left.checked_sub(piece.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Out of time is as good as out of bytes: the connection closes. A client that pauses longer
    // than `client_timeout` ends the reading by itself.
    let _ = tokio::time::timeout(timeout, reading).await;
}

const SMALL_MAX: usize = 64 * 1024;
const SMALL_TIMEOUT: Duration = Duration::from_millis(500);
const DRAIN_BYTES_MAX: usize = 32 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
