//! The only code that knows pingora: its phases, and what is done in each.

pub mod admin;
mod admit;
mod again;
mod answer;
pub mod backends;
mod check;
mod count;
mod declined;
mod door;
pub mod exchange;
mod hall;
mod ids;
mod inspect;
pub mod keeping;
mod metered;
mod opening;
mod pace;
mod patient;
mod plain;
pub mod probe;
mod process;
mod record;
mod seek;
mod settle;
mod sign_in;
mod trace;
pub mod upstream;
mod weigh;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use ipnet::IpNet;
use pingora::connectors::http::Connector;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};

use crate::access::Access;
use crate::clock::{self, Clock};
use crate::discovery::Discovery;
use crate::fault::Fault;
use crate::limit::Limiter;
use crate::observe::Metrics;
use crate::payment::Payments;
use crate::refusal::{Refusal, Shape};
use crate::route::RouteTable;

use admit::Admitted;
use backends::More;
pub use check::Side;
pub use door::Door;
use exchange::Exchange;
pub use hall::{Hall, Leaving, Present};
pub use ids::Ids;
use inspect::Reader;
use keeping::Ended;
pub use opening::Bounds;
use patient::Leash;
pub use plain::Plain;
use upstream::Target;

/// Everything an exchange needs. One for the process; its parts are shared or snapshots.
pub struct Gateway {
    /// What is served now. An exchange keeps the one that it began with.
    pub now: Arc<ArcSwap<Snapshot>>,
    /// The money.
    pub payments: Payments,
    /// Counters and the log.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
    /// Bounds and trust.
    pub settings: Settings,
    /// Exchange ids.
    pub ids: Ids,
    /// Connections to upstreams whose answers are read by ourselves.
    pub wires: Arc<OnceLock<Connector>>,
}

/// What a reload exchanges, all at once.
#[derive(Debug)]
pub struct Snapshot {
    /// What is served, and for how much.
    pub routes: RouteTable,
    /// Upstreams by name.
    pub upstreams: HashMap<Box<str>, Arc<Target>>,
    /// Buckets.
    pub limiter: Arc<Limiter>,
    /// Who need not pay.
    pub access: Access,
    /// In whose words is refused what no route is for.
    pub refusals: Shape,
    /// What agents find where no route is.
    pub discovery: Discovery,
}

