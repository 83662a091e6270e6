//! How far it says to be behind, while its writer hangs and after.

use std::mem::take;

use tokio::time::{advance, sleep, timeout};

use super::*;
use crate::ledger::queue::{oldest, queue};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_step_counts_from_when_it_is_handed_in_until_it_is_written() {
    let (queue, mut ops) = queue();
    let lag = queue.lag();
    let check = |seconds| assert_eq!(lag.at(steady()), seconds * SECOND);
    let mut taken = Vec::new();
    check(0);
    queue.release(identity(1), ExchangeId::new(1), NOW);
    advance(SECOND).await;
    check(1);
    ops.take(&mut taken, 9).await;
    queue.release(identity(2), ExchangeId::new(2), NOW);
    advance(SECOND).await;
    check(2);
    // The first is written.
    taken.clear();
    ops.take(&mut taken, 9).await;
    check(1);
    // The second could not be.
    let late = take(&mut taken);
    ops.lag().keeps(oldest(&late));
    assert!(timeout(SECOND, ops.take(&mut taken, 9)).await.is_err());
    check(2);
    ops.lag().keeps(None);
    check(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_hangs_is_behind_until_it_has_written() {
    let folder = tempfile::tempdir().unwrap();
    for url in durable(folder.path()).await {
        let ledger = Ledger::open(&url).await.unwrap();
        ledger.claim(claim(1, 1), NOW).await.unwrap();
        comes(&ledger, |behind| behind.is_zero()).await;
        let mut other = Other::connect(&url).await;
        other.stalls().await;
        let begun = steady();
        let waits = tokio::spawn({
            let ledger = ledger.clone();
            async move { ledger.claim(claim(2, 2), NOW).await }
        });
        comes(&ledger, |behind| !behind.is_zero()).await;
        other.says("ROLLBACK").await;
        assert_eq!(waits.await.unwrap().unwrap(), Claimed::Ours);
        comes(&ledger, |behind| behind.is_zero()).await;

        other.stalls().await;
        ledger.release_later(identity(1), ExchangeId::new(1), NOW);
        let handed_in = steady();
        ledger.claim(claim(3, 3), NOW).await.unwrap_err();
        let now = steady();
        let behind = ledger.lag().at(now);
        let at_least = now.saturating_duration_since(handed_in);
        assert!(behind >= at_least && behind <= now.saturating_duration_since(begun), "{behind:?}");
        other.says("ROLLBACK").await;
        comes(&ledger, |behind| behind.is_zero()).await;
        assert_eq!(state(&ledger, 1).await, Some(State::Released));
        ledger.close().await;
    }
}

#[tokio::test]
async fn a_ledger_in_memory_is_never_behind() {
    let ledger = Ledger::open(&LedgerUrl::Memory).await.unwrap();
    ledger.claim(claim(1, 1), NOW).await.unwrap();
    assert_eq!(ledger.lag().at(steady()), Duration::ZERO);
}

/// Waits until it is so far behind.
async fn comes(ledger: &Ledger, so: impl Fn(Duration) -> bool) {
    let lag = ledger.lag();
    let looking = async {
        while !so(lag.at(steady())) {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(10 * SECOND, looking).await.expect("it never comes so");
}
