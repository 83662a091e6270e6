//! From a configuration to a running process, and from a signal to its end.

mod assemble;
mod books;
mod certified;
mod doors;
mod files;
mod handover;
mod health;
mod leave;
mod listen;
mod look;
pub mod online;
mod reload;
mod resolve;
mod settling;
mod stops;
mod succeed;
pub mod supervise;
mod tend;
mod tls;
mod upgrade;
mod upstreams;
mod watch;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora_runtime::Runtime as Threads;
use sd_notify::NotifyState;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, oneshot, watch as channel};
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::Clock;
use crate::config::{Config, NetworkSettings, Server};
use crate::dashboard::{Dashboard, Money};
use crate::fault::{self, Fault};
use crate::ledger::Ledger;
use crate::observe::Metrics;
use crate::payment::Payments;
use crate::payment::recover::Recovery;
use crate::proxy::Plain;
use crate::proxy::admin::{Admin, Order, Orders, Readiness};
pub use crate::proxy::admin::{RELOAD_HEADER, UPGRADE_HEADER};
pub use crate::proxy::upstream::trust::read_ahead;
use assemble::{House, setting};
pub use books::books;
use certified::Certified;
use doors::{Hosts, Listeners};
pub use handover::Heir;
use leave::{Exit, Pace};
use reload::{Occasions, Reloader};
use settling::Settling;
use stops::Stops;
use succeed::Taking;
use tend::Tending;
use upgrade::{Successor, Upgrader};
use upstreams::Workers;

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

/// Serves until `end`, or until a successor takes over, then finishes what runs within the grace
/// period.
///
/// `out` is told once where it listens. Requests run on threads of their own, which share no work:
/// stealing it costs more than it brings where each piece is some microseconds long. The ledger has
/// a thread of its own, which waits for the disk; what is tended now and then runs on other
/// threads, and both outlive the requests.
///
/// # Errors
/// What keeps it from starting; nothing listens then.
pub fn serve(config: Config, end: End, out: &mut (impl Write + Send)) -> Result<(), ServeError> {
    start(config, (end, None), out)
}

/// Serves in the place of another gateway, which has started this process.
///
/// # Errors
/// As [`serve`]. The other one has been told, and goes on.
pub fn take_over(
    config: Config,
    mut heir: Heir,
    out: &mut (impl Write + Send),
) -> Result<(), ServeError> {
    let served = start(config, (End::Signal, Some(&mut heir)), out);
    served.inspect_err(|error| heir.fails(fault::with_causes(error)))
}

fn start(
    config: Config,
    (end, mut heir): (End, Option<&mut Heir>),
    out: &mut (impl Write + Send),
) -> Result<(), ServeError> {
    let listeners = Listeners::bind(&config, heir.as_deref_mut())?;
    let threads = config.server.threads.get();
    let traffic = match end {
        End::Signal => Threads::new_no_steal(threads, "traffic"),
        // pingora remembers the former by their threads for as long as the process lives: a second
        // gateway would be given the ended threads of the first.
        End::Told(_) => Threads::new_steal(threads, "traffic"),
    };
    let house = runtime("house", HOUSE_THREADS)?;
    let books = runtime("ledger", 1)?;
    let taking = heir.map(|heir| Taking::await_turn(heir, &config)).transpose()?;
    let ledger = books.block_on(Ledger::open(&config.ledger))?;
    let serving = run((config, end), (ledger, taking), listeners, traffic.get_handle(), out);
    let served = house.block_on(serving);
    traffic.shutdown_timeout(LAST_WAIT);
    let lost = served.as_ref().map_or(0, |(metrics, _)| metrics.finish(LAST_WAIT));
    if lost > 0 {
        tracing::warn!(lost, "standard output is not read: lines of the access log are lost");
    }
    house.shutdown_timeout(LAST_WAIT);
    books.shutdown_timeout(LAST_WAIT);
    // A successor that waits for the end of this process hears of it here.
    served.map(drop)
}

