//! Programs of others for one test, each at an address of its own.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running program, which ends with this, or with the process, however that ends.
pub struct Kept {
    /// Whose standard input keeps the program running.
    keeper: Child,
    program: Pid,
}

impl Kept {
    /// Starts it with these arguments, and this in its environment.
    pub fn start(words: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .args(words)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { keeper, program: Pid::from_raw(line.trim().parse().unwrap()) }
    }

    /// Tells it something that it must be there to hear.
    pub fn told(&self, signal: Signal) {
        kill(self.program, signal).unwrap();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = kill(self.program, Signal::SIGKILL);
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// An address that nobody else has, near this port: one of the loopback network's sixteen million.
pub fn free(port: u16) -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let process = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, process[2] | 64, process[3], low);
    SocketAddr::from((host, port + u16::from(high)))
}

/// Prints the program's number, and ends it at the end of its own input.
const KEEPER: &str = r#""$@" >/dev/null 2>&1 & echo $!; read -r _; kill -9 $!"#;
