//! A gateway that hands over to another process: a new binary, or what a reload does not take.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::rc::Rc;

use reqwest::Response;
use tokio::net::{TcpStream, UnixDatagram};

use super::refusals::refused;
use crate::support::client::{Ask, client};
use crate::support::gateway::Gateway;
use crate::support::load::{Load, settles_slowly};
use crate::support::plan::Plan;
use crate::support::redis::Redis;
use crate::support::server::{Reply, Server, Streaming};
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};
use crate::support::{eventually, in_time, postgres};

/// Longer than any test waits.
const LONG: &str = "grace = \"1h\"";

/// A stream of another upstream, to be paid for.
fn stream_of(upstream: &Server) -> String {
    let address = upstream.address;
    format!(
        "[upstreams.slow]\nurl = \"http://{address}\"\n\n[[routes]]\nmatch = \"GET /stream\"\n\
         upstream = \"slow\"\nprice = \"$0.05\"\nnetworks = [\"base-sepolia\"]\n"
    )
}

/// Somebody pays for the stream, and hears its beginning.
async fn listens(gateway: &Gateway, slow: &mut Server) -> (Payment, Response, Streaming) {
    let bought = Wallet::new(9).pays();
    let open = gateway.ask("GET", "/stream").pays(&bought).open();
    let begin = async { slow.call().await.stream(Reply::new(200)).await };
    let (answer, mut stream) = tokio::join!(open, begin);
    stream.send("one ").await;
    (bought, answer, stream)
}

#[tokio::test]
async fn under_load_nothing_is_lost_where_both_may_serve() {
    let (upstream, mut slow) = (Upstream::start().await, Server::start().await);
    let (facilitator, redis) = (settles_slowly().await, Redis::start());
    let mut gateway = Plan::to(upstream.address)
        .server(LONG)
        .settled_by(&facilitator)
        .shared(&postgres::database().await, &redis)
        .section(&stream_of(&slow))
        .start()
        .await;
    gateway.ready().await;
    let (bought, answer, mut stream) = listens(&gateway, &mut slow).await;
    let load = Load::on(gateway.public);
    let upgrades = async {
        for upgrade in 1..=3 {
            load.goes_on_for(40).await;
            let (status, said) = gateway.upgraded().await;
            assert_eq!(status, 200, "{said}");
            assert!(said.contains(" serves, process "), "{said}");
            stream.send(format!("{upgrade} ")).await;
        }
        load.goes_on_for(40).await;
        stream.end().await;
        assert_eq!(gateway.first_ended().await.code(), Some(0));
        load.ends();
    };
    tokio::join!(load.runs(), upgrades);
    assert_eq!(answer.text().await.unwrap(), "one 1 2 3 ");
    load.knows(&bought, &facilitator);
    assert!(load.agrees(&facilitator, &gateway).await > 80);
    gateway.terminate();
    assert_eq!(gateway.ended().await.code(), Some(0));
}

/// The ledger has one writer: clients who connect meanwhile wait until it is the other's.
#[tokio::test]
async fn under_load_nothing_is_lost_where_one_begins_after_the_other() {
    let (upstream, mut slow) = (Upstream::start().await, Server::start().await);
    let facilitator = settles_slowly().await;
    let mut gateway = Plan::to(upstream.address)
        .server(LONG)
        .settled_by(&facilitator)
        .section(&stream_of(&slow))
        .start()
        .await;
    gateway.ready().await;
    let (bought, answer, mut stream) = listens(&gateway, &mut slow).await;
    let (load, admin) = (Load::on(gateway.public), gateway.admin);
    let upgrades = async {
        load.goes_on_for(40).await;
        let ends = async {
            stopping(admin).await;
            stream.send("two").await;
            stream.end().await;
        };
        let ((status, said), ()) = tokio::join!(gateway.upgraded(), ends);
        assert_eq!(status, 200, "{said}");
        assert!(said.contains(" takes over, process "), "{said}");
        load.goes_on_for(40).await;
        assert_eq!(gateway.upgraded().await.0, 200);
        load.goes_on_for(40).await;
        load.ends();
    };
    tokio::join!(load.runs(), upgrades);
    assert_eq!(answer.text().await.unwrap(), "one two");
    load.knows(&bought, &facilitator);
    assert!(load.agrees(&facilitator, &gateway).await > 60);
    gateway.terminate();
    assert_eq!(gateway.ended().await.code(), Some(0));
}

/// Waits until the gateway says that it ends, which a balancer reads.
async fn stopping(admin: std::net::SocketAddr) {
    let url = format!("http://{admin}/readyz");
    eventually("it says that it stops", async || {
        let ask = Ask::new(&client(), "GET", &url).try_send().await;
        ask.ok().filter(|answer| answer.text() == "stopping\n").map(drop)
    })
    .await;
}

