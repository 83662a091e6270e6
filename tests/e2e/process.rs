//! A helper process: started, waited for until it listens, ended by its own pid.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Ended when dropped; what it had printed is shown if the test has failed.
pub(super) struct Process {
    child: Child,
    printed: Arc<Mutex<String>>,
    addresses: Receiver<SocketAddr>,
}

impl Process {
    /// Starts `command` and waits for a line that begins with `ready` and then an address.
    pub(super) fn listening(command: &mut Command, ready: &'static str) -> (Self, SocketAddr) {
        let title = format!("--- {command:?}\n");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();

        let printed = Arc::new(Mutex::new(title));
        let (found, addresses) = channel();
        let report = move |line: &str| {
            if let Some(address) = address_after(ready, line) {
                let _ = found.send(address); // the test may be over
            }
        };
        keep(child.stdout.take().unwrap(), printed.clone(), report.clone());
        keep(child.stderr.take().unwrap(), printed.clone(), report);
        let process = Self { child, printed, addresses };
        let address = process.addresses.recv_timeout(START).expect("it listens in time");
        (process, address)
    }

    /// Asks it to end, as an operator would, and waits until it and all it started have.
    fn ends_when_asked(&self) -> bool {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        let _ = kill(pid, Signal::SIGTERM); // it may have ended by itself
        // Nobody holds the other end of its output any more once all of them are gone.
        self.addresses.recv_timeout(STOP) == Err(RecvTimeoutError::Disconnected)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let running = matches!(self.child.try_wait(), Ok(None));
        if running && !self.ends_when_asked() {
            let _ = self.child.kill(); // not needed if it ends at this very moment
        }
        let _ = self.child.wait();
        if thread::panicking() {
            let printed = self.printed.lock().unwrap();
            let lines: Vec<_> = printed.lines().collect();
            let (title, rest) = lines.split_first().unwrap();
            let last = rest.len().saturating_sub(SHOWN_LINES_MAX);
            eprintln!("{title}\n{}\n", rest[last..].join("\n"));
        }
    }
}

/// Keeps and reports every line, so that the process never blocks on a full pipe.
fn keep(
    output: impl Read + Send + 'static,
    printed: Arc<Mutex<String>>,
    report: impl Fn(&str) + Send + 'static,
) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            report(&line);
            printed.lock().unwrap().push_str(&format!("{line}\n"));
        }
    });
}

fn address_after(ready: &str, line: &str) -> Option<SocketAddr> {
    line.strip_prefix(ready)?.split(',').next()?.parse().ok()
}

const SHOWN_LINES_MAX: usize = 30;
const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(20);
