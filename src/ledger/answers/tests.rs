//! Answers are found until they are too old or too many, and by nobody but who paid for them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::ledger::tests::identity;

const NOW: UnixMillis = UnixMillis::new(1_700_000_000_000);
const BOUNDS: Bounds =
    Bounds { total_bytes_max: 1 << 20, memory_bytes_max: 1 << 20, age: Duration::from_secs(600) };

async fn open(path: &Path, bounds: Bounds) -> Answers {
    let (clock, _) = Clock::set_to(NOW);
    Answers::open(&LedgerUrl::Sqlite(path.join("ledger.db")), bounds, clock).await.unwrap()
}

async fn in_memory(bounds: Bounds) -> Answers {
    let (clock, _) = Clock::set_to(NOW);
    Answers::open(&LedgerUrl::Memory, bounds, clock).await.unwrap()
}

fn exchange(payment: u64) -> ExchangeId {
    ExchangeId::new(u128::from(payment) + 1)
}

fn digest(of: &str) -> Digest {
    Digesting::of(&[of.as_bytes()]).end()
}

fn copying(answers: &Answers, payment: u64) -> Copying {
    answers.begin(identity(payment), exchange(payment)).copy(digest("payment"), 100_000)
}

/// Keeps an answer with this body.
fn keep(answers: &Answers, payment: u64, body: &[u8]) {
    let mut copying = copying(answers, payment);
    copying.head(200, vec![("x-a".into(), b"b".as_slice().into())], Some(body.len()));
    copying.add(body);
    copying.end(digest("request"), NOW);
}

async fn line(answers: &Answers, payment: u64, now: UnixMillis) -> Option<Line> {
    match answers.find(&identity(payment), exchange(payment), now).await.unwrap() {
        Found::Line(line) => Some(*line),
        Found::Nothing => None,
        Found::UnderWay => panic!("{payment} is under way"),
    }
}

async fn body(answers: &Answers, payment: u64) -> Option<Vec<u8>> {
    let line = line(answers, payment, NOW).await?;
    assert!(line.payment.is(&digest("payment")) && line.request.is(&digest("request")));
    match answers.open_line(&line).await.unwrap() {
        Opened::Answer(answer) => {
            assert_eq!((answer.status, answer.headers.len()), (200, 1));
            Some(answer.body.to_vec())
        }
        other => panic!("{payment}: {other:?}"),
    }
}

/// Waits until everything that was handed in is in the store.
async fn written(answers: &Answers) {
    // Whoever asks for what is not there has waited for what was handed in before.
    let absent = answers.find(&identity(u64::MAX), exchange(0), NOW).await.unwrap();
    assert!(matches!(absent, Found::Nothing));
    while !answers.0.as_ref().unwrap().desk.is_clear() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_is_found_at_once_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let answers = open(folder.path(), BOUNDS).await;
    for payment in 0..70 {
        keep(&answers, payment, format!("body {payment}").as_bytes());
        assert_eq!(body(&answers, payment).await.unwrap(), format!("body {payment}").as_bytes());
    }
    written(&answers).await;
    assert_eq!(body(&answers, 3).await.unwrap(), b"body 3");
    answers.close().await;
    let answers = open(folder.path(), BOUNDS).await;
    for payment in 0..70 {
        assert_eq!(body(&answers, payment).await.unwrap(), format!("body {payment}").as_bytes());
    }
    assert!(body(&answers, 70).await.is_none());
    assert!(answers.counted().bytes > 70 * 512);
}

#[tokio::test]
async fn nobody_else_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let answers = open(folder.path(), BOUNDS).await;
    keep(&answers, 1, b"secret");
    written(&answers).await;
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o077, 0);
        seen += 1;
    }
    assert!(seen >= 2, "the file and its log");
}

#[tokio::test]
async fn an_answer_is_one_exchanges() {
    let answers = in_memory(BOUNDS).await;
    keep(&answers, 1, b"body");
    for written_yet in [false, true] {
        let other = answers.find(&identity(1), exchange(2), NOW).await.unwrap();
        assert!(matches!(other, Found::Nothing), "{written_yet}: {other:?}");
        written(&answers).await;
    }
}

#[tokio::test]
async fn what_is_too_old_is_not_found() {
    let answers = in_memory(BOUNDS).await;
    keep(&answers, 1, b"body");
    written(&answers).await;
    let last = NOW.plus(BOUNDS.age - Duration::from_millis(1));
    assert!(line(&answers, 1, last).await.is_some());
    assert!(line(&answers, 1, NOW.plus(BOUNDS.age)).await.is_none());
}