#[tokio::test]
async fn what_a_reload_refuses_is_taken_over_and_the_books_go_on() {
    let upstream = Upstream::start().await;
    let mut gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let first = gateway.ask_alone("POST", "/paid").pays(&payment).send().await;
    assert_eq!(first.status, 200);
    let shorter = |text: String| text.replace("[server]", "[server]\nheader_bytes_max = \"4KiB\"");
    let (status, said) = gateway.reloaded(shorter).await;
    assert!(status == 409 && said.contains("`tollgate upgrade`"), "{said}");
    let long = async |gateway: &Gateway| {
        let ask = gateway.ask_alone("GET", "/free").header("x-long", &"a".repeat(8_000));
        ask.send().await.status
    };
    assert_eq!(long(&gateway).await, 200);
    assert_eq!(gateway.upgraded().await.0, 200);
    assert_eq!(long(&gateway).await, 431);
    let again = gateway.ask_alone("POST", "/paid").pays(&payment).send().await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.header("payment-response"), first.header("payment-response"));
    assert_eq!(gateway.first_ended().await.code(), Some(0));
}

/// All four that there may be.
#[tokio::test]
async fn every_listener_is_handed_over() {
    let upstream = Upstream::start().await;
    let acme = "[acme]\ndomains = \"api.example.com\"\nterms = \"agreed\"\nstorage = \"acme\"\n\
                directory = \"https://127.0.0.1:9\"\nhttp = \"127.0.0.1:0\"";
    let mut gateway = Plan::to(upstream.address).asked_by("nginx").section(acme).start().await;
    let said = gateway.said();
    let http = said.split_once(", http ").unwrap().1.lines().next().unwrap();
    let (check, clients) = (gateway.check.unwrap(), client());
    let answers = async || {
        let without_tls = Ask::new(&clients, "GET", &format!("http://{http}/free")).send().await;
        let asked = Ask::new(&clients, "GET", &format!("http://{check}/ask")).send().await;
        (without_tls.status, without_tls.header("location").to_owned(), asked.status)
    };
    let before = answers().await;
    assert_eq!((before.0, &*before.1), (308, "https://api.example.com/free"));
    let (status, said) = gateway.upgraded().await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(gateway.first_ended().await.code(), Some(0));
    assert_eq!(answers().await, before);
    assert!(TcpStream::connect(gateway.public).await.is_ok());
    gateway.ready().await;
}

#[tokio::test]
async fn a_successor_that_cannot_serve_changes_nothing_and_says_why() {
    let upstream = Upstream::start().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let mut gateway = Plan::to(upstream.address).start().await;
    let before = std::fs::read_to_string(gateway.file()).unwrap();
    let ledger = before.lines().find(|line| line.contains("sqlite://")).unwrap().to_owned();
    for (change, why) in [
        (before.replace("$0.05", "0.05"), "price = \"0.05\""),
        (before.replace("127.0.0.1:0", &taken), "`admin` and `listen` are one address"),
        (before.replacen("127.0.0.1:0", &taken, 1), "cannot listen on "),
        (
            before.replace(&ledger, "url = \"memory:\""),
            "a ledger in memory is handed over to nobody",
        ),
    ] {
        gateway.rewritten(|_| change);
        let (status, said) = gateway.upgraded().await;
        assert!(status == 409 && said.contains(why), "{status}: {said}");
        let payment = Wallet::new(1).pays();
        assert_eq!(gateway.ask("POST", "/paid").pays(&payment).send().await.status, 200);
        refused(&gateway.ask("POST", "/paid").send().await, "payment_required");
    }
    gateway.rewritten(|_| before);
    assert_eq!(gateway.upgraded().await.0, 200);
}

/// Packages put another file where the binary was.
#[tokio::test]
async fn the_binary_of_now_takes_over_and_systemd_hears_of_it() {
    let upstream = Upstream::start().await;
    let dir = Rc::new(Plan::to(upstream.address).folder());
    let (binary, socket) = (dir.path().join("tollgate"), dir.path().join("notify"));
    symlink(env!("CARGO_BIN_EXE_tollgate"), &binary).unwrap();
    let systemd = UnixDatagram::bind(&socket).unwrap();
    let heard = async || {
        let mut text = [0; 200];
        let length = in_time("a word to systemd", systemd.recv(&mut text)).await.unwrap();
        String::from_utf8_lossy(&text[..length]).trim().to_owned()
    };
    let mut command = Command::new(&binary);
    let mut gateway =
        Gateway::start_with(command.env("NOTIFY_SOCKET", &socket), Rc::clone(&dir)).await;
    assert_eq!(heard().await, "READY=1");
    std::fs::remove_file(&binary).unwrap();
    let new = format!("#!/bin/sh\ntouch new; exec {} \"$@\"\n", env!("CARGO_BIN_EXE_tollgate"));
    std::fs::write(&binary, new).unwrap();
    std::fs::set_permissions(&binary, PermissionsExt::from_mode(0o755)).unwrap();

    let nobody = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["upgrade", "--admin", "127.0.0.1:1"])
        .arg(gateway.file())
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    assert!(!dir.path().join("new").exists());
    let (status, said) = gateway.upgraded().await;
    assert_eq!(status, 200, "{said}");
    assert!(dir.path().join("new").exists());
    assert_eq!(heard().await, format!("MAINPID={}", gateway.pid()));
    gateway.ready().await;
    gateway.terminate();
    assert_eq!(heard().await, "STOPPING=1");
    assert_eq!(gateway.ended().await.code(), Some(0));
}
