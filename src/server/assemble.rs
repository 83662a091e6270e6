//! The parts of a running gateway, built from its configuration.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora::connectors::http::Connector;
use tokio::task::JoinHandle;

use super::ServeError;
use super::certified::Certified;
use super::upstreams::{Upstreams, Workers};
use crate::access::Access;
use crate::clock::{Clock, UnixMillis};
use crate::config::{Config, FacilitatorSettings, NetworkSettings};
use crate::discovery::Discovery;
use crate::facilitator::chain::{Chain, Lanes, Reader, Settings as Own, evm, svm};
use crate::facilitator::http::{Http, Settings as Hosted};
use crate::facilitator::simulated::Simulated;
use crate::facilitator::{Facilitator, Pool};
use crate::fault::Fault;
use crate::ledger::answers::Answers;
use crate::ledger::{Keep, Ledger};
use crate::limit::{Limiter, Shared, Store, whole_seconds};
use crate::observe::traces::{Exporter, Traces};
use crate::observe::{AccessLog, Metrics};
use crate::payment::Payments;
use crate::proxy::upstream::trust;
use crate::proxy::{Gateway, Ids, Settings, Side, Snapshot};
use crate::route::{FeePayer, OfferedBy, Route, RouteTable, SettleMoment};
use crate::x402::Network;

/// A gateway and what must live beside it.
pub(super) struct House {
    pub(super) gateway: Gateway,
    /// The same for proxies that ask, where some do.
    pub(super) check: Option<Gateway>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) payments: Payments,
    /// How long the ledger keeps them.
    pub(super) keep: Keep,
    /// What a reload exchanges.
    pub(super) now: Arc<ArcSwap<Snapshot>>,
    pub(super) upstreams: Upstreams,
    pub(super) workers: Workers,
    /// What sends the spans of traces, where there are any.
    pub(super) exporter: Option<Exporter>,
    /// Limits in common with other gateways.
    pub(super) shared: Option<Arc<Shared>>,
    /// What clients who come by TLS are shown.
    pub(super) certified: Certified,
    /// Of our own signers.
    pub(super) lanes: Lanes,
    /// Connections to upstreams whose answers say what they cost.
    pub(super) wires: Arc<OnceLock<Connector>>,
}

impl House {
    /// Starts bundled services, looks names up once.
    pub(super) async fn build(config: &mut Config, ledger: Ledger) -> Result<Self, ServeError> {
        let log = config.server.access_log.map(|form| AccessLog::to(std::io::stdout(), form));
        let log = log.transpose().map_err(ServeError::Process)?.unwrap_or(AccessLog::Off);
        let (traces, exporter) = traces(config)?.unzip();
        let metrics = Arc::new(Metrics::new(log, traces, ledger.lag())?);
        let certified = Certified::start(config)?;
        let clock = Clock::System;
        let lanes = Lanes::default();
        let facilitators = facilitators(config, &lanes)?;
        let settlers = (facilitators, readers(config)?);
        let answers = answers(config, &ledger, &clock).await?;
        if lets_in(config) {
            ledger.index_settled().await?;
        }
        let payments = Payments::with_readers(ledger, settlers, clock.clone()).keeping(answers);
        let (upstreams, workers) = Upstreams::start(&config.upstreams).await?;
        let shared = shared(config).await?;
        let limiter = Limiter::new(&config.limits, shared.clone());
        if let Some(routes) = told(&config.routes, &payments.pool(), clock.now()) {
            config.routes = routes;
        }
        let snapshot = snapshot(config, &upstreams, limiter)?;
        // Who starts is not asked for them at once.
        drop(documents(&snapshot));
        let now = Arc::new(ArcSwap::from_pointee(snapshot));
        let wires = Arc::default();
        connected(&wires, &config.routes).await;
        let gateway = |side| {
            Ok::<_, ServeError>(Gateway {
                now: Arc::clone(&now),
                payments: payments.clone(),
                metrics: Arc::clone(&metrics),
                clock: clock.clone(),
                settings: settings(config, side),
                ids: Ids::new(process_id()?),
                wires: Arc::clone(&wires),
            })
        };
        let check = config.check.map(|check| gateway(check.asked_by.into())).transpose()?;
        let gateway = gateway(Side::Clients)?;
        let keep = config.keep;
        Ok(Self {
            gateway,
            check,
            metrics,
            payments,
            keep,
            now,
            upstreams,
            workers,
            exporter,
            shared,
            certified,
            lanes,
            wires,
        })
    }
}

