//! One request on one connection, byte for byte as it is meant: what a client would tidy up first.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::timeout;

/// Addresses of this machine that nobody has come from yet, so that no limit meets two requests
/// that it should not.
#[derive(Debug, Default)]
pub(super) struct Origins(AtomicU32);

impl Origins {
    pub(super) fn next(&self) -> Ipv4Addr {
        let number = self.0.fetch_add(1, Ordering::Relaxed) % ORIGINS;
        Ipv4Addr::from(FIRST_ORIGIN.saturating_add(number))
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: &'static str,
    /// As it stands in the first line.
    pub(super) target: String,
    pub(super) host: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// As it was sent, chunks included.
    pub(super) body: Bytes,
}

impl Request {
    /// The same with one header more.
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut request = self.clone();
        request.headers.push((name.to_owned(), value.to_owned()));
        request
    }

    /// The same for another target.
    pub(super) fn to(&self, target: String) -> Self {
        Self { target, ..self.clone() }
    }

    fn bytes(&self) -> Vec<u8> {
        let Self { method, target, host, headers, body } = self;
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || !["GET", "HEAD"].contains(method) {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("Connection: close\r\n\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    /// Sends it from this address of this machine and reads the answer to its end.
    ///
    /// # Errors
    /// No connection, no answer within [`ANSWER_TIMEOUT`], or none that is HTTP.
    pub(super) async fn send(&self, to: SocketAddr, from: Ipv4Addr) -> io::Result<Answer> {
        let exchange = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(IpAddr::V4(from), 0))?;
            let mut connection = socket.connect(to).await?;
            connection.write_all(&self.bytes()).await?;
            let mut answer = Vec::new();
            let mut limited = connection.take(ANSWER_BYTES_MAX);
            match limited.read_to_end(&mut answer).await {
                // What refuses a body closes before it has read it.
                Err(error) if answer.is_empty() => return Err(error),
                Ok(_) | Err(_) => {}
            }
            parsed(&answer).ok_or_else(|| io::Error::other("the answer is not HTTP"))
        };
        timeout(ANSWER_TIMEOUT, exchange).await?
    }
}

/// The last head of an answer and what follows it.
fn parsed(mut bytes: &[u8]) -> Option<Answer> {
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let (head, rest) = bytes.split_at_checked(end)?;
        let body = rest.get(4..)?;
        let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
        let status: u16 = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        if (100..200).contains(&status) {
            bytes = body;
            continue;
        }
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let name = HeaderName::try_from(name).ok()?;
            headers.append(name, HeaderValue::try_from(value.trim()).ok()?);
        }
        return Some(Answer { status, headers, body: Bytes::copy_from_slice(body) });
    }
}

/// 127.1.0.0, and as many behind it.
const FIRST_ORIGIN: u32 = 0x7f01_0000;
const ORIGINS: u32 = 0x00fe_0000;
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_final_head_counts() {
        let text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 402 Payment Required\r\nA: b\r\n\r\n{}";
        let answer = parsed(text).unwrap();
        assert_eq!((answer.status, &*answer.body), (402, &b"{}"[..]));
        assert_eq!(answer.headers["a"], "b");
        for text in
            ["", "HTTP/1.1 200 OK\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 200\r\nx\r\n\r\n"]
        {
            assert!(parsed(text.as_bytes()).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_request_is_what_was_written() {
        let (target, host) = ("//a/%2e".to_owned(), "h".to_owned());
        let headers = Vec::new();
        let request = Request { method: "GET", target, host, headers, body: Bytes::new() };
        let text = request.with("X", "y").bytes();
        let expected = "GET //a/%2e HTTP/1.1\r\nHost: h\r\nX: y\r\nConnection: close\r\n\r\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn origins_are_this_machine() {
        let origins = Origins::default();
        let both = (origins.next(), origins.next());
        assert_eq!(both, (Ipv4Addr::new(127, 1, 0, 0), Ipv4Addr::new(127, 1, 0, 1)));
        assert!(Ipv4Addr::from(FIRST_ORIGIN + ORIGINS - 1).is_loopback());
    }
}
