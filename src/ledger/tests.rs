//! What the ledger promises to those who call it, on a real file and in memory.

mod forget;
mod lag;
mod model;
#[allow(dead_code, unreachable_pub, reason = "the tests from outside use it too")]
#[path = "../../tests/support/postgres.rs"]
pub(crate) mod postgres;
pub(crate) mod simulated;
mod wanted;

use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use sqlx::sqlite::SqliteRow;
use sqlx::{ConnectOptions as _, Row as _};

use super::lines::Line as _;

use super::*;
use crate::digest::{Digest, Digesting};
use crate::x402::{Account, AtomicAmount, ErrorReason, Network};

pub(super) fn claim(payment: u64, exchange: u128) -> Claim {
    Claim {
        identity: identity(payment),
        exchange: ExchangeId::new(exchange),
        route: "remove-background".into(),
        facilitator: "dev".into(),
        asset: Address::repeat_byte(0x0a).into(),
        amount: AtomicAmount::new(50_000),
        pay_to: Address::repeat_byte(0x0c).into(),
        valid_before: 1_800_000_000,
        sender: sender(exchange),
    }
}

pub(super) fn sender(exchange: u128) -> Digest {
    Digesting::of(&[&exchange.to_be_bytes()]).end()
}

pub(super) fn identity(payment: u64) -> PaymentIdentity {
    PaymentIdentity {
        network: Network::eip155(84532),
        contract: Address::repeat_byte(0x0a).into(),
        payer: Address::repeat_byte(0x0b).into(),
        nonce: B256::left_padding_from(&payment.to_be_bytes()),
    }
}

pub(super) fn settling(facilitator: &str) -> Step {
    Step::Settling { facilitator: facilitator.into(), transaction: None, amount: None }
}

/// Opens a ledger whose last owner has just crashed. A test beside this one that is starting a
/// program shares the lock with it for the moment between `fork` and `exec`.
pub(crate) async fn open_after_a_crash(url: &LedgerUrl) -> Ledger {
    let opening = async {
        loop {
            match Ledger::open(url).await {
                Err(fault) if fault.to_string().contains("cannot be locked") => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                opened => return opened.unwrap(),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), opening).await.expect("it stays locked")
}

/// As many seeds as wanted, `SEEDS` times as many where it is set, or the one of `SEED`.
pub(crate) fn seeds(wanted: u64) -> Vec<u64> {
    if let Ok(seed) = std::env::var("SEED") {
        return vec![seed.parse().unwrap()];
    }
    let times = std::env::var("SEEDS").map_or(1, |times| times.parse().unwrap());
    (0..wanted * times).map(|_| getrandom::u64().unwrap()).collect()
}

const NOW: UnixMillis = UnixMillis::new(1_700_000_000_000);

fn file(folder: &Path) -> LedgerUrl {
    LedgerUrl::Sqlite(folder.join("ledger.db"))
}

/// Each kind of ledger that a crash does not empty.
async fn durable(folder: &Path) -> [LedgerUrl; 2] {
    [file(folder), postgres::database().await.parse().unwrap()]
}

/// Each kind of ledger.
async fn everywhere(folder: &Path) -> [LedgerUrl; 3] {
    let [file, database] = durable(folder).await;
    [file, database, LedgerUrl::Memory]
}

/// Somebody else's connection to a ledger.
enum Other {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl Other {
    async fn connect(url: &LedgerUrl) -> Self {
        match url {
            LedgerUrl::Sqlite(path) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                Self::Sqlite(options.connect().await.unwrap())
            }
            LedgerUrl::Postgres(_) => Self::Postgres(postgres::connect(&url.to_string()).await),
            LedgerUrl::Memory => panic!("nobody else reaches it"),
        }
    }

    async fn says(&mut self, sql: &'static str) {
        match self {
            Self::Sqlite(connection) => {
                sqlx::query(sql).execute(connection).await.unwrap();
            }
            Self::Postgres(connection) => {
                sqlx::query(sql).execute(connection).await.unwrap();
            }
        }
    }

    /// Lets nobody else write until it says `ROLLBACK`.
    async fn stalls(&mut self) {
        match self {
            Self::Sqlite(_) => self.says("BEGIN IMMEDIATE").await,
            Self::Postgres(_) => {
                self.says("BEGIN").await;
                self.says("LOCK TABLE payments IN EXCLUSIVE MODE").await;
            }
        }
    }
}

/// Futures that are polled in order, each by its own hand.
type Started<'a, T> = (Pin<Box<dyn Future<Output = T> + 'a>>, Option<T>);

