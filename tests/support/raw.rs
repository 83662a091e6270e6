//! Clients that no library would be: bytes on a socket, sent and dropped as the test says.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::in_time;

/// One connection. Dropped, it is closed.
pub struct Raw(BufReader<TcpStream>);

/// An answer as it came.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// Status line and headers.
    pub head: String,
}

impl RawAnswer {
    /// Bytes of the body, as the head says.
    pub fn length(&self) -> usize {
        let head = self.head.to_ascii_lowercase();
        let line = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        line.map_or(0, |length| length.trim().parse().unwrap())
    }
}

impl Raw {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = in_time("a connection", TcpStream::connect(address)).await.unwrap();
        Self(BufReader::new(stream))
    }

    /// Leaves without a word: the other side's next read is an error and not an end.
    pub fn reset(self) {
        self.0.get_ref().set_zero_linger().unwrap();
    }

    /// Sends bytes as they are. A connection that the other side has closed is no mistake.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = in_time("room to send", self.0.write_all(bytes.as_ref())).await;
    }

    /// Reads a head to its end, informational or final; nothing when the connection closes before.
    pub async fn head(&mut self) -> Option<RawAnswer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = in_time("a head", self.0.read_until(b'\n', &mut head)).await;
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        Some(RawAnswer { status: status.unwrap_or_else(|| panic!("no HTTP: {head}")), head })
    }

    /// Reads exactly so many bytes.
    pub async fn read(&mut self, bytes: usize) -> Vec<u8> {
        let mut read = vec![0; bytes];
        in_time("more of the answer", self.0.read_exact(&mut read)).await.unwrap();
        read
    }

    /// Says that nothing more is sent, and goes on reading.
    pub async fn finish(&mut self) {
        // The other side may have closed already.
        let _ = self.0.shutdown().await;
    }

    /// Reads until the other side closes.
    pub async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset ends it as well as a close.
        let _ = in_time("the end of the connection", self.0.read_to_end(&mut rest)).await;
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Reads on for so long; says whether the other side has closed.
    pub async fn read_on(&mut self, wait: Duration, read: &mut Vec<u8>) -> bool {
        let until_it_closes = async {
            while let Ok(bytes @ [_, ..]) = self.0.fill_buf().await {
                read.extend_from_slice(bytes);
                let taken = bytes.len();
                self.0.consume(taken);
            }
        };
        tokio::time::timeout(wait, until_it_closes).await.is_ok()
    }
}

/// Sends one request as it is and reads the answer until the connection closes: the request should
/// say `Connection: close`. Gives the status and everything, or nothing when there was no answer.
pub async fn exchange(address: SocketAddr, request: &str) -> Option<(u16, String)> {
    let mut raw = Raw::open(address).await;
    raw.send(request).await;
    let RawAnswer { status, head } = raw.head().await?;
    Some((status, head + &raw.rest().await))
}
