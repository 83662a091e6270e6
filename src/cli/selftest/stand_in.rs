//! The stand-in for every upstream: notes what it was asked, and answers well or badly as told.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// An upstream on a port of its own.
pub(super) struct StandIn {
    pub(super) address: SocketAddr,
    noted: Arc<Noted>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Noted {
    fails: AtomicBool,
    asked: Mutex<Vec<Asked>>,
}

/// The head of a request that reached it, in lower case from the second line on.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) target: String,
    head: String,
}

impl Asked {
    /// Whether a header of this name came along.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The value of the first header of this name, in lower case.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.trim())
    }
}

impl StandIn {
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let noted = Arc::new(Noted::default());
        let shared = Arc::clone(&noted);
        let serving = tokio::spawn(async move {
            // An error of one connection is no reason to turn the next one away.
            loop {
                if let Ok((connection, _)) = listener.accept().await {
                    let noted = Arc::clone(&shared);
                    tokio::spawn(timeout(ANSWER_TIMEOUT, answer(connection, noted)));
                }
            }
        });
        Ok(Self { address, noted, serving })
    }

    /// From now on it answers 500, or well again.
    pub(super) fn fail(&self, fails: bool) {
        self.noted.fails.store(fails, Ordering::Release);
    }

    /// What it was asked since the last time.
    pub(super) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.noted.asked.lock())
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Reads one request, whose length is known, and answers it.
async fn answer(mut connection: TcpStream, noted: Arc<Noted>) -> io::Result<()> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if read.len() > HEAD_BYTES_MAX || connection.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(read.get(..end).unwrap_or_default()).into_owned();
    let (first, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
    let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let asked = Asked { target, head: rest.to_ascii_lowercase() };
    let length: u64 = asked.value("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let here = u64::try_from(read.len().saturating_sub(end).saturating_sub(4)).unwrap_or(u64::MAX);
    noted.asked.lock().push(asked);
    let mut body = (&mut connection).take(length.saturating_sub(here));
    tokio::io::copy(&mut body, &mut tokio::io::sink()).await?;
    let fails = noted.fails.load(Ordering::Acquire);
    let status = if fails { "500 Internal Server Error" } else { "200 OK" };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close");
    // By usage it costs one unit; elsewhere nobody listens to that.
    let head = format!("{head}\r\nSettlement-Overrides: {{\"amount\":\"1\"}}");
    let head = format!("{head}\r\nContent-Length: {}\r\n\r\n", BODY.len());
    connection.write_all(head.as_bytes()).await?;
    if !first.starts_with("HEAD ") {
        connection.write_all(BODY.as_bytes()).await?;
    }
    connection.shutdown().await
}

const BODY: &str = "{\"selftest\":true}\n";
const HEAD_BYTES_MAX: usize = 256 * 1024;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
