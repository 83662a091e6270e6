//! What several gateways on one PostgreSQL promise each other, and what a lost connection does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;

use super::super::tests::postgres::{database, is_left, leases_are_over, socket};
use super::super::tests::{claim, identity, sender, settling};
use super::super::{Claimed, Ledger, LedgerUrl, State, Step};
use super::*;
use crate::clock::UnixMillis;

const NOW: UnixMillis = UnixMillis::new(1_700_000_000_000);

async fn open(url: &str) -> Ledger {
    Ledger::open(&url.parse::<LedgerUrl>().unwrap()).await.unwrap()
}

/// Looks until it is so, but not for ever.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !so().await {
            sleep(LOOK_AGAIN).await;
        }
    };
    timeout(PATIENCE, looking).await.expect("it never comes so");
}

/// Payments in flight that nobody works on.
async fn orphans(ledger: &Ledger) -> usize {
    let left = ledger.unfinished(None, 100).await.unwrap();
    left.iter().filter(|left| left.holder == Holder::Gone).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_gateways_one_has_a_payment() {
    let url = database().await;
    let (one, two) = tokio::join!(open(&url), open(&url));
    let mut tasks = JoinSet::new();
    for payment in 0..200 {
        for (ledger, exchange) in [(one.clone(), 1_000 + payment), (two.clone(), 2_000 + payment)] {
            tasks.spawn(async move {
                ledger.claim(claim(payment, exchange.into()), NOW).await.unwrap() == Claimed::Ours
            });
        }
    }
    let ours = tasks.join_all().await.into_iter().filter(|ours| *ours).count();
    assert_eq!(ours, 200);
}

#[tokio::test]
async fn what_a_living_gateway_holds_is_left_to_it() {
    let url = database().await;
    let (one, two) = (open(&url).await, open(&url).await);
    one.claim(claim(1, 1), NOW).await.unwrap();
    assert_eq!((orphans(&one).await, orphans(&two).await), (0, 0));
    leases_are_over(&url).await;
    assert_eq!(orphans(&two).await, 1);
    // It is heard of again before anything of it is taken for left behind for good.
    until(async || orphans(&two).await == 0).await;
    one.close().await;
    assert_eq!(orphans(&two).await, 1);
    let left = two.unfinished(None, 1).await.unwrap().remove(0).entry;
    two.advance(&left.identity, left.exchange, Step::Orphaned, NOW).await.unwrap();
    assert_eq!(two.claim(claim(1, 2), NOW).await.unwrap(), Claimed::Ours);
}

#[tokio::test]
async fn a_claim_says_where_its_gateway_is() {
    let url = database().await;
    let (one, two) = (open(&url).await, open(&url).await);
    one.claim(claim(1, 7), NOW).await.unwrap();
    let entry = one.get(&identity(1)).await.unwrap().unwrap();
    assert_eq!(one.claimant(&entry).await.unwrap(), Claimant::Here);
    assert_eq!(two.claimant(&entry).await.unwrap(), Claimant::Elsewhere);
    one.close().await;
    let gone = Claimant::Gone { sender: Some(sender(7)) };
    assert_eq!(two.claimant(&entry).await.unwrap(), gone);
}

#[tokio::test]
async fn a_settlement_that_has_begun_is_not_orphaned() {
    let url = database().await;
    let (one, two) = (open(&url).await, open(&url).await);
    let wanted = claim(1, 1);
    one.claim(wanted.clone(), NOW).await.unwrap();
    let seen = two.unfinished(None, 1).await.unwrap().remove(0).entry;
    one.advance(&wanted.identity, wanted.exchange, settling("dev"), NOW).await.unwrap();
    let late = two.advance(&seen.identity, seen.exchange, Step::Orphaned, NOW).await;
    assert_eq!(late.unwrap_err().retry(), Retry::Never);
    assert_eq!(two.get(&seen.identity).await.unwrap().unwrap().state, State::Settling);
}

/// A way to the server that can lose answers. What it has taken in still arrives.
struct Wire {
    url: String,
    loses: Arc<Loses>,
    task: tokio::task::JoinHandle<()>,
}

/// What is lost.
#[derive(Default)]
struct Loses {
    /// All answers, and with each its connection.
    all: AtomicBool,
    /// From a message with this text in it on, all.
    from: std::sync::Mutex<Option<String>>,
}

impl Wire {
    async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = url.strip_prefix("postgres:///").unwrap().split('?').next().unwrap();
        let url = format!("postgres://postgres@127.0.0.1:{port}/{name}?sslmode=disable");
        let loses = Arc::new(Loses::default());
        let shared = Arc::clone(&loses);
        let task = tokio::spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                lines.spawn(carry(client, Arc::clone(&shared)));
            }
        });
        Self { url, loses, task }
    }

    fn loses_all(&self) {
        self.loses.all.store(true, Ordering::SeqCst);
    }

    /// Loses the answer to the next message of this exchange, and all after it.
    fn loses_from(&self, exchange: ExchangeId) {
        *self.loses.from.lock().unwrap() = Some(exchange.to_string());
    }

    fn is_whole(&self) {
        self.loses.all.store(false, Ordering::SeqCst);
    }
}

