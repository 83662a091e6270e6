//! HTTP/2 as no client speaks it: requests of two readings, floods, and silence.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::floods::floods;
use super::framing::Fate;
use crate::blackbox::tls;
use crate::support::frames::{
    DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, RESET, SETTINGS, block, frame, request,
};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::server::Reply;
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;
use crate::support::{eventually, in_time};

use Fate::{Forwarded, Refused};

pub(super) const NAME: &str = "one.example";

/// What a flood may cost at its height: the buffers of a connection or two.
const GROWTH_KB_MAX: u64 = 40_000;
/// Far above the bounds of these tests, far below what a patient server would wait.
const LONGEST: Duration = Duration::from_secs(20);

/// A gateway that is spoken to by TLS.
struct House {
    gateway: Gateway,
    trusted: Vec<u8>,
    upstream: Upstream,
}

impl House {
    async fn start() -> Self {
        Self::to(Upstream::start().await).await
    }

    async fn to(upstream: Upstream) -> Self {
        let plan = Plan::to(upstream.address)
            .server("client_timeout = \"1s\"\nkeepalive = \"1s\"")
            .route("match = \"* /free/*\"", "price = \"free\"");
        let (gateway, trusted) = tls::start(plan, &[("one", &[NAME])]).await;
        Self { gateway, trusted: trusted.into_iter().next().unwrap(), upstream }
    }

    async fn open(&self) -> Frames {
        Frames::open(&self.gateway, &self.trusted, NAME).await
    }

    /// Others are served as ever.
    async fn goes_on(&self, after: &str) {
        let mut frames = self.open().await;
        let head = request("GET", "/free/after", NAME, &[]);
        frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)).await;
        assert_eq!(frames.status(1).await, Some(200), "after {after}");
        self.gateway.runs(0).await;
    }
}