async fn run(
    (mut config, end): (Config, End),
    (ledger, taking): (Ledger, Option<Taking<'_>>),
    listeners: Listeners,
    traffic: &Handle,
    out: &mut (impl Write + Send),
) -> Result<(Arc<Metrics>, Option<Successor>), ServeError> {
    let mut house = House::build(&mut config, ledger).await?;
    let mut recovery = Recovery::default();
    let recovered = house.payments.recover(&mut recovery).await?;
    tracing::info!(?recovered, "the ledger has been read");

    let exit = Exit::new();
    let (readiness, ready) = channel::channel(Readiness::Not(vec!["starting".to_owned()]));
    let tending = tend::tend(&house, recovery, readiness, exit.told_first());
    if let Some(taking) = &taking {
        taking.get_ready(ready.clone()).await?;
    }
    let (metrics, payments) = (Arc::clone(&house.metrics), house.payments.clone());
    let exporter = house.exporter.take();
    let exporting = exporter.map(|exporter| tokio::spawn(exporter.run(metrics.spans())));
    let (said, spares) = (listeners.said(), listeners.spares()?);
    let certified = house.certified;
    let encrypted = config.speaks_tls().then(|| certified.certificates.acceptor()).transpose();
    let encrypted = encrypted.map_err(|error| setting("TLS cannot be set up", error))?;
    let monies = Arc::new(ArcSwap::from_pointee(monies(&config)));
    let dashboard = dashboard(&config, &monies, payments.ledger());
    let (orders, reloads, orders_to_upgrade) = orders(&end);
    // Whoever finds it ready may stop it at once, or have it reload.
    let stops = Stops::new(end).map_err(ServeError::Process)?;
    let occasions = Occasions::new(&config, reloads)?;
    let admin = Admin::new(Arc::clone(&metrics), ready, orders, dashboard);
    let public = (house.gateway, encrypted);
    let hosts = Hosts { public, admin, check: house.check, plain: plain(&certified, &config) };
    let serving = listeners.serve(hosts, &config, &exit, traffic);
    let Server { drain, grace, .. } = config.server;
    let (now, upstreams) = (house.now, house.upstreams);
    let (metrics_of, payments_of) = (Arc::clone(&metrics), payments.clone());
    let (lanes, wires) = (house.lanes, house.wires);
    let settling = Settling { payments: payments_of, monies, metrics: metrics_of, lanes };
    let origin = config.origin.clone();
    let files = config.files().to_vec();
    let reloader = Reloader { now, config, files, upstreams, certified, settling, wires };
    let reloading = tokio::spawn(reloader.keep_reloading(occasions));
    announce(out, &said).map_err(ServeError::Process)?;
    match taking {
        Some(taking) => taking.serves(),
        None => tell(&[NotifyState::Ready]),
    }

    let mut upgrader = Upgrader { orders: orders_to_upgrade, listeners: spares, origin };
    let (pace, successor) = tokio::select! {
        pace = stops.next(drain) => (pace, None),
        successor = upgrader.next() => (successor.pace(), Some(successor)),
    };
    // A listener of which we hold a handle would go on to take connections.
    drop(upgrader);
    reloading.abort();
    let workers = house.workers;
    let open = Open { exit, serving, tending, metrics, payments, workers, exporting, grace };
    open.leave(pace, successor).await
}

/// What is open while a gateway serves.
struct Open {
    exit: Exit,
    serving: JoinSet<()>,
    tending: Tending,
    metrics: Arc<Metrics>,
    payments: Payments,
    workers: Workers,
    exporting: Option<JoinHandle<()>>,
    grace: Duration,
}

impl Open {
    /// Finishes what runs, closes the books, and leaves the place to a successor, if there is one.
    async fn leave(
        self,
        pace: Pace,
        mut successor: Option<Successor>,
    ) -> Result<(Arc<Metrics>, Option<Successor>), ServeError> {
        let Self { exit, metrics, payments, .. } = self;
        if successor.is_none() {
            tell(&[NotifyState::Stopping]);
        }
        tracing::info!(?pace, "stopping: what runs is finished, and soon nothing new is accepted");
        exit.close(pace.listening).await;
        exit.finish((&metrics, &payments), pace.idle, self.grace).await;
        leave::flush(&metrics, self.exporting).await;
        drop(self.serving);
        self.tending.abort();
        payments.ledger().close().await;
        payments.answers().close().await;
        self.workers.stop().await;
        if let Some(successor) = &mut successor {
            successor.takes_over().await?;
            exit.read_to_the_end().await;
        }
        Ok((metrics, successor))
    }
}

/// What an operator may ask for, and where that arrives.
fn orders(end: &End) -> (Orders, mpsc::Receiver<Order>, mpsc::Receiver<Order>) {
    let (reloads, to_reload) = mpsc::channel(1);
    let (upgrades, to_upgrade) = mpsc::channel(1);
    let upgrades = match end {
        End::Signal => Some(upgrades),
        End::Told(_) => None,
    };
    (Orders { reloads, upgrades }, to_reload, to_upgrade)
}

/// Tells systemd, where that has started us.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd does not hear us");
    }
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

/// What answers without TLS, where something does.
fn plain(certified: &Certified, config: &Config) -> Plain {
    let public_url = config.server.public_url.as_deref().unwrap_or_default();
    let port = public_url.parse::<http::Uri>().ok().and_then(|url| url.port_u16());
    let challenges = Arc::clone(certified.certificates.challenges());
    Plain::new(challenges, certified.settings(), port)
}

/// The one line on standard output before the log: scripts read the ports from it.
fn announce(out: &mut impl Write, said: &str) -> std::io::Result<()> {
    writeln!(out, "{said}")?;
    out.flush()
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
const LAST_WAIT: Duration = Duration::from_secs(1);