/// Who follows exchanges and who sends what comes of it, if that is wanted.
fn traces(config: &Config) -> Result<Option<(Traces, Exporter)>, ServeError> {
    let traces = config.traces.as_ref().map(Traces::new).transpose();
    traces.map_err(|error| setting("traces cannot be sent", error))
}

/// The limits that are shared with other gateways, if any are. It starts without them.
async fn shared(config: &Config) -> Result<Option<Arc<Shared>>, ServeError> {
    let Some(store) = &config.limits.store else { return Ok(None) };
    let shared = self::limits(store)?;
    if let Err(why) = shared.connect().await {
        shared.told_alone(&why);
    }
    Ok(Some(Arc::new(shared)))
}

/// Limits at this place.
pub(super) fn limits(store: &Store) -> Result<Shared, ServeError> {
    let shared = Shared::new(&store.url, store.timeout);
    shared.map_err(|error| setting("limits cannot be shared", error))
}

/// These routes as they are told by whoever pays fees now, where that changes any.
pub(super) fn told(routes: &[Arc<Route>], pool: &Pool, now: UnixMillis) -> Option<Vec<Arc<Route>>> {
    let payers = |by: &OfferedBy| {
        let (key, facilitators) = pool.fee_payer(&by.facilitators, &by.offer)?;
        Some(FeePayer { key, facilitators: facilitators.into() })
    };
    let until = now.plus(FEE_PAYER_GRACE);
    let changed: Vec<_> = routes.iter().map(|route| route.told(&payers, until, now)).collect();
    let some = changed.iter().any(Option::is_some);
    let both = routes.iter().zip(changed);
    some.then(|| both.map(|(old, new)| new.map_or_else(|| Arc::clone(old), Arc::new)).collect())
}

/// What is served by a configuration.
pub(super) fn snapshot(
    config: &Config,
    upstreams: &Upstreams,
    limiter: Limiter,
) -> Result<Snapshot, ServeError> {
    let routes = RouteTable::new(config.routes.clone());
    let public_url = config.server.public_url.as_deref();
    let discovery = Discovery::new(&config.discovery, public_url, &config.routes);
    Ok(Snapshot {
        routes: routes.map_err(|error| setting("the routes clash", error))?,
        upstreams: upstreams.targets(),
        limiter: Arc::new(limiter),
        access: Access::new(config.bypasses.clone(), Arc::clone(&config.block)),
        refusals: config.refusals,
        discovery,
    })
}

/// Makes what connects to upstreams whose answers say what they cost, where a route has one. It
/// reads whom the system trusts, which takes milliseconds: beside the requests.
pub(super) async fn connected(wires: &Arc<OnceLock<Connector>>, routes: &[Arc<Route>]) {
    if routes.iter().any(|route| route.charge.is_by_usage()) {
        let wires = Arc::clone(wires);
        let made = tokio::task::spawn_blocking(move || {
            wires.get_or_init(trust::connector);
        });
        // Who needs it makes it then.
        let _ = made.await;
    }
}

/// Makes what agents find in a snapshot, beside the requests.
pub(super) fn documents(snapshot: &Snapshot) -> JoinHandle<()> {
    let discovery = snapshot.discovery.clone();
    tokio::task::spawn_blocking(move || {
        discovery.make();
    })
}

