//! The bundled background remover: a small HTTP service in a process of its own.
//!
//! What decodes hostile images shares no process with what moves money; the gateway starts this
//! one, watches it and starts it again. It knows nothing of payments.
//!
//! ```text
//! head ─ place ─ body ─ header ─ desk ─ decode ─ segment ─ finish ─ encode
//! 4xx    503     413    400      503    400      500               500
//! ```

use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};

use self::admission::{Admission, Mebibytes};
use self::http::Service;
use self::impatient::Impatient;
use self::lifeline::Lifeline;
use self::metrics::Metrics;
use self::segment::network::{Network, Share, Wish};

mod admission;
mod body;
mod colour;
mod container;
mod cutout;
mod decode;
mod encode;
mod errand;
mod finish;
mod http;
mod impatient;
mod lifeline;
mod metrics;
mod problem;
mod request;
mod segment;

pub use self::metrics::METRICS;
pub use self::segment::network::{License, NetworkError, Runtime as Engine, license};

/// `tollgate worker background-removal`: cut the subject out of images sent to it.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Print `listening ADDRESS` when ready, and stop when standard input ends
    #[arg(long)]
    pub supervised: bool,
    /// Images worked on at once [default: one per core]
    #[arg(long, value_name = "N")]
    pub parallel: Option<NonZeroUsize>,
    /// Images that may wait, each with up to 25 MB of file
    #[arg(long, value_name = "N", default_value_t = QUEUE)]
    pub queue: usize,
    /// Memory for the images worked on, in MB; they wait rather than take more
    #[arg(long, value_name = "MB", default_value_t = MEMORY_MB)]
    pub memory: u32,
    /// Longest time from an image's last byte to its answer, such as `30s` or `500ms`
    #[arg(long, value_name = "TIME", value_parser = patience, default_value = PATIENCE)]
    pub deadline: Duration,
    /// A model to use instead of what is built in: an ONNX file
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// How it is fed: a .toml file or a known name [default: the .toml beside it, or its own name]
    #[arg(long, value_name = "FILE OR NAME", requires = "model")]
    pub manifest: Option<String>,
    /// What runs the model [default: onnxruntime where its library is found, else rten]
    #[arg(long, value_name = "NAME", requires = "model")]
    pub engine: Option<Engine>,
}

