//! Where requests go: the address of each upstream, and what is added on the way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{HeaderName, HeaderValue, header};
use pingora::http::RequestHeader;
use pingora::upstreams::peer::{ALPN, HttpPeer};

use super::exchange::Exchange;
use super::inspect;
use crate::route::upstream::Http;

/// One upstream, as the proxy uses it.
#[derive(Debug)]
pub struct Backend {
    /// Where it is now; nothing while it cannot be reached.
    pub address: Arc<ArcSwapOption<SocketAddr>>,
    /// What it is called in the `Host` it is sent.
    pub authority: HeaderValue,
    /// The name its certificate must have; nothing: plain HTTP.
    pub server_name: Option<Box<str>>,
    /// What it is spoken to in.
    pub http: Http,
    /// Headers that it is sent with each request. Values may be secret.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Bound on connecting, the TLS handshake included.
    pub connect_timeout: Duration,
}

impl Backend {
    /// The peer for a request whose answer may take `answer_timeout`; nothing while away.
    pub fn peer(&self, answer_timeout: Duration) -> Option<Box<HttpPeer>> {
        let address = *self.address.load().as_deref()?;
        let name = self.server_name.as_deref();
        let mut peer = HttpPeer::new(address, name.is_some(), name.unwrap_or_default().to_owned());
        peer.options.connection_timeout = Some(self.connect_timeout);
        peer.options.total_connection_timeout = Some(self.connect_timeout);
        peer.options.read_timeout = Some(answer_timeout);
        peer.options.write_timeout = Some(answer_timeout);
        peer.options.idle_timeout = Some(IDLE_TIMEOUT);
        if self.http == Http::Two {
            peer.options.alpn = ALPN::H2;
            peer.options.max_h2_streams = STREAMS_MAX;
            peer.options.h2_stream_window_size = Some(STREAM_WINDOW_BYTES);
            peer.options.h2_connection_window_size = Some(CONNECTION_WINDOW_BYTES);
        }
        Some(Box::new(peer))
    }

    /// Whether it has an address now.
    pub fn is_up(&self) -> bool {
        self.address.load().is_some()
    }

    /// Makes a client's request into ours: proofs of payment off, who paid on.
    ///
    /// # Errors
    /// None with the values used here; pingora's own.
    pub fn prepare(&self, request: &mut RequestHeader, exchange: &Exchange) -> pingora::Result<()> {
        for name in inspect::ours_alone(&request.headers) {
            request.remove_header(&name);
        }
        if let Some(host) = request.headers.get(header::HOST).cloned() {
            request.insert_header("X-Forwarded-Host", host)?;
        }
        request.insert_header(header::HOST, self.authority.clone())?;
        if let Some(client) = exchange.client {
            request.append_header("X-Forwarded-For", client.to_string())?;
        }
        for (name, value) in exchange.told() {
            request.insert_header(name, value)?;
        }
        for (name, value) in &self.headers {
            request.insert_header(name.clone(), value.clone())?;
        }
        Ok(())
    }
}

/// A pooled connection that nobody used for so long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests on one connection of HTTP/2 at a time; more of them take another one.
const STREAMS_MAX: usize = 32;

/// What an upstream may send of one answer before its client takes it.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;

/// Room for all answers of a connection, so that one whose client is slow stops no other.
const CONNECTION_WINDOW_BYTES: u32 = 32 * STREAM_WINDOW_BYTES;