async fn poll_each<T>(started: &mut [Started<'_, T>]) -> bool {
    poll_fn(|context| {
        for (future, answer) in started.iter_mut().filter(|(_, answer)| answer.is_none()) {
            if let Poll::Ready(ready) = future.as_mut().poll(context) {
                *answer = Some(ready);
            }
        }
        Poll::Ready(started.iter().all(|(_, answer)| answer.is_some()))
    })
    .await
}

/// Starts all of them in order before any is finished, and waits for all.
async fn in_order<'a, T>(
    futures: impl Iterator<Item = Pin<Box<dyn Future<Output = T> + 'a>>>,
) -> Vec<T> {
    let mut started: Vec<Started<'a, T>> = futures.map(|future| (future, None)).collect();
    while !poll_each(&mut started).await {
        tokio::task::yield_now().await;
    }
    started.into_iter().filter_map(|(_, answer)| answer).collect()
}

/// Waits until everything that was handed in before is written.
async fn fence(ledger: &Ledger) {
    let result =
        ledger.advance(&identity(u64::MAX), ExchangeId::new(0), settling("dev"), NOW).await;
    assert!(result.unwrap_err().to_string().contains("no such payment"));
}

async fn state(ledger: &Ledger, payment: u64) -> Option<State> {
    ledger.get(&identity(payment)).await.unwrap().map(|entry| entry.state)
}

#[tokio::test]
async fn a_payment_on_solana_is_kept_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    for url in everywhere(folder.path()).await {
        let ledger = Ledger::open(&url).await.unwrap();
        let key = |byte| Account::Svm([byte; 32].into());
        let network = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1".parse().unwrap();
        let identity = PaymentIdentity {
            network,
            contract: key(0x0a),
            payer: key(0x0b),
            nonce: B256::repeat_byte(0x0d),
        };
        let (asset, pay_to) = (key(0x0a), key(0x0c));
        let claim = Claim { identity: identity.clone(), asset, pay_to, ..claim(1, 7) };
        assert_eq!(ledger.claim(claim.clone(), NOW).await.unwrap(), Claimed::Ours);
        let transaction: Box<str> = crate::x402::svm::signature_text(&[0xfe; 64]).into();
        for step in [settling("dev"), Step::Settled { transaction: transaction.clone() }] {
            ledger.advance(&identity, claim.exchange, step, NOW).await.unwrap();
        }
        let again = Claim { exchange: ExchangeId::new(8), ..claim };
        let Claimed::Taken(entry) = ledger.claim(again, NOW).await.unwrap() else { panic!() };
        assert_eq!((&entry.identity, entry.asset, entry.pay_to), (&identity, asset, pay_to));
        assert_eq!(entry.transaction, Some(transaction));
        assert_eq!(ledger.get(&identity).await.unwrap(), Some(entry));
        ledger.close().await;
    }
}

#[tokio::test]
async fn what_is_moved_is_written_before_it_moves_and_reserved_stays_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    for url in everywhere(folder.path()).await {
        let ledger = Ledger::open(&url).await.unwrap();
        let (first, amount) = (claim(1, 7), AtomicAmount::new(3_002));
        assert_eq!(ledger.claim(first.clone(), NOW).await.unwrap(), Claimed::Ours);
        let settling = |facilitator: &str, amount| Step::Settling {
            facilitator: facilitator.into(),
            transaction: None,
            amount: Some(amount),
        };
        let advance = async |step| ledger.advance(&first.identity, first.exchange, step, NOW).await;
        for facilitator in ["dev", "other", "other"] {
            advance(settling(facilitator, amount)).await.unwrap();
        }
        // What may be under way is never of another amount.
        let other = advance(settling("other", AtomicAmount::new(1))).await;
        assert!(other.is_err(), "{url}");
        let entry = ledger.get(&first.identity).await.unwrap().unwrap();
        assert_eq!((entry.amount, entry.reserved), (amount, first.amount), "{url}");
        advance(Step::Released).await.unwrap();
        let entry = ledger.get(&first.identity).await.unwrap().unwrap();
        assert_eq!((entry.amount, entry.reserved), (amount, first.amount), "{url}");

        let again = claim(1, 8);
        assert_eq!(ledger.claim(again.clone(), NOW).await.unwrap(), Claimed::Ours);
        let entry = ledger.list(9).await.unwrap().remove(0);
        assert_eq!((entry.amount, entry.reserved), (again.amount, again.amount), "{url}");
        ledger.close().await;
    }
}

