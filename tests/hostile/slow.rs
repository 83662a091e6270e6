//! Clients that take their time: every wait ends, and nothing is held for them meanwhile.

use std::time::{Duration, Instant};

use crate::support::facilitator::Facilitator;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::raw::Raw;
use crate::support::server::Server;
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

/// Bounds that a test can wait for, each shorter than how long pingora waits by itself.
const SHORT: &str = "client_timeout = \"1s\"\nkeepalive = \"700ms\"";
/// Far above [`SHORT`] on a busy machine, far below what a patient server would wait.
const LONGEST: Duration = Duration::from_secs(20);
/// Shorter than any pause that ends a connection.
const PAUSE: Duration = Duration::from_millis(100);

async fn gateway(upstream: &Upstream) -> Gateway {
    let plan = Plan::to(upstream.address).server(SHORT);
    plan.route("match = \"* /free/*\"", "price = \"free\"").start().await
}

/// Sends piece after piece, none of them late, until the other side has closed.
async fn drips(raw: &mut Raw, mut piece: impl FnMut() -> String) -> String {
    let (begun, mut read) = (Instant::now(), Vec::new());
    while !raw.read_on(PAUSE, &mut read).await {
        assert!(begun.elapsed() < LONGEST, "nobody ends it");
        raw.send(piece()).await;
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn a_head_that_drips_is_not_waited_for() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for begin in ["G", "GET /free/a HTTP/1.1\r\nHost: a\r\n", "GET /free/a HTTP/1.1\r\nx-a: "] {
        let mut raw = Raw::open(gateway.public).await;
        raw.send(begin).await;
        let mut at = 0;
        let rest = drips(&mut raw, || {
            at += 1;
            if begin.ends_with('\n') { format!("x-{at}: 1\r\n") } else { "x".to_owned() }
        });
        assert!(!rest.await.contains("HTTP/1.1 2"), "{begin}");
    }
    // Nor is the second one on a connection.
    let mut raw = Raw::open(gateway.public).await;
    raw.send("GET /free/a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    raw.read("served".len()).await;
    raw.send("GET /free/b HTTP/1.1\r\n").await;
    let rest = drips(&mut raw, || "x-a: 1\r\n".to_owned()).await;
    assert!(!rest.contains("HTTP/1.1 2"), "{rest}");
    let targets: Vec<_> = upstream.taken().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/free/a"]);
}

/// A keep-alive of less than a second is no keep-alive for ever.
#[tokio::test]
async fn an_idle_connection_is_closed() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let mut raw = Raw::open(gateway.public).await;
    raw.send("GET /free/a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    raw.read("served".len()).await;
    let begun = Instant::now();
    assert_eq!(raw.rest().await, "");
    assert!(begun.elapsed() < LONGEST, "it took {:?}", begun.elapsed());
}

/// Whoever fills the house with heads that do not come is out of it soon, and others are served.
#[tokio::test]
async fn slow_heads_do_not_keep_others_out() {
    let upstream = Upstream::start().await;
    let plan = Plan::to(upstream.address).server(SHORT).server("connections_max = 5");
    let gateway = plan.start().await;
    let mut slow = Vec::new();
    for _ in 0..5 {
        let mut raw = Raw::open(gateway.public).await;
        raw.send("GET /free HTTP/1.1\r\n").await;
        slow.push(raw);
    }
    crate::support::eventually("room for others", async || {
        for raw in &mut slow {
            raw.send("x-a: 1\r\n").await;
        }
        let answer = gateway.ask_alone("GET", "/free").try_send().await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_body_that_stops_ends_the_exchange_and_lets_the_payment_go() {
    let upstream = Server::start().await;
    let facilitator = Facilitator::start().await;
    let plan = Plan::to(upstream.address).settled_by(&facilitator).server(SHORT);
    let gateway = plan.start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = Raw::open(gateway.public).await;
    let header = payment.v2();
    raw.send(format!(
        "POST /paid HTTP/1.1\r\nHost: a\r\nPAYMENT-SIGNATURE: {header}\r\n\
         Content-Length: 100\r\n\r\nhalf"
    ))
    .await;
    upstream.begun(1).await;
    assert_eq!(gateway.state(&payment).await, "held");
    let begun = Instant::now();
    raw.rest().await;
    assert!(begun.elapsed() < LONGEST, "it took {:?}", begun.elapsed());
    gateway.comes_to(&payment, "released").await;
    assert_eq!(facilitator.asked(), (1, 0));
}

/// Each pause is short, and the whole has a pace all the same, paid for or not.
#[tokio::test]
async fn a_body_that_drips_is_not_read_for_ever() {
    let upstream = Server::start().await;
    let facilitator = Facilitator::start().await;
    let plan = Plan::to(upstream.address).settled_by(&facilitator).server(SHORT);
    let gateway = plan.route("match = \"* /free/*\"", "price = \"free\"").start().await;
    let payment = Wallet::new(1).pays();
    let paid = format!("PAYMENT-SIGNATURE: {}\r\n", payment.v2());
    for (path, headers) in [("/paid", paid.as_str()), ("/free/a", "")] {
        let mut raw = Raw::open(gateway.public).await;
        raw.send(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: 100000\r\n\r\n"
        ))
        .await;
        let rest = drips(&mut raw, || "x".to_owned()).await;
        assert!(rest.starts_with("HTTP/1.1 400"), "{rest}");
    }
    gateway.comes_to(&payment, "released").await;
    assert_eq!(facilitator.asked(), (1, 0));
}

/// One that comes at a pace is read, however long that takes.
#[tokio::test]
async fn a_body_that_comes_slowly_is_read_to_its_end() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let mut raw = Raw::open(gateway.public).await;
    let piece = "x".repeat(4_000);
    let length = piece.len() * 25;
    let head = format!("POST /free/a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    raw.send(head).await;
    let mut read = Vec::new();
    for _ in 0..25 {
        assert!(!raw.read_on(PAUSE, &mut read).await, "{}", String::from_utf8_lossy(&read));
        raw.send(&piece).await;
    }
    assert_eq!(raw.head().await.unwrap().status, 200);
    assert_eq!(upstream.taken()[0].body.len(), length);
}

/// What is refused with its body unread is read on for a while, and not for ever.
#[tokio::test]
async fn a_refused_body_is_not_read_for_ever() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let mut raw = Raw::open(gateway.public).await;
    raw.send("POST /paid HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n").await;
    assert_eq!(raw.head().await.unwrap().status, 402);
    // A client that stops is left after its longest pause.
    let begun = Instant::now();
    raw.rest().await;
    assert!(begun.elapsed() < LONGEST, "it took {:?}", begun.elapsed());
    assert!(upstream.taken().is_empty());
}

/// Who has said all and still listens is answered, and pays for it.
#[tokio::test]
async fn a_client_that_only_listens_any_more_is_answered() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let mut raw = Raw::open(gateway.public).await;
    raw.send("POST /paid HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    raw.finish().await;
    assert_eq!(raw.head().await.unwrap().status, 402);
    let payment = Wallet::new(1).pays();
    let mut raw = Raw::open(gateway.public).await;
    let header = payment.v2();
    raw.send(format!(
        "POST /paid HTTP/1.1\r\nHost: a\r\nPAYMENT-SIGNATURE: {header}\r\n\
         Content-Length: 4\r\n\r\nbody"
    ))
    .await;
    raw.finish().await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    assert!(raw.rest().await.ends_with("served"));
    gateway.comes_to(&payment, "settled").await;
    // One that ends in the middle of its body is not, and does not.
    let payment = Wallet::new(1).pays();
    let mut raw = Raw::open(gateway.public).await;
    let header = payment.v2();
    raw.send(format!(
        "POST /paid HTTP/1.1\r\nHost: a\r\nPAYMENT-SIGNATURE: {header}\r\n\
         Content-Length: 9\r\n\r\nbody"
    ))
    .await;
    raw.finish().await;
    assert!(!raw.rest().await.starts_with("HTTP/1.1 200"));
    gateway.comes_to(&payment, "released").await;
}
