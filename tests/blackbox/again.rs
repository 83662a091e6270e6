//! Payers who come back: the answer that they have bought is given again, to them, once paid for.

use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use super::refusals::refused;
use crate::support::client::{Answer, Ask};
use crate::support::eventually;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::raw::Raw;
use crate::support::server::{Reply, Server};
use crate::support::together;
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};

/// A request with a body, paid for.
fn asks(gateway: &Gateway, payment: &Payment) -> Ask {
    gateway.ask_alone("POST", "/paid?a=b").pays(payment).body("the body")
}

/// What an answer says that is its own, and not one connection's.
fn said(answer: &Answer) -> (u16, String, String) {
    (answer.status, answer.text(), answer.header("x-own").to_owned())
}

async fn upstream() -> Upstream {
    Upstream::answering(|seen| {
        let body = format!("{} {}", seen.method, String::from_utf8_lossy(&seen.body));
        Reply::new(201).header("x-own", "kept").header("connection", "x-hop").body(body)
    })
    .await
}

/// Waits until an answer is kept, and not only handed in.
pub async fn is_written(gateway: &Gateway) {
    eventually("it is written", async || {
        (gateway.metric("tollgate_answers_bytes").await? != "0").then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_pays_nothing_more() {
    let upstream = upstream().await;
    let facilitator = Facilitator::start().await;
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    let payment = Wallet::new(1).pays();
    let first = asks(&gateway, &payment).send().await;
    assert_eq!(said(&first), (201, "POST the body".into(), "kept".into()));
    assert_eq!(first.header("idempotent-replayed"), "");
    for _ in 0..3 {
        let again = asks(&gateway, &payment).send().await;
        assert_eq!(said(&again), said(&first));
        assert_eq!(again.header("payment-response"), first.header("payment-response"));
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(again.header("cache-control"), "no-store");
        assert!(!again.header("connection").contains("x-hop"));
    }
    assert_eq!(facilitator.asked(), (1, 1));
    assert_eq!(upstream.seen().len(), 1);
    let line = gateway.logged("the second", |line| line["outcome"] == "again").await;
    assert_eq!((&line["status"], &line["bytes_in"]), (&201.into(), &8.into()));
    assert!(line["payment"]["transaction"].is_string());
}

/// The ledger's store has it, not the process; version 1 reads the receipt in its own words.
#[tokio::test]
async fn a_restart_loses_no_answer() {
    let upstream = upstream().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let first = asks(&gateway, &payment).send().await;
    is_written(&gateway).await;
    let gateway = gateway.killed_and_restarted().await;
    let ask = gateway.ask("POST", "/paid?a=b").pays_v1(&payment).body("the body");
    let again = ask.send().await;
    assert_eq!(said(&again), said(&first));
    let receipt = again.object("x-payment-response");
    assert_eq!(receipt["network"], "base-sepolia");
    assert_eq!(receipt["transaction"], first.object("payment-response")["transaction"]);
    assert_eq!(gateway.transfers().len(), 1);
}

/// One signature buys one answer: to this method, path, query and body.
#[tokio::test]
async fn another_request_with_the_same_payment_is_refused() {
    let upstream = upstream().await;
    let gateway = Plan::to(upstream.address).route("match = \"POST /other\"", PRICED).start().await;
    let payment = Wallet::new(1).pays();
    let first = asks(&gateway, &payment).send().await;
    let transaction = first.object("payment-response")["transaction"].clone();
    for (method, path, body) in [
        ("GET", "/paid?a=b", "the body"),
        ("POST", "/paid?a=c", "the body"),
        ("POST", "/paid?", "the body"),
        ("POST", "/paid", "the body"),
        ("POST", "/other?a=b", "the body"),
        ("POST", "/paid?a=b", "the bodY"),
        ("POST", "/paid?a=b", "the body "),
        ("POST", "/paid?a=b", ""),
    ] {
        let ask = gateway.ask(method, path).pays(&payment).body(body);
        let answer = ask.send().await;
        refused(&answer, "payment_used");
        assert_eq!(answer.json()["consumed"], true, "{method} {path} {body}");
        assert_eq!(answer.json()["transaction"], transaction);
        assert!(answer.json()["message"].as_str().unwrap().contains("another request"));
    }
    assert_eq!(upstream.seen().len(), 1);
}

/// Another signature over the same payment proves nothing, and a payment of one's own neither.
#[tokio::test]
async fn nobody_else_gets_the_answer() {
    let upstream = upstream().await;
    let gateway = Plan::to(upstream.address).start().await;
    let (payment, thief) = (Wallet::new(1).pays(), Wallet::new(2));
    asks(&gateway, &payment).send().await;
    let forged = payment.clone().then(|payment| payment.signed.signature[7] ^= 1);
    refused(&asks(&gateway, &forged).send().await, "payment_invalid");
    let stolen = thief.signs(|signed| {
        signed.nonce = payment.signed.authorization.nonce;
    });
    let named = stolen.clone().then(|stolen| {
        stolen.signed.authorization.from = payment.signed.authorization.from;
    });
    refused(&asks(&gateway, &named).send().await, "payment_invalid");
    // The thief's own payment with the same nonce is a payment of its own, and is charged for.
    let own = asks(&gateway, &stolen).send().await;
    assert_eq!((own.status, own.header("idempotent-replayed")), (201, ""));
    assert_eq!(gateway.transfers().len(), 2);
}

#[tokio::test]
async fn of_fifty_who_come_back_at_once_all_get_it() {
    let upstream = upstream().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let first = asks(&gateway, &payment).send().await;
    let answers = together((0..50).map(|_| asks(&gateway, &payment).send())).await;
    for answer in answers {
        assert_eq!(said(&answer), said(&first));
    }
    assert_eq!((upstream.seen().len(), gateway.transfers().len()), (1, 1));
}

/// Until the last byte is there, the payment is being served: nobody is asked to pay again.
#[tokio::test]
async fn while_the_answer_is_on_its_way_it_is_said_so() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let open = asks(&gateway, &payment).open();
    let begin = async { upstream.call().await.stream(Reply::new(200)).await };
    let (mut answer, mut stream) = tokio::join!(open, begin);
    stream.send("one ").await;
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "one ");
    let early = asks(&gateway, &payment).send().await;
    refused(&early, "answer_under_way");
    assert!(early.json()["transaction"].is_string());
    stream.send("two").await;
    stream.end().await;
    assert_eq!(answer.text().await.unwrap(), "two");
    let again = asks(&gateway, &payment).send().await;
    assert_eq!((again.status, again.text().as_str()), (200, "one two"));
}

/// A request of chunks is the same as one of a piece, and an answer of chunks comes back whole.
#[tokio::test]
async fn how_bodies_are_framed_does_not_matter() {
    let upstream = upstream().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = Raw::open(gateway.public).await;
    raw.send(format!(
        "POST /paid?a=b HTTP/1.1\r\nHost: {}\r\nPAYMENT-SIGNATURE: {}\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n3\r\nthe\r\n5\r\n body\r\n0\r\n\r\n",
        gateway.public,
        payment.v2()
    ))
    .await;
    assert_eq!(raw.head().await.unwrap().status, 201);
    raw.rest().await;
    let again = asks(&gateway, &payment).send().await;
    assert_eq!((again.status, again.text().as_str()), (201, "POST the body"));
    let mut raw = Raw::open(gateway.public).await;
    raw.send(format!(
        "POST /paid?a=b HTTP/1.1\r\nHost: {}\r\nPAYMENT-SIGNATURE: {}\r\nConnection: close\r\n\
         Expect: 100-continue\r\nContent-Length: 8\r\n\r\n",
        gateway.public,
        payment.v2()
    ))
    .await;
    assert_eq!(raw.head().await.unwrap().status, 100);
    raw.send("the body").await;
    assert_eq!(raw.head().await.unwrap().status, 201);
    assert!(raw.rest().await.ends_with("POST the body"));
}

#[tokio::test]
async fn an_answer_to_head_keeps_its_length_and_has_no_body() {
    let upstream = Upstream::answering(|_| Reply::new(200)).await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let first = gateway.ask("HEAD", "/paid").pays(&payment).send().await;
    let again = gateway.ask("HEAD", "/paid").pays(&payment).send().await;
    assert_eq!((first.status, again.status), (200, 200));
    assert_eq!(again.header("content-length"), first.header("content-length"));
    assert_eq!(again.header("idempotent-replayed"), "true");
    refused(&gateway.ask("GET", "/paid").pays(&payment).send().await, "payment_used");
}

#[tokio::test]
async fn long_answers_are_not_kept_and_their_payers_are_told() {
    let upstream = Upstream::answering(|seen| {
        let length: usize = seen.target.trim_start_matches("/paid?").parse().unwrap();
        Reply::new(200).body(vec![b'x'; length])
    })
    .await;
    let gateway = Plan::to(upstream.address).start().await;
    let at_most = Wallet::new(1).pays();
    for _ in 0..2 {
        let answer = gateway.ask("GET", "/paid?1048576").pays(&at_most).send().await;
        assert_eq!((answer.status, answer.body.len()), (200, 1_048_576));
    }
    let more = Wallet::new(1).pays();
    let answer = gateway.ask("GET", "/paid?1048577").pays(&more).send().await;
    assert_eq!((answer.status, answer.body.len()), (200, 1_048_577));
    let again = gateway.ask("GET", "/paid?1048577").pays(&more).send().await;
    refused(&again, "payment_used");
    let transaction = answer.object("payment-response")["transaction"].clone();
    assert_eq!(again.json()["transaction"], transaction);
    assert!(again.json()["message"].as_str().unwrap().contains("too long"), "{again:?}");
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn a_route_may_keep_less_or_nothing() {
    let upstream = upstream().await;
    let gateway = Plan::to(upstream.address)
        .route("match = \"POST /off\"", &format!("{PRICED}\nkeep_answer = \"off\""))
        .route("match = \"POST /little\"", &format!("{PRICED}\nkeep_answer = \"8B\""))
        .start()
        .await;
    for (path, why) in [("/off", "not kept"), ("/little", "too long")] {
        let payment = Wallet::new(1).pays();
        let ask = || gateway.ask("POST", path).pays(&payment).body("the body");
        assert_eq!(ask().send().await.status, 201);
        let again = ask().send().await;
        refused(&again, "payment_used");
        assert!(again.json()["message"].as_str().unwrap().contains(why), "{again:?}");
    }
}

#[tokio::test]
async fn old_answers_make_room_and_go_with_age() {
    let upstream = Upstream::answering(|_| Reply::new(200).body(vec![b'x'; 3_000])).await;
    let gateway = Plan::to(upstream.address)
        .section("[answers]\nmax = \"4000B\"\ntotal = \"10KB\"\nage = \"1s\"")
        .start()
        .await;
    let payments: Vec<_> = (0..5).map(|_| Wallet::new(1).pays()).collect();
    for payment in &payments {
        assert_eq!(gateway.ask("GET", "/paid").pays(payment).send().await.status, 200);
    }
    let first = gateway.ask("GET", "/paid").pays(&payments[0]);
    eventually("the first has gone", async || {
        let answer = gateway.ask("GET", "/paid").pays(&payments[0]).send().await;
        (answer.status == 409).then_some(())
    })
    .await;
    refused(&first.send().await, "payment_used");
    eventually("the last has gone", async || {
        let answer = gateway.ask("GET", "/paid").pays(&payments[4]).send().await;
        (answer.status == 409).then_some(())
    })
    .await;
    assert_eq!(upstream.seen().len(), 5);
}

/// Whoever paid the old price, or the old payee, is not asked for the new one.
#[tokio::test]
async fn a_change_of_price_takes_no_answer_away() {
    let upstream = upstream().await;
    let gateway = Plan::to(upstream.address).start().await;
    let (served, fresh) = (Wallet::new(1).pays(), Wallet::new(1).pays());
    let first = asks(&gateway, &served).send().await;
    is_written(&gateway).await;
    let gateway = gateway.restarted_with(|text| text.replace("$0.05", "$0.06")).await;
    gateway.ready().await;
    for pays in [served.v2(), served.v1()] {
        let ask = gateway.ask("POST", "/paid?a=b").header("X-PAYMENT", &pays);
        let again = ask.body("the body").send().await;
        assert_eq!(said(&again), said(&first));
        let ask = gateway.ask("POST", "/paid?a=c").header("X-PAYMENT", &pays);
        refused(&ask.body("the body").send().await, "payment_used");
    }
    refused(&asks(&gateway, &fresh).send().await, "payment_invalid");
    let other = "0x0000000000000000000000000000000000000Bad";
    let gateway = gateway.restarted_with(|text| text.replace(PAY_TO_TEXT, other)).await;
    assert_eq!(said(&asks(&gateway, &served).send().await), said(&first));
    assert_eq!(gateway.transfers().len(), 1);
}

const PAY_TO_TEXT: &str = "0x00000000000000000000000000000000000Ca5e0";

/// And an upstream that is away does not stop what it has answered before.
#[tokio::test]
async fn what_was_bought_is_given_while_the_upstream_is_away() {
    let upstream = upstream().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let first = asks(&gateway, &payment).send().await;
    is_written(&gateway).await;
    let gateway = gateway
        .restarted_with(|text| {
            text.replace("url = \"http://127.0.0.1", "url = \"http://no.invalid")
        })
        .await;
    let again = asks(&gateway, &payment).send().await;
    assert_eq!(said(&again), said(&first));
    refused(&asks(&gateway, &Wallet::new(1).pays()).send().await, "upstream_away");
}

#[tokio::test]
async fn an_answer_that_broke_off_is_not_given_for_a_whole_one() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let first = asks(&gateway, &payment).try_send();
    let breaks = async {
        let half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345";
        upstream.call().await.say_and_close(half).await;
    };
    let (first, ()) = tokio::join!(first, breaks);
    assert!(first.is_err(), "half an answer is none: {first:?}");
    gateway.runs(0).await;
    let again = asks(&gateway, &payment).send().await;
    refused(&again, "payment_used");
    assert!(again.json()["message"].as_str().unwrap().contains("broke off"));
}

/// A connection with a paid request on it, whole.
async fn paid(gateway: &Gateway, payment: &Payment) -> Raw {
    let mut raw = Raw::open(gateway.public).await;
    let (host, header) = (gateway.public, payment.v2());
    raw.send(format!(
        "POST /paid?a=b HTTP/1.1\r\nHost: {host}\r\nPAYMENT-SIGNATURE: {header}\r\n\
         Content-Length: 8\r\n\r\nthe body"
    ))
    .await;
    raw
}

/// The client is back and finds what it has paid for.
async fn finds(gateway: &Gateway, payment: &Payment, text: &str) {
    gateway.comes_to(payment, "settled").await;
    gateway.runs(0).await;
    let again = asks(gateway, payment).send().await;
    assert_eq!((again.status, again.text().as_str()), (200, text), "{again:?}");
}

#[tokio::test]
async fn a_client_that_leaves_while_the_upstream_works_finds_its_answer() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let raw = paid(&gateway, &payment).await;
    let call = upstream.call().await;
    drop(raw);
    let mut stream = call.stream(Reply::new(200)).await;
    for piece in ["one ", "two ", "three"] {
        stream.send(piece).await;
    }
    stream.end().await;
    finds(&gateway, &payment, "one two three").await;
}

