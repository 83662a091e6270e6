//! The real binary on free ports: started, watched, killed, started again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::client::{self, Ask};
use super::eventually;
use super::lines::Lines;

/// A running gateway; killed when dropped, and then what it said is shown if the test has failed.
pub struct Gateway {
    child: Child,
    /// The processes that took over from it, one from the other.
    heirs: Vec<Pid>,
    /// For clients.
    pub public: SocketAddr,
    /// For operators.
    pub admin: SocketAddr,
    /// For proxies that ask, where some do.
    pub check: Option<SocketAddr>,
    out: Lines,
    errors: Lines,
    client: reqwest::Client,
    dir: Rc<TempDir>,
}

impl Gateway {
    /// Starts a gateway with the `gateway.toml` that lies in `dir`.
    pub async fn start(dir: Rc<TempDir>) -> Self {
        Self::start_as(Path::new(env!("CARGO_BIN_EXE_tollgate")), dir).await
    }

    /// The same from another place of the binary.
    pub async fn start_as(binary: &Path, dir: Rc<TempDir>) -> Self {
        Self::start_with(&mut Command::new(binary), dir).await
    }

    /// The same with an environment.
    pub async fn start_with(command: &mut Command, dir: Rc<TempDir>) -> Self {
        let mut child = command
            .arg("serve")
            .arg(dir.path().join(FILE))
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = Lines::of(child.stdout.take().unwrap());
        let errors = Lines::of(child.stderr.take().unwrap());
        let listening = out.find("the line that says where it listens", addresses).await;
        let Some((public, admin, check)) = listening else {
            panic!("it did not start:\n{}", errors.text());
        };
        let client = client::client();
        Self { child, heirs: Vec::new(), public, admin, check, out, errors, client, dir }
    }

