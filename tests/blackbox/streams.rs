//! Answers that come piece by piece: each is with the client before the next one is made.

use std::time::Duration;

use reqwest::{Client, Response};

use crate::support::client::Ask;
use crate::support::gateway::Gateway;
use crate::support::in_time;
use crate::support::plan::Plan;
use crate::support::raw::Raw;
use crate::support::server::{Reply, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

/// What an API says of its stream, and three pieces of it. The last one is not what it says:
/// nobody looks into it.
fn streams() -> [(Reply, [&'static [u8]; 3]); 3] {
    let events = Reply::new(200).header("content-type", "text/event-stream");
    let lines = Reply::new(200).header("content-type", "application/x-ndjson");
    let packed = Reply::new(200)
        .header("content-type", "text/event-stream")
        .header("content-encoding", "gzip");
    [
        (events, [b"data: 1\n\n", b": still here\n\n", b"data: 2\n\n"]),
        (lines, [b"{}\n", b"{}", b"\n"]),
        (packed, [b"\x1f\x8b\x08\x00\x00", b"\x00\x00\x00\x00\x03\xff", b"\x00\xfe\xfd"]),
    ]
}

/// Asks, and has the upstream make each piece when the client has the one before it.
async fn comes_piece_by_piece(upstream: &mut Server, ask: Ask, head: &Reply, pieces: &[&[u8]]) {
    let begins = async { upstream.call().await.stream(head.clone()).await };
    // The head is with the client before there is any piece.
    let (mut answer, mut stream) = tokio::join!(ask.open(), begins);
    assert_eq!(answer.status(), 200);
    for piece in pieces {
        stream.send(piece).await;
        assert_eq!(read(&mut answer, piece.len()).await, *piece);
    }
    stream.end().await;
    while let Some(piece) = in_time("its end", answer.chunk()).await.unwrap() {
        assert!(piece.is_empty(), "{piece:?}");
    }
}

async fn read(answer: &mut Response, length: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < length {
        let piece = in_time("a piece", answer.chunk()).await.unwrap();
        read.extend_from_slice(&piece.expect("more of the answer"));
    }
    read
}

#[tokio::test]
async fn each_piece_of_an_answer_comes_before_the_next_is_made() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    for (head, pieces) in streams() {
        let free = gateway.ask("GET", "/free");
        comes_piece_by_piece(&mut upstream, free, &head, &pieces).await;
        let payment = Wallet::new(1).pays();
        let paid = gateway.ask("POST", "/paid").pays(&payment);
        comes_piece_by_piece(&mut upstream, paid, &head, &pieces).await;
        assert_eq!(gateway.state(&payment).await, "settled");
        // What was kept of it are the same bytes.
        let again = gateway.ask("POST", "/paid").pays(&payment).send().await;
        assert_eq!((again.status, again.body), (200, pieces.concat()));
    }
}

/// A client that begins in HTTP/2 without TLS, as gRPC does behind whatever ends TLS.
fn speaks_http_2() -> Client {
    let client = Client::builder().no_proxy().http2_prior_knowledge();
    client.timeout(Duration::from_secs(40)).build().unwrap()
}

fn ask_by_http_2(gateway: &Gateway, client: &Client, method: &str, path: &str) -> Ask {
    Ask::new(client, method, &gateway.url(path))
}

/// A gateway that speaks HTTP/2 to another one.
async fn before(behind: &Gateway) -> Gateway {
    let url = format!("url = \"http://{}\"\nhttp = \"2\"", behind.public);
    let plan = Plan::to_upstream(&url).no_routes();
    let plan = plan.route("match = \"GET,POST /free\"", "price = \"free\"");
    plan.start().await
}

#[tokio::test]
async fn so_it_does_by_http_2_from_client_to_upstream() {
    let mut upstream = Server::start().await;
    let behind = Plan::to(upstream.address).start().await;
    let gateway = before(&behind).await;
    let client = speaks_http_2();
    for (head, pieces) in streams() {
        let ask = ask_by_http_2(&gateway, &client, "GET", "/free");
        comes_piece_by_piece(&mut upstream, ask, &head, &pieces).await;
    }
}

#[tokio::test]
async fn whoever_begins_in_http_2_without_tls_pays_like_all_others() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let client = speaks_http_2();
    let unpaid = ask_by_http_2(&gateway, &client, "POST", "/paid").open().await;
    assert_eq!((unpaid.status().as_u16(), unpaid.version()), (402, reqwest::Version::HTTP_2));
    let payment = Wallet::new(1).pays();
    let ask = ask_by_http_2(&gateway, &client, "POST", "/paid").pays(&payment).body("the body");
    let paid = ask.send().await;
    assert_eq!((paid.status, paid.text().as_str()), (200, "served"));
    assert_eq!(paid.object("payment-response")["success"], true);
    assert_eq!(gateway.state(&payment).await, "settled");
    assert_eq!(upstream.seen()[0].body, b"the body");
}

/// More than any window of HTTP/2 holds, there and back.
#[tokio::test]
async fn what_is_large_passes_by_http_2_too() {
    let echo = |seen: &crate::support::server::Seen| Reply::new(200).body(seen.body.clone());
    let upstream = Upstream::answering(echo).await;
    let free = |plan: Plan| plan.route("match = \"POST /free\"", "price = \"free\"");
    let behind = free(Plan::to(upstream.address)).start().await;
    let gateway = before(&behind).await;
    let large: Vec<u8> = (0..12_000_000_u32).map(|n| (n % 251) as u8).collect();
    for client in [speaks_http_2(), crate::support::client::client()] {
        let ask = Ask::new(&client, "POST", &gateway.url("/free")).body(large.clone());
        let answer = ask.send().await;
        assert_eq!(answer.status, 200);
        assert!(answer.body == large, "{} bytes came back", answer.body.len());
    }
}

/// The gateway looks for HTTP/2 no further than a client's first bytes look like it.
#[tokio::test]
async fn what_is_too_short_for_http_2_is_answered_at_once() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    for (short, status) in [("GET / HTTP/1.0\r\n\r\n", 400), ("P / HTTP/1.0\r\n\r\n", 400)] {
        let mut raw = Raw::open(gateway.public).await;
        raw.send(short).await;
        assert_eq!(raw.head().await.unwrap().status, status);
    }
    // A head in two parts, the first of which could become a preface.
    let mut raw = Raw::open(gateway.public).await;
    raw.send("P").await;
    raw.send("OST /paid HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(raw.head().await.unwrap().status, 402);
}

#[tokio::test]
async fn whoever_says_nothing_is_hung_up_on() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).server("client_timeout = \"200ms\"").start().await;
    for begun in ["", "PRI * HT"] {
        let mut raw = Raw::open(gateway.public).await;
        raw.send(begun).await;
        assert_eq!(raw.rest().await, "");
    }
}

/// A socket on a free route outlives the configuration that it began with.
#[tokio::test]
async fn an_upgrade_on_a_free_route_goes_on_over_a_reload() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let mut raw = Raw::open(gateway.public).await;
    let head = "GET /free HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    raw.send(head).await;
    let echoes = tokio::spawn(upstream.call().await.echo("websocket"));
    assert_eq!(raw.head().await.unwrap().status, 101);
    raw.send("before").await;
    assert_eq!(raw.read(6).await, b"before");
    let (status, said) = gateway.reloaded(|text| text.replace("/free", "/other")).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(gateway.ask("GET", "/free").send().await.status, 404);
    raw.send("after").await;
    assert_eq!(raw.read(5).await, b"after");
    drop(raw);
    echoes.await.unwrap();
}
