//! Who means ill: payments that are none, paths that look like others, requests that are cut off
//! or have two ends. None is ever served.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::house::{House, Visitor};
use super::tally::Kind;
use crate::support::client::Ask;
use crate::support::wallet::{ASSET, Payment, Wallet};

/// Of a wallet that has money, signed badly or for somebody else.
const PAYMENTS: [fn() -> Payment; 5] = [
    || rich().pays().then(|payment| payment.signed.signature[7] ^= 1),
    || rich().pays().high_s(),
    || rich().signs(|signed| signed.to = ASSET),
    || rich().signs(|signed| signed.valid_before = signed.valid_after),
    || rich().pays_units(1),
];

fn rich() -> Wallet {
    super::house::wallet(0)
}

const PATHS: [&str; 6] =
    ["//paid", "/free/../paid", "/%70aid", "/paid;a=b", "/paid%00", "/free%2f..%2fpaid"];

const REQUESTS: [&str; 5] = [
    "POST /paid HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\
     \r\n0\r\n\r\n",
    "POST /paid HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "GET /paid HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET /paid HTTP/1.1\r\nHost: a\r\nX-Tollgate-Payer: 0x1\r\n\r\n",
    "GET nowhere HTTP/1.1\r\n\r\n",
];

/// Begun, and never finished.
const PIECES: [&str; 3] = [
    "GET /paid HTT",
    "POST /paid HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome",
    "POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nsome",
];

pub(super) async fn attacks(house: &House) {
    let visitor = Visitor::of(house);
    while !house.is_over() {
        for payment in PAYMENTS {
            pays(house, visitor.ask("POST", "/paid"), &payment()).await;
        }
        for path in PATHS {
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
            says(house, &request).await;
        }
        for request in REQUESTS {
            says(house, request).await;
        }
        let long = "a".repeat(200_000);
        says(house, &format!("GET /paid HTTP/1.1\r\nHost: a\r\nX-Long: {long}\r\n\r\n")).await;
        for piece in PIECES {
            // Whether it has come or not: nobody waits for an answer.
            drop(begins(house.address(), piece).await);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn pays(house: &House, ask: Ask, payment: &Payment) {
    let begun = Instant::now();
    let status = ask.pays(payment).try_send().await.map_or(0, |answer| answer.status);
    refused(house, status, begun);
}

async fn says(house: &House, request: &str) {
    let begun = Instant::now();
    let answer = async {
        let mut stream = begins(house.address(), request).await?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&head[9..]).parse().unwrap_or(999))
    };
    let status = answer.await.unwrap_or(0);
    refused(house, status, begun);
}

async fn begins(address: SocketAddr, bytes: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(bytes.as_bytes()).await?;
    Ok(stream)
}

#[track_caller]
fn refused(house: &House, status: u16, begun: Instant) {
    assert!(matches!(status, 0 | 400 | 402 | 404 | 429 | 431 | 503), "{status}");
    let took = (status != 0).then(|| begun.elapsed());
    house.tally.borrow_mut().count(Kind::Attack, status, took);
}