    /// A request to it.
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(&self.client, method, &format!("http://{}{path}", self.public))
    }

    /// Where a path of it is.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public)
    }

    /// A request to it over a connection that nobody else uses.
    pub fn ask_alone(&self, method: &str, path: &str) -> Ask {
        Ask::new(&client::client(), method, &format!("http://{}{path}", self.public))
    }

    /// Status and text of a page of the admin listener.
    pub async fn admin(&self, path: &str) -> (u16, String) {
        self.try_admin(path).await.expect("the admin listener is there")
    }

    /// The same; nothing when nobody answers.
    pub async fn try_admin(&self, path: &str) -> Option<(u16, String)> {
        let ask = Ask::new(&self.client, "GET", &format!("http://{}{path}", self.admin));
        let answer = ask.try_send().await.ok()?;
        Some((answer.status, answer.text()))
    }

    /// The value of a metric, as it stands on its line; nothing while it is not there.
    pub async fn metric(&self, name_and_labels: &str) -> Option<String> {
        let (_, page) = self.admin("/metrics").await;
        let value =
            |line: &str| Some(line.strip_prefix(name_and_labels)?.strip_prefix(' ')?.to_owned());
        page.lines().find_map(value)
    }

    /// Waits until `/readyz` says so.
    pub async fn ready(&self) {
        eventually("ready", async || (self.admin("/readyz").await.0 == 200).then_some(())).await;
    }

    /// Waits until a metric has this value: exchanges are counted a moment after their answers.
    pub async fn counts(&self, name_and_labels: &str, value: &str) {
        let counts = async || (self.metric(name_and_labels).await? == value).then_some(());
        eventually(name_and_labels, counts).await;
    }

    /// Waits until so many exchanges run. An answer is there a moment before its exchange is over.
    pub async fn runs(&self, exchanges: u32) {
        self.counts("tollgate_exchanges_running", &exchanges.to_string()).await;
    }

    /// The first line of the access log that fits.
    pub async fn logged(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let wanted = |line: &str| serde_json::from_str(line).ok().filter(|line| fits(line));
        self.out.find(what, wanted).await.unwrap_or_else(|| panic!("never logged: {what}"))
    }

    /// Everything it has printed, to both of its outputs.
    pub fn said(&self) -> String {
        format!("{}\n{}", self.out.text(), self.errors.text())
    }

    /// Its folder: configuration, ledger, journal.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its configuration.
    pub fn file(&self) -> PathBuf {
        self.dir().join(FILE)
    }

    /// Process id, of the last that took over.
    pub fn pid(&self) -> Pid {
        let first = || Pid::from_raw(self.child.id().try_into().unwrap());
        self.heirs.last().copied().unwrap_or_else(first)
    }

    /// The most memory that the process has had so far.
    pub fn peak_kb(&self) -> u64 {
        self.status_kb("VmHWM:")
    }

    /// The memory that the process has now.
    pub fn memory_kb(&self) -> u64 {
        self.status_kb("VmRSS:")
    }

    fn status_kb(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    /// Ids of its processes: of workers that it has begun. Source: proc_pid_stat(5), field 4 behind
    /// the name.
    pub fn children(&self) -> Vec<Pid> {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let of_parent = |pid: &i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields = stat.rsplit(") ").next().unwrap_or_default();
            fields.split(' ').nth(1) == Some(&self.pid().to_string())
        };
        pids.filter(of_parent).map(Pid::from_raw).collect()
    }

    /// Ends it as a power cut would, and starts another on the same files.
    pub async fn killed_and_restarted(self) -> Self {
        let dir = Rc::clone(&self.dir);
        self.killed().await;
        Self::start(dir).await
    }

    /// Changes its configuration, and has it read again: the status and what it says.
    pub async fn reloaded(&self, change: impl FnOnce(String) -> String) -> (u16, String) {
        self.rewritten(change);
        let url = format!("http://{}/reload", self.admin);
        let ask = Ask::new(&self.client, "POST", &url).header("x-tollgate-reload", "yes");
        let answer = ask.send().await;
        (answer.status, answer.text())
    }

    /// Has it start another process that takes over: the status and what it says.
    pub async fn upgraded(&mut self) -> (u16, String) {
        let url = format!("http://{}/upgrade", self.admin);
        let ask = Ask::new(&client::client(), "POST", &url).header("x-tollgate-upgrade", "yes");
        let answer = ask.send().await;
        let said = answer.text();
        if let Some((pid, _)) =
            said.strip_prefix("upgraded: process ").and_then(|rest| rest.split_once(' '))
        {
            self.heirs.push(Pid::from_raw(pid.parse().unwrap()));
        }
        (answer.status, said)
    }

    /// Changes the file of its configuration.
    pub fn rewritten(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(self.file()).unwrap();
        std::fs::write(self.file(), change(text)).unwrap();
    }

    /// Ends it as a power cut would, and starts another with a configuration that was changed.
    pub async fn restarted_with(self, change: impl FnOnce(String) -> String) -> Self {
        let dir = Rc::clone(&self.dir);
        self.rewritten(change);
        self.killed().await;
        Self::start(dir).await
    }

    /// Starts another on the files of one that has ended.
    pub async fn restarted(self) -> Self {
        let dir = Rc::clone(&self.dir);
        drop(self);
        Self::start(dir).await
    }

    /// Ends it as a power cut would.
    pub async fn killed(mut self) {
        self.kill();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // A killed process is gone once its output is closed, its sockets and locks with it.
        self.errors.ended().await;
    }

    /// Kills it now; [`Gateway::killed`] or [`Gateway::killed_and_restarted`] waits for its end.
    pub fn kill(&self) {
        kill(self.pid(), Signal::SIGKILL).unwrap();
    }

    /// Tells it that its configuration has changed, as an operator would.
    pub fn hang_up(&self) {
        kill(self.pid(), Signal::SIGHUP).unwrap();
    }

    /// Asks it to end, as an operator would.
    pub fn terminate(&self) {
        kill(self.pid(), Signal::SIGTERM).unwrap();
    }

    /// Waits until it has ended by itself, and all that took over from it.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = self.first_ended().await;
        self.out.ended().await;
        status
    }

    /// Waits until the process that was started first has ended by itself.
    pub async fn first_ended(&mut self) -> ExitStatus {
        eventually("its end", async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for heir in &self.heirs {
            let _ = kill(*heir, Signal::SIGKILL);
        }
        if std::thread::panicking() {
            eprintln!("--- tollgate said\n{}\n---", self.said());
        }
    }
}

/// The addresses in the line that says where it listens.
fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr, Option<SocketAddr>)> {
    let (public, rest) = line.strip_prefix("tollgate listening on ")?.split_once(", admin ")?;
    let rest = rest.split_once(", http ").map_or(rest, |(rest, _)| rest);
    let (admin, check) = rest.split_once(", check ").map_or((rest, None), |(a, c)| (a, Some(c)));
    let check = check.map(|text| text.parse().unwrap());
    Some((public.parse().ok()?, admin.parse().ok()?, check))
}

/// Name of its configuration.
pub const FILE: &str = "gateway.toml";
