//! The demo's gateway: a child process, ended with the demo.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::state::State;

/// A running gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    child: Child,
    log: JoinHandle<()>,
    /// `ADDRESS:PORT` where requests go.
    pub(super) listen: String,
    /// `ADDRESS:PORT` of the admin listener.
    pub(super) admin: String,
}

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The program cannot be run again.
    #[error("the gateway cannot be started")]
    Start(#[source] io::Error),
    /// It ended.
    #[error("the gateway has ended; the last it said:\n{0}")]
    Ended(String),
    /// It did not become ready.
    #[error("the gateway is not ready after {0:?}:\n{1}")]
    NotReady(Duration, String),
    /// The ledger cannot be read.
    #[error("the ledger cannot be read: {0}")]
    Ledger(String),
    /// Signals cannot be waited for.
    #[error("signals cannot be waited for")]
    Signal(#[source] io::Error),
}

impl Gateway {
    /// Starts `tollgate serve` on the demo's configuration and waits until it is ready.
    ///
    /// # Errors
    /// `Start`, `Ended`, `NotReady`.
    pub(super) async fn start(state: &State) -> Result<Self, GatewayError> {
        let log = File::create(state.folder().join("gateway.log")).map_err(GatewayError::Start)?;
        let mut child = itself(state)?
            .arg("serve")
            .arg(state.config())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(GatewayError::Start)?;
        let Some(stdout) = child.stdout.take() else {
            return Err(GatewayError::Ended(String::new()));
        };
        let mut lines = BufReader::new(stdout).lines();
        let first = timeout(READY_TIMEOUT, lines.next_line()).await;
        let Ok(Ok(Some(first))) = first else { return Err(GatewayError::Ended(said(state))) };
        let (listen, admin) =
            announced(&first).ok_or_else(|| GatewayError::Ended(first.clone()))?;
        // The rest is its log; it is read so that the gateway never waits for a reader.
        let log = tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let gateway = Self { child, log, listen, admin };
        timeout(READY_TIMEOUT, gateway.ready())
            .await
            .map_err(|_| GatewayError::NotReady(READY_TIMEOUT, said(state)))?;
        Ok(gateway)
    }

    /// The URL of a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    /// What `tollgate ledger list` prints.
    ///
    /// # Errors
    /// `Start`, `Ledger`.
    pub(super) async fn ledger(&self, state: &State) -> Result<String, GatewayError> {
        let listed = itself(state)?
            .args(["ledger", "list"])
            .arg(state.config())
            .output()
            .await
            .map_err(GatewayError::Start)?;
        if listed.status.success() {
            return Ok(String::from_utf8_lossy(&listed.stdout).into_owned());
        }
        Err(GatewayError::Ledger(String::from_utf8_lossy(&listed.stderr).into_owned()))
    }

    /// Waits until it ends by itself, which it should not.
    pub(super) async fn end(&mut self, state: &State) -> GatewayError {
        // A log that cannot be read has an end too.
        let _ = (&mut self.log).await;
        GatewayError::Ended(said(state))
    }

    /// Ends it, after a time to finish by itself. Its worker ends with it.
    pub(super) async fn stop(mut self, grace: Duration) {
        let _ = timeout(grace, self.child.wait()).await;
        // An error says that it has ended in between: as good.
        let _ = self.child.kill().await;
    }

    async fn ready(&self) {
        let http = reqwest::Client::builder().no_proxy().build();
        let Ok(http) = http else { return };
        loop {
            let answer = http.get(format!("http://{}/readyz", self.admin)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(READY_WAIT).await;
        }
    }
}

/// What a person or a supervisor ends the demo with.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on they end nothing by themselves.
    ///
    /// # Errors
    /// `Signal`.
    pub(super) fn new() -> Result<Self, GatewayError> {
        let listen = |kind| signal(kind).map_err(GatewayError::Signal);
        let interrupt = listen(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for one; says how long the gateway may take. A terminal's Ctrl-C has told it already.
    pub(super) async fn next(&mut self) -> Duration {
        tokio::select! {
            _ = self.interrupt.recv() => STOP_TIMEOUT,
            _ = self.terminate.recv() => Duration::ZERO,
        }
    }
}

/// This program again, with the demo's folder to write to.
fn itself(state: &State) -> Result<Command, GatewayError> {
    let program = std::env::current_exe().map_err(GatewayError::Start)?;
    let mut command = Command::new(program);
    command.current_dir(state.folder());
    Ok(command)
}

/// The addresses of `tollgate listening on ADDRESS, admin ADDRESS`; more may follow.
pub(in crate::cli) fn announced(line: &str) -> Option<(String, String)> {
    let (listen, admin) = line.strip_prefix("tollgate listening on ")?.split_once(", admin ")?;
    let admin = admin.split_once(", ").map_or(admin, |(admin, _)| admin);
    Some((listen.to_owned(), admin.trim().to_owned()))
}

/// The end of what it said on standard error.
fn said(state: &State) -> String {
    let path: PathBuf = state.folder().join("gateway.log");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len().saturating_sub(LOG_LINES_MAX);
    lines.get(last..).unwrap_or_default().join("\n")
}

const READY_TIMEOUT: Duration = Duration::from_secs(30);
const READY_WAIT: Duration = Duration::from_millis(50);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
const LOG_LINES_MAX: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_both_addresses() {
        let line = "tollgate listening on 127.0.0.1:8402, admin 127.0.0.1:9402";
        let expected = ("127.0.0.1:8402".to_owned(), "127.0.0.1:9402".to_owned());
        assert_eq!(announced(line), Some(expected.clone()));
        assert_eq!(announced(&format!("{line}, check 127.0.0.1:8403")), Some(expected));
        assert_eq!(announced("error: no"), None);
    }
}
