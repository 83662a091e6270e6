//! Upstreams that answer badly, late, in two steps or not at all: no answer, no charge.

use super::refusals::refused;
use crate::support::facilitator::Facilitator;
use crate::support::plan::{PRICED, Plan};
use crate::support::raw::Raw;
use crate::support::server::{Reply, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

/// Its own error reaches the client as it is, the payment is let go and can be used again.
async fn passes_through_and_releases(status: u16) {
    let mut upstream = Server::start().await;
    let facilitator = Facilitator::start().await;
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    let payment = Wallet::new(1).pays();
    let ask = || gateway.ask("POST", "/paid").pays(&payment).send();
    let fails = async {
        let reply = Reply::new(status).header("x-own", "kept").body("its own words");
        upstream.call().await.answer(reply).await;
    };
    let (answer, ()) = tokio::join!(ask(), fails);
    assert_eq!((answer.status, answer.text().as_str()), (status, "its own words"));
    assert_eq!((answer.header("x-own"), answer.header("cache-control")), ("kept", "no-store"));
    assert!(!answer.headers.contains_key("payment-response"));
    gateway.comes_to(&payment, "released").await;
    assert_eq!(facilitator.asked(), (1, 0), "nothing was settled");

    let succeeds = async { upstream.call().await.answer(Reply::new(200)).await };
    let (answer, ()) = tokio::join!(ask(), succeeds);
    assert_eq!(answer.status, 200);
    gateway.comes_to(&payment, "settled").await;
    assert_eq!(facilitator.asked(), (2, 1));
}

#[tokio::test]
async fn a_500_of_the_upstream_costs_nothing() {
    passes_through_and_releases(500).await;
}

#[tokio::test]
async fn a_404_of_the_upstream_costs_nothing() {
    passes_through_and_releases(404).await;
}

#[tokio::test]
async fn a_redirect_of_the_upstream_costs_nothing() {
    passes_through_and_releases(302).await;
}

/// A 402 of an upstream that sells by itself is its own.
#[tokio::test]
async fn a_402_of_the_upstream_costs_nothing() {
    passes_through_and_releases(402).await;
}

#[tokio::test]
async fn every_2xx_is_an_answer_worth_its_price() {
    for status in [201, 202, 204, 206] {
        let upstream = Upstream::answering(move |_| Reply::new(status)).await;
        let gateway = Plan::to(upstream.address).start().await;
        let payment = Wallet::new(1).pays();
        let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.object("payment-response")["success"], true);
        gateway.comes_to(&payment, "settled").await;
    }
}

/// gRPC says 200 to everything; its own status tells.
#[tokio::test]
async fn a_grpc_error_behind_a_200_costs_nothing() {
    let upstream = Upstream::answering(|_| Reply::new(200).header("grpc-status", "13")).await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("payment-response"));
    gateway.comes_to(&payment, "released").await;
}

#[tokio::test]
async fn an_upstream_that_hangs_up_without_an_answer_costs_nothing() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let ask = gateway.ask("POST", "/paid").pays(&payment).send();
    let closes = async { drop(upstream.call().await) };
    let (answer, ()) = tokio::join!(ask, closes);
    refused(&answer, "upstream_unavailable");
    gateway.comes_to(&payment, "released").await;
    assert_eq!(upstream.count(), 1, "a paid POST is not sent twice");
}

#[tokio::test]
async fn an_upstream_that_speaks_no_http_costs_nothing() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let ask = gateway.ask("POST", "/paid").pays(&payment).send();
    let babbles = async { upstream.call().await.say_and_close(b"SSH-2.0-Babble\r\n\r\n").await };
    let (answer, ()) = tokio::join!(ask, babbles);
    refused(&answer, "upstream_unavailable");
    gateway.comes_to(&payment, "released").await;
}

/// A route may be more patient than its upstream, or less.
#[tokio::test]
async fn a_routes_own_timeout_goes_before_the_upstreams() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address)
        .route("match = \"POST /quick\"", &format!("{PRICED}\ntimeout = \"200ms\""))
        .start()
        .await;
    let payment = Wallet::new(1).pays();
    let ask = gateway.ask("POST", "/quick").pays(&payment).send();
    let (answer, _call) = tokio::join!(ask, upstream.call());
    refused(&answer, "upstream_timeout");
    gateway.comes_to(&payment, "released").await;
    // And a new connection is as good as ever.
    let free = gateway.ask("GET", "/free").send();
    let answers = async { upstream.call().await.answer(Reply::new(204)).await };
    let (free, ()) = tokio::join!(free, answers);
    assert_eq!(free.status, 204);
}

