//! The upstream of one exchange, asked and read by ourselves: what it says at its end decides what
//! is paid, which none of pingora's own phases can wait for.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::proxy::Session;
use pingora::{Error, ErrorType};

use crate::clock;
use crate::proxy::backends::More;
use crate::proxy::exchange::Exchange;
use crate::proxy::upstream::{TRIES_MAX, trust};
use crate::proxy::weigh::read_before;
use crate::proxy::{Gateway, answer, inspect};
use crate::refusal::Refusal;

/// An upstream that has begun to answer. Dropped, its connection is closed.
pub(super) struct Wire {
    http: HttpSession,
    /// The final head.
    pub(super) head: ResponseHeader,
}

/// What is known of a request's body before it is sent on.
enum Body {
    None,
    Whole(Bytes),
    /// As long as its client says.
    Announced(HeaderValue),
    Chunked,
}

impl Gateway {
    /// Hands a request to its upstream, over a connection of its own, and waits for the final head.
    ///
    /// # Errors
    /// What the client is to be told.
    ///
    /// # Cancel safety
    /// The connection is closed.
    pub(super) async fn ask(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<Wire, Refusal> {
        let body = body_of(session);
        let mut http = self.connect(exchange).await?;
        let request = self.request(session, exchange, &body).map_err(|_| Refusal::Internal)?;
        if let Some(keeping) = &mut exchange.keeping {
            keeping.forwarded();
        }
        let sent = http.write_request_header(Box::new(request)).await;
        sent.map_err(|error| self.broken(error, exchange))?;
        self.send(session, exchange, &mut http, body).await?;
        let head = loop {
            let read = http.read_response_header().await;
            read.map_err(|error| self.broken(error, exchange))?;
            match http.response_header() {
                Some(head) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                    return Err(Refusal::UpstreamUnavailable);
                }
                // One of these is followed by another one.
                Some(head) if head.status.is_informational() => {}
                Some(head) => break head.clone(),
                None => return Err(Refusal::UpstreamUnavailable),
            }
        };
        exchange.answered(head.status.as_u16());
        Ok(Wire { http, head })
    }

    /// Connects to a backend; to another one where that fails.
    async fn connect(&self, exchange: &mut Exchange) -> Result<HttpSession, Refusal> {
        // It was made when the route was; if it is not there, it is made here.
        let wires = self.wires.get_or_init(trust::connector);
        let mut tries: usize = 0;
        loop {
            let peer = self.choose(exchange)?;
            tries = tries.saturating_add(1);
            let error = match wires.get_http_session(&*peer).await {
                Ok((mut http, _)) => {
                    exchange.tries.reached(clock::steady());
                    http.set_read_timeout(peer.options.read_timeout);
                    http.set_write_timeout(peer.options.write_timeout);
                    return Ok(http);
                }
                Err(error) => error,
            };
            if self.missed(exchange, &error) == More::None || tries >= TRIES_MAX {
                return Err(self.broken(error, exchange));
            }
        }
    }

    fn request(
        &self,
        session: &Session,
        exchange: &Exchange,
        body: &Body,
    ) -> pingora::Result<RequestHeader> {
        let asked = session.req_header();
        let (path, query) = inspect::target(asked);
        let target = match query {
            Some(query) => [path, b"?", query].concat(),
            None => path.to_vec(),
        };
        let mut request = RequestHeader::build(asked.method.clone(), &target, None)?;
        if let Some(authority) = asked.uri.authority() {
            request.insert_header(header::HOST, authority.as_str())?;
        }
        for (name, value) in inspect::end_to_end(&asked.headers) {
            if !NOT_SENT_ON.contains(name) {
                request.append_header(name.clone(), value.clone())?;
            }
        }
        // What is packed cannot be read on its way.
        request.insert_header(header::ACCEPT_ENCODING, "identity")?;
        match body {
            Body::None if matches!(asked.method, Method::GET | Method::HEAD) => {}
            Body::None => request.insert_header(header::CONTENT_LENGTH, "0")?,
            Body::Whole(body) => request.insert_header(header::CONTENT_LENGTH, body.len())?,
            Body::Announced(length) => {
                request.insert_header(header::CONTENT_LENGTH, length.clone())?;
            }
            Body::Chunked => request.insert_header(header::TRANSFER_ENCODING, "chunked")?,
        }
        match exchange.target() {
            Some(target) => target.prepare(&mut request, exchange)?,
            None => return Err(Error::new(ErrorType::InternalError)),
        }
        Ok(request)
    }

    /// Sends the body on as it comes.
    async fn send(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        http: &mut HttpSession,
        body: Body,
    ) -> Result<(), Refusal> {
        let mut whole = match body {
            Body::None => Some(Bytes::new()),
            Body::Whole(body) => Some(body),
            Body::Announced(_) | Body::Chunked => {
                answer::invite(session).await.map_err(|_| broke_off())?;
                None
            }
        };
        let read_before = whole.is_some();
        loop {
            let piece = match whole.take() {
                Some(body) if body.is_empty() => None,
                Some(body) => Some(body),
                None if read_before => None,
                None => session.read_request_body().await.map_err(|_| broke_off())?,
            };
            if let Some(keeping) = &mut exchange.keeping {
                keeping.sent(piece.as_deref().unwrap_or_default(), piece.is_none());
            }
            let Some(piece) = piece else { break };
            self.takes(exchange, piece.len(), false)?;
            // Who does not take it may have answered already.
            if http.write_request_body(piece, false).await.is_err() {
                return Ok(());
            }
        }
        // As above.
        let _ = http.finish_request_body().await;
        Ok(())
    }

    fn broken(&self, error: Box<Error>, exchange: &mut Exchange) -> Refusal {
        self.meaning(&error.into_up(), exchange).unwrap_or(Refusal::UpstreamUnavailable)
    }
}

impl Wire {
    /// The next piece of the body; nothing behind its end.
    ///
    /// # Errors
    /// It broke off, or `until` has passed.
    ///
    /// # Cancel safety
    /// What was read may be lost.
    pub(super) async fn next(
        &mut self,
        gateway: &Gateway,
        exchange: &mut Exchange,
        until: Instant,
    ) -> Result<Option<Bytes>, Refusal> {
        let reading = self.http.read_response_body();
        match tokio::time::timeout_at(until.into(), reading).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(gateway.broken(error, exchange)),
            Err(_) => {
                exchange.fault.get_or_insert_with(|| TOO_LONG.into());
                Err(Refusal::UpstreamTimeout)
            }
        }
    }
}

fn body_of(session: &mut Session) -> Body {
    if let Some(body) = read_before(session) {
        return Body::Whole(body);
    }
    if session.is_body_empty() {
        return Body::None;
    }
    match session.req_header().headers.get(header::CONTENT_LENGTH) {
        Some(length) => Body::Announced(length.clone()),
        None => Body::Chunked,
    }
}

fn broke_off() -> Refusal {
    Refusal::RequestMalformed("the request broke off".into())
}

/// Of a client's headers: what we say ourselves.
const NOT_SENT_ON: [header::HeaderName; 3] =
    [header::CONTENT_LENGTH, header::EXPECT, header::ACCEPT_ENCODING];

/// What the log says of an answer without end.
const TOO_LONG: &str = "the answer went on for longer than its payment is good";