#[tokio::test]
async fn a_client_that_leaves_while_settlement_runs_finds_its_answer() {
    let mut upstream = Server::start().await;
    let mut facilitator = Facilitator::start().await;
    facilitator.on_settle(Habit::Waits);
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    let payment = Wallet::new(1).pays();
    let raw = paid(&gateway, &payment).await;
    let mut stream = upstream.call().await.stream(Reply::new(200)).await;
    let question = facilitator.waiting().await;
    drop(raw);
    let early = asks(&gateway, &payment).send().await;
    refused(&early, "outcome_unknown");
    facilitator.answers_honestly(question).await;
    for _ in 0..20 {
        stream.send(&"x".repeat(10_000)).await;
    }
    stream.end().await;
    finds(&gateway, &payment, &"x".repeat(200_000)).await;
    assert_eq!(facilitator.asked(), (1, 1));
}

#[tokio::test]
async fn a_client_that_leaves_while_it_reads_finds_its_answer() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = paid(&gateway, &payment).await;
    let mut stream = upstream.call().await.stream(Reply::new(200)).await;
    stream.send("first ").await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    drop(raw);
    for _ in 0..50 {
        stream.send("more ").await;
    }
    stream.end().await;
    finds(&gateway, &payment, &format!("first {}", "more ".repeat(50))).await;
}

