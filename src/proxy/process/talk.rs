//! The stream of gRPC in which Envoy tells of one exchange.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Version, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use prost::Message as _;

use super::messages::{HttpHeaders, Of, ProcessingRequest, ProcessingResponse, To};
use crate::proxy::{answer, inspect};

/// What was heard and not understood yet.
pub(super) struct Talk {
    heard: BytesMut,
    message_bytes_max: usize,
}

/// Why an exchange is not told of any further.
#[derive(Clone, Copy, Debug)]
pub(super) enum Broken {
    /// Envoy is gone, or has lost its client.
    Gone,
    /// Envoy says what it may not say here, or nothing, and answers its client with 500.
    Wrong(Code, &'static str),
}

/// How a stream of gRPC ends. Source: gRPC's `doc/statuscodes.md`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Code {
    /// Envoy goes on with whatever was not decided: only for what was.
    Ok,
    Cancelled,
    InvalidArgument,
    DeadlineExceeded,
    ResourceExhausted,
    FailedPrecondition,
    Unimplemented,
}

/// Whether a request is a call of the processor.
pub(super) fn is_call(session: &Session) -> bool {
    let request = session.req_header();
    let kind = request.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    request.version == Version::HTTP_2
        && request.method == Method::POST
        && inspect::target(request).0 == PROCESS
        && kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

impl Talk {
    /// Answers the call; messages follow, the longest that is read has twice the bytes of the
    /// longest head.
    ///
    /// # Errors
    /// Envoy is gone.
    pub(super) async fn begin(
        session: &mut Session,
        head_bytes_max: usize,
    ) -> pingora::Result<Self> {
        let mut head = ResponseHeader::build(200, Some(2))?;
        head.insert_header(header::CONTENT_TYPE, "application/grpc")?;
        answer::begin(session, head).await?;
        let message_bytes_max = head_bytes_max.saturating_mul(2).saturating_add(AROUND_BYTES);
        Ok(Self { heard: BytesMut::new(), message_bytes_max })
    }

    /// The request, with which every exchange begins.
    ///
    /// # Errors
    /// Nothing is told of, or something else.
    pub(super) async fn request(&mut self, session: &mut Session) -> Result<HttpHeaders, Broken> {
        match self.hear(session).await? {
            Some(Of::RequestHeaders(told)) => Ok(told),
            _ => Err(Broken::Wrong(Code::FailedPrecondition, HEADERS_ONLY)),
        }
    }

    /// The head of the answer.
    ///
    /// # Errors
    /// Nothing is told of, or something else.
    pub(super) async fn answer_head(
        &mut self,
        session: &mut Session,
    ) -> Result<HttpHeaders, Broken> {
        match self.hear(session).await? {
            Some(Of::ResponseHeaders(told)) => Ok(told),
            _ => Err(Broken::Wrong(Code::FailedPrecondition, HEADERS_ONLY)),
        }
    }

    /// Says no more.
    ///
    /// # Errors
    /// Envoy is gone.
    pub(super) async fn end(
        self,
        session: &mut Session,
        code: Code,
        why: &'static str,
    ) -> pingora::Result<()> {
        let mut trailers = HeaderMap::with_capacity(2);
        trailers.insert("grpc-status", HeaderValue::from_static(code.digits()));
        trailers.insert("grpc-message", HeaderValue::from_static(why));
        session.downstream_session.write_response_trailers(trailers).await
    }

    /// What is told of next; nothing: what has no name here.
    async fn hear(&mut self, session: &mut Session) -> Result<Option<Of>, Broken> {
        loop {
            if let Some(message) = self.understand()? {
                if message.observability_mode {
                    return Err(Broken::Wrong(Code::FailedPrecondition, NOT_WAITING));
                }
                return Ok(message.of);
            }
            match session.downstream_session.read_request_body().await? {
                Some(piece) => self.heard.extend_from_slice(&piece),
                None => return Err(Broken::Gone),
            }
        }
    }

    /// The next whole message of what was heard.
    fn understand(&mut self) -> Result<Option<ProcessingRequest>, Broken> {
        let Some(&[packed, a, b, c, d]) = self.heard.first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        if packed != 0 {
            return Err(Broken::Wrong(Code::Unimplemented, "compressed messages are not read"));
        }
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > self.message_bytes_max {
            return Err(Broken::Wrong(Code::ResourceExhausted, "the message is too long"));
        }
        let end = length.saturating_add(PREFIX_BYTES);
        if self.heard.len() < end {
            return Ok(None);
        }
        let message = self.heard.split_to(end).freeze().split_off(PREFIX_BYTES);
        let message = ProcessingRequest::decode(message);
        let unread = Broken::Wrong(Code::InvalidArgument, "the message cannot be read");
        message.map(Some).map_err(|_| unread)
    }
}

/// Tells Envoy what to do.
///
/// # Errors
/// Envoy is gone.
pub(super) async fn say(session: &mut Session, to: To) -> Result<(), Broken> {
    let message = framed(&ProcessingResponse { to: Some(to) });
    Ok(session.write_response_body(Some(message), false).await?)
}

/// A message behind its length. Source: gRPC's `doc/PROTOCOL-HTTP2.md`.
fn framed(message: &ProcessingResponse) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(length.saturating_add(PREFIX_BYTES));
    frame.put_u8(0);
    // Bounded by what we answer with, which is far less.
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode_raw(&mut frame);
    frame.freeze()
}

impl Code {
    const fn digits(self) -> &'static str {
        match self {
            Self::Ok => "0",
            Self::Cancelled => "1",
            Self::InvalidArgument => "3",
            Self::DeadlineExceeded => "4",
            Self::ResourceExhausted => "8",
            Self::FailedPrecondition => "9",
            Self::Unimplemented => "12",
        }
    }
}

impl From<Box<pingora::Error>> for Broken {
    fn from(_: Box<pingora::Error>) -> Self {
        Self::Gone
    }
}

const PROCESS: &[u8] = b"/envoy.service.ext_proc.v3.ExternalProcessor/Process";
const PREFIX_BYTES: usize = 5;

/// What stands around the headers in a message.
const AROUND_BYTES: usize = 64 * 1024;

const HEADERS_ONLY: &str =
    "processing_mode: request_headers and response_headers alone have to be sent, in this order";
const NOT_WAITING: &str = "observability_mode: nothing would wait for a payment";
