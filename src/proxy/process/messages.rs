//! What Envoy and an external processor say to one another, as far as it is said here. Source:
//! `envoy/service/ext_proc/v3/external_processor.proto` and `envoy/config/core/v3/base.proto`.

use bytes::Bytes;
use prost::{Message, Oneof};

/// From Envoy.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ProcessingRequest {
    /// What it tells of.
    #[prost(oneof = "Of", tags = "2, 3, 4, 5, 6, 7")]
    pub(super) of: Option<Of>,
    /// Whether it goes on without waiting for what it is told.
    #[prost(bool, tag = "10")]
    pub(super) observability_mode: bool,
}

/// What Envoy tells of.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Of {
    #[prost(message, tag = "2")]
    RequestHeaders(HttpHeaders),
    #[prost(message, tag = "3")]
    ResponseHeaders(HttpHeaders),
    #[prost(message, tag = "4")]
    RequestBody(Unread),
    #[prost(message, tag = "5")]
    ResponseBody(Unread),
    #[prost(message, tag = "6")]
    RequestTrailers(Unread),
    #[prost(message, tag = "7")]
    ResponseTrailers(Unread),
}

/// The head of a request or of an answer.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HttpHeaders {
    #[prost(message, optional, tag = "1")]
    pub(super) headers: Option<HeaderMap>,
}

/// What is not looked at.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Unread {}

/// Names are in lower case; those of pseudo-headers begin with a colon.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HeaderMap {
    #[prost(message, repeated, tag = "1")]
    pub(super) headers: Vec<HeaderValue>,
}

/// One header.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HeaderValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    /// Of an Envoy that knows text only.
    #[prost(string, tag = "2")]
    pub(super) value: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) raw_value: Bytes,
}

/// To Envoy.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ProcessingResponse {
    #[prost(oneof = "To", tags = "1, 2, 7")]
    pub(super) to: Option<To>,
}

/// What Envoy is to do.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum To {
    /// Forward the request with these changes.
    #[prost(message, tag = "1")]
    RequestHeaders(HeadersResponse),
    /// Hand the answer on with these changes.
    #[prost(message, tag = "2")]
    ResponseHeaders(HeadersResponse),
    /// Answer its client with this.
    #[prost(message, tag = "7")]
    Immediate(ImmediateResponse),
}

/// Changes, around the word to go on, which is the default.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HeadersResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) response: Option<CommonResponse>,
}

/// The same.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CommonResponse {
    #[prost(message, optional, tag = "2")]
    pub(super) header_mutation: Option<HeaderMutation>,
}

/// Changes of a head: what is removed goes first.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HeaderMutation {
    #[prost(message, repeated, tag = "1")]
    pub(super) set_headers: Vec<HeaderValueOption>,
    #[prost(string, repeated, tag = "2")]
    pub(super) remove_headers: Vec<String>,
}

/// One header, and what becomes of those of its name.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HeaderValueOption {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<HeaderValue>,
    /// [`APPEND`] or [`OVERWRITE`].
    #[prost(int32, tag = "3")]
    pub(super) append_action: i32,
}

/// An answer that comes from nowhere else.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ImmediateResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<HttpStatus>,
    #[prost(message, optional, tag = "2")]
    pub(super) headers: Option<HeaderMutation>,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) body: Bytes,
    /// A word for Envoy's log.
    #[prost(string, tag = "5")]
    pub(super) details: String,
}

/// A status of HTTP.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HttpStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
}

/// `APPEND_IF_EXISTS_OR_ADD`.
pub(super) const APPEND: i32 = 0;
/// `OVERWRITE_IF_EXISTS_OR_ADD`.
pub(super) const OVERWRITE: i32 = 2;