fn pseudo(method: &str, path: &str) -> Vec<(String, String)> {
    let own = [(":method", method), (":scheme", "https"), (":path", path), (":authority", NAME)];
    own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A good request to `/free/a` with these headers more.
fn with(more: &[(&str, &str)]) -> Vec<u8> {
    request("POST", "/free/a", NAME, more)
}

/// Blocks of headers, what follows them as a body, and what becomes of the request.
fn requests() -> Vec<(&'static str, Vec<u8>, &'static str, Fate)> {
    let without = |name: &str| {
        let kept: Vec<_> =
            pseudo("POST", "/free/a").into_iter().filter(|it| it.0 != name).collect();
        block(&kept.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect::<Vec<_>>())
    };
    let path = |path: &str| request("POST", path, NAME, &[]);
    let twice = |name: &str, value: &str| [with(&[]), block(&[(name, value)])].concat();
    let early = |name: &str, value: &str| [block(&[(name, value)]), with(&[])].concat();
    vec![
        ("as it should be", with(&[]), "body", Forwarded("body")),
        ("its own length", with(&[("content-length", "4")]), "body", Forwarded("body")),
        ("a shorter length", with(&[("content-length", "3")]), "body", Refused),
        ("a longer length", with(&[("content-length", "5")]), "body", Refused),
        ("two lengths", with(&[("content-length", "4"), ("content-length", "5")]), "body", Refused),
        ("a list of lengths", with(&[("content-length", "4, 4")]), "body", Refused),
        ("a length in words", with(&[("content-length", "four")]), "body", Refused),
        ("an encoding", with(&[("transfer-encoding", "chunked")]), "0\r\n\r\n", Refused),
        ("a connection", with(&[("connection", "x-a")]), "", Refused),
        ("a connection of before", with(&[("proxy-connection", "close")]), "", Refused),
        ("an upgrade", with(&[("upgrade", "websocket")]), "", Refused),
        ("capital letters", with(&[("X-A", "b")]), "", Refused),
        ("a line end in a value", with(&[("x-a", "b\r\nx-tollgate-payer: c")]), "", Refused),
        ("a line end in a name", with(&[("x-a: b\r\nx-c", "d")]), "", Refused),
        ("a nothing in a value", with(&[("x-a", "b\0")]), "", Refused),
        ("a space in a name", with(&[("x a", "b")]), "", Refused),
        ("a name without letters", with(&[("", "b")]), "", Refused),
        ("a colon in a name", with(&[("x:a", "b")]), "", Refused),
        ("another host", with(&[("host", "two.example")]), "", Refused),
        ("two hosts", with(&[("host", NAME), ("host", NAME)]), "", Refused),
        ("somebody at the host", request("POST", "/free/a", "a@one.example", &[]), "", Refused),
        ("no method", without(":method"), "", Refused),
        ("no path", without(":path"), "", Refused),
        ("no scheme", without(":scheme"), "", Refused),
        ("two methods", twice(":method", "GET"), "", Refused),
        ("two paths", twice(":path", "/paid"), "", Refused),
        (
            "a path too late",
            [with(&[("x-a", "b")]), block(&[(":path", "/b")])].concat(),
            "",
            Refused,
        ),
        ("a header too early", early("x-a", "b"), "", Refused),
        ("a word of answers", twice(":status", "200"), "", Refused),
        ("a word of nobody", twice(":free", "yes"), "", Refused),
        ("no slash", path("free/a"), "", Refused),
        ("nothing", path(""), "", Refused),
        ("a star", path("*"), "", Refused),
        ("an absolute path", path("https://one.example/free/a"), "", Refused),
        ("a fragment", path("/free/a#/../../paid"), "", Forwarded("")),
        ("two slashes", path("//free/a"), "", Refused),
        ("dots", path("/free/../paid"), "", Refused),
        ("escaped dots", path("/free/%2e%2e/paid"), "", Refused),
        ("an escape", path("/%66ree/a"), "", Refused),
        ("a space", path("/free/a b"), "", Refused),
        ("a line end", path("/free/a HTTP/1.1\r\nx: y"), "", Refused),
        ("another line end", path("/free/a\r\n\r\nGET /free/b HTTP/1.1\r\n\r\n"), "", Refused),
        (
            "a method of two words",
            request("POST /free/b HTTP/1.1", "/free/a", NAME, &[]),
            "",
            Refused,
        ),
        ("a tunnel", request("CONNECT", "/free/a", NAME, &[]), "", Refused),
        ("an echo", request("TRACE", "/free/a", NAME, &[]), "", Refused),
        ("what is to be paid for", path("/paid"), "", Refused),
    ]
}

#[tokio::test]
async fn a_request_has_one_reading_in_http_2_too() {
    let house = House::start().await;
    for (name, block, body, fate) in requests() {
        let mut frames = house.open().await;
        let head = frame(HEADERS, END_HEADERS, 1, &block);
        let rest = frame(DATA, END_STREAM, 1, body.as_bytes());
        frames.send(&[head, rest].concat()).await;
        let status = frames.status(1).await;
        let seen = house.upstream.taken();
        match fate {
            Forwarded(body) => {
                assert_eq!((status, seen.len()), (Some(200), 1), "{name}: {seen:?}");
                assert_eq!(seen[0].body, body.as_bytes(), "{name}");
                assert_eq!(seen[0].target, "/free/a", "{name}");
            }
            Refused => {
                assert!(status.is_none_or(|status| status >= 400), "{name}: {status:?}");
                assert!(seen.is_empty(), "{name}: {seen:?}");
            }
        }
    }
    house.goes_on("all of them").await;
}

/// What ends with a frame without bytes has one end for an upstream of HTTP/1: what followed it
/// would be read as another request, and answered to somebody else.
#[tokio::test]
async fn a_body_that_ends_with_nothing_ends_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plan = Plan::to(listener.local_addr().unwrap());
    let plan = plan.route("match = \"* /free/*\"", "price = \"free\"");
    let (gateway, trusted) = tls::start(plan, &[("one", &[NAME])]).await;
    let mut frames = Frames::open(&gateway, &trusted[0], NAME).await;
    for (stream, body) in [(1, &b"body"[..]), (3, b"")] {
        let head = request("POST", "/free/a", NAME, &[]);
        frames.send(&frame(HEADERS, END_HEADERS, stream, &head)).await;
        if !body.is_empty() {
            frames.send(&frame(DATA, 0, stream, body)).await;
        }
        frames.send(&frame(DATA, END_STREAM, stream, b"")).await;
        let (mut socket, _) = listener.accept().await.unwrap();
        let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
        while !read.ends_with(b"\r\n0\r\n\r\n") {
            let bytes = in_time("a request", socket.read(&mut buffer)).await.unwrap();
            read.extend_from_slice(&buffer[..bytes]);
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        socket.write_all(answer).await.unwrap();
        // The gateway closes, and has said nothing more.
        in_time("the end", socket.read_to_end(&mut read)).await.unwrap();
        let text = String::from_utf8_lossy(&read).into_owned();
        assert_eq!(text.matches("\r\n0\r\n\r\n").count(), 1, "{text}");
        assert!(!text.contains("0\r\n\r\n0\r\n"), "{text}");
        assert!(text.ends_with("\r\n0\r\n\r\n"), "{text}");
        assert_eq!(frames.status(stream).await, Some(200));
    }
}

/// Whatever is poured in, nobody reads what comes back, and others are served beside it and after.
#[tokio::test]
async fn floods_cost_no_memory_and_keep_nobody_out() {
    let house = House::start().await;
    house.goes_on("nothing").await;
    for (name, piece, count) in floods() {
        let (before, begun) = (house.gateway.peak_kb(), Instant::now());
        let mut frames = house.open().await;
        let mut bytes = Vec::new();
        for at in 0..count {
            bytes.extend(piece(at));
            if bytes.len() > 60_000 || at + 1 == count {
                // Refused, closed, or not read any more.
                let sending = tokio::time::timeout(Duration::from_secs(2), frames.send(&bytes));
                if !sending.await.unwrap_or(false) {
                    break;
                }
                bytes.clear();
            }
        }
        let growth = house.gateway.peak_kb().saturating_sub(before);
        assert!(growth < GROWTH_KB_MAX, "{name}: {growth} kB more");
        drop(frames);
        house.goes_on(name).await;
        let seen = house.upstream.taken();
        assert!(seen.iter().all(|seen| seen.target != "/paid"), "{name} opened what is priced");
        assert!(begun.elapsed() < 3 * LONGEST, "{name} took {:?}", begun.elapsed());
    }
}

/// A payment whose request is taken back at once is let go, or has bought its answer.
#[tokio::test]
async fn payments_that_are_taken_back_end_one_way_or_the_other() {
    let house = House::start().await;
    let payments: Vec<_> = (0..30).map(|_| Wallet::new(1).pays()).collect();
    for payment in &payments {
        let mut frames = house.open().await;
        let headers = [("payment-signature", payment.v2())];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let head = request("POST", "/paid", NAME, &headers);
        let taken_back = frame(RESET, 0, 1, &8_u32.to_be_bytes());
        let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, &head);
        frames.send(&[head, taken_back].concat()).await;
    }
    house.goes_on("payments").await;
    let ledger = house.gateway.ledger().await;
    let states: Vec<_> = ledger.values().map(|line| line.state()).collect();
    assert!(states.iter().all(|state| matches!(*state, "settled" | "released")), "{states:?}");
    let settled = states.iter().filter(|state| **state == "settled").count();
    assert_eq!(house.gateway.transfers().len(), settled);
    let served = house.upstream.taken().iter().filter(|seen| seen.target == "/paid").count();
    assert!(served >= settled, "{served} served, {settled} settled");
}

