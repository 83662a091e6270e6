//! Answers are found until they are too old or too many, and by nobody but who paid for them.

mod debts;
mod names;
mod sign_ins;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor as _};
use tempfile::TempDir;

use super::*;
use crate::digest::{Digest, Digesting};
use crate::ledger::tests::{identity, postgres};

const NOW: UnixMillis = UnixMillis::new(1_700_000_000_000);
const BOUNDS: Bounds =
    Bounds { total_bytes_max: 1 << 20, memory_bytes_max: 1 << 20, age: Duration::from_secs(600) };

/// Somewhere that answers are kept, and the ledger that it belongs to.
struct Place {
    url: LedgerUrl,
    ledger: Ledger,
    clock: Clock,
    hand: Arc<AtomicI64>,
    folder: TempDir,
}

impl Place {
    async fn at(url: impl FnOnce(&TempDir) -> LedgerUrl) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = url(&folder);
        let ledger = Ledger::open(&url).await.unwrap();
        let (clock, hand) = Clock::set_to(NOW);
        Self { url, ledger, clock, hand, folder }
    }

    async fn file() -> Self {
        Self::at(|folder| LedgerUrl::Sqlite(folder.path().join("ledger.db"))).await
    }

    async fn database() -> Self {
        let url = postgres::database().await;
        Self::at(|_| url.parse().unwrap()).await
    }

    async fn memory() -> Self {
        Self::at(|_| LedgerUrl::Memory).await
    }

    /// Another gateway on the same database.
    async fn beside(&self) -> Self {
        Self::at(|_| self.url.clone()).await
    }

    async fn open(&self, bounds: Bounds) -> Answers {
        Answers::open(&self.url, &self.ledger, bounds, self.clock.clone()).await.unwrap()
    }

    fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Lets time pass: for a file by its gateway's clock, for a database by the server's, which
    /// cannot be set, so that what is written there grows older.
    async fn passes(&self, time: Duration) {
        self.hand.store(self.now().plus(time).millis(), Ordering::Relaxed);
        if !matches!(self.url, LedgerUrl::Postgres(_)) {
            return;
        }
        let mut connection = postgres::connect(&self.url.to_string()).await;
        for column in [
            "answers.expires_at",
            "debts.expires_at",
            "debts.busy_until",
            "names.expires_at",
            "sign_ins.expires_at",
        ] {
            let (table, column) = column.split_once('.').unwrap();
            let sql = format!("UPDATE {table} SET {column} = {column} - {}", time.as_millis());
            connection.execute(AssertSqlSafe(sql)).await.unwrap();
        }
    }
}

/// Each kind of place that a restart does not empty.
async fn durable() -> [Place; 2] {
    [Place::file().await, Place::database().await]
}

/// Each kind of place.
async fn everywhere() -> [Place; 3] {
    let [file, database] = durable().await;
    [file, database, Place::memory().await]
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
    copying.end(digest("request"));
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
    match answers.open_line(&line, NOW).await.unwrap() {
        Opened::Answer(answer) => {
            assert_eq!((answer.status, answer.headers.len()), (200, 1));
            Some(answer.body.to_vec())
        }
        other => panic!("{payment}: {other:?}"),
    }
}

/// Waits until everything that was handed in is in the store.
async fn written(answers: &Answers) {
    while !answers.0.as_ref().unwrap().desk.is_clear() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_is_found_at_once_and_after_a_restart() {
    for place in durable().await {
        let answers = place.open(BOUNDS).await;
        for payment in 0..70 {
            keep(&answers, payment, format!("body {payment}").as_bytes());
            let kept = body(&answers, payment).await.unwrap();
            assert_eq!(kept, format!("body {payment}").as_bytes());
        }
        written(&answers).await;
        assert_eq!(body(&answers, 3).await.unwrap(), b"body 3");
        answers.close().await;
        let answers = place.open(BOUNDS).await;
        for payment in 0..70 {
            let kept = body(&answers, payment).await.unwrap();
            assert_eq!(kept, format!("body {payment}").as_bytes());
        }
        assert!(body(&answers, 70).await.is_none());
        assert!(answers.counted().bytes > 70 * 512);
    }
}

#[tokio::test]
async fn what_one_gateway_has_kept_another_gives() {
    let place = Place::database().await;
    let (one, two) = (place.open(BOUNDS).await, place.beside().await.open(BOUNDS).await);
    keep(&one, 1, b"body");
    written(&one).await;
    assert_eq!(body(&two, 1).await.unwrap(), b"body");
    // Each makes room among the answers of all.
    let small = Bounds { total_bytes_max: 10_000, ..BOUNDS };
    let three = place.beside().await.open(small).await;
    for payment in 2..12 {
        keep(&three, payment, &[7; 2_000]);
        written(&three).await;
    }
    assert!(body(&one, 1).await.is_none());
    assert_eq!(body(&one, 11).await.unwrap().len(), 2_000);
}

#[tokio::test]
async fn nobody_else_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::file().await;
    let answers = place.open(BOUNDS).await;
    keep(&answers, 1, b"secret");
    written(&answers).await;
    let mut seen = 0;
    for entry in std::fs::read_dir(place.folder.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_str().unwrap().contains("answers") {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0);
            seen += 1;
        }
    }
    assert!(seen >= 2, "the file and its log");
}

