//! Requests hidden in the bodies of others: whatever is answered early, a body is never read as a
//! request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::framing::{answers, gateway};
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::raw::Raw;
use crate::support::server::{Reply, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

const HIDDEN: &str = "GET /free/hidden HTTP/1.1\r\nHost: a\r\n\r\n";

/// A gateway that refuses at every step.
async fn refusing(upstream: &Upstream) -> Gateway {
    Plan::to(upstream.address)
        .route("match = \"* /free/*\"", "price = \"free\"")
        .route("match = \"POST /png\"", &format!("{PRICED}\nbody.types = [\"image/png\"]"))
        .route("match = \"POST /small\"", &format!("{PRICED}\nbody.max = \"10B\""))
        .start()
        .await
}

/// Requests that are answered before their body is read.
fn early() -> Vec<(u16, String)> {
    let forged = Wallet::new(1).pays().then(|it| it.signed.signature[5] ^= 1);
    let paid = |payment: &str| format!("PAYMENT-SIGNATURE: {payment}\r\n");
    let good = || paid(&Wallet::new(1).pays().v2());
    let line = |line: &str, headers: String| format!("{line} HTTP/1.1\r\nHost: a\r\n{headers}");
    vec![
        (402, line("POST /paid", String::new())),
        (402, line("POST /paid", paid(&forged.v2()))),
        (400, line("POST /paid", paid("!"))),
        (404, line("POST /nothing", String::new())),
        (405, line("DELETE /paid", String::new())),
        (400, line("POST /./paid", String::new())),
        (415, line("POST /png", good() + "Content-Type: text/plain\r\n")),
        (413, line("POST /small", good())),
        (204, line("OPTIONS /paid", String::new())),
        (200, line("GET /llms.txt", String::new())),
        (400, line("BREW /paid", String::new())),
        (431, line("POST /paid", format!("x-a: {}\r\n", "x".repeat(40_000)))),
    ]
}

/// A body that is long, so that it comes in pieces, and full of requests.
fn full(bytes: usize) -> String {
    HIDDEN.repeat(bytes / HIDDEN.len() + 1)
}

#[tokio::test]
async fn the_body_of_a_refused_request_is_never_a_request() {
    let upstream = Upstream::start().await;
    let gateway = refusing(&upstream).await;
    for bytes in [1, 5_000, 64 * 1024, 300_000] {
        let body = full(bytes);
        for (status, head) in early() {
            let name = head.lines().next().unwrap().to_owned();
            let whole = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
            let got = answers(&gateway, whole.as_bytes(), "").await;
            assert_eq!(got, [status], "{name} with {bytes} bytes");
            let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}");
            // Without a length it is not known to be too long.
            if status != 413 {
                let got = answers(&gateway, chunked.as_bytes(), "").await;
                assert_eq!(got, [status], "{name} in chunks with {bytes} bytes");
            } else {
                let got = answers(&gateway, chunked.as_bytes(), "").await;
                assert!(!got.contains(&200), "{name}: {got:?}");
            }
        }
    }
    let seen = upstream.taken();
    assert!(seen.iter().all(|seen| seen.target == "/small"), "{seen:?}");
}

/// Whoever promises a body and asks first gets the answer, and sends a request or the body: neither
/// is taken for the other.
#[tokio::test]
async fn after_an_answer_without_100_nothing_is_read_as_a_request() {
    let upstream = Upstream::start().await;
    let gateway = refusing(&upstream).await;
    for (status, head) in early() {
        let length = HIDDEN.len();
        let head = format!("{head}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n");
        let got = answers(&gateway, head.as_bytes(), HIDDEN).await;
        assert_eq!(got, [status], "{head}");
    }
    assert!(upstream.taken().is_empty());
}

/// A connection whose small body was read goes on with the request behind it.
#[tokio::test]
async fn behind_a_body_that_was_read_the_next_request_begins_where_it_begins() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let mut raw = Raw::open(gateway.public).await;
    for round in 0..20 {
        let body = full(1_000);
        let head = format!("POST /paid HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n", body.len());
        raw.send(format!("{head}\r\n{body}")).await;
        let answer = raw.head().await.unwrap();
        assert_eq!(answer.status, 402, "{round}: {}", answer.head);
        raw.read(answer.length()).await;
        raw.send("GET /free/next HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = raw.head().await.unwrap();
        assert_eq!(answer.status, 200, "{round}: {}", answer.head);
        raw.read(answer.length()).await;
        let seen = upstream.taken();
        let targets: Vec<_> = seen.iter().map(|seen| seen.target.as_str()).collect();
        assert_eq!(targets, ["/free/next"], "{round}");
    }
}

/// Requests sent without waiting: those that are served are served whole and in their order, and
/// one payment in two of them buys one answer.
#[tokio::test]
async fn requests_in_a_row_are_served_in_order_or_not_at_all() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let free = |at: usize| format!("GET /free/{at} HTTP/1.1\r\nHost: a\r\n\r\n");
    let row: String = (0..8).map(free).collect();
    let got = answers(&gateway, row.as_bytes(), "").await;
    let targets: Vec<_> = upstream.taken().into_iter().map(|seen| seen.target).collect();
    let expected: Vec<_> = (0..targets.len()).map(|at| format!("/free/{at}")).collect();
    assert_eq!(targets, expected);
    assert_eq!(got, vec![200; targets.len()]);

    let payment = Wallet::new(1).pays();
    let paid = format!(
        "POST /paid HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nPAYMENT-SIGNATURE: {}\r\n\r\n",
        payment.v2()
    );
    let unpaid = "POST /paid HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let row = [unpaid, &paid, &paid, unpaid, &free(9)].concat();
    answers(&gateway, row.as_bytes(), &paid).await;
    let served = upstream.taken().into_iter().filter(|seen| seen.target == "/paid").count();
    assert!(served <= 1, "{served}");
    assert!(gateway.transfers().len() <= 1);
}

