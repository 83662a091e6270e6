//! From a configuration to a running process, and from a signal to its end.

mod assemble;
mod books;
mod health;
mod listen;
mod look;
pub mod online;
mod reload;
mod resolve;
mod settling;
pub mod supervise;
mod tend;
mod tls;
mod upstreams;
mod watch;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora::apps::HttpServerOptions;
use pingora::apps::http_app::HttpServer;
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;
use pingora_runtime::Runtime as Threads;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch as channel};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::{Config, NetworkSettings};
use crate::dashboard::{Dashboard, Money};
use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::observe::Metrics;
use crate::payment::Payments;
use crate::payment::recover::Recovery;
pub use crate::proxy::admin::RELOAD_HEADER;
use crate::proxy::admin::{Admin, Readiness};
use crate::proxy::upstream::TRIES_MAX;
use crate::proxy::{Bounds, Door, Gateway};
use assemble::{House, setting};
pub use books::books;
use listen::Bound;
use reload::{Occasions, Reloader};
use settling::Settling;
use tls::Certificates;

/// Why a gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A runtime, a thread or a signal handler could not be had.
    #[error("the process cannot start")]
    Process(#[source] std::io::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The configuration asks for what cannot be had now.
    #[error("{0}")]
    Setting(Box<str>, #[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The ledger cannot be opened, or read.
    #[error(transparent)]
    Ledger(#[from] Fault),
    /// The counters cannot be registered.
    #[error("the metrics cannot be set up")]
    Metrics(#[from] prometheus::Error),
}

/// What ends a gateway.
#[derive(Debug)]
pub enum End {
    /// SIGTERM or SIGINT.
    Signal,
    /// A word of whoever started it in this process, or that nobody is left to say it. Another one
    /// may be started afterwards.
    Told(oneshot::Receiver<()>),
}

/// Serves until `end`, then finishes what runs within the grace period.
///
/// `out` is told once where it listens. Requests run on threads of their own, which share no work:
/// stealing it costs more than it brings where each piece is some microseconds long. The ledger has
/// a thread of its own, which waits for the disk; what is tended now and then runs on other
/// threads, and both outlive the requests.
///
/// # Errors
/// What keeps it from starting; nothing listens then.
pub fn serve(config: Config, end: End, out: &mut (impl Write + Send)) -> Result<(), ServeError> {
    let public = bind(config.server.listen)?;
    let admin = bind(config.server.admin)?;
    let check = config.check.map(|check| bind(check.listen)).transpose()?;
    let threads = config.server.threads.get();
    let traffic = match end {
        End::Signal => Threads::new_no_steal(threads, "traffic"),
        // pingora remembers the former by their threads for as long as the process lives: a second
        // gateway would be given the ended threads of the first.
        End::Told(_) => Threads::new_steal(threads, "traffic"),
    };
    let house = runtime("house", HOUSE_THREADS)?;
    let books = runtime("ledger", 1)?;
    let ledger = books.block_on(Ledger::open(&config.ledger))?;
    let serving = run((config, end), ledger, (public, admin, check), traffic.get_handle(), out);
    let served = house.block_on(serving);
    traffic.shutdown_timeout(LAST_WAIT);
    let lost = served.as_ref().map_or(0, |metrics| metrics.finish(LAST_WAIT));
    if lost > 0 {
        tracing::warn!(lost, "standard output is not read: lines of the access log are lost");
    }
    house.shutdown_timeout(LAST_WAIT);
    books.shutdown_timeout(LAST_WAIT);
    served.map(drop)
}

fn bind(address: SocketAddr) -> Result<Bound, ServeError> {
    listen::bind(address).map_err(|error| ServeError::Listen(address, error))
}

async fn run(
    (mut config, end): (Config, End),
    ledger: Ledger,
    (public, admin, check): (Bound, Bound, Option<Bound>),
    traffic: &Handle,
    out: &mut (impl Write + Send),
) -> Result<Arc<Metrics>, ServeError> {
    let mut house = House::build(&mut config, ledger).await?;
    let mut recovery = Recovery::default();
    let recovered = house.payments.recover(&mut recovery).await?;
    tracing::info!(?recovered, "the ledger has been read");

    let (stop, stopped) = channel::channel(false);
    let (readiness, ready) = channel::channel(Readiness::Not(vec!["starting".to_owned()]));
    let tending = tend::tend(&house, recovery, readiness, stopped.clone());
    let (metrics, payments) = (Arc::clone(&house.metrics), house.payments.clone());
    let exporter = house.exporter.take();
    let exporting = exporter.map(|exporter| tokio::spawn(exporter.run(metrics.spans())));
    let addresses = (public.address(), admin.address(), check.as_ref().map(Bound::address));

    let asked = house.check.map(|gateway| door(gateway, &config));
    let door = door(house.gateway, &config);
    let certificates = Certificates::new(&config.certificates);
    let encrypted = certificates.as_ref().map(|certificates| certificates.settings());
    let encrypted =
        encrypted.transpose().map_err(|error| setting("TLS cannot be set up", *error))?;
    let serving = public.serve("gateway", door, encrypted, (stopped.clone(), traffic));
    let asked = check
        .zip(asked)
        .map(|(bound, door)| bound.serve("check", door, None, (stopped.clone(), traffic)));
    let (reloads, requests) = mpsc::channel(1);
    let monies = Arc::new(ArcSwap::from_pointee(monies(&config)));
    let dashboard = dashboard(&config, &monies, payments.ledger());
    let app = HttpServer::new_app(Admin::new(Arc::clone(&metrics), ready, reloads, dashboard));
    let shown = admin.serve("admin", app, None, (stopped, traffic));
    let (grace, occasions) = (config.server.grace, Occasions::new(&config, requests)?);
    let (now, upstreams) = (house.now, house.upstreams);
    let (metrics_of, payments_of) = (Arc::clone(&metrics), payments.clone());
    let settling = Settling { payments: payments_of, monies, metrics: metrics_of };
    let reloader = Reloader { now, config, upstreams, certificates, settling };
    let reloading = tokio::spawn(reloader.keep_reloading(occasions));
    // Whoever reads where it listens may stop it at once.
    let stops = Stops::new(end).map_err(ServeError::Process)?;
    announce(out, addresses).map_err(ServeError::Process)?;

    stops.next().await;
    reloading.abort();
    tracing::info!("stopping: nothing new is accepted, what runs is finished");
    // Whoever listens for the end may be gone already; then there is nothing to tell.
    let _ = stop.send(true);
    finish(&metrics, &payments, grace).await;
    flush(&metrics, exporting).await;
    serving.abort();
    asked.inspect(JoinHandle::abort);
    shown.abort();
    tending.abort();
    payments.ledger().close().await;
    payments.answers().close().await;
    house.workers.stop().await;
    Ok(metrics)
}

/// The page for operators, if there is one.
fn dashboard(
    config: &Config,
    monies: &Arc<ArcSwap<Vec<Money>>>,
    ledger: &Ledger,
) -> Option<Dashboard> {
    Some(Dashboard::new(config.dashboard?, Arc::clone(monies), ledger.clone(), Clock::System))
}

/// What there is to be paid in.
fn monies(config: &Config) -> Vec<Money> {
    let money = |network: &NetworkSettings| Money {
        network: network.network.clone(),
        asset: network.asset,
        name: network.name.clone(),
        decimals: network.decimals,
        explorer: network.explorer.clone(),
        worth: network.worth,
    };
    config.networks.values().map(money).collect()
}

/// The proxy, behind its counted door.
fn door(gateway: Gateway, config: &Config) -> Door {
    let conf = ServerConf {
        threads: config.server.threads.get(),
        max_retries: TRIES_MAX,
        upstream_keepalive_pool_size: UPSTREAM_POOL,
        ..ServerConf::default()
    };
    let bounds = Bounds {
        stall_max: config.server.client_timeout,
        head_bytes_max: gateway.settings.header_bytes_max,
    };
    let mut proxy = HttpProxy::new(gateway, Arc::new(conf));
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    options.h2_idle_timeout = Some(config.server.keepalive);
    proxy.server_options = Some(options);
    proxy.handle_init_modules();
    Door::new(proxy, config.server.connections_max.get(), bounds)
}

/// The one line on standard output before the log: scripts read the ports from it.
fn announce(
    out: &mut impl Write,
    (public, admin, check): (SocketAddr, SocketAddr, Option<SocketAddr>),
) -> std::io::Result<()> {
    let check = check.map(|address| format!(", check {address}")).unwrap_or_default();
    writeln!(out, "tollgate listening on {public}, admin {admin}{check}")?;
    out.flush()
}

/// What stops it. Signals are caught from the moment this is made.
enum Stops {
    Signals { terminate: Signal, interrupt: Signal },
    Told(oneshot::Receiver<()>),
}

impl Stops {
    fn new(end: End) -> std::io::Result<Self> {
        let (terminate, interrupt) = match end {
            End::Signal => (SignalKind::terminate(), SignalKind::interrupt()),
            End::Told(told) => return Ok(Self::Told(told)),
        };
        Ok(Self::Signals { terminate: signal(terminate)?, interrupt: signal(interrupt)? })
    }

    async fn next(self) {
        match self {
            Self::Signals { mut terminate, mut interrupt } => tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            },
            // An error says that nobody is left to say it.
            Self::Told(told) => drop(told.await),
        }
    }
}

/// Waits for exchanges and settlements that run, at most for the grace period.
async fn finish(metrics: &Metrics, payments: &Payments, grace: Duration) {
    let done = async {
        let mut look = tokio::time::interval(LOOK_EVERY);
        while metrics.running() > 0 || payments.under_way() > 0 {
            look.tick().await;
        }
    };
    if tokio::time::timeout(grace, done).await.is_err() {
        let (exchanges, settlements) = (metrics.running(), payments.under_way());
        tracing::warn!(exchanges, settlements, "the grace period is over; recovery does the rest");
    }
}

/// Sends what is left of the traces, if it is taken soon.
async fn flush(metrics: &Metrics, exporting: Option<JoinHandle<()>>) {
    let Some(mut exporting) = exporting else { return };
    metrics.close_traces();
    if tokio::time::timeout(FLUSH_MAX, &mut exporting).await.is_err() {
        exporting.abort();
        tracing::warn!("the collector is too slow: the last spans of traces are lost");
    }
}

fn runtime(name: &str, threads: usize) -> Result<Runtime, ServeError> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(ServeError::Process)
}

/// One, and one that still runs when it is busy.
const HOUSE_THREADS: usize = 2;
const UPSTREAM_POOL: usize = 1_024;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// For the last spans of traces.
const FLUSH_MAX: Duration = Duration::from_secs(3);
const LAST_WAIT: Duration = Duration::from_secs(1);
