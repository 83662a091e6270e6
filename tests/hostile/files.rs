//! Where the system lets few files be open: more clients than that keep nobody else out.

use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;

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
    crate::support::eventually("room for others", async || {
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

/// Longer than an answer takes on a busy machine.
const WAIT: Duration = Duration::from_secs(5);