/// Where answers are kept and sign-ins remembered, if some route keeps any, owes one, or lets
/// wallets in.
async fn answers(config: &Config, ledger: &Ledger, clock: &Clock) -> Result<Answers, Fault> {
    if !needs_answers(config) {
        return Ok(Answers::off());
    }
    Answers::open(&config.ledger, ledger, config.answers.bounds, clock.clone()).await
}

/// Whether some route keeps an answer, may owe one, or lets wallets in by their signature.
pub(super) fn needs_answers(config: &Config) -> bool {
    let needs = |route: &Arc<Route>| {
        let early = route.settle == SettleMoment::BeforeUpstream;
        route.charge.is_priced() && (early || route.keep_bytes_max.is_some())
    };
    lets_in(config) || config.routes.iter().any(needs)
}

/// Whether some route lets wallets in by their signature.
pub(super) fn lets_in(config: &Config) -> bool {
    let mut terms = config.routes.iter().flat_map(|route| route.charge.all());
    terms.any(|terms| terms.declared.sign_in.is_some())
}

/// All that are configured. Our own signers have their lanes among `lanes`.
pub(super) fn facilitators(
    config: &Config,
    lanes: &Lanes,
) -> Result<HashMap<Arc<str>, Facilitator>, ServeError> {
    let built = config.facilitators.iter().map(|(name, settings)| {
        let facilitator = match settings.clone() {
            FacilitatorSettings::Simulated(settings) => {
                let simulated = Simulated::new(settings);
                let simulated =
                    simulated.map_err(|error| setting("a simulated chain cannot start", error))?;
                Facilitator::Simulated(Arc::new(simulated))
            }
            FacilitatorSettings::Http(settings) => hosted(settings)?,
            FacilitatorSettings::Chain(settings) => own(settings, lanes)?,
        };
        Ok((Arc::from(&**name), facilitator))
    });
    built.collect()
}

/// Our own signers.
pub(super) fn own(settings: Own, lanes: &Lanes) -> Result<Facilitator, ServeError> {
    let chain = Chain::start(settings, lanes);
    let chain = chain.map_err(|error| setting("a chain cannot be spoken to", error))?;
    Ok(Facilitator::Chain(Arc::new(chain)))
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
    let of_network = |NetworkSettings { network, rpc, .. }: &NetworkSettings| {
        Ok((network.clone(), reader(network, rpc.clone())?))
    };
    readable.map(of_network).collect()
}

/// Reads the chain of a network behind these nodes.
pub(super) fn reader(network: &Network, nodes: Vec<evm::RpcUrl>) -> Result<Reader, ServeError> {
    let reader = match network.chain_id() {
        Some(id) => evm::Reader::new(id, nodes, READ_TIMEOUT, READ_CONFIRMATIONS).map(Reader::Evm),
        None => {
            let depth = svm::Depth::Finalized;
            svm::Reader::new(network, nodes, READ_TIMEOUT, depth).map(Reader::Svm)
        }
    };
    reader.map_err(|error| setting("a chain cannot be spoken to", error))
}

fn settings(config: &Config, side: Side) -> Settings {
    let server = &config.server;
    Settings {
        side,
        trusted_proxies: server.trusted_proxies.clone(),
        header_bytes_max: usize::try_from(server.header_bytes_max).unwrap_or(usize::MAX),
        body_bytes_max: server.body_bytes_max,
        client_timeout: server.client_timeout,
        // For pingora none is for ever.
        keepalive_seconds: whole_seconds(server.keepalive),
    }
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

/// How long payments are taken whose fee somebody pays who was told before: facilitators with
/// several keys name another one each time they are asked, and whoever pays by hand takes minutes.
const FEE_PAYER_GRACE: Duration = Duration::from_secs(5 * 60);

const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// As deep as blocks stay on any of the built-in networks; recovery is in no hurry.
const READ_CONFIRMATIONS: u64 = 5;
