//! A collector of OpenTelemetry: takes what is posted to it, and remembers the spans.

use std::net::SocketAddr;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message;

use super::eventually;
use super::server::{Reply, Seen};
use super::upstream::Upstream;

/// A collector that takes everything, or answers by a rule.
pub struct Collector(Upstream);

impl Collector {
    pub async fn start() -> Self {
        Self::answering(|_| Reply::new(200)).await
    }

    pub async fn answering(rule: impl Fn(&Seen) -> Reply + Send + 'static) -> Self {
        Self(Upstream::answering(rule).await)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The section that sends spans here, with more lines in it.
    pub fn section(&self, lines: &str) -> String {
        section(self.address(), lines)
    }

    /// What was posted, as it came.
    pub fn posts(&self) -> Vec<Seen> {
        self.0.seen()
    }

    /// The spans that there are so far, with what they are of.
    pub fn resources(&self) -> Vec<ResourceSpans> {
        let read = |seen: Seen| {
            assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/v1/traces"));
            assert_eq!(seen.header("content-type"), "application/x-protobuf");
            ExportTraceServiceRequest::decode(&*seen.body).unwrap().resource_spans
        };
        self.posts().into_iter().flat_map(read).collect()
    }

    /// The spans that there are so far.
    pub fn spans(&self) -> Vec<Span> {
        let scopes = self.resources().into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// Waits for so many spans and for no others.
    pub async fn gets(&self, count: usize) -> Vec<Span> {
        let spans = eventually("the spans", async || {
            Some(self.spans()).filter(|spans| spans.len() >= count)
        });
        let spans = spans.await;
        let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
        assert_eq!(spans.len(), count, "{names:?}");
        spans
    }
}

/// The section that sends spans to this address, with more lines in it.
pub fn section(collector: SocketAddr, lines: &str) -> String {
    format!("[traces]\nendpoint = \"http://{collector}\"\n{lines}")
}

/// The answer of a collector that rejects so many spans of a batch.
pub fn rejects(rejected_spans: i64) -> Reply {
    let part = ExportTracePartialSuccess { rejected_spans, error_message: "too many".to_owned() };
    let answer = ExportTraceServiceResponse { partial_success: Some(part) };
    Reply::new(200).header("content-type", "application/x-protobuf").body(answer.encode_to_vec())
}

/// The one span of this name.
#[track_caller]
pub fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    let first = found.next().unwrap_or_else(|| panic!("no `{name}`: {spans:?}"));
    assert!(found.next().is_none(), "two of `{name}`: {spans:?}");
    first
}

/// What a span, or what it is of, says under this key; empty when it says nothing.
pub fn says(attributes: &[KeyValue], key: &str) -> String {
    let value = attributes.iter().find(|attribute| attribute.key == key);
    match value.and_then(|found| found.value.clone()).and_then(|found| found.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(other) => panic!("{key}: {other:?}"),
        None => String::new(),
    }
}

/// As it stands in a header.
pub fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