/// Nothing is decided on an informational head: the money moves once, on the final one.
#[tokio::test]
async fn early_hints_settle_nothing() {
    let mut upstream = Server::start().await;
    let mut facilitator = Facilitator::start().await;
    facilitator.on_settle(crate::support::facilitator::Habit::Waits);
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = Raw::open(gateway.public).await;
    let header = payment.v2();
    raw.send(format!("GET /paid HTTP/1.1\r\nHost: a\r\nPAYMENT-SIGNATURE: {header}\r\n\r\n")).await;
    let mut call = upstream.call().await;
    let link = Reply::new(103).header("link", "</style.css>; rel=preload");
    call.inform(link.header("PAYMENT-RESPONSE", "e30=")).await;
    let hints = raw.head().await.unwrap();
    assert_eq!(hints.status, 103);
    assert!(!hints.head.to_ascii_lowercase().contains("payment-response"), "{}", hints.head);
    assert_eq!(facilitator.asked(), (1, 0));

    call.answer(Reply::new(200)).await;
    let question = facilitator.waiting().await;
    facilitator.answers_honestly(question).await;
    let answer = raw.head().await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.head.to_ascii_lowercase().contains("payment-response"), "{}", answer.head);
    assert_eq!(facilitator.asked(), (1, 1));
}

/// A paid upgrade is settled on its 101, and what follows is no body that a bound could be on.
#[tokio::test]
async fn an_upgrade_is_paid_for_and_goes_on() {
    let mut upstream = Server::start().await;
    let facilitator = Facilitator::start().await;
    let short = format!("{PRICED}\nbody = {{ max = \"1KB\" }}");
    let plan = Plan::to(upstream.address).settled_by(&facilitator);
    let gateway = plan.route("match = \"GET /socket\"", &short).start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = Raw::open(gateway.public).await;
    raw.send(format!(
        "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         PAYMENT-SIGNATURE: {}\r\n\r\n",
        payment.v2()
    ))
    .await;
    let echoes = tokio::spawn(upstream.call().await.echo("websocket"));
    let answer = raw.head().await.unwrap();
    assert_eq!(answer.status, 101);
    assert!(answer.head.to_ascii_lowercase().contains("payment-response"), "{}", answer.head);
    assert_eq!(facilitator.asked(), (1, 1));
    let long = "0123456789".repeat(500);
    raw.send(&long).await;
    assert_eq!(raw.read(long.len()).await, long.as_bytes());
    drop(raw);
    echoes.await.unwrap();
    assert_eq!(gateway.state(&payment).await, "settled");
}

/// The upstream sees 100-continue and its client waits for it, with the payment held between.
#[tokio::test]
async fn a_paid_upload_that_waits_for_100_is_served() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = Raw::open(gateway.public).await;
    let header = payment.v2();
    let head = format!(
        "POST /paid HTTP/1.1\r\nHost: a\r\nPAYMENT-SIGNATURE: {header}\r\n\
         Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    );
    raw.send(head).await;
    assert_eq!(raw.head().await.unwrap().status, 100);
    raw.send("hello").await;
    let call = upstream.call().await;
    assert_eq!(call.seen.body, b"hello");
    call.answer(Reply::new(200)).await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    gateway.comes_to(&payment, "settled").await;
}

/// A body without a length is counted while it is read.
#[tokio::test]
async fn a_body_that_grows_too_long_ends_the_exchange_and_costs_nothing() {
    let upstream = Server::start().await;
    let small = format!("{PRICED}\nbody = {{ max = \"1kB\" }}");
    let gateway = Plan::to(upstream.address).route("match = \"POST /small\"", &small);
    let gateway = gateway.start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = Raw::open(gateway.public).await;
    let header = payment.v2();
    let head = format!(
        "POST /small HTTP/1.1\r\nHost: a\r\nPAYMENT-SIGNATURE: {header}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    raw.send(head).await;
    let piece = format!("200\r\n{}\r\n", "x".repeat(0x200));
    raw.send(piece.repeat(4)).await;
    let answer = raw.head().await.expect("an answer");
    assert_eq!(answer.status, 413);
    assert!(raw.rest().await.contains("body_too_large"));
    gateway.comes_to(&payment, "released").await;
}
