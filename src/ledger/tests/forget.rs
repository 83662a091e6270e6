//! What is forgotten, what never is, and what it gives back.

use std::time::Duration;

use super::*;

const KEEP: Keep = Keep::For(Duration::from_secs(30 * 86_400));
const DAY_MILLIS: i64 = 86_400_000;

/// Passes until the round is over; gives how many payments were deleted, and how many passes.
async fn round(ledger: &Ledger, keep: Keep, now: UnixMillis) -> (u64, usize) {
    let mut forgetting = ledger.forgetting(keep);
    let (mut payments, mut passes) = (0, 0);
    loop {
        let forgotten = forgetting.pass(now).await.unwrap();
        (payments, passes) = (payments + forgotten.payments, passes + 1);
        if forgotten.round == Round::Over {
            return (payments, passes);
        }
    }
}

async fn kept(ledger: &Ledger) -> Vec<u64> {
    let number = |entry: &Entry| u64::from_be_bytes(entry.identity.nonce[24..].try_into().unwrap());
    let mut kept: Vec<u64> = ledger.list(9_999).await.unwrap().iter().map(number).collect();
    kept.sort_unstable();
    kept
}

#[tokio::test]
async fn what_is_under_way_or_could_be_sent_again_is_never_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    for url in durable(folder.path()).await {
        let ledger = Ledger::open(&url).await.unwrap();
        let settled = || Step::Settled { transaction: "0x1".into() };
        let unknown = Step::Unknown { transaction: None };
        let refused = Step::Refused(ErrorReason::InsufficientFunds);
        let soon = NOW.seconds() + 600;
        let ends: [(u64, Vec<Step>); 9] = [
            (soon, vec![]),
            (soon, vec![settling("dev")]),
            (soon, vec![settling("dev"), unknown]),
            (soon, vec![settling("dev"), settled()]),
            (u64::MAX, vec![settling("dev"), refused]),
            (u64::MAX, vec![Step::Released]),
            (u64::MAX, vec![settling("dev"), settled()]),
            // Still good in a month less an hour.
            (NOW.seconds() + 31 * 86_400 - 3_600, vec![settling("dev"), settled()]),
            (u64::MAX, vec![Step::Released]),
        ];
        for (payment, (valid_before, steps)) in (1..).zip(ends) {
            let claim = Claim { valid_before, ..claim(payment, payment.into()) };
            let exchange = claim.exchange;
            ledger.claim(claim, NOW).await.unwrap();
            for step in steps {
                ledger.advance(&identity(payment), exchange, step, NOW).await.unwrap();
            }
        }
        let after = |days: i64| UnixMillis::new(NOW.millis() + days * DAY_MILLIS + 1);
        assert_eq!(round(&ledger, Keep::Forever, after(10_000)).await.0, 0, "{url}");
        assert_eq!(round(&ledger, KEEP, after(0).plus(23 * HOUR)).await.0, 0, "{url}");
        // What did not move is let go whatever its window, and may be claimed again meanwhile.
        ledger.claim(claim(9, 99), after(1)).await.unwrap();
        assert_eq!(round(&ledger, KEEP, after(1).plus(2 * HOUR)).await.0, 2, "{url}");
        assert_eq!(round(&ledger, KEEP, after(29)).await.0, 0, "{url}");
        assert_eq!(kept(&ledger).await, [1, 2, 3, 4, 7, 8, 9], "{url}");
        ledger.advance(&identity(9), ExchangeId::new(99), Step::Released, after(29)).await.unwrap();
        assert_eq!(round(&ledger, KEEP, after(31)).await.0, 2, "{url}");
        assert_eq!(kept(&ledger).await, [1, 2, 3, 7, 8], "{url}");
        // A day after the authorization's end, and not a moment before.
        assert_eq!(round(&ledger, KEEP, after(32)).await.0, 1, "{url}");
        assert_eq!(round(&ledger, KEEP, after(10_000)).await.0, 0, "{url}");
        assert_eq!(kept(&ledger).await, [1, 2, 3, 7], "{url}");
        // A payment that is claimed again is a new one.
        let again = claim(4, 44);
        assert_eq!(ledger.claim(again, after(33)).await.unwrap(), Claimed::Ours);
        ledger.close().await;
    }
}

#[tokio::test]
async fn a_long_ledger_is_forgotten_in_passes_and_the_file_shrinks() {
    let folder = tempfile::tempdir().unwrap();
    for url in durable(folder.path()).await {
        let ledger = Ledger::open(&url).await.unwrap();
        const PAYMENTS: u64 = 2_600;
        // One in the way that stays, and one that is too young.
        ledger.claim(claim(0, u128::MAX), NOW).await.unwrap();
        for hundred in 0..PAYMENTS / 100 {
            let payments = hundred * 100 + 1..=(hundred + 1) * 100;
            let claims = payments.clone().map(|payment| {
                let claim =
                    Claim { valid_before: NOW.seconds() + 600, ..claim(payment, payment.into()) };
                let claimed: Pin<Box<dyn Future<Output = _>>> = Box::pin(ledger.claim(claim, NOW));
                claimed
            });
            assert!(in_order(claims).await.into_iter().all(|claimed| claimed.is_ok()));
            payments.for_each(|payment| {
                ledger.release_later(identity(payment), ExchangeId::new(payment.into()), NOW);
            });
        }
        fence(&ledger).await;
        let later = NOW.plus(Duration::from_secs(400 * 86_400));
        ledger.claim(claim(PAYMENTS + 1, 0), later).await.unwrap();
        ledger.release_later(identity(PAYMENTS + 1), ExchangeId::new(0), later);
        fence(&ledger).await;
        let (forgotten, passes) = round(&ledger, Keep::default(), later.plus(HOUR)).await;
        assert_eq!((forgotten, passes), (PAYMENTS, 2), "{url}");
        assert_eq!(kept(&ledger).await, [0, PAYMENTS + 1], "{url}");
        ledger.close().await;
        if let LedgerUrl::Sqlite(path) = &url {
            let bytes = std::fs::metadata(path).unwrap().len();
            assert!(bytes < 200_000, "{bytes} bytes for two payments");
        }
    }
}

const HOUR: Duration = Duration::from_secs(3_600);
