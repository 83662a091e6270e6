//! The supervisor with small shell programs in the worker's place.

use std::num::{NonZeroU32, NonZeroUsize};

use super::*;

const READY: &str = "echo listening 127.0.0.1:7";

fn shell(script: &str) -> Program {
    Program { executable: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] }
}

fn patience() -> Patience {
    Patience { grace: Duration::from_millis(50), ..Patience::default() }
}

fn start(script: &str) -> Supervisor {
    Supervisor::start(shell(script), patience())
}

#[test]
fn a_worker_is_told_what_is_said_and_decides_the_rest() {
    let told = |work: &Work| {
        let program = Program::bundled(Bundled::BackgroundRemoval, work).unwrap();
        program.arguments[5..].join(std::ffi::OsStr::new(" ")).into_string().unwrap()
    };
    let queue = NonZeroUsize::new(9).unwrap();
    let model = Some("a model.onnx".into());
    let mut work = Work { parallel: None, queue, memory_mb: None, deadline: None, model };
    assert_eq!(told(&work), "--queue 9 --model a model.onnx");
    work.parallel = NonZeroUsize::new(2);
    work.memory_mb = NonZeroU32::new(4000);
    work.deadline = Some(Duration::from_secs(80));
    let all = "--parallel 2 --queue 9 --memory 4000 --deadline 80000ms --model a model.onnx";
    assert_eq!(told(&work), all);
}

async fn ready(supervisor: &Supervisor) -> SocketAddr {
    let mut address = supervisor.address();
    let found = timeout(Duration::from_secs(10), address.wait_for(Option::is_some)).await;
    found.unwrap().unwrap().unwrap()
}

async fn gone(supervisor: &Supervisor) {
    let mut address = supervisor.address();
    timeout(Duration::from_secs(10), address.wait_for(Option::is_none)).await.unwrap().unwrap();
}

#[test]
fn each_crash_doubles_the_wait_up_to_ten_seconds() {
    let mut back_off = BackOff::default();
    let waits: Vec<u128> = (0..9).map(|_| back_off.next_wait().as_millis()).collect();
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
}

#[test]
fn a_thousand_crashes_are_no_trouble() {
    let mut back_off = BackOff { crashes: u32::MAX };
    assert_eq!(back_off.next_wait(), WAIT_MAX);
}

#[tokio::test]
async fn the_address_is_what_the_child_says() {
    let supervisor = start(&format!("{READY}; cat"));
    assert_eq!(ready(&supervisor).await.to_string(), "127.0.0.1:7");
    let address = supervisor.address();
    supervisor.stop().await;
    assert_eq!(*address.borrow(), None);
}

#[tokio::test]
async fn while_no_child_runs_there_is_no_address() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let once =
        format!("mkfifo {pipe} || exec cat; {READY}; read line <{pipe}", pipe = pipe.display());
    let supervisor = start(&once);
    ready(&supervisor).await;
    std::fs::write(pipe, "end\n").unwrap();
    gone(&supervisor).await;
    supervisor.stop().await;
}

#[tokio::test]
async fn a_child_that_ends_is_started_again_however_much_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let chatter = "head -c 1000000 /dev/zero";
    let first =
        format!("mkdir {}/first && {READY}0 && {chatter} && exit 1", folder.path().display());
    let supervisor = start(&format!("{first}; {READY}; cat"));
    let mut address = supervisor.address();
    let second = address.wait_for(|address| address.is_some_and(|address| address.port() == 7));
    timeout(Duration::from_secs(10), second).await.unwrap().unwrap();
    supervisor.stop().await;
}

#[tokio::test]
async fn a_child_that_says_nothing_is_ended_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("mkdir {}/first && exec cat; {READY}; cat", folder.path().display());
    let patience = Patience { start: Duration::from_millis(200), ..patience() };
    let supervisor = Supervisor::start(shell(&script), patience);
    ready(&supervisor).await;
    supervisor.stop().await;
}

#[tokio::test]
async fn a_child_that_says_something_else_is_ended_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let other = format!("mkdir {}/first && echo hello && exec cat", folder.path().display());
    let supervisor = start(&format!("{other}; {READY}; cat"));
    ready(&supervisor).await;
    supervisor.stop().await;
}

#[tokio::test]
async fn a_child_that_does_not_stop_is_ended() {
    let supervisor = start(&format!("{READY}; exec tail -f /dev/null"));
    ready(&supervisor).await;
    timeout(Duration::from_secs(10), supervisor.stop()).await.unwrap();
}

#[tokio::test]
async fn a_program_that_is_not_there_is_tried_again_until_stopped() {
    let program = Program { executable: "/nowhere/at/all".into(), arguments: Vec::new() };
    let supervisor = Supervisor::start(program, patience());
    assert_eq!(*supervisor.address().borrow(), None);
    supervisor.stop().await;
}
