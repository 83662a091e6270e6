//! The operators' page in a real browser, over a ledger with payments in it.

use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use tokio::process::Command;

use super::install::{self, NODE};
use super::paywall::pictures;
use crate::support::facilitator::Facilitator;
use crate::support::gateway::Gateway;
use crate::support::plan::{LEDGER, PRICED, Plan};
use crate::support::server::Reply;
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

const TOKEN: &str = "a token of 24 characters";

/// What an operator sees whose screen is so wide.
async fn opens(gateway: &Gateway, width: u32, scheme: &str) -> Value {
    let mut command = Command::new(install::file(NODE));
    let screenshot = pictures(gateway.dir()).join(format!("dashboard-{width}-{scheme}"));
    command.arg(install::file("clients/dashboard.mjs"));
    command.arg(format!("http://{}/dashboard", gateway.admin)).arg(&screenshot);
    command.args([&width.to_string(), scheme]).env("TOKEN", TOKEN);
    let output = command.output().await.unwrap();
    let broke = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{broke}"))
}

/// A day's payments on three routes, and one that nobody knows the end of.
async fn a_day(gateway: &Gateway) {
    for number in 0..48 {
        let path = ["/paid", "/search", "/paid?fails", "/search", "/a-long-name"][number % 5];
        let payment = Wallet::new(u8::try_from(number % 7 + 1).unwrap()).pays();
        gateway.ask("GET", path).send().await;
        gateway.ask("GET", path).pays(&payment).send().await;
    }
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(gateway.dir().join(LEDGER));
    let mut connection = options.connect().await.unwrap();
    for sql in [
        "UPDATE payments SET claimed_at = claimed_at - 3600000 * (serial * serial % 23)
            WHERE state = 'settled'",
        "UPDATE payments SET state = 'unknown' WHERE serial = (
            SELECT max(serial) FROM payments WHERE state = 'settled')",
    ] {
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn an_operator_sees_the_money_by_day_and_by_night() {
    let upstream = Upstream::answering(|seen| {
        Reply::new(if seen.target.ends_with("fails") { 500 } else { 200 }).body("served")
    });
    let (upstream, facilitator) = (upstream.await, Facilitator::start().await);
    let gateway = Plan::to(upstream.address)
        .settled_by(&facilitator)
        .network("explorer = \"https://explorer.example/tx/\"")
        .section(&format!("[dashboard]\ntoken = \"{TOKEN}\""))
        .route("match = \"GET /search\"\nname = \"search\"", PRICED)
        .route(
            "match = \"GET /a-long-name\"\nname = \"a-route-with-a-long-name-of-its-own\"",
            PRICED,
        )
        .start()
        .await;
    a_day(&gateway).await;
    for (width, scheme) in [(1200, "light"), (375, "dark")] {
        let told = opens(&gateway, width, scheme).await;
        assert_eq!((&told["stranger"], &told["status"]), (&json!(401), &json!(200)), "{told}");
        // 48 less the 10 that failed and the one in doubt, at $0.05.
        let tiles = &told["day"]["tiles"];
        assert_eq!(tiles[0], "$1.85settled in 24h (test money)", "{told}");
        assert_eq!(tiles[1], "37payments in 24h");
        assert!(told["day"]["drawn"].as_u64().unwrap() >= 4, "three routes and the axes: {told}");
        let legend = told["day"]["legend"].as_array().unwrap();
        assert!(legend.iter().any(|line| line.as_str().unwrap().starts_with("search:")));
        assert_eq!(told["week"]["legend"], json!(["base-sepolia: $1.85 in 37"]), "{told}");
        assert_eq!(told["recent"].as_array().unwrap().len(), 48);
        assert_eq!(told["unresolved"].as_array().unwrap().len(), 1, "{told}");
        let link = told["links"][0].as_str().unwrap();
        assert!(link.starts_with("https://explorer.example/tx/0x"), "{link}");
        assert!(told["outcomes"].to_string().contains("payment_required48"), "{told}");
        assert!(told["health"].to_string().contains("upstreamapi"), "{told}");
        assert_eq!(told["overflow"], 0, "nothing is wider than the screen");
        assert_eq!((&told["elsewhere"], &told["complaints"]), (&json!([]), &json!([])), "{told}");
    }
    let (status, text) = gateway.admin("/dashboard/data").await;
    assert_eq!((status, text.as_str()), (401, "the token, please\n"));
    assert!(!gateway.said().contains(TOKEN), "the token is in no log");
}