#[tokio::test]
async fn an_entry_is_what_was_claimed_and_what_became_of_it() {
    let folder = tempfile::tempdir().unwrap();
    for url in everywhere(folder.path()).await {
        let ledger = Ledger::open(&url).await.unwrap();
        let asset = Address::repeat_byte(0x0d);
        let claim = Claim { valid_before: u64::MAX, asset: asset.into(), ..claim(1, 7) };
        let exchange = claim.exchange;
        assert_eq!(ledger.claim(claim.clone(), NOW).await.unwrap(), Claimed::Ours);
        let later = NOW.plus(std::time::Duration::from_secs(1));
        let step = Step::Unknown { transaction: Some("0xabc".into()) };
        ledger.advance(&claim.identity, exchange, settling("dev"), NOW).await.unwrap();
        ledger.advance(&claim.identity, exchange, step, later).await.unwrap();
        let step = Step::Refused(ErrorReason::InsufficientFunds);
        ledger.advance(&claim.identity, exchange, step, later).await.unwrap();
        let expected = Entry {
            identity: claim.identity,
            exchange,
            route: claim.route,
            facilitator: claim.facilitator,
            asset: claim.asset,
            amount: claim.amount,
            reserved: claim.amount,
            pay_to: claim.pay_to,
            valid_before: i64::MAX.cast_unsigned(),
            state: State::Refused,
            transaction: Some("0xabc".into()),
            reason: Some("insufficient_funds".into()),
            claimed_at: NOW,
            changed_at: later,
        };
        assert_eq!(ledger.list(9).await.unwrap(), vec![expected], "{url}");
        ledger.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_claims_at_once_one_is_ours() {
    let folder = tempfile::tempdir().unwrap();
    for url in everywhere(folder.path()).await {
        let ledger = Ledger::open(&url).await.unwrap();
        let tasks: Vec<_> = (1..=50)
            .map(|exchange| {
                let ledger = ledger.clone();
                tokio::spawn(async move { ledger.claim(claim(1, exchange), NOW).await.unwrap() })
            })
            .collect();
        let mut ours = 0;
        for task in tasks {
            match task.await.unwrap() {
                Claimed::Ours => ours += 1,
                Claimed::Taken(entry) => assert_eq!(entry.state, State::Held),
            }
        }
        assert_eq!(ours, 1, "{url}");
    }
}

#[tokio::test]
async fn a_claim_that_nobody_waits_for_is_released() {
    let folder = tempfile::tempdir().unwrap();
    for url in durable(folder.path()).await {
        let ledger = Ledger::open(&url).await.unwrap();
        let mut dropped: Vec<Started<'_, _>> = vec![
            (Box::pin(ledger.claim(claim(1, 1), NOW)), None),
            (Box::pin(ledger.claim(claim(2, 2), NOW)), None),
        ];
        assert!(!poll_each(&mut dropped).await);
        // One before it is written, one when its answer lies there unread.
        dropped.truncate(1);
        fence(&ledger).await;
        assert_eq!(state(&ledger, 1).await, Some(State::Held));
        assert_eq!(state(&ledger, 2).await, Some(State::Released));
        dropped.clear();
        fence(&ledger).await;
        assert_eq!(state(&ledger, 1).await, Some(State::Released));
    }
}

#[tokio::test]
async fn what_cannot_be_written_does_not_fail_its_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    for url in durable(folder.path()).await {
        let ledger = Ledger::open(&url).await.unwrap();
        for payment in 1..=3 {
            ledger.claim(claim(payment, 9), NOW).await.unwrap();
            ledger
                .advance(&identity(payment), ExchangeId::new(9), settling("dev"), NOW)
                .await
                .unwrap();
        }
        let Ok(Way::Queue(queue)) = ledger.way() else { panic!("no queue") };
        // Past the check that keeps it away from the file.
        let long = "0".repeat(TRANSACTION_LEN_MAX + 1);
        let steps = ["0x1", &long, "0x3"].into_iter().zip(1..).map(|(transaction, payment)| {
            let step = Step::Settled { transaction: transaction.into() };
            let step = queue.advance(identity(payment), ExchangeId::new(9), step, NOW);
            let step: Pin<Box<dyn Future<Output = _>>> = Box::pin(step);
            step
        });
        let results: Vec<_> = in_order(steps).await.iter().map(Result::is_ok).collect();
        assert_eq!(results, [true, false, true]);
        assert_eq!(state(&ledger, 2).await, Some(State::Settling));
        assert_eq!(state(&ledger, 3).await, Some(State::Settled));
    }
}

