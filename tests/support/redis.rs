//! A real Redis for one test: started, killed, hung, and started again at the same address.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running Redis, which ends with this, or with the process, however that ends.
pub struct Redis {
    address: SocketAddr,
    password: Option<&'static str>,
    /// Whose standard input keeps the server running, and the server.
    keeper: Child,
    server: Pid,
}

impl Redis {
    /// One that lets everybody in.
    pub fn start() -> Self {
        Self::begin(free(), None)
    }

    /// One that wants this password.
    pub fn with_password(password: &'static str) -> Self {
        Self::begin(free(), Some(password))
    }

    fn begin(address: SocketAddr, password: Option<&'static str>) -> Self {
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper", "redis-server", "--bind", &host, "--port", &port])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(["--requirepass", password.unwrap_or_default()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let server = Pid::from_raw(line.trim().parse().unwrap());
        let redis = Self { address, password, keeper, server };
        for _ in 0..TRIES {
            if redis.answers() {
                return redis;
            }
            std::thread::sleep(TICK);
        }
        panic!("redis-server does not answer; tests/run installs it");
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address) else { return false };
        stream.write_all(b"PING\r\n").unwrap();
        let mut first = [0];
        // `+PONG`, or `-NOAUTH`.
        stream.read_exact(&mut first).is_ok() && matches!(&first, b"+" | b"-")
    }

    /// Where it is, with its password.
    pub fn url(&self) -> String {
        let password = self.password.map(|password| format!(":{password}@"));
        format!("redis://{}{}", password.unwrap_or_default(), self.address)
    }

    /// The same without.
    pub fn place(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Stops it in the middle of whatever it does: connections stay, and nothing is answered.
    pub fn hangs(&self) {
        kill(self.server, Signal::SIGSTOP).unwrap();
    }

    /// Lets it go on.
    pub fn goes_on(&self) {
        kill(self.server, Signal::SIGCONT).unwrap();
    }

    /// Ends it as a power cut would; it comes back empty.
    pub fn killed(self) -> Dead {
        kill(self.server, Signal::SIGKILL).unwrap();
        Dead { address: self.address, password: self.password }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = kill(self.server, Signal::SIGKILL);
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// A Redis that was killed.
pub struct Dead {
    address: SocketAddr,
    password: Option<&'static str>,
}

impl Dead {
    /// Another at its address.
    pub fn comes_back(self) -> Redis {
        Redis::begin(self.address, self.password)
    }
}

/// An address that nobody else has: one of the loopback network's sixteen million.
fn free() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let process = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, process[2] | 64, process[3], low);
    SocketAddr::from((host, 16_379 + u16::from(high)))
}

/// Prints the server's number, and ends it at the end of its own input.
const KEEPER: &str = r#""$@" >/dev/null 2>&1 & echo $!; read -r _; kill -9 $!"#;
const TRIES: usize = 400;
const TICK: Duration = Duration::from_millis(20);
