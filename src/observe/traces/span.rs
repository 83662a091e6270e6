//! The spans of an exchange, in the words for HTTP. Source: semantic conventions of OpenTelemetry
//! 1.37, HTTP spans.

use std::time::Instant;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::context::{SpanId, flags};
use super::{Behind, Joined, Kept, Leg, Server, Taken, Trace};
use crate::observe::{Observed, ObservedPayment};
use crate::route::Verb;

/// The span of an exchange, and those of the steps that it has come to.
pub(super) fn spans(trace: &Trace, observed: &Observed<'_>, server: &Server) -> Vec<Span> {
    let inner = |leg: &Leg, within, name| {
        leg.taken.map(|taken| step(&trace.joined, (leg.id, within), name, taken))
    };
    let (whole, verify) = (trace.joined.server, trace.verify.id);
    let mut settle = inner(&trace.settle, whole, SETTLE);
    if let (Some(span), Some(paid)) = (&mut settle, &observed.payment) {
        span.attributes.extend(transaction(paid.transaction));
    }
    let steps = [
        Some(own(trace, observed, server)),
        inner(&trace.verify, whole, "verify"),
        inner(&trace.reserve, verify, "reserve"),
        trace.upstream.taken.map(|taken| call(trace, observed, taken)),
        settle,
    ];
    steps.into_iter().flatten().collect()
}

/// The span of a settlement behind its answer.
pub(super) fn behind(
    Behind { joined, id, began }: &Behind,
    ended: Instant,
    outcome: Result<&str, &'static str>,
) -> Span {
    let taken = Taken { began: *began, ended, failure: outcome.err() };
    let mut span = step(joined, (*id, joined.server), SETTLE, taken);
    span.attributes.extend(transaction(outcome.ok()));
    span
}

/// The exchange itself. Who asked and who paid is not told: that is in the log, under the same ids.
fn own(trace: &Trace, observed: &Observed<'_>, server: &Server) -> Span {
    let method = method(observed);
    let ended = trace.began.checked_add(observed.total).unwrap_or(trace.began);
    let taken = Taken { began: trace.began, ended, failure: None };
    let mut span = step(&trace.joined, (trace.joined.server, trace.joined.server), "", taken);
    span.parent_span_id = trace.parent.map(SpanId::bytes).unwrap_or_default();
    span.flags |= if trace.parent.is_some() { PARENT_IS_REMOTE } else { 0 };
    span.name = name(method, observed);
    span.kind = SpanKind::Server.into();
    span.attributes.extend([
        text("http.request.method", method.unwrap_or("_OTHER")),
        text("url.scheme", &*server.scheme),
        text("url.path", observed.path),
        text("server.address", &*server.host),
        number("server.port", server.port.into()),
        text("network.protocol.version", observed.http),
        text("tollgate.exchange", observed.exchange.to_string()),
        text("tollgate.outcome", observed.outcome),
    ]);
    let template = observed.pattern.map(|pattern| text("http.route", pattern.path.to_string()));
    let words = [
        ("tollgate.refusal", observed.refusal),
        ("tollgate.reason", observed.reason),
        ("tollgate.bypass", observed.bypass),
        ("tollgate.fault", observed.fault),
    ];
    let words = words.into_iter().filter_map(|(key, word)| Some(text(key, word?)));
    span.attributes.extend(template.into_iter().chain(words));
    span.attributes.extend(observed.payment.iter().flat_map(paid));
    span.attributes.extend(observed.payment.iter().flat_map(|paid| transaction(paid.transaction)));
    if observed.status > 0 {
        span.attributes.push(number("http.response.status_code", observed.status.into()));
    }
    // Of what a client did wrong the gateway is not ill.
    if observed.status >= 500 {
        let status = || observed.status.to_string();
        fail(&mut span, observed.refusal.map_or_else(status, str::to_owned));
    }
    span
}

/// `POST images`: where a route has no name of its own, its path. Never the path of a request.
fn name(method: Option<&str>, observed: &Observed<'_>) -> String {
    let method = method.unwrap_or("HTTP");
    let Some((route, pattern)) = observed.route.zip(observed.pattern) else {
        return method.to_owned();
    };
    match route == pattern.to_string() {
        true => format!("{method} {}", pattern.path),
        false => format!("{method} {route}"),
    }
}

/// A method that is known: others are a client's to make up.
fn method<'a>(observed: &Observed<'a>) -> Option<&'a str> {
    Verb::named(observed.method).map(Verb::name)
}

/// What was bought, and for how much. An amount is text, as on the wire: it may be longer than a
/// number of theirs.
fn paid(paid: &ObservedPayment<'_>) -> [KeyValue; 3] {
    [
        text("tollgate.payment.network", paid.network),
        text("tollgate.payment.asset", paid.asset.to_string()),
        text("tollgate.payment.amount", paid.amount.to_string()),
    ]
}

fn transaction(hash: Option<&str>) -> Option<KeyValue> {
    hash.map(|hash| text("tollgate.payment.transaction", hash))
}

/// The question to the upstream.
fn call(trace: &Trace, observed: &Observed<'_>, taken: Taken) -> Span {
    let within = trace.joined.server;
    let mut span = step(&trace.joined, (trace.upstream.id, within), "upstream", taken);
    span.kind = SpanKind::Client.into();
    let method = method(observed).unwrap_or("_OTHER");
    span.attributes.push(text("http.request.method", method));
    if let Some(upstream) = &observed.upstream {
        span.name = format!("{method} {}", upstream.name);
        let scheme = if upstream.is_https { "https" } else { "http" };
        span.attributes.extend([
            text("tollgate.upstream", upstream.name),
            text("server.address", upstream.address.ip().to_string()),
            number("server.port", upstream.address.port().into()),
            // Without the query, which may hold secrets.
            text("url.full", format!("{scheme}://{}{}", upstream.authority, observed.path)),
        ]);
    }
    if let Some(status) = trace.status {
        span.attributes.push(number("http.response.status_code", status.into()));
        if status >= 400 {
            fail(&mut span, status.to_string());
        }
    }
    span
}

/// A step, so far as it is like all others.
fn step(joined: &Joined, (id, within): (SpanId, SpanId), name: &str, taken: Taken) -> Span {
    let Taken { began, ended, failure } = taken;
    let state = joined.state.as_ref().and_then(|state| state.to_str().ok());
    let mut span = Span {
        trace_id: joined.trace.bytes(),
        span_id: id.bytes(),
        parent_span_id: within.bytes(),
        trace_state: state.unwrap_or_default().to_owned(),
        flags: u32::from(flags(Kept::Yes)) | PARENT_IS_KNOWN,
        name: name.to_owned(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: joined.at(began),
        end_time_unix_nano: joined.at(ended),
        ..Span::default()
    };
    if let Some(failure) = failure {
        fail(&mut span, failure);
    }
    span
}

fn fail(span: &mut Span, why: impl Into<String>) {
    let why = why.into();
    span.attributes.push(text("error.type", why.clone()));
    span.status = Some(Status { message: why, code: StatusCode::Error.into() });
}

pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    of(key, Value::StringValue(value.into()))
}

fn number(key: &str, value: i64) -> KeyValue {
    of(key, Value::IntValue(value))
}

fn of(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

const SETTLE: &str = "settle";

/// Whether a span's parent is somebody else's is said. Source: OTLP, `SpanFlags`.
const PARENT_IS_KNOWN: u32 = 0x100;
/// It is.
const PARENT_IS_REMOTE: u32 = 0x200;
