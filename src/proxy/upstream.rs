//! Where requests go: how each upstream is spoken to, and what is added on the way.

pub mod trust;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use pingora::http::RequestHeader;
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::{ALPN, HttpPeer};
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use pingora::{Error, ErrorSource, ErrorType};

use super::Gateway;
use super::backends::{Backend, Backends, More, hash_of};
use super::exchange::Exchange;
use super::inspect;
use crate::clock;
use crate::fault::Side;
use crate::limit::ClientKey;
use crate::refusal::Refusal;
use crate::route::upstream::{Balance, Http, Tls};

/// One upstream, as the proxy uses it.
#[derive(Debug)]
pub struct Target {
    /// Where it is now.
    pub backends: Arc<Backends>,
    /// What it is spoken to in.
    pub http: Http,
    /// Whom to trust there, and as whom to come.
    pub trust: Trust,
    /// Headers that it is sent with each request. Values may be secret.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Bound on connecting, the TLS handshake included.
    pub connect_timeout: Duration,
}

/// Whom connections by TLS trust, and as whom they come.
#[derive(Debug, Default)]
pub struct Trust {
    /// Connections of one number are shared, of two never: who came as somebody to somebody else
    /// trusts nobody by it. 0: of all who say nothing.
    group: u64,
    authorities: Option<Arc<CaType>>,
    shown: Option<Arc<CertKey>>,
}

impl Trust {
    /// What was configured. Certificates can be parsed, and there is a first one to be shown.
    pub fn new(tls: &Tls) -> Self {
        static GROUPS: AtomicU64 = AtomicU64::new(1);
        if tls.authorities.is_empty() && tls.shown.is_none() {
            return Self::default();
        }
        let parsed = |der: &[u8]| WrappedX509::new(der.to_vec(), parse_x509);
        let authorities = tls.authorities.iter().map(|der| parsed(der));
        let authorities: Arc<CaType> = authorities.collect();
        let shown = tls.shown.as_ref().map(|shown| {
            let chain = shown.chain.iter().map(|der| der.to_vec()).collect();
            Arc::new(CertKey::new(chain, shown.key.to_vec()))
        });
        Self {
            group: GROUPS.fetch_add(1, Ordering::Relaxed),
            authorities: Some(authorities).filter(|some| !some.is_empty()),
            shown,
        }
    }
}

impl Target {
    /// The peer for a request whose answer may take `answer_timeout`.
    pub fn peer(&self, backend: &Backend, answer_timeout: Duration) -> Box<HttpPeer> {
        let name = backend.place.server_name.as_deref();
        let sni = name.unwrap_or_default().to_owned();
        let mut peer = HttpPeer::new(backend.address, name.is_some(), sni);
        peer.group_key = self.trust.group;
        peer.client_cert_key = self.trust.shown.clone();
        peer.options.ca = self.trust.authorities.clone();
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
        Box::new(peer)
    }

    /// Whether it can be asked now.
    pub fn is_up(&self) -> bool {
        self.backends.is_up()
    }

    /// The hash of what stays with one backend in an exchange; 0 where nothing does.
    fn key(&self, exchange: &Exchange) -> u64 {
        let client = || hash_of(&exchange.client.map(ClientKey::from));
        match self.backends.balance() {
            Balance::RoundRobin | Balance::LeastConnections => 0,
            Balance::HashIp => client(),
            Balance::HashPayer => match (&exchange.paid, exchange.signed_in()) {
                (Some(paid), _) => hash_of(&paid.payer),
                (None, Some(wallet)) => hash_of(&wallet.payer),
                (None, None) => client(),
            },
        }
    }

    /// Makes a client's request into ours, for the backend that it goes to.
    ///
    /// # Errors
    /// None with the values used here; pingora's own.
    pub fn prepare(&self, request: &mut RequestHeader, exchange: &Exchange) -> pingora::Result<()> {
        introduce(request, exchange)?;
        if let Some(host) = request.headers.get(header::HOST).cloned() {
            request.insert_header("X-Forwarded-Host", host)?;
        }
        if let Some(backend) = exchange.tries.backend() {
            request.insert_header(header::HOST, backend.place.authority.clone())?;
        }
        if let Some(client) = exchange.client {
            request.append_header("X-Forwarded-For", client.to_string())?;
        }
        for (name, value) in &self.headers {
            request.insert_header(name.clone(), value.clone())?;
        }
        Ok(())
    }
}

/// Takes proofs of payment off a request, and says who has paid.
///
/// # Errors
/// None with the values used here; pingora's own.
pub(super) fn introduce(request: &mut RequestHeader, exchange: &Exchange) -> pingora::Result<()> {
    for name in inspect::ours_alone(&request.headers) {
        request.remove_header(&name);
    }
    exchange.hand_on(request)?;
    exchange.told().try_for_each(|(name, value)| request.insert_header(name, value))
}

impl Gateway {
    /// The peer to hand an exchange to: of a backend that it was not handed to before, as long as
    /// there is one.
    ///
    /// # Errors
    /// None can be asked.
    pub(super) fn choose(&self, exchange: &mut Exchange) -> Result<Box<HttpPeer>, Refusal> {
        let found = exchange.target().cloned().zip(exchange.route.as_ref());
        let Some((target, route)) = found else { return Err(Refusal::UpstreamAway) };
        let (key, answer_timeout) = (target.key(exchange), route.answer_timeout);
        exchange.asks();
        match exchange.tries.next(&target.backends, key, clock::steady()) {
            Some(backend) => Ok(target.peer(backend, answer_timeout)),
            None => Err(Refusal::UpstreamAway),
        }
    }

    /// A backend could not be connected to. Nothing was sent, so another one may be asked, whatever
    /// is asked and whether it is paid for or not: says whether there is one.
    pub(super) fn missed(&self, exchange: &Exchange, error: &Error) -> More {
        match error.etype() {
            // Our own sockets are used up: no other backend has more of them.
            ErrorType::InternalError | ErrorType::SocketError | ErrorType::BindError => More::None,
            _ => exchange.tries.missed(clock::steady(), error),
        }
    }

    /// What a fault of pingora's means to the client; nothing when the client is gone.
    pub(super) fn meaning(&self, error: &Error, exchange: &mut Exchange) -> Option<Refusal> {
        let (kind, source) = (error.etype(), error.esource());
        let timeout = matches!(
            kind,
            ErrorType::ConnectTimedout
                | ErrorType::ReadTimedout
                | ErrorType::WriteTimedout
                | ErrorType::TLSHandshakeTimedout
        );
        exchange.fault = Some(error.to_string().into());
        match source {
            ErrorSource::Upstream => {
                self.metrics.fault(Side::Upstream);
                Some(if timeout { Refusal::UpstreamTimeout } else { Refusal::UpstreamUnavailable })
            }
            ErrorSource::Downstream => match kind {
                ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed => None,
                _ => Some(Refusal::RequestMalformed("the request broke off".into())),
            },
            ErrorSource::Internal | ErrorSource::Unset => {
                self.metrics.fault(Side::Ours);
                Some(Refusal::Internal)
            }
        }
    }
}

/// Backends that one exchange is handed to, one after the other.
pub const TRIES_MAX: usize = 3;

/// A pooled connection that nobody used for so long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests on one connection of HTTP/2 at a time; more of them take another one.
const STREAMS_MAX: usize = 32;

/// What an upstream may send of one answer before its client takes it.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;

/// Room for all answers of a connection, so that one whose client is slow stops no other.
const CONNECTION_WINDOW_BYTES: u32 = 32 * STREAM_WINDOW_BYTES;
