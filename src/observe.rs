//! What is seen of an exchange once it is over: one line, and the counters.

pub mod access;
pub mod certificates;
mod ledger;
pub mod metrics;
mod rows;
pub mod traces;

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use crate::clock::UnixMillis;
use crate::ledger::ExchangeId;
use crate::route::Pattern;
use crate::x402::Account;

pub use access::AccessLog;
pub use metrics::{METRICS, Metrics};
pub use traces::{Step, Trace};

/// One finished exchange, as it is logged. Holds no secret and no payment header.
#[derive(Debug, Serialize)]
pub struct Observed<'a> {
    /// When it began.
    #[serde(rename = "unix_ms")]
    pub began: UnixMillis,
    /// Its id, which the upstream and the ledger know too.
    #[serde(serialize_with = "text")]
    pub exchange: ExchangeId,
    /// The trace that it is a part of.
    #[serde(serialize_with = "trace_id", rename = "trace_id")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<&'a Trace>,
    /// HTTP method.
    pub method: &'a str,
    /// Path without query, cut at [`PATH_CHARS_MAX`].
    pub path: &'a str,
    /// Name of the route; absent when none was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'a str>,
    /// What the route is for.
    #[serde(skip)]
    pub pattern: Option<&'a Pattern>,
    /// Version of HTTP that its client speaks.
    #[serde(skip)]
    pub http: &'static str,
    /// Where it went.
    #[serde(skip)]
    pub upstream: Option<ObservedUpstream<'a>>,
    /// Who asked, as far as proxies can be trusted.
    pub client: IpAddr,
    /// HTTP status that was sent; 0: none.
    pub status: u16,
    /// `free`, `bypass`, `free_first`, `signed_in`, `paid`, `at_risk`, `released`, `again`,
    /// `client_gone`, or the code of a refusal.
    pub outcome: &'a str,
    /// As whom it need not be paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bypass: Option<&'a str>,
    /// The wallet that was let in for what it has paid a while ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_in: Option<Account>,
    /// The code of what was refused, if something was.
    #[serde(skip)]
    pub refusal: Option<&'static str>,
    /// The protocol's reason for a refused payment or sign-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// The payment, if one was proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<ObservedPayment<'a>>,
    /// From the first byte of the request to the last of the answer.
    #[serde(serialize_with = "micros", rename = "total_us")]
    pub total: Duration,
    /// Lengths of the stages that were reached.
    pub stages: Stages,
    /// Body bytes received.
    pub bytes_in: u64,
    /// Body bytes sent.
    pub bytes_out: u64,
    /// What broke, for us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'a str>,
}

/// The payment of a finished exchange.
#[derive(Debug, Serialize)]
pub struct ObservedPayment<'a> {
    /// Who paid.
    pub payer: Account,
    /// CAIP-2 network.
    pub network: &'a str,
    /// What is paid in.
    #[serde(skip)]
    pub asset: Account,
    /// Atomic units.
    pub amount: u128,
    /// Hash of the transfer, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<&'a str>,
    /// Whether the money has moved in this exchange.
    #[serde(skip)]
    pub moved: bool,
}

/// The backend that a finished exchange was handed to last.
#[derive(Clone, Copy, Debug)]
pub struct ObservedUpstream<'a> {
    /// Of its upstream.
    pub name: &'a str,
    /// Where it is.
    pub address: SocketAddr,
    /// What it is called.
    pub authority: &'a str,
    /// Whether it is spoken to by TLS.
    pub is_https: bool,
}

/// How long the stages took.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Stages {
    /// From presenting the payment to holding it verified.
    #[serde(serialize_with = "some_micros", rename = "verify_us")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<Duration>,
    /// From forwarding to the upstream's final header.
    #[serde(serialize_with = "some_micros", rename = "upstream_us")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Duration>,
    /// From that header to the settlement's outcome.
    #[serde(serialize_with = "some_micros", rename = "settle_us")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settle: Option<Duration>,
}

impl Stages {
    /// Those that there were, in milliseconds. Source: W3C Server Timing.
    pub fn server_timing(&self) -> String {
        let stages =
            [("verify", self.verify), ("upstream", self.upstream), ("settle", self.settle)];
        let mut text = String::new();
        for (name, length) in stages {
            let Some(length) = length.map(Millis) else { continue };
            let comma = if text.is_empty() { "" } else { ", " };
            // A string takes everything.
            let _ = write!(text, "{comma}{name};dur={length}");
        }
        text
    }
}

/// A length in milliseconds, to the microsecond.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0.as_millis(), self.0.subsec_micros() % 1_000)
    }
}

/// Characters of a path that are logged.
pub const PATH_CHARS_MAX: usize = 256;

fn text<S: serde::Serializer>(
    value: &impl std::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn trace_id<S: serde::Serializer>(
    trace: &Option<&Trace>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match trace {
        Some(trace) => serializer.collect_str(&trace.id()),
        None => serializer.serialize_none(),
    }
}

fn micros<S: serde::Serializer>(length: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(length.as_micros()).unwrap_or(u64::MAX))
}

fn some_micros<S: serde::Serializer>(
    length: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    micros(&length.unwrap_or_default(), serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timing_has_the_stages_that_there_were() {
        let verify = Some(Duration::from_micros(1_042));
        let settle = Some(Duration::from_secs(2));
        let stages = Stages { verify, upstream: None, settle };
        assert_eq!(stages.server_timing(), "verify;dur=1.042, settle;dur=2000.000");
    }
}