/// A connection is reset where a client leaves with bytes unread.
#[tokio::test]
async fn a_client_that_resets_its_connection_finds_its_answer() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = paid(&gateway, &payment).await;
    let mut stream = upstream.call().await.stream(Reply::new(200)).await;
    stream.send("first ").await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    raw.reset();
    // The gateway hears of it before there is something to write.
    tokio::time::sleep(Duration::from_millis(50)).await;
    stream.send("last").await;
    stream.end().await;
    finds(&gateway, &payment, "first last").await;
}

/// Who stops reading without leaving is taken for gone after a while, and finds its answer too.
#[tokio::test]
async fn a_client_that_stops_reading_finds_its_answer() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address)
        .server("client_timeout = \"300ms\"")
        .section("[answers]\nmax = \"30MB\"")
        .start()
        .await;
    let payment = Wallet::new(1).pays();
    let raw = paid(&gateway, &payment).await;
    let mut stream = upstream.call().await.stream(Reply::new(200)).await;
    let piece = "x".repeat(1_000_000);
    for _ in 0..20 {
        stream.send(&piece).await;
    }
    stream.end().await;
    finds(&gateway, &payment, &piece.repeat(20)).await;
    drop(raw);
}

/// An answer that will not be kept is not read on for nobody.
#[tokio::test]
async fn nobody_reads_a_long_answer_for_a_client_that_left() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).section("[answers]\nmax = \"10KB\"").start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = paid(&gateway, &payment).await;
    let mut stream = upstream.call().await.stream(Reply::new(200)).await;
    stream.send("first ").await;
    assert_eq!(raw.head().await.unwrap().status, 200);
    drop(raw);
    let piece = "x".repeat(3_000);
    eventually("the upstream is let go", async || stream.refused(&piece).await.then_some(())).await;
    gateway.runs(0).await;
    let again = asks(&gateway, &payment).send().await;
    refused(&again, "payment_used");
}