/// Why the worker could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// No runtime, no signals or no thread.
    #[error("the worker cannot start")]
    Start(#[source] io::Error),
    /// The model is not taken.
    #[error("the model cannot be used")]
    Model(#[from] NetworkError),
    /// The address is taken, or not ours.
    #[error("the worker cannot listen on {address}")]
    Listen {
        /// As it was given.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The supervisor does not read.
    #[error("the worker cannot say where it listens")]
    Announce(#[source] io::Error),
    /// A counter that cannot be.
    #[error("the worker cannot count")]
    Count(#[source] prometheus::Error),
    /// Accepting connections failed for good.
    #[error("the worker stopped serving")]
    Serve(#[source] io::Error),
}

/// Serves until it is told to stop, then finishes what runs.
///
/// Blocks the thread; call it from no runtime.
///
/// # Errors
/// `Start`, `Listen`, `Count`, `Model`, `Announce` before the first image; `Serve` after.
pub fn run(options: &Options) -> Result<(), WorkerError> {
    let parallel = options.parallel.map_or_else(|| usual_parallel(options), NonZeroUsize::get);
    let runtime = runtime(parallel).map_err(WorkerError::Start)?;
    let result = runtime.block_on(serve(options, parallel));
    // Images whose clients have gone are not waited for, nor is a model that is being loaded.
    runtime.shutdown_background();
    result
}

/// What finds the subject, loaded and warm.
fn network(options: &Options, parallel: usize) -> Result<Network, NetworkError> {
    // All cores are used, and none twice.
    let threads = cores().checked_div(parallel).unwrap_or(1).max(1);
    let share = Share { parallel, threads };
    let Some(model) = &options.model else { return Network::built_in(share) };
    let (manifest, engine) = (options.manifest.as_deref(), options.engine);
    Network::load(&Wish { model, manifest, engine, share })
}

/// One image per core; a large model works on one with all cores, because each takes gigabytes.
fn usual_parallel(options: &Options) -> usize {
    let bytes = |model: &PathBuf| std::fs::metadata(model).map_or(0, |file| file.len());
    let large = options.model.as_ref().is_some_and(|model| bytes(model) > LARGE_MODEL_BYTES);
    if large { 1 } else { cores() }
}

/// Listens at once, so that probes see a worker that starts; takes images when the model is warm.
async fn serve(options: &Options, parallel: usize) -> Result<(), WorkerError> {
    let lifeline = if options.supervised { Lifeline::Supervisor } else { Lifeline::Signals };
    let told = lifeline.watch().map_err(WorkerError::Start)?;
    let listener = TcpListener::bind(options.listen).await;
    let (listener, address) = listener
        .and_then(|listener| listener.local_addr().map(|address| (listener, address)))
        .map_err(|source| WorkerError::Listen { address: options.listen, source })?;
    let memory = Mebibytes::within_megabytes(options.memory);
    let service = Service {
        admission: Admission::new(parallel, options.queue, memory),
        metrics: Arc::new(Metrics::new().map_err(WorkerError::Count)?),
        network: Arc::new(OnceLock::new()),
        patience: options.deadline,
    };
    info!(%address, "listening");
    let (stop, stopped) = oneshot::channel::<()>();
    let ready = Arc::clone(&service.network);
    let serving = axum::serve(Impatient::new(listener, READ_TIMEOUT), http::router(service))
        .with_graceful_shutdown(async { drop(stopped.await) });
    let mut serving = tokio::spawn(serving.into_future());
    let starting = async {
        let network = load(options.clone(), parallel).await?;
        if decode::memory_max(network.bytes()) > memory {
            warn!(options.memory, "the largest photos take more than this, and work alone");
        }
        // Nobody else fills it.
        let _ = ready.set(network);
        if options.supervised {
            announce(address).map_err(WorkerError::Announce)?;
        }
        info!(%address, parallel, queue = options.queue, "removing backgrounds");
        Ok::<_, WorkerError>(())
    };
    tokio::select! {
        ended = &mut serving => return flatten(ended),
        Err(fault) = starting => return Err(fault),
        () = told => drop(stop),
    }
    info!("told to stop, finishing what runs");
    timeout(GRACE, serving).await.map_or_else(
        |_| {
            warn!("what still ran was given up");
            Ok(())
        },
        flatten,
    )
}

/// What finds the subject, loaded and warm, without holding up those who serve.
async fn load(options: Options, parallel: usize) -> Result<Network, WorkerError> {
    spawn_blocking(move || network(&options, parallel).map_err(WorkerError::Model))
        .await
        .unwrap_or_else(|fault| Err(WorkerError::Start(io::Error::other(fault))))
}

fn flatten(ended: Result<io::Result<()>, tokio::task::JoinError>) -> Result<(), WorkerError> {
    ended.unwrap_or_else(|fault| Err(io::Error::other(fault))).map_err(WorkerError::Serve)
}

/// Tells the supervisor where we are. The one line ever written to standard output.
fn announce(address: SocketAddr) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "listening {address}")?;
    output.flush()
}

fn runtime(parallel: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(SERVING_THREADS)
        .max_blocking_threads(parallel.saturating_add(HEADER_THREADS))
        .enable_all()
        .build()
}

fn patience(text: &str) -> Result<Duration, &'static str> {
    let parsed = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => number.parse().map(Duration::from_millis),
        (None, Some(number)) => number.parse().map(Duration::from_secs),
        (None, None) => return Err("a number followed by s or ms"),
    };
    parsed.map_err(|_| "a number followed by s or ms")
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Images that may wait unless told otherwise.
const QUEUE: usize = 16;

/// Memory for the images worked on unless told otherwise.
const MEMORY_MB: u32 = 2000;

/// Above this a model works on one image at a time unless told otherwise.
const LARGE_MODEL_BYTES: u64 = 150_000_000;

/// Time for one image unless told otherwise: a gateway waits a minute.
const PATIENCE: &str = "50s";

/// Threads that speak HTTP; the images have their own.
const SERVING_THREADS: usize = 2;

/// Threads that read headers beside the images at work.
const HEADER_THREADS: usize = 2;

/// The longest that a client may leave its answer unread: what it waits in is memory.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest that running requests are waited for.
const GRACE: Duration = Duration::from_secs(30);