/// An upstream that answers as soon as it has a head, and keeps all that it reads by connection.
async fn hasty() -> (SocketAddr, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let read = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&read);
    tokio::spawn(async move {
        for at in 0.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            all.lock().unwrap().push(Vec::new());
            let all = Arc::clone(&all);
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                let mut answered = false;
                while let Ok(bytes @ 1..) = socket.read(&mut buffer).await {
                    all.lock().unwrap()[at].extend_from_slice(&buffer[..bytes]);
                    if !std::mem::replace(&mut answered, true) {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                        let _ = socket.write_all(answer).await;
                    }
                }
            });
        }
    });
    (address, read)
}

/// An upstream that answers before it has read leaves a body behind which is nobody's request, on
/// neither side.
#[tokio::test]
async fn behind_an_early_answer_of_the_upstream_nothing_is_a_request() {
    let (address, read) = hasty().await;
    let plan = Plan::to(address).no_routes();
    let gateway = plan.route("match = \"* /free/*\"", "price = \"free\"").start().await;
    let mut raw = Raw::open(gateway.public).await;
    let body = full(100_000);
    let length = body.len();
    let head = format!("POST /free/early HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let (now, later) = body.split_at(HIDDEN.len() * 10);
    raw.send(head + now).await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    raw.send(later).await;
    raw.finish().await;
    let rest = raw.rest().await;
    assert!(!rest.contains("HTTP/1.1 200"), "{rest}");
    for _ in 0..5 {
        assert_eq!(gateway.ask_alone("GET", "/free/next").send().await.text(), "ok");
    }
    let connections = read.lock().unwrap().clone();
    let texts: Vec<_> = connections.iter().map(|it| String::from_utf8_lossy(it)).collect();
    for text in &texts {
        assert!(!text.starts_with("GET /free/hidden"), "{text}");
        let behind = text.starts_with("POST /free/early") && text.contains("/free/next");
        assert!(!behind, "a request went out behind half of a body");
    }
    assert!(texts.iter().any(|text| text.starts_with("GET /free/next")));
}

const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

/// An upgrade that was not paid for opens nothing; neither does one that the upstream refuses.
#[tokio::test]
async fn an_upgrade_opens_no_way_around_the_price() {
    let mut upstream = Server::start().await;
    let plan = Plan::to(upstream.address);
    let gateway = plan.route("match = \"* /free/*\"", "price = \"free\"").start().await;
    let unpaid = format!("GET /paid HTTP/1.1\r\nHost: a\r\n{HANDSHAKE}\r\n");
    let frames = "\u{81}\u{5}hello";
    // What follows is read as HTTP, which it is not.
    let answered = answers(&gateway, unpaid.as_bytes(), frames).await;
    assert!(matches!(answered.as_slice(), [402] | [402, 400]), "{answered:?}");
    assert_eq!(upstream.count(), 0);

    // Refused with 426 by an upstream that goes on speaking HTTP: what follows goes nowhere.
    let payment = Wallet::new(1).pays();
    let mut raw = Raw::open(gateway.public).await;
    raw.send(format!(
        "GET /paid HTTP/1.1\r\nHost: a\r\nPAYMENT-SIGNATURE: {}\r\n{HANDSHAKE}\r\n",
        payment.v2()
    ))
    .await;
    let call = upstream.call().await;
    assert_eq!(call.seen.header("upgrade"), "websocket");
    raw.send("GET /paid HTTP/1.1\r\nHost: a\r\n\r\n").await;
    call.answer(Reply::new(426)).await;
    assert_eq!(raw.head().await.unwrap().status, 426);
    raw.finish().await;
    let rest = raw.rest().await;
    assert!(!rest.contains("HTTP/1.1 200"), "{rest}");
    assert_eq!(upstream.count(), 1);
    gateway.comes_to(&payment, "released").await;

    // Other protocols are not switched to.
    for other in ["h2c", "TLS/1.0", "websocket, h2c", "tcp"] {
        let head = format!(
            "GET /free/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
             Upgrade: {other}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        );
        let mut raw = Raw::open(gateway.public).await;
        raw.send(head).await;
        let call = upstream.call().await;
        let named = ["upgrade", "connection", "http2-settings"].map(|name| call.seen.header(name));
        assert_eq!(named, [""; 3], "{other}");
        call.answer(Reply::new(200)).await;
        assert_eq!(raw.head().await.unwrap().status, 200, "{other}");
    }
}

/// An upstream cannot switch a connection that nobody asked it to switch.
#[tokio::test]
async fn a_101_that_nobody_asked_for_is_no_answer() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = Raw::open(gateway.public).await;
    let header = payment.v2();
    raw.send(format!("GET /paid HTTP/1.1\r\nHost: a\r\nPAYMENT-SIGNATURE: {header}\r\n\r\n")).await;
    let call = upstream.call().await;
    let echoes = tokio::spawn(call.echo("websocket"));
    let answer = raw.head().await;
    let status = answer.map_or(502, |answer| answer.status);
    assert!(status >= 500, "{status}");
    raw.finish().await;
    raw.rest().await;
    let state = crate::support::eventually("an end", async || {
        let state = gateway.state(&payment).await;
        (state != "held" && state != "settling").then_some(state)
    });
    assert_eq!(state.await, "released", "nothing was charged for it");
    echoes.abort();
}