/// The store is broken: the payer is not told that there is nothing, and not asked to pay again.
#[tokio::test]
async fn an_answer_that_cannot_be_read_is_no_reason_to_pay_again() {
    let upstream = upstream().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let first = asks(&gateway, &payment).send().await;
    is_written(&gateway).await;
    let options = SqliteConnectOptions::new().filename(gateway.dir().join("tollgate.db.answers"));
    let mut store = options.connect().await.unwrap();
    sqlx::query("DROP TABLE answers").execute(&mut store).await.unwrap();
    let again = asks(&gateway, &payment).send().await;
    refused(&again, "answer_unavailable");
    let transaction = &first.object("payment-response")["transaction"];
    assert_eq!(&again.json()["transaction"], transaction);
    // Others are served and charged as ever; their answers are only not kept.
    assert_eq!(asks(&gateway, &Wallet::new(2).pays()).send().await.status, 201);
}

#[tokio::test]
async fn counted_are_the_answers_that_were_kept_and_those_that_were_not() {
    let upstream = upstream().await;
    let gateway = Plan::to(upstream.address)
        .route("match = \"POST /little\"", &format!("{PRICED}\nkeep_answer = \"8B\""))
        .start()
        .await;
    asks(&gateway, &Wallet::new(1).pays()).send().await;
    gateway.ask("POST", "/little").pays(&Wallet::new(1).pays()).body("the body").send().await;
    for outcome in ["whole", "too_long"] {
        let name = format!("tollgate_answers_total{{outcome=\"{outcome}\"}}");
        gateway.counts(&name, "1").await;
    }
}