#[tokio::test]
async fn a_transaction_that_is_too_long_is_a_misstep() {
    let ledger = Ledger::open(&LedgerUrl::Memory).await.unwrap();
    let step = Step::Settled { transaction: "0".repeat(TRANSACTION_LEN_MAX + 1).into() };
    let result = ledger.advance(&identity(1), ExchangeId::new(1), step, NOW).await;
    assert!(result.unwrap_err().to_string().contains("too long"));
}

#[tokio::test]
async fn a_release_waits_for_a_ledger_that_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    for url in durable(folder.path()).await {
        let ledger = Ledger::open(&url).await.unwrap();
        ledger.claim(claim(1, 1), NOW).await.unwrap();
        let mut other = Other::connect(&url).await;
        other.stalls().await;
        ledger.release_later(identity(1), ExchangeId::new(1), NOW);
        let fault = ledger.claim(claim(2, 2), NOW).await.unwrap_err();
        assert_eq!((fault.side(), fault.retry()), (Side::Ledger, Retry::Later), "{fault}");
        other.says("ROLLBACK").await;
        while state(&ledger, 1).await == Some(State::Held) {
            fence(&ledger).await;
        }
        assert_eq!(state(&ledger, 1).await, Some(State::Released));
        assert_eq!(state(&ledger, 2).await, None);
    }
}

#[tokio::test]
async fn a_second_gateway_is_kept_out_until_the_first_has_closed() {
    let folder = tempfile::tempdir().unwrap();
    let url = file(folder.path());
    let first = Ledger::open(&url).await.unwrap();
    let fault = Ledger::open(&url).await.unwrap_err();
    assert!(fault.to_string().contains("another gateway has it"), "{fault}");
    first.claim(claim(1, 1), NOW).await.unwrap();
    first.release_later(identity(1), ExchangeId::new(1), NOW);
    first.close().await;
    let second = Ledger::open(&url).await.unwrap();
    assert_eq!(state(&second, 1).await, Some(State::Released));
    let fault = first.claim(claim(1, 2), NOW).await.unwrap_err();
    assert!(fault.to_string().contains("closed"), "{fault}");
}