async fn carry(client: TcpStream, loses: Arc<Loses>) {
    let server = UnixStream::connect(socket()).await.unwrap();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut from_client, mut to_client) = client.into_split();
    let out = async {
        let mut bytes = vec![0; 65_536];
        while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
            let text = String::from_utf8_lossy(&bytes[..length]);
            let awaited = |from: &mut String| text.contains(from.as_str());
            if loses.from.lock().unwrap().take_if(awaited).is_some() {
                loses.all.store(true, Ordering::SeqCst);
            }
            if to_server.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
    };
    let back = async {
        let mut bytes = vec![0; 65_536];
        while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
            let lost = loses.all.load(Ordering::SeqCst);
            if lost || to_client.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! { () = out => {}, () = back => {} }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_found_again() {
    let url = database().await;
    let wire = Wire::to(&url).await;
    let (ledger, watcher) = (open(&wire.url).await, open(&url).await);
    // From here on the server knows the statement, and one message is enough to write.
    ledger.claim(claim(9, 9), NOW).await.unwrap();
    let exchange = claim(1, 1).exchange;
    wire.loses_from(exchange);
    let asked = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.claim(claim(1, 1), NOW).await }
    });
    // It is written, and the gateway does not know.
    until(async || watcher.get(&identity(1)).await.unwrap().is_some()).await;
    assert!(!asked.is_finished());
    wire.is_whole();
    assert_eq!(asked.await.unwrap().unwrap(), Claimed::Ours);
    assert!(ledger.ready().is_ok());
    // A step that went through is not taken twice either.
    wire.loses_from(exchange);
    let asked = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.advance(&identity(1), exchange, settling("dev"), NOW).await }
    });
    until(async || watcher.get(&identity(1)).await.unwrap().unwrap().state != State::Held).await;
    assert!(!asked.is_finished());
    wire.is_whole();
    asked.await.unwrap().unwrap();
    let entry = watcher.get(&identity(1)).await.unwrap().unwrap();
    assert_eq!(watcher.past(&entry).await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_the_server_nothing_is_claimed_and_afterwards_nothing_is_left_held() {
    let url = database().await;
    let wire = Wire::to(&url).await;
    let ledger = open(&wire.url).await;
    let watcher = open(&url).await;
    wire.loses_all();
    let fault = ledger.claim(claim(1, 1), NOW).await.unwrap_err();
    assert_eq!((fault.side(), fault.retry()), (Side::Ledger, Retry::Later), "{fault}");
    assert!(ledger.ready().unwrap_err().to_string().contains("PostgreSQL"));
    let begun = steady();
    assert!(ledger.claim(claim(2, 2), NOW).await.is_err());
    assert!(begun.elapsed() < PATIENT, "nobody waits for a server that is known to be gone");
    wire.is_whole();
    until(async || ledger.ready().is_ok()).await;
    until(async || watcher.unfinished(None, 9).await.unwrap().is_empty()).await;
    assert_eq!(watcher.claim(claim(1, 3), NOW).await.unwrap(), Claimed::Ours);
    wire.task.abort();
}

#[tokio::test]
async fn a_connection_that_was_given_up_writes_nothing_more() {
    let url = database().await;
    let options = url.parse::<PgConnectOptions>().unwrap();
    migrate(&options).await.unwrap();
    let mut old = Link::open(&options, "a").await.unwrap();
    let mut other = Link::open(&options, "b").await.unwrap();
    // The old one is still open at the server; the new one comes behind its end.
    let mut new = Link::open(&options, "a").await.unwrap();
    new.renew("a").await.unwrap();
    assert!(old.renew("a").await.is_err());
    other.renew("b").await.unwrap();
    drop((old, other, new));
    is_left(&url).await;
}

#[tokio::test]
async fn a_database_that_is_not_there_stops_the_start() {
    let url = database().await.replace("postgres:///t", "postgres:///no");
    for opened in [
        Ledger::open(&url.parse().unwrap()).await,
        Ledger::open_to_read(&url.parse().unwrap()).await,
    ] {
        assert_eq!(opened.unwrap_err().retry(), Retry::Never);
    }
}

const PATIENT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(40);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
