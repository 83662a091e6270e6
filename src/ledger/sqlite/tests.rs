//! A file that an older version has written.

use sqlx::Row as _;

use super::super::Past;
use super::super::tests::{claim, identity, sender};
use super::*;
use crate::clock::UnixMillis;
use crate::ledger::{Claimant, Claimed, Ledger, LedgerUrl, State, Step};

/// Made by the first version: three payments, and a `kill -9` while the last one was settled.
const VERSION_1: &[u8] = include_bytes!("../../../tests/vectors/ledger-v1.sqlite");

#[tokio::test]
async fn a_file_of_the_first_version_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    std::fs::write(&path, VERSION_1).unwrap();
    let url = LedgerUrl::Sqlite(path.clone());
    let now = UnixMillis::new(1_795_300_000_000);
    let ledger = Ledger::open(&url).await.unwrap();
    let states: Vec<_> = ledger.list(9).await.unwrap().iter().map(|entry| entry.state).collect();
    assert_eq!(states, [State::Settling, State::Released, State::Settled]);
    let left = ledger.unfinished(None, 9).await.unwrap();
    let [Unfinished { entry, holder: Holder::Gone, .. }] = left.as_slice() else {
        panic!("{left:?}")
    };
    assert_eq!(ledger.past(entry).await.unwrap(), []);
    assert_eq!(ledger.claimant(entry).await.unwrap(), Claimant::Gone { sender: None });
    assert_eq!(entry.asset, entry.identity.contract);
    let step = Step::Settled { transaction: "0x1".into() };
    ledger.advance(&entry.identity, entry.exchange, step, now).await.unwrap();
    let past = ledger.past(entry).await.unwrap();
    let expected =
        Past { exchange: entry.exchange, state: State::Settling, since: entry.changed_at };
    assert_eq!(past, [expected]);
    ledger.close().await;

    let mut connection = options(&path).connect().await.unwrap();
    let row = sqlx::query("PRAGMA auto_vacuum").fetch_one(&mut connection).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), INCREMENTAL);
}

#[tokio::test]
async fn what_is_claimed_from_now_on_has_somebody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    std::fs::write(&path, VERSION_1).unwrap();
    let ledger = Ledger::open(&LedgerUrl::Sqlite(path)).await.unwrap();
    assert_eq!(ledger.claim(claim(1, 1), UnixMillis::new(1)).await.unwrap(), Claimed::Ours);
    let left = ledger.unfinished(None, 9).await.unwrap();
    let ours = left.iter().filter(|left| left.holder == Holder::Lives);
    assert_eq!(ours.map(|left| &left.entry.identity).collect::<Vec<_>>(), [&identity(1)]);
}

#[tokio::test]
async fn a_claim_of_before_says_whose_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let url = LedgerUrl::Sqlite(folder.path().join("ledger.db"));
    let ledger = Ledger::open(&url).await.unwrap();
    ledger.claim(claim(1, 7), UnixMillis::new(1)).await.unwrap();
    let entry = ledger.get(&identity(1)).await.unwrap().unwrap();
    assert_eq!(ledger.claimant(&entry).await.unwrap(), Claimant::Here);
    ledger.close().await;

    let ledger = Ledger::open(&url).await.unwrap();
    let gone = Claimant::Gone { sender: Some(sender(7)) };
    assert_eq!(ledger.claimant(&entry).await.unwrap(), gone);
    let (step, now) = (Step::Orphaned, UnixMillis::new(2));
    ledger.advance(&entry.identity, entry.exchange, step, now).await.unwrap();
    ledger.claim(claim(1, 8), now).await.unwrap();
    // What was asked about is not there any more.
    assert_eq!(ledger.claimant(&entry).await.unwrap(), Claimant::Here);
}

#[tokio::test]
async fn nobody_else_can_read_a_new_file_and_an_old_one_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let modes = || -> Vec<u32> {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap());
        let files = files.filter(|file| !file.path().ends_with("ledger.db.lock"));
        files.map(|file| file.metadata().unwrap().permissions().mode() & 0o777).collect()
    };
    for mode in [0o600, 0o640] {
        if path.exists() {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let ledger = Ledger::open(&LedgerUrl::Sqlite(path.clone())).await.unwrap();
        ledger.claim(claim(mode.into(), 1), UnixMillis::new(1)).await.unwrap();
        let found = modes();
        assert!(found.len() >= 2 && found.iter().all(|found| *found == mode), "{found:?}");
        ledger.close().await;
    }
}