#[tokio::test]
async fn what_is_too_old_leaves_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let answers = open(folder.path(), BOUNDS).await;
    keep(&answers, 1, b"body");
    answers.close().await;
    let (clock, hand) = Clock::set_to(NOW);
    hand.store(NOW.plus(BOUNDS.age).millis(), Ordering::Relaxed);
    let url = LedgerUrl::Sqlite(folder.path().join("ledger.db"));
    let answers = Answers::open(&url, BOUNDS, clock).await.unwrap();
    assert_eq!(answers.counted().bytes, 0);
}

#[tokio::test]
async fn the_oldest_make_room_for_the_newest() {
    let bounds = Bounds { total_bytes_max: 10_000, ..BOUNDS };
    let answers = in_memory(bounds).await;
    for payment in 0..100 {
        keep(&answers, payment, &[7; 2_000]);
        written(&answers).await;
        assert!(body(&answers, payment).await.is_some());
        assert!(answers.counted().bytes <= 10_000);
    }
    let mut left = Vec::new();
    for payment in 0..100 {
        left.extend(line(&answers, payment, NOW).await.map(|_| payment));
    }
    assert_eq!(left, [97, 98, 99]);
}

#[tokio::test]
async fn whoever_comes_back_too_early_hears_that_it_is_under_way() {
    let answers = in_memory(BOUNDS).await;
    let mut copying = copying(&answers, 1);
    copying.head(200, vec![("x-a".into(), b"b".as_slice().into())], None);
    for piece in [&b"bo"[..], b"dy"] {
        copying.add(piece);
        let found = answers.find(&identity(1), exchange(1), NOW).await.unwrap();
        assert!(matches!(found, Found::UnderWay));
    }
    copying.end(digest("request"), NOW);
    assert_eq!(body(&answers, 1).await.unwrap(), b"body");
}

#[tokio::test]
async fn what_is_dropped_is_not_under_way_any_more() {
    let answers = in_memory(BOUNDS).await;
    drop(copying(&answers, 1));
    assert!(line(&answers, 1, NOW).await.is_none());
}

#[tokio::test]
async fn why_an_answer_is_missing_is_remembered() {
    let answers = in_memory(Bounds { memory_bytes_max: 60_000, ..BOUNDS }).await;
    let too_long = || {
        let mut copying = copying(&answers, 1);
        copying.head(200, vec![], None);
        while copying.add(&[1; 10_000]) == Going::On {}
        copying.end(digest("request"), NOW);
    };
    let known_too_long = || {
        let mut copying = copying(&answers, 2);
        assert_eq!(copying.head(200, vec![], Some(100_001)), Going::Over);
        copying.end(digest("request"), NOW);
    };
    let part = || {
        let mut copying = copying(&answers, 3);
        assert_eq!(copying.head(206, vec![], Some(1)), Going::Over);
        copying.end(digest("request"), NOW);
    };
    let broken = || {
        let mut copying = copying(&answers, 4);
        copying.head(200, vec![], Some(10));
        copying.add(b"12345");
        copying.broke_off(digest("request"), NOW);
    };
    too_long();
    known_too_long();
    part();
    broken();
    // 60,000 bytes of memory are less than the 100,000 that one answer may have.
    let expected = [Missing::NoRoom, Missing::TooLong, Missing::Part, Missing::BrokenOff];
    for _ in 0..2 {
        for (payment, missing) in (1..).zip(expected) {
            assert_eq!(line(&answers, payment, NOW).await.unwrap().missing, Some(missing));
        }
        written(&answers).await;
    }
    let room = Arc::clone(&answers.0.as_ref().unwrap().room);
    assert_eq!(room.free(), 60_000, "all memory has come back");
}

#[tokio::test]
async fn answers_that_are_given_share_the_memory_too() {
    let answers = in_memory(Bounds { memory_bytes_max: 5_000, ..BOUNDS }).await;
    keep(&answers, 1, &[1; 3_000]);
    written(&answers).await;
    let line = line(&answers, 1, NOW).await.unwrap();
    let Opened::Answer(first) = answers.open_line(&line).await.unwrap() else { panic!() };
    assert!(matches!(answers.open_line(&line).await.unwrap(), Opened::NoRoom));
    drop(first);
    assert!(matches!(answers.open_line(&line).await.unwrap(), Opened::Answer(_)));
}