/// Whoever agrees on HTTP/2 and says nothing, or begins and says nothing more, is left.
#[tokio::test]
async fn silence_is_not_waited_for() {
    let house = House::start().await;
    let begun = Instant::now();
    Frames::silent(&house.gateway, &house.trusted, NAME).await.ends().await;
    let mut half = Frames::silent(&house.gateway, &house.trusted, NAME).await;
    half.send(b"PRI * HTTP/2.0\r\n").await;
    half.ends().await;
    house.open().await.ends().await;
    let mut headers = house.open().await;
    headers.send(&frame(HEADERS, 0, 1, &with(&[]))).await;
    headers.ends().await;
    // One that pings is not silent, and asks for nothing.
    let mut pings = house.open().await;
    while !pings.ends_within(Duration::from_millis(100)).await {
        assert!(begun.elapsed() < 2 * LONGEST, "it is waited for");
        pings.send(&frame(PING, 0, 0, &[0; 8])).await;
    }
    assert!(begun.elapsed() < 2 * LONGEST, "it took {:?}", begun.elapsed());
}

/// Whoever asks for much and takes nothing has nothing kept for it.
#[tokio::test]
async fn answers_that_nobody_takes_are_not_gathered() {
    let much = |_: &_| Reply::new(200).body(vec![b'x'; 4_000_000]);
    let house = House::to(Upstream::answering(much).await).await;
    let before = house.gateway.peak_kb();
    let mut frames = Frames::silent(&house.gateway, &house.trusted, NAME).await;
    frames.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    // No stream may send a byte.
    frames.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await;
    let head = request("GET", "/free/a", NAME, &[]);
    for at in 0..50 {
        frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * at + 1, &head)).await;
    }
    eventually("all are asked for", async || (house.upstream.seen().len() == 50).then_some(()))
        .await;
    // After the longest pause they are given up.
    house.gateway.runs(0).await;
    let growth = house.gateway.peak_kb().saturating_sub(before);
    assert!(growth < 2 * GROWTH_KB_MAX, "{growth} kB more for 200 MB of answers");
}
