//! Who sees the page, and what stands in its data.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use arc_swap::ArcSwap;
use serde_json::{Value, json};

use super::*;
use crate::clock::UnixMillis;
use crate::ledger::{Claim, ExchangeId, LedgerUrl, Step};
use crate::x402::network::Worth;
use crate::x402::{Account, AtomicAmount, Network, PaymentIdentity};

const TOKEN: &str = "a token of 24 characters";
const NOW: i64 = 1_795_000_000_000;
const GOOD: Health<'_> = Health { ready: true, troubles: &[] };

async fn dashboard() -> Dashboard {
    let ledger = Ledger::open(&LedgerUrl::Memory).await.unwrap();
    let money = Money {
        network: Network::eip155(8453),
        asset: Address::repeat_byte(1).into(),
        name: "base".into(),
        decimals: 6,
        explorer: Some("https://explorer.example/tx/".into()),
        worth: Worth::Mainnet,
    };
    let (clock, _) = Clock::set_to(UnixMillis::new(NOW));
    Dashboard::new(
        Digest::of(TOKEN.as_bytes()),
        Arc::new(ArcSwap::from_pointee(vec![money])),
        ledger,
        clock,
    )
}

async fn get(dashboard: &Dashboard, path: &str, authorization: Option<&str>) -> Response<Vec<u8>> {
    let mut headers = HeaderMap::new();
    if let Some(value) = authorization {
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    dashboard.answer((path, query), &headers, &GOOD).await
}

#[tokio::test]
async fn only_who_knows_the_token_sees_anything() {
    let dashboard = dashboard().await;
    let basic = |both: &str| format!("Basic {}", STANDARD.encode(both));
    let check = async |authorization: Option<&str>, status: u16| {
        for path in ["/dashboard", "/dashboard/data", "/dashboard/page.js", "/dashboard/nothing"] {
            let answer = get(&dashboard, path, authorization).await;
            let expected = if path.ends_with("nothing") && status == 200 { 404 } else { status };
            assert_eq!(answer.status(), expected, "{authorization:?} {path}");
            let policy = &answer.headers()[header::CONTENT_SECURITY_POLICY];
            assert!(!policy.to_str().unwrap().contains("unsafe"));
        }
    };
    check(Some(&basic(&format!("anybody:{TOKEN}"))), 200).await;
    check(Some(&format!("Bearer {TOKEN}")), 200).await;
    check(None, 401).await;
    for wrong in [basic("anybody:"), basic(TOKEN), basic(&format!("{TOKEN}:x")), "Basic %".into()] {
        check(Some(&wrong), 401).await;
    }
    check(Some("Bearer a token of 24 character"), 401).await;
    check(Some(&format!("Digest {TOKEN}")), 401).await;
    let stranger = get(&dashboard, "/dashboard", None).await;
    assert!(stranger.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Basic"));
}

/// A payment of 1.5 on this asset, so many milliseconds ago.
async fn claim(dashboard: &Dashboard, number: u64, asset: u8, ago: i64) -> Claim {
    let claim = Claim {
        identity: PaymentIdentity {
            network: Network::eip155(8453),
            contract: Address::repeat_byte(asset).into(),
            payer: Address::repeat_byte(2).into(),
            nonce: B256::left_padding_from(&number.to_be_bytes()),
        },
        exchange: ExchangeId::new(number.into()),
        route: "</script>".into(),
        facilitator: "own".into(),
        asset: Address::repeat_byte(asset).into(),
        amount: AtomicAmount::new(1_500_000),
        pay_to: Address::repeat_byte(3).into(),
        valid_before: 2_000_000_000,
        sender: Digest::of(b"sender"),
    };
    let at = UnixMillis::new(NOW - ago);
    dashboard.reading.ledger.claim(claim.clone(), at).await.unwrap();
    claim
}

async fn step(dashboard: &Dashboard, claim: &Claim, step: Step, ago: i64) {
    let (at, ledger) = (UnixMillis::new(NOW - ago), &dashboard.reading.ledger);
    ledger.advance(&claim.identity, claim.exchange, step, at).await.unwrap();
}

#[tokio::test]
async fn the_data_has_sums_doubts_and_the_newest() {
    const MINUTE: i64 = 60_000;
    let dashboard = dashboard().await;
    let settling = || Step::Settling { facilitator: "own".into(), transaction: None, amount: None };
    for (number, asset, ago) in [(1, 1, 26 * 60), (2, 1, 50), (3, 1, 40), (4, 9, 30)] {
        let claim = claim(&dashboard, number, asset, ago * MINUTE).await;
        step(&dashboard, &claim, settling(), ago * MINUTE).await;
        let settled = Step::Settled { transaction: "0x7".into() };
        step(&dashboard, &claim, settled, ago * MINUTE).await;
    }
    let doubt = claim(&dashboard, 5, 1, 2_000).await;
    step(&dashboard, &doubt, settling(), 2_000).await;
    step(&dashboard, &doubt, Step::Unknown { transaction: None }, 1_000).await;
    claim(&dashboard, 6, 1, 2 * MINUTE).await;
    claim(&dashboard, 7, 1, 1_000).await;

    let data = async |query: &str| -> Value {
        let path = format!("/dashboard/data{query}");
        let answer = get(&dashboard, &path, Some(&format!("Bearer {TOKEN}"))).await;
        serde_json::from_slice(answer.body()).unwrap()
    };
    let day = data("").await;
    let other = format!("eip155:8453 {}", Account::from(Address::repeat_byte(9)));
    let explorer = "https://explorer.example/tx/";
    let known = json!({ "name": "base", "decimals": 6, "explorer": explorer, "real": true });
    let unknown = json!({ "name": other, "decimals": null, "explorer": null, "real": false });
    assert_eq!(day["monies"], json!([known, unknown]));
    let sum = |data: &Value, money: u64| -> Vec<(u64, Value)> {
        let points = data["sums"].as_array().unwrap().iter().filter(|p| p["money"] == money);
        points.map(|p| (p["payments"].as_u64().unwrap(), p["units"].clone())).collect()
    };
    let total = |data: &Value| sum(data, 0).iter().map(|(count, _)| count).sum::<u64>();
    assert_eq!((total(&day), sum(&day, 1)), (2, vec![(1, "1500000".into())]));
    assert_eq!((total(&data("?span=7d").await), total(&data("?span=30d").await)), (3, 3));
    let exchanges = |list: &str| -> Vec<u64> {
        let lines = day[list].as_array().unwrap().iter();
        lines
            .map(|line| u64::from_str_radix(line["exchange"].as_str().unwrap(), 16).unwrap())
            .collect()
    };
    // Older than a minute, or in doubt; a payment that was just taken is neither.
    assert_eq!(exchanges("unresolved"), [5, 6]);
    assert_eq!(exchanges("recent"), [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!((&day["ready"], &day["troubles"]), (&json!(true), &json!([])));
    assert_eq!(day["recent"][3]["transaction"], "0x7");
}
