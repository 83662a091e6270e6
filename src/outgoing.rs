//! The HTTP client of whatever the gateway asks by itself: facilitators, nodes, an authority, a
//! collector.

use http::HeaderName;
use reqwest::{Client, ClientBuilder, redirect, retry};

/// One that does nothing of its own accord: it follows no redirect, uses no proxy of the
/// environment, tells nobody where it was before, and repeats nothing. A second `/settle` could be
/// refused as used, although the first one moved the money. Limits of time are the caller's.
pub fn client() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .retry(retry::never())
}

/// Where whoever is asked is told of the trace and of the span that asks. Source: W3C Trace
/// Context.
pub const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