#[tokio::test]
async fn an_answer_is_one_exchanges() {
    for place in everywhere().await {
        let answers = place.open(BOUNDS).await;
        keep(&answers, 1, b"body");
        for written_yet in [false, true] {
            let other = answers.find(&identity(1), exchange(2), NOW).await.unwrap();
            assert!(matches!(other, Found::Nothing), "{written_yet}: {other:?}");
            written(&answers).await;
        }
    }
}

#[tokio::test]
async fn what_is_too_old_is_not_found_and_leaves_the_store() {
    for place in everywhere().await {
        let answers = place.open(BOUNDS).await;
        keep(&answers, 1, b"body");
        written(&answers).await;
        place.passes(BOUNDS.age - MOMENT).await;
        assert!(line(&answers, 1, place.now()).await.is_some());
        place.passes(MOMENT).await;
        assert!(line(&answers, 1, place.now()).await.is_none());
        if !matches!(place.url, LedgerUrl::Memory) {
            assert!(place.open(BOUNDS).await.counted().bytes == 0);
        }
    }
}

#[tokio::test]
async fn the_oldest_make_room_for_the_newest() {
    for place in everywhere().await {
        let answers = place.open(Bounds { total_bytes_max: 10_000, ..BOUNDS }).await;
        for payment in 0..100 {
            keep(&answers, payment, &[7; 2_000]);
            written(&answers).await;
            assert!(body(&answers, payment).await.is_some());
        }
        let mut left = Vec::new();
        for payment in 0..100 {
            left.extend(line(&answers, payment, NOW).await.map(|_| payment));
        }
        assert_eq!(left, [97, 98, 99]);
        assert!(answers.counted().bytes <= 10_000);
    }
}

#[tokio::test]
async fn whoever_comes_back_too_early_hears_that_it_is_under_way() {
    let answers = Place::memory().await.open(BOUNDS).await;
    let mut copying = copying(&answers, 1);
    copying.head(200, vec![("x-a".into(), b"b".as_slice().into())], None);
    for piece in [&b"bo"[..], b"dy"] {
        copying.add(piece);
        let found = answers.find(&identity(1), exchange(1), NOW).await.unwrap();
        assert!(matches!(found, Found::UnderWay));
    }
    copying.end(digest("request"));
    assert_eq!(body(&answers, 1).await.unwrap(), b"body");
}

#[tokio::test]
async fn what_is_dropped_is_not_under_way_any_more() {
    let answers = Place::memory().await.open(BOUNDS).await;
    drop(copying(&answers, 1));
    assert!(line(&answers, 1, NOW).await.is_none());
}

#[tokio::test]
async fn why_an_answer_is_missing_is_remembered() {
    let answers = Place::memory().await.open(Bounds { memory_bytes_max: 60_000, ..BOUNDS }).await;
    let too_long = || {
        let mut copying = copying(&answers, 1);
        copying.head(200, vec![], None);
        while copying.add(&[1; 10_000]) == Going::On {}
        copying.end(digest("request"));
    };
    let known_too_long = || {
        let mut copying = copying(&answers, 2);
        assert_eq!(copying.head(200, vec![], Some(100_001)), Going::Over);
        copying.end(digest("request"));
    };
    let part = || {
        let mut copying = copying(&answers, 3);
        assert_eq!(copying.head(206, vec![], Some(1)), Going::Over);
        copying.end(digest("request"));
    };
    let broken = || {
        let mut copying = copying(&answers, 4);
        copying.head(200, vec![], Some(10));
        copying.add(b"12345");
        copying.broke_off(digest("request"));
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
    let answers = Place::memory().await.open(Bounds { memory_bytes_max: 5_000, ..BOUNDS }).await;
    keep(&answers, 1, &[1; 3_000]);
    written(&answers).await;
    let line = line(&answers, 1, NOW).await.unwrap();
    let Opened::Answer(first) = answers.open_line(&line, NOW).await.unwrap() else { panic!() };
    assert!(matches!(answers.open_line(&line, NOW).await.unwrap(), Opened::NoRoom));
    drop(first);
    assert!(matches!(answers.open_line(&line, NOW).await.unwrap(), Opened::Answer(_)));
}

/// What a test may take by a clock that it cannot set.
const MOMENT: Duration = Duration::from_secs(60);