#[tokio::test]
async fn it_is_read_while_the_gateway_runs_and_when_none_does() {
    let folder = tempfile::tempdir().unwrap();
    let url = file(folder.path());
    let missing = Ledger::open_to_read(&url).await.unwrap_err();
    assert_eq!(missing.retry(), Retry::Never, "{missing}");
    assert!(Ledger::open_to_read(&LedgerUrl::Memory).await.is_err());
    let ledger = Ledger::open(&url).await.unwrap();
    ledger.claim(claim(1, 1), NOW).await.unwrap();
    let reader = Ledger::open_to_read(&url).await.unwrap();
    assert_eq!(reader.list(9).await.unwrap().len(), 1);
    assert_eq!(reader.claim(claim(2, 2), NOW).await.unwrap_err().retry(), Retry::Never);
    reader.close().await;
    ledger.close().await;
    let reader = Ledger::open_to_read(&url).await.unwrap();
    assert_eq!(reader.unfinished(None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn limits_cut_the_far_end() {
    let folder = tempfile::tempdir().unwrap();
    for url in everywhere(folder.path()).await {
        let ledger = Ledger::open(&url).await.unwrap();
        for payment in 1..=3_u64 {
            let now = UnixMillis::new(payment.cast_signed());
            ledger.claim(claim(payment, 1), now).await.unwrap();
        }
        let payments = |entries: Vec<Entry>| -> Vec<PaymentIdentity> {
            entries.into_iter().map(|entry| entry.identity).collect()
        };
        let listed = payments(ledger.list(2).await.unwrap());
        assert_eq!(listed, [identity(3), identity(2)]);
        let unfinished = ledger.unfinished(None, 2).await.unwrap();
        let mark = unfinished.last().map(|unfinished| unfinished.mark);
        let first = payments(unfinished.into_iter().map(|left| left.entry).collect());
        assert_eq!(first, [identity(1), identity(2)]);
        let rest = ledger.unfinished(mark, 2).await.unwrap();
        assert_eq!(payments(rest.into_iter().map(|left| left.entry).collect()), [identity(3)]);
        let page = ledger.page(None, 2).await.unwrap();
        let rest = ledger.page(page.last().map(|(mark, _)| *mark), 2).await.unwrap();
        assert_eq!(payments(rest.into_iter().map(|(_, entry)| entry).collect()), [identity(1)]);
    }
}

/// A crash while the second one is asked must not send recovery to the first.
#[tokio::test]
async fn the_entry_names_the_facilitator_that_was_asked_last() {
    let folder = tempfile::tempdir().unwrap();
    for url in [LedgerUrl::Memory, file(folder.path())] {
        let ledger = Ledger::open(&url).await.unwrap();
        let exchange = ExchangeId::new(9);
        ledger.claim(claim(1, 9), NOW).await.unwrap();
        for name in ["dev", "spare", "spare"] {
            ledger.advance(&identity(1), exchange, settling(name), NOW).await.unwrap();
            let entry = ledger.get(&identity(1)).await.unwrap().unwrap();
            assert_eq!((&*entry.facilitator, entry.state), (name, State::Settling));
        }
        let other = ledger.advance(&identity(1), ExchangeId::new(8), settling("dev"), NOW).await;
        assert!(other.is_err());
        let unknown = Step::Unknown { transaction: None };
        ledger.advance(&identity(1), exchange, unknown, NOW).await.unwrap();
        assert!(ledger.advance(&identity(1), exchange, settling("dev"), NOW).await.is_err());
        let entry = ledger.get(&identity(1)).await.unwrap().unwrap();
        assert_eq!((&*entry.facilitator, entry.state), ("spare", State::Unknown));
    }
}

#[tokio::test]
async fn a_ledger_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for url in durable(folder.path()).await {
        Ledger::open(&url).await.unwrap().close().await;
        let mut other = Other::connect(&url).await;
        other
            .says(
                "INSERT INTO _sqlx_migrations (version, description, success, checksum,
                execution_time) VALUES (9999, 'later', true, '00', 0)",
            )
            .await;
        let fault = Ledger::open(&url).await.unwrap_err();
        assert_eq!(fault.retry(), Retry::Never, "{fault}");
    }
}

#[tokio::test]
async fn no_statement_reads_the_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let url = file(folder.path());
    let _ledger = Ledger::open(&url).await.unwrap();
    let LedgerUrl::Sqlite(path) = &url else { panic!("not a file") };
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut other = options.connect().await.unwrap();
    let written = [rows::CLAIM, rows::SERIAL_OF, rows::ADVANCE];
    let read = [SqliteRow::GET, sqlite::UNFINISHED, SqliteRow::PAGE, sqlite::CLAIM_OF];
    for sql in written.into_iter().chain(read) {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan = sqlx::query(explain).fetch_all(&mut other).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        let reads_all = |line: &String| {
            line.starts_with("SCAN payments") && !line.contains("payments_unfinished")
        };
        assert!(!plan.iter().any(reads_all), "{sql}\n{plan:#?}");
        assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE")), "{sql}\n{plan:#?}");
    }
}
