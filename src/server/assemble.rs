//! The parts of a running gateway, built from its configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderValue;

use super::supervise::{Patience, Program, Supervisor};
use super::{ServeError, resolve};
use crate::clock::Clock;
use crate::config::{Config, FacilitatorSettings, NetworkSettings, Switch};
use crate::facilitator::Facilitator;
use crate::facilitator::chain::{Chain, Reader, RpcUrl};
use crate::facilitator::http::{Http, Settings as Hosted};
use crate::facilitator::simulated::Simulated;
use crate::fault::Fault;
use crate::ledger::answers::Answers;
use crate::ledger::{Keep, Ledger};
use crate::limit::Limiter;
use crate::observe::{AccessLog, Metrics};
use crate::payment::Payments;
use crate::proxy::upstream::Backend;
use crate::proxy::{Gateway, Ids, Settings};
use crate::route::upstream::{Kind, Tls, Upstream};
use crate::route::{Charge, Route, RouteTable, SettleMoment};
use crate::x402::Network;

/// A gateway and what must live beside it.
pub(super) struct House {
    pub(super) gateway: Gateway,
    pub(super) metrics: Arc<Metrics>,
    pub(super) payments: Payments,
    /// How long the ledger keeps them.
    pub(super) keep: Keep,
    pub(super) limiter: Arc<Limiter>,
    pub(super) workers: Workers,
    /// Upstreams with a name that must be looked up.
    pub(super) named: Vec<Named>,
    /// Every upstream's address, to be shown.
    pub(super) addresses: Vec<(Box<str>, Address)>,
}

/// The bundled services that this process has started.
#[derive(Default)]
pub(super) struct Workers(pub(super) Vec<(Supervisor, Address)>);

/// An upstream whose name points somewhere.
pub(super) struct Named {
    pub(super) host: Box<str>,
    pub(super) port: u16,
    pub(super) address: Address,
}

type Address = Arc<ArcSwapOption<std::net::SocketAddr>>;

impl House {
    /// Starts bundled services, looks names up once.
    pub(super) async fn build(config: &Config, ledger: Ledger) -> Result<Self, ServeError> {
        let log = if config.server.access_log == Switch::On {
            AccessLog::to(std::io::stdout()).map_err(ServeError::Process)?
        } else {
            AccessLog::Off
        };
        let metrics = Arc::new(Metrics::new(log)?);
        let limiter = Arc::new(Limiter::new(&config.limits));
        let clock = Clock::System;
        let facilitators = facilitators(config)?;
        let settlers = (facilitators, readers(config)?);
        let payments = Payments::with_readers(ledger, settlers, clock.clone())
            .keeping(answers(config, &clock).await?);
        let mut parts = Parts::default();
        let mut backends = HashMap::new();
        for (name, upstream) in &config.upstreams {
            backends.insert(name.clone(), parts.backend(name, upstream).await?);
        }
        let routes = RouteTable::new(config.routes.clone());
        let routes = routes.map_err(|error| setting("the routes clash", error))?;
        let gateway = Gateway {
            routes: ArcSwap::from_pointee(routes),
            backends,
            limiter: Arc::clone(&limiter),
            payments: payments.clone(),
            metrics: Arc::clone(&metrics),
            clock,
            settings: settings(config),
            ids: Ids::new(process_id()?),
        };
        let Parts { workers, named, addresses } = parts;
        let keep = config.keep;
        Ok(Self { gateway, metrics, payments, keep, limiter, workers, named, addresses })
    }
}

#[derive(Default)]
struct Parts {
    workers: Workers,
    named: Vec<Named>,
    addresses: Vec<(Box<str>, Address)>,
}

impl Parts {
    async fn backend(&mut self, name: &str, upstream: &Upstream) -> Result<Backend, ServeError> {
        let address = Address::default();
        let (authority, server_name) = match &upstream.kind {
            Kind::Url { host, port, tls, sni } => {
                resolve::resolve_once(host, *port, &address).await;
                let (name, address) = (host.clone(), Arc::clone(&address));
                self.named.push(Named { host: name, port: *port, address });
                let server_name = (*tls == Tls::Verified).then(|| sni.clone());
                (authority(host, *port, *tls), server_name)
            }
            Kind::Bundled { service, parallel, queue } => {
                let program = Program::bundled(service.name(), *parallel, *queue)
                    .map_err(ServeError::Process)?;
                let supervisor = Supervisor::start(program, Patience::default());
                self.workers.0.push((supervisor, Arc::clone(&address)));
                (service.name().to_owned(), None)
            }
        };
        let authority = HeaderValue::try_from(authority)
            .map_err(|error| setting("an upstream's host is not a header value", error))?;
        self.addresses.push((name.into(), Arc::clone(&address)));
        let headers = upstream.headers.iter();
        Ok(Backend {
            address,
            authority,
            server_name,
            headers: headers.map(|(name, value)| (name.clone(), value.value().clone())).collect(),
            connect_timeout: upstream.connect_timeout,
        })
    }
}

