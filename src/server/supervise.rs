//! The supervisor of a bundled worker: one child process, started again whenever it ends.
//!
//! The child prints `listening ADDRESS` when it is ready and stops when its standard input ends.
//! We hold that input, so the child ends with us, however we end.

use std::env;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, copy, sink};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::route::upstream::{Bundled, Work};

/// Keeps one program running. Dropping it stops the program, unawaited.
#[derive(Debug)]
pub struct Supervisor {
    address: watch::Receiver<Option<SocketAddr>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// The file to execute.
    pub executable: PathBuf,
    /// Its arguments, without its own name.
    pub arguments: Vec<OsString>,
}

/// How long a supervisor waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the child to say where it listens.
    pub start: Duration,
    /// Until a running child counts as healthy and earlier crashes are forgotten.
    pub healthy: Duration,
    /// For the child to finish what runs when it is told to stop.
    pub grace: Duration,
}

impl Program {
    /// This very binary as the worker of this name.
    ///
    /// # Errors
    /// When the system does not say where this binary is.
    pub fn bundled(worker: Bundled, work: &Work) -> io::Result<Self> {
        let mut arguments: Vec<OsString> =
            ["worker", worker.name(), "--listen", "127.0.0.1:0", "--supervised"]
                .map(Into::into)
                .into();
        let told = [
            ("--parallel", work.parallel.map(|count| count.to_string().into())),
            ("--queue", Some(work.queue.to_string().into())),
            ("--memory", work.memory_mb.map(|count| count.to_string().into())),
            ("--deadline", work.deadline.map(|length| format!("{}ms", length.as_millis()).into())),
            ("--model", work.model.clone().map(PathBuf::into_os_string)),
        ];
        for (name, value) in told {
            arguments.extend(value.map(|value| [name.into(), value]).into_iter().flatten());
        }
        Ok(Self { executable: env::current_exe()?, arguments })
    }

    /// The child, its input to be held, its output to be read, its log beside ours.
    fn spawn(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.executable);
        if env::var_os(PURGE_DELAY).is_none() {
            command.env(PURGE_DELAY, PURGE_DELAY_MS);
        }
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            // A Ctrl-C at the terminal is for us; the child is told when our requests are done.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(10),
            healthy: Duration::from_secs(30),
            grace: Duration::from_secs(30),
        }
    }
}

impl Supervisor {
    /// Starts the program in the background. Needs a tokio runtime around it.
    pub fn start(program: Program, patience: Patience) -> Self {
        let (publish, address) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(supervise(program, patience, publish, stopped));
        Self { address, stop, task }
    }

    /// Where the program listens; `None` while it does not run.
    pub fn address(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.address.clone()
    }

    /// Lets the program finish what it does, then waits for its end.
    ///
    /// # Cancel safety
    /// The program is told to stop and ends, waited for or not.
    pub async fn stop(self) {
        drop(self.stop);
        if self.task.await.is_err() {
            warn!("the supervisor of a worker panicked");
        }
    }
}

/// How one run of the program ended.
enum Ended {
    /// We stopped it.
    Told,
    /// It ended by itself, or never got ready.
    Crashed(Health),
}

/// Whether a run lasted long enough to forget the crashes before it.
enum Health {
    Brief,
    Lasting,
}

async fn supervise(
    program: Program,
    patience: Patience,
    publish: watch::Sender<Option<SocketAddr>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut back_off = BackOff::default();
    loop {
        let ended = run_once(&program, patience, &publish, &mut stopped).await;
        publish.send_replace(None);
        match ended {
            Ended::Told => return,
            Ended::Crashed(Health::Lasting) => back_off = BackOff::default(),
            Ended::Crashed(Health::Brief) => {}
        }
        let wait = back_off.next_wait();
        warn!(program = %program.executable.display(), ?wait, "a worker ended; starting another");
        tokio::select! {
            _ = &mut stopped => return,
            () = sleep(wait) => {}
        }
    }
}

async fn run_once(
    program: &Program,
    patience: Patience,
    publish: &watch::Sender<Option<SocketAddr>>,
    stopped: &mut oneshot::Receiver<()>,
) -> Ended {
    let mut child = match program.spawn() {
        Ok(child) => child,
        Err(fault) => {
            warn!(%fault, "a worker cannot be started");
            return Ended::Crashed(Health::Brief);
        }
    };
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Ended::Crashed(Health::Brief);
    };
    let mut output = BufReader::new(output);
    let announced = tokio::select! {
        _ = &mut *stopped => return told(child, input, patience.grace).await,
        announced = timeout(patience.start, announced(&mut output)) => announced,
    };
    let Ok(Some(address)) = announced else {
        warn!("a worker did not say where it listens");
        end(child).await;
        return Ended::Crashed(Health::Brief);
    };
    info!(%address, "a worker is ready");
    publish.send_replace(Some(address));
    // Whatever else it prints must not fill the pipe and stop it.
    let chatter = tokio::spawn(async move { copy(&mut output, &mut sink()).await });
    let ended = watch_over(child, input, patience, stopped).await;
    chatter.abort();
    ended
}

async fn watch_over(
    mut child: Child,
    input: ChildStdin,
    patience: Patience,
    stopped: &mut oneshot::Receiver<()>,
) -> Ended {
    let health = tokio::select! {
        _ = &mut *stopped => return told(child, input, patience.grace).await,
        _ = child.wait() => return Ended::Crashed(Health::Brief),
        () = sleep(patience.healthy) => Health::Lasting,
    };
    tokio::select! {
        _ = &mut *stopped => told(child, input, patience.grace).await,
        _ = child.wait() => Ended::Crashed(health),
    }
}

/// Tells the child to stop by ending its input; kills it when its time is up.
async fn told(mut child: Child, input: ChildStdin, grace: Duration) -> Ended {
    drop(input);
    if timeout(grace, child.wait()).await.is_err() {
        warn!("a worker did not stop in time");
        end(child).await;
    }
    Ended::Told
}

async fn end(mut child: Child) {
    if let Err(fault) = child.kill().await {
        warn!(%fault, "a worker cannot be ended");
    }
}

/// The address in the child's first line; `None` if it says anything else.
async fn announced(output: &mut BufReader<ChildStdout>) -> Option<SocketAddr> {
    let mut line = String::new();
    output.take(LINE_BYTES_MAX).read_line(&mut line).await.ok()?;
    line.strip_prefix("listening ")?.trim_end().parse().ok()
}

/// How long to wait before the next start: twice as long after each crash.
#[derive(Debug, Default)]
struct BackOff {
    crashes: u32,
}

impl BackOff {
    /// The wait after one more crash.
    fn next_wait(&mut self) -> Duration {
        let factor = 2_u32.saturating_pow(self.crashes);
        self.crashes = self.crashes.saturating_add(1);
        WAIT_MIN.saturating_mul(factor).min(WAIT_MAX)
    }
}

const WAIT_MIN: Duration = Duration::from_millis(100);

const WAIT_MAX: Duration = Duration::from_secs(10);

/// The longest first line.
const LINE_BYTES_MAX: u64 = 128;

/// How long the allocator keeps what is freed, in milliseconds; what the operator says goes first.
const PURGE_DELAY: &str = "MIMALLOC_PURGE_DELAY";

/// For one image after another: each takes some 50 MB of planes, which the one before has let go.
const PURGE_DELAY_MS: &str = "300";

#[cfg(test)]
mod tests;
