//! A client of HTTP/2 that no library would be: frames by TLS, sent as the test says.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::gateway::Gateway;
use super::in_time;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GO_AWAY: u8 = 7;
pub const WINDOW: u8 = 8;
pub const CONTINUATION: u8 = 9;
/// Flags: the last frame of a stream, and of its headers.
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// One connection by TLS. Dropped, it is closed.
pub struct Frames(TlsStream<TcpStream>);

/// A frame as it came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frames {
    /// A connection on which TLS has agreed on HTTP/2, and nothing else has been said.
    pub async fn silent(gateway: &Gateway, trusted: &[u8], name: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted).unwrap()).unwrap();
        let mut config =
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connects = async {
            let socket = TcpStream::connect(gateway.public).await.unwrap();
            TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap()
        };
        Self(in_time("a connection", connects).await)
    }

    /// One that has begun as every client begins.
    pub async fn open(gateway: &Gateway, trusted: &[u8], name: &str) -> Self {
        let mut frames = Self::silent(gateway, trusted, name).await;
        frames.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        frames.send(&frame(SETTINGS, 0, 0, &[])).await;
        frames
    }

    /// Sends bytes as they are; says whether they were taken.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        let sending = async {
            self.0.write_all(bytes).await?;
            self.0.flush().await
        };
        in_time("room to send", sending).await.is_ok()
    }

    /// The next frame; nothing when the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        in_time("a frame", self.read()).await
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, _, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]).try_into().unwrap()];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind, stream: u32::from_be_bytes(stream), payload })
    }

    /// Reads on for so long; says whether the connection has ended.
    pub async fn ends_within(&mut self, wait: Duration) -> bool {
        let ends = async { while self.read().await.is_some() {} };
        tokio::time::timeout(wait, ends).await.is_ok()
    }

    /// Reads until the connection ends.
    pub async fn ends(&mut self) {
        while self.next().await.is_some() {}
    }

    /// The status that a stream is answered with; nothing when it is not.
    pub async fn status(&mut self, stream: u32) -> Option<u16> {
        loop {
            let frame = self.next().await?;
            match frame.kind {
                HEADERS if frame.stream == stream => return status(&frame.payload),
                RESET if frame.stream == stream => return None,
                GO_AWAY => return None,
                SETTINGS if !frame.payload.is_empty() => {}
                _ => {}
            }
        }
    }
}

/// The status in a block of headers: one of HPACK's own, or a literal under its name.
fn status(block: &[u8]) -> Option<u16> {
    // A change of the table's size may come first.
    let block = match block {
        [first, rest @ ..] if first & 0xe0 == 0x20 => rest,
        block => block,
    };
    const OWN: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match block {
        [first, ..] if first & 0x80 != 0 => OWN.get(usize::from(first & 0x7f) - 8).copied(),
        [first, length, value @ ..] if first & 0x3f == 8 || first & 0x0f == 8 => {
            let value = value.get(..usize::from(length & 0x7f))?;
            match length & 0x80 {
                0 => std::str::from_utf8(value).ok()?.parse().ok(),
                _ => digits(value).parse().ok(),
            }
        }
        _ => None,
    }
}

/// Digits in HPACK's Huffman code: 0, 1 and 2 have five bits, the others six.
fn digits(packed: &[u8]) -> String {
    let bits: Vec<u8> =
        packed.iter().flat_map(|byte| (0..8).rev().map(move |at| (byte >> at) & 1)).collect();
    let (mut text, mut at) = (String::new(), 0);
    while text.len() < 3 && at + 5 <= bits.len() {
        let number = |bits: &[u8]| bits.iter().fold(0, |sum, bit| sum * 2 + bit);
        let short = number(&bits[at..at + 5]);
        let (digit, length) = match short {
            0..=2 => (short, 5),
            _ => (number(&bits[at..(at + 6).min(bits.len())]) - 0x19 + 3, 6),
        };
        text.push(char::from(b'0' + digit));
        at += length;
    }
    text
}

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers as HPACK writes them that nobody shall remember, names and values as they are.
pub fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [number(text.len(), 7), text.as_bytes().to_vec()].concat();
    let header = |(name, value): &(&str, &str)| [vec![0], text(name), text(value)].concat();
    headers.iter().flat_map(header).collect()
}

/// A number with a prefix of so many bits, whose other bits are zero.
pub fn number(value: usize, bits: u32) -> Vec<u8> {
    let max = (1_usize << bits) - 1;
    if value < max {
        return vec![u8::try_from(value).unwrap()];
    }
    let (mut bytes, mut rest) = (vec![u8::try_from(max).unwrap()], value - max);
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// The headers of a request to this path.
pub fn request(method: &str, path: &str, name: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let own = [(":method", method), (":scheme", "https"), (":path", path), (":authority", name)];
    block(&[&own, more].concat())
}