impl Workers {
    /// Stops them all and waits for it.
    pub(super) async fn stop(self) {
        for (supervisor, _) in self.0 {
            supervisor.stop().await;
        }
    }
}

/// Where answers are kept, if some route keeps any or owes one.
async fn answers(config: &Config, clock: &Clock) -> Result<Answers, Fault> {
    let needs = |route: &Arc<Route>| {
        let priced = matches!(route.charge, Charge::Exact(_));
        let early = route.settle == SettleMoment::BeforeUpstream;
        priced && (early || route.keep_bytes_max.is_some())
    };
    if !config.routes.iter().any(needs) {
        return Ok(Answers::off());
    }
    Answers::open(&config.ledger, config.answers.bounds, clock.clone()).await
}

pub(super) fn facilitators(config: &Config) -> Result<HashMap<Arc<str>, Facilitator>, ServeError> {
    let built = config.facilitators.iter().map(|(name, settings)| {
        let facilitator = match settings.clone() {
            FacilitatorSettings::Simulated(settings) => {
                let simulated = Simulated::new(settings);
                let simulated =
                    simulated.map_err(|error| setting("a simulated chain cannot start", error))?;
                Facilitator::Simulated(Arc::new(simulated))
            }
            FacilitatorSettings::Http(settings) => hosted(settings)?,
            FacilitatorSettings::Chain(settings) => {
                let chain = Chain::start(settings)
                    .map_err(|error| setting("a chain cannot be spoken to", error))?;
                Facilitator::Chain(Arc::new(chain))
            }
        };
        Ok((Arc::from(&**name), facilitator))
    });
    built.collect()
}

/// Somebody else's, spoken to over HTTP.
pub(super) fn hosted(settings: Hosted) -> Result<Facilitator, ServeError> {
    let http = Http::new(settings);
    let http = http.map_err(|error| setting("a facilitator cannot be set up", error))?;
    Ok(Facilitator::Http(Arc::new(http)))
}

/// Who looks up what a hosted facilitator cannot tell.
pub(super) fn readers(config: &Config) -> Result<HashMap<Network, Reader>, ServeError> {
    let readable = config.networks.values().filter(|network| !network.rpc.is_empty());
    let of_network =
        |network: &NetworkSettings| Ok((network.network.clone(), reader(network.rpc.clone())?));
    readable.map(of_network).collect()
}

/// Reads the chain behind these nodes.
pub(super) fn reader(nodes: Vec<RpcUrl>) -> Result<Reader, ServeError> {
    let reader = Reader::new(nodes, READ_TIMEOUT, READ_CONFIRMATIONS);
    reader.map_err(|error| setting("a chain cannot be spoken to", error))
}

fn settings(config: &Config) -> Settings {
    let server = &config.server;
    Settings {
        trusted_proxies: server.trusted_proxies.clone(),
        header_bytes_max: usize::try_from(server.header_bytes_max).unwrap_or(usize::MAX),
        body_bytes_max: server.body_bytes_max,
        client_timeout: server.client_timeout,
        keepalive_seconds: server.keepalive.as_secs(),
    }
}

/// `host:port`, without the port that its scheme has anyway.
fn authority(host: &str, port: u16, tls: Tls) -> String {
    let usual = match tls {
        Tls::Plain => 80,
        Tls::Verified => 443,
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == usual { host } else { format!("{host}:{port}") }
}

fn process_id() -> Result<u64, ServeError> {
    getrandom::u64().map_err(|error| setting("the system has no random numbers", error))
}

pub(super) fn setting(
    what: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> ServeError {
    ServeError::Setting(what.into(), Some(Box::new(error)))
}

const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Recovery is in no hurry.
const READ_CONFIRMATIONS: u64 = 3;
