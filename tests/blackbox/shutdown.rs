//! The end of a gateway: nothing new begins, what runs is finished, the rest is recovered.

use tokio::net::TcpStream;

use crate::support::eventually;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::raw::Raw;
use crate::support::server::{Reply, Server};
use crate::support::wallet::Wallet;

/// Longer than any test waits: a process that ends by itself has not waited for it.
const LONG: &str = "grace = \"1h\"";

/// Waits until nobody accepts connections any more.
async fn refuses_connections(gateway: &Gateway) {
    eventually("no new connections", async || {
        TcpStream::connect(gateway.public).await.is_err().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_request_at_the_upstream_is_finished_and_paid_for() {
    let mut upstream = Server::start().await;
    let mut gateway = Plan::to(upstream.address).server(LONG).start().await;
    let payment = Wallet::new(1).pays();
    let ask = gateway.ask("POST", "/paid").pays(&payment).send();
    let meanwhile = async {
        let call = upstream.call().await;
        gateway.terminate();
        refuses_connections(&gateway).await;
        call.answer(Reply::new(200).body("served")).await;
    };
    let (answer, ()) = tokio::join!(ask, meanwhile);
    assert_eq!((answer.status, answer.text().as_str()), (200, "served"));
    assert_eq!(answer.object("payment-response")["success"], true);
    let status = gateway.ended().await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(gateway.state(&payment).await, "settled");
    assert!(gateway.said().contains(r#""outcome":"paid""#), "the last line is not lost");
}

#[tokio::test]
async fn a_stream_is_read_to_its_end() {
    let mut upstream = Server::start().await;
    let mut gateway = Plan::to(upstream.address).server(LONG).start().await;
    let open = gateway.ask("GET", "/free").open();
    let begin = async {
        let mut stream = upstream.call().await.stream(Reply::new(200)).await;
        stream.send("one").await;
        stream
    };
    let (mut answer, mut stream) = tokio::join!(open, begin);
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "one");
    gateway.terminate();
    refuses_connections(&gateway).await;
    stream.send("two").await;
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "two");
    stream.end().await;
    assert_eq!(answer.chunk().await.unwrap(), None);
    assert_eq!(gateway.ended().await.code(), Some(0));
}

/// The client is gone, the money is on its way: the process waits for its word.
#[tokio::test]
async fn a_settlement_is_waited_for() {
    let mut upstream = Server::start().await;
    let mut facilitator = Facilitator::start().await;
    facilitator.on_settle(Habit::Waits);
    let plan = Plan::to(upstream.address).settled_by(&facilitator).server(LONG);
    let mut gateway = plan.start().await;
    let payment = Wallet::new(1).pays();
    let mut raw = Raw::open(gateway.public).await;
    let header = payment.v2();
    raw.send(format!("GET /paid HTTP/1.1\r\nHost: a\r\nPAYMENT-SIGNATURE: {header}\r\n\r\n")).await;
    upstream.call().await.answer(Reply::new(200)).await;
    let question = facilitator.waiting().await;
    drop(raw);
    gateway.terminate();
    refuses_connections(&gateway).await;
    facilitator.answers_honestly(question).await;
    assert_eq!(gateway.ended().await.code(), Some(0));
    assert_eq!(gateway.state(&payment).await, "settled");
}

/// An idle connection is no work. It stays open for a moment, for its client may just be sending:
/// that request is served, and its answer says that it was the last.
#[tokio::test]
async fn idle_connections_are_waited_for_only_a_moment() {
    let upstream = Server::start().await;
    let mut gateway = Plan::to(upstream.address).server(LONG).start().await;
    let (mut sends, mut silent) =
        (Raw::open(gateway.public).await, Raw::open(gateway.public).await);
    for idle in [&mut sends, &mut silent] {
        idle.send("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = idle.head().await.unwrap();
        assert_eq!(answer.status, 404);
        idle.read(answer.length()).await;
    }
    gateway.terminate();
    refuses_connections(&gateway).await;
    sends.send("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let last = sends.head().await.unwrap();
    assert!(
        last.status == 404 && last.head.to_lowercase().contains("connection: close"),
        "{last:?}"
    );
    assert_eq!(gateway.ended().await.code(), Some(0));
    assert_eq!(silent.rest().await, "");
}

/// A balancer needs a moment to hear of the end: until then its connections are taken.
#[tokio::test]
async fn while_it_drains_it_says_so_and_takes_connections() {
    let upstream = Server::start().await;
    let plan = Plan::to(upstream.address).server(LONG).server("drain = \"2s\"");
    let mut gateway = plan.start().await;
    gateway.ready().await;
    gateway.terminate();
    let stopping = async || (gateway.admin("/readyz").await.0 == 503).then_some(());
    eventually("not ready", stopping).await;
    let late = gateway.ask_alone("GET", "/nothing").send().await;
    assert_eq!((late.status, late.header("connection")), (404, "close"));
    assert_eq!(gateway.ended().await.code(), Some(0));
}

/// What outlives the grace period is cut off, and let go by the next process.
#[tokio::test]
async fn after_the_grace_period_the_rest_is_recovered() {
    let mut upstream = Server::start().await;
    let plan = Plan::to(upstream.address).server("grace = \"100ms\"");
    let mut gateway = plan.start().await;
    let payment = Wallet::new(1).pays();
    let cut_off = gateway.ask("POST", "/paid").pays(&payment).try_send();
    let meanwhile = async {
        let call = upstream.call().await;
        gateway.terminate();
        call
    };
    let (cut_off, _call) = tokio::join!(cut_off, meanwhile);
    assert!(cut_off.is_err(), "{cut_off:?}");
    assert_eq!(gateway.ended().await.code(), Some(0));

    let gateway = gateway.restarted().await;
    gateway.comes_to(&payment, "released").await;
    let again = gateway.ask("POST", "/paid").pays(&payment).send();
    let answers = async { upstream.call().await.answer(Reply::new(200)).await };
    let (again, ()) = tokio::join!(again, answers);
    assert_eq!(again.status, 200);
}

/// Who asks over a connection that is still open hears that it should go elsewhere.
#[tokio::test]
async fn readiness_ends_with_the_signal() {
    let mut upstream = Server::start().await;
    let mut gateway = Plan::to(upstream.address).server(LONG).start().await;
    gateway.ready().await;
    let running = gateway.ask("GET", "/free").send();
    let meanwhile = async {
        let call = upstream.call().await;
        gateway.terminate();
        let stopping = eventually("not ready", async || match gateway.try_admin("/readyz").await {
            Some((200, _)) => None,
            Some((status, text)) => Some(Some((status, text))),
            // The listener is closed: that says it too.
            None => Some(None),
        });
        if let Some((status, text)) = stopping.await {
            assert_eq!((status, text.as_str()), (503, "stopping\n"));
        }
        call.answer(Reply::new(200)).await;
    };
    let (answer, ()) = tokio::join!(running, meanwhile);
    assert_eq!(answer.status, 200);
    assert_eq!(gateway.ended().await.code(), Some(0));
}

/// Two processes with one ledger would both serve the same payment.
#[tokio::test]
async fn a_second_gateway_on_the_same_ledger_does_not_start() {
    let upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.arg("serve").arg(gateway.file());
    let output = crate::support::in_time("its end", command.output()).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty(), "nothing listens");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("another gateway has it") || said.contains("in use"), "{said}");
}