/// Bounds and trust at the listener.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who comes to it.
    pub side: Side,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// All header names and values of a request together.
    pub header_bytes_max: usize,
    /// A request's body, where the route has no bound of its own.
    pub body_bytes_max: u64,
    /// The longest pause of a client within a request or an answer.
    pub client_timeout: Duration,
    /// Seconds that an idle client connection stays open.
    pub keepalive_seconds: u64,
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        self.metrics.began();
        Exchange::begin(self.ids.next(), self.clock.now(), self.now.load_full())
    }

    /// None: pingora's compression would touch bodies.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> pingora::Result<bool> {
        if self.settings.side != Side::Processor {
            self.follow(session, exchange);
        }
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(self.settings.keepalive_seconds));
        }
        if let Some(leash) = Leash::of(session) {
            leash.judge();
        }
        session.set_read_timeout(Some(self.settings.client_timeout));
        session.set_write_timeout(Some(self.settings.client_timeout));
        match self.settings.side {
            Side::Clients => {}
            Side::Asker(asker) => {
                return Box::pin(self.check(session, exchange, asker)).await.map(|()| true);
            }
            Side::Processor => {
                return Box::pin(self.process(session, exchange)).await.map(|()| true);
            }
        }
        match self.admit(session, exchange).await {
            Ok(Admitted::Forward) => match exchange.take_metered() {
                // In a box: every request would have room for it otherwise, with a connection's.
                Some(held) => Box::pin(self.metered(session, exchange, held)).await?,
                None => return Ok(false),
            },
            Ok(Admitted::Preflight { allow }) => {
                let ours = answer::preflight(&session.req_header().headers, &allow)?;
                answer::give_ours(session, ours).await?;
            }
            Ok(Admitted::Page(page)) => {
                let ours = answer::page(&session.req_header().headers, &page)?;
                answer::give_ours(session, ours).await?;
            }
            Ok(Admitted::Again(given)) => {
                exchange.again();
                answer::again(session, &given).await?;
            }
            Err(refusal) => self.refuse(session, exchange, refusal).await?,
        }
        Ok(true)
    }

    async fn upstream_peer(
        &self,
        _: &mut Session,
        exchange: &mut Exchange,
    ) -> pingora::Result<Box<HttpPeer>> {
        self.choose(exchange).map_err(|refusal| self.stop(exchange, refusal))
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        exchange: &mut Exchange,
        error: Box<Error>,
    ) -> Box<Error> {
        let mut error = error;
        error.set_retry(self.missed(exchange, &error) == More::Some);
        error
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        exchange.tries.reached(clock::steady());
        // What was sent to an upstream that broke off at once is sent again from its start.
        exchange.body_bytes = 0;
        if let Some(keeping) = &mut exchange.keeping {
            keeping.forwarded();
        }
        match exchange.target() {
            Some(target) => target.prepare(request, exchange),
            None => Err(self.stop(exchange, Refusal::Internal)),
        }
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        last: bool,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        // What follows an upgrade is no body any more.
        if session.was_upgraded() {
            return Ok(());
        }
        if let Some(keeping) = &mut exchange.keeping {
            keeping.sent(body.as_deref().unwrap_or_default(), last);
        }
        let bytes = body.as_ref().map_or(0, Bytes::len);
        if last && bytes == 0 {
            // Of a piece without bytes pingora makes an end, and then the end.
            *body = None;
        }
        self.takes(exchange, bytes, last).map_err(|refusal| self.stop(exchange, refusal))
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> pingora::Result<()> {
        answer::strip_upstream(head);
        // An informational head is followed by another one; nothing is decided on it.
        if head.status.is_informational() && head.status != http::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(());
        }
        exchange.answered(head.status.as_u16());
        if head.status == http::StatusCode::SWITCHING_PROTOCOLS && !session.is_upgrade_req() {
            exchange.fault = Some("it switched protocols, which nobody asked for".into());
            return Err(self.stop(exchange, Refusal::UpstreamUnavailable));
        }
        self.conclude(session, exchange, head).await
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        last: bool,
        exchange: &mut Exchange,
    ) -> pingora::Result<Option<Duration>> {
        if let Some(keeping) = &mut exchange.keeping {
            keeping.received(body.as_deref().unwrap_or_default(), last);
        }
        Ok(None)
    }

    /// What an upstream may not say in its head it may not say behind its body either.
    async fn response_trailer_filter(
        &self,
        _: &mut Session,
        trailers: &mut HeaderMap,
        _: &mut Exchange,
    ) -> pingora::Result<Option<Bytes>> {
        for name in inspect::ours_alone(trailers) {
            trailers.remove(&name);
        }
        Ok(None)
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        exchange: &mut Exchange,
        reused: bool,
    ) -> Box<Error> {
        let mut error = error;
        let once = exchange.is_settled()
            || exchange.refusal.is_some()
            || session.response_written().is_some()
            || !session.req_header().method.is_idempotent()
            || session.as_ref().retry_buffer_truncated();
        if once {
            error.set_retry(false);
        } else {
            error.retry.decide_reuse(reused);
        }
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Exchange,
    ) -> FailToProxy {
        session.set_keepalive(None);
        // Nothing more comes from the upstream: a payment that is still held is let go.
        drop(exchange.take_held());
        let over = FailToProxy { error_code: 0, can_reuse_downstream: false };
        if session.response_written().is_some_and(|head| !head.status.is_informational()) {
            exchange.fault.get_or_insert_with(|| error.to_string().into());
            return over;
        }
        let Some(refusal) = exchange.refusal.take().or_else(|| self.meaning(error, exchange))
        else {
            return over;
        };
        let refusal = match exchange.take_prepaid() {
            Some(prepaid) => settle::not_served(prepaid, &refusal.message()),
            None => refusal,
        };
        let error_code = refusal.row().status;
        // A client that is gone does not hear it; the log still says it.
        let _ = self.refuse(session, exchange, refusal).await;
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    /// Refusals are expected and logged once, by us.
    fn suppress_error_log(&self, _: &Session, _: &Exchange, _: &Error) -> bool {
        true
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, exchange: &mut Exchange) {
        if let Some(keeping) = exchange.keeping.take() {
            if keeping.client_left() {
                exchange.fault.get_or_insert_with(|| CLIENT_LEFT.into());
            }
            let ended = if error.is_none() { Ended::Well } else { Ended::Badly };
            keeping.ended(ended);
        }
        if let Some(leash) = Leash::of(session) {
            leash.rest();
        }
        self.observe(session, exchange);
    }
}

impl Gateway {
    /// Answers with a refusal and keeps it for the log.
    async fn refuse(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        refusal: Refusal,
    ) -> pingora::Result<()> {
        if let Refusal::RequestMalformed(_) = refusal {
            // Where it ends is in doubt: nothing behind it is read as another request.
            session.set_keepalive(None);
        }
        exchange.broke_off(refusal.row().code);
        let reader = Reader::of(session.req_header());
        let answered = answer::refuse(session, &refusal, exchange.asked(reader)).await;
        exchange.refusal = Some(refusal);
        answered
    }

    /// Keeps a refusal for `fail_to_proxy`, which answers with it.
    fn stop(&self, exchange: &mut Exchange, refusal: Refusal) -> Box<Error> {
        let status = refusal.row().status;
        exchange.refusal = Some(refusal);
        let mut error = Error::new(ErrorType::HTTPStatus(status));
        error.set_retry(false);
        error
    }

    fn broke(&self, exchange: &mut Exchange, fault: &Fault) {
        self.metrics.fault(fault.side());
        exchange.fault = Some(fault.to_string().into());
    }
}

/// Who is at the other end of a connection; IPv4 within IPv6 is IPv4.
fn peer(session: &Session) -> Option<IpAddr> {
    session.client_addr()?.as_inet().map(|address| address.ip().to_canonical())
}

/// What the log says of an answer that was read to its end for nobody.
const CLIENT_LEFT: &str = "the client left before the end; its answer was read on to be kept";
