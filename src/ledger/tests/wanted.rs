//! Who has paid for what is found by who, where and when.

use super::*;

/// A payment of this payer for this route that has come so far at this moment.
async fn pay(
    ledger: &Ledger,
    number: u64,
    (payer, route): (u8, &str),
    steps: &[Step],
    at: UnixMillis,
) {
    let mut claim = Claim { route: route.into(), ..claim(number, number.into()) };
    claim.identity.payer = Address::repeat_byte(payer).into();
    let (identity, exchange) = (claim.identity.clone(), claim.exchange);
    assert_eq!(ledger.claim(claim, at).await.unwrap(), Claimed::Ours);
    for step in steps {
        ledger.advance(&identity, exchange, step.clone(), at).await.unwrap();
    }
}

#[tokio::test]
async fn a_payment_that_has_moved_is_found_for_as_long_as_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let moved = [settling("dev"), Step::Settled { transaction: "0x1".into() }];
    for url in everywhere(folder.path()).await {
        let ledger = Ledger::open(&url).await.unwrap();
        let made = tokio::join!(ledger.index_settled(), ledger.index_settled());
        assert!(made.0.is_ok() && made.1.is_ok(), "{made:?}");
        pay(&ledger, 1, (1, "a"), &moved, NOW).await;
        pay(&ledger, 2, (2, "a"), &moved[..1], NOW).await;
        pay(&ledger, 3, (3, "a"), &[Step::Released], NOW).await;
        pay(&ledger, 4, (1, "b"), &moved, NOW.plus(Duration::from_secs(9))).await;
        let (here, elsewhere) = (Network::eip155(84532), Network::eip155(8453));
        let wanted = |payer: u8, route, since: i64, network| Wanted {
            payer: Address::repeat_byte(payer).into(),
            route,
            since: UnixMillis::new(NOW.millis() + since),
            network,
        };
        for (wanted, found) in [
            (wanted(1, "a", 0, None), true),
            (wanted(1, "a", -1, Some(&here)), true),
            (wanted(1, "a", 0, Some(&elsewhere)), false),
            (wanted(1, "a", 1, None), false),
            (wanted(1, "b", 9_000, None), true),
            (wanted(1, "b", 9_001, None), false),
            (wanted(1, "c", 0, None), false),
            (wanted(2, "a", 0, None), false),
            (wanted(3, "a", 0, None), false),
            (wanted(4, "a", 0, None), false),
        ] {
            assert_eq!(ledger.has_paid(&wanted).await.unwrap(), found, "{url} {wanted:?}");
        }
        ledger.close().await;
    }
}

/// However many payments there are, one is looked at.
#[tokio::test]
async fn it_is_found_by_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&file(folder.path())).await.unwrap();
    for _ in 0..2 {
        ledger.index_settled().await.unwrap();
    }
    ledger.close().await;
    let LedgerUrl::Sqlite(path) = file(folder.path()) else { panic!() };
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = options.connect().await.unwrap();
    let plan = format!("EXPLAIN QUERY PLAN {}", SqliteRow::HAS_PAID);
    let rows = sqlx::query(sqlx::AssertSqlSafe(plan)).fetch_all(&mut connection).await.unwrap();
    let told: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
    let by = "SEARCH payments USING INDEX payments_settled (payer=? AND route=? AND changed_at>?)";
    assert_eq!(told, [by]);
}
