//! A real Redis for one test: started, killed, hung, and started again at the same address.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::kept::{Kept, free};

/// A running Redis.
pub struct Redis {
    address: SocketAddr,
    password: Option<&'static str>,
    server: Kept,
}

impl Redis {
    /// One that lets everybody in.
    pub fn start() -> Self {
        Self::begin(free(PORT), None)
    }

    /// One that wants this password.
    pub fn with_password(password: &'static str) -> Self {
        Self::begin(free(PORT), Some(password))
    }

    fn begin(address: SocketAddr, password: Option<&'static str>) -> Self {
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let named = ["redis-server", "--bind", &host, "--port", &port];
        let alone = ["--save", "", "--appendonly", "no", "--daemonize", "no"];
        let wants = ["--requirepass", password.unwrap_or_default()];
        let server = Kept::start(&[&named[..], &alone, &wants].concat(), &[]);
        let redis = Self { address, password, server };
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
        self.server.told(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn goes_on(&self) {
        self.server.told(Signal::SIGCONT);
    }

    /// Ends it as a power cut would; it comes back empty.
    pub fn killed(self) -> Dead {
        self.server.told(Signal::SIGKILL);
        Dead { address: self.address, password: self.password }
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

const PORT: u16 = 16_379;
const TRIES: usize = 400;
const TICK: Duration = Duration::from_millis(20);
