//! Where the system gives little: few files may be open, or a file may not grow.

use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::blackbox::refusals::refused;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

/// A gateway that is started with this limit of a shell's.
async fn limited(upstream: &Upstream, limit: &str) -> Gateway {
    let dir = Rc::new(Plan::to(upstream.address).folder());
    let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_tollgate")]);
    Gateway::start_with(&mut command, dir).await
}

/// Those of these clients who are served.
async fn served(clients: &mut [TcpStream]) -> usize {
    let mut served = 0;
    for client in clients {
        // Who was turned away has a closed connection.
        if client.write_all(b"GET /free HTTP/1.1\r\nHost: a\r\n\r\n").await.is_err() {
            continue;
        }
        let mut head = [0; 12];
        let read = timeout(WAIT, client.read_exact(&mut head)).await;
        served += usize::from(matches!(read, Ok(Ok(_))) && head == *b"HTTP/1.1 200");
    }
    served
}

#[tokio::test]
async fn a_crowd_leaves_files_for_all_else() {
    let upstream = Upstream::start().await;
    let gateway = limited(&upstream, "-n 256").await;
    assert!(gateway.said().contains("only 96 clients are let in at once"), "{}", gateway.said());
    let mut crowd = Vec::new();
    for _ in 0..400 {
        crowd.push(TcpStream::connect(gateway.public).await.unwrap());
    }
    // Each of them has a connection to the upstream made for it, and operators have one too.
    assert_eq!(served(&mut crowd).await, 96);
    assert!(gateway.metric("tollgate_configuration_stale").await.is_some());
    drop(crowd);
    eventually("room for others", async || {
        let answer = gateway.ask_alone("GET", "/free").try_send().await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn as_many_are_asked_for_as_are_needed() {
    let upstream = Upstream::start().await;
    let gateway = limited(&upstream, "-Sn 256").await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.pid())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<&str> = files.split_whitespace().skip(3).collect();
    let [soft, hard] = [0, 1].map(|at| numbers[at].parse().unwrap_or(u64::MAX));
    assert_eq!(soft, hard.min(20_256), "{files}");
}

/// As on a disk that is full: nothing is sold that cannot be written down, nothing is left half
/// done, and all goes on when there is room.
#[tokio::test]
async fn a_full_disk_sells_nothing_and_loses_nothing() {
    let upstream = Upstream::start().await;
    // Blocks of 512 bytes: half a megabyte.
    let gateway = limited(&upstream, "-Sf 1024 && trap '' XFSZ").await;
    let mut payments = Vec::new();
    let (mut sold, mut refusals) = (0, 0);
    while refusals < 3 {
        assert!(sold < 1_000, "the disk is not full");
        let payment = Wallet::new(1).pays();
        let answer = gateway.ask("GET", "/paid").pays(&payment).send().await;
        match answer.status {
            200 => sold += 1,
            _ => {
                refused(&answer, "ledger_unavailable");
                refusals += 1;
            }
        }
        payments.push((payment, answer.status));
    }
    assert!(sold > 3, "only {sold} were sold");
    // Whose claim could not be written was not served.
    assert!(upstream.seen().len() <= sold + 1, "{} of {sold}", upstream.seen().len());

    let pid = gateway.pid().to_string();
    let room = Command::new("prlimit").args(["--fsize=1073741824:", "--pid", &pid]).status();
    assert!(room.unwrap().success());
    eventually("it sells again", async || {
        let payment = Wallet::new(1).pays();
        let answer = gateway.ask("GET", "/paid").pays(&payment).send().await;
        (answer.status == 200).then_some(())
    })
    .await;
    for (payment, status) in &payments {
        if *status == 200 {
            assert_eq!(gateway.state(payment).await, "settled");
        } else {
            eventually("it is let go", async || {
                matches!(&*gateway.state(payment).await, "released" | "none").then_some(())
            })
            .await;
        }
    }
}

/// Longer than an answer takes on a busy machine.
const WAIT: Duration = Duration::from_secs(5);
