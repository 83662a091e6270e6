//! `tollgate ledger` beside a running gateway: listed, shown, exported, added up, compared.

use std::fs;

use serde_json::Value;
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tokio::process::Command;

use crate::support::gateway::Gateway;
use crate::support::plan::{JOURNAL, LEDGER, PRICED, Plan};
use crate::support::upstream::Upstream;
use crate::support::wallet::{PRICE, Wallet};
use crate::support::{in_time, postgres};

/// What a command of `tollgate ledger` says.
struct Said {
    code: i32,
    out: String,
    errors: String,
}

impl Said {
    fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

async fn ledger(gateway: &Gateway, words: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.arg("ledger").args(words.split_whitespace()).arg(gateway.file());
    let output = in_time(words, command.output()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, errors) = (text(output.stdout), text(output.stderr));
    Said { code: output.status.code().unwrap(), out, errors }
}

/// Two payments for one route, one for another that fails, one for one with a name.
async fn paid(ledger_url: Option<&str>, upstream: &Upstream) -> Gateway {
    let named = "match = \"GET /named\"\nname = \"cut-out\"";
    let mut plan = Plan::to(upstream.address).route(named, PRICED);
    if let Some(url) = ledger_url {
        plan = plan.ledger(url);
    }
    let gateway = plan.start().await;
    for (wallet, method, path) in [
        (1, "POST", "/paid"),
        (2, "POST", "/paid"),
        (1, "GET", "/named"),
        (1, "GET", "/paid?fails"),
    ] {
        let payment = Wallet::new(wallet).pays();
        let answer = gateway.ask(method, path).pays(&payment).send().await;
        assert_eq!(answer.status, if path.ends_with("fails") { 500 } else { 200 });
    }
    gateway
}

fn upstream_rule(seen: &crate::support::server::Seen) -> crate::support::server::Reply {
    let status = if seen.target.ends_with("fails") { 500 } else { 200 };
    crate::support::server::Reply::new(status).body("served")
}

async fn each_engine_says_the_same(url: Option<&str>) {
    let upstream = Upstream::answering(upstream_rule).await;
    let gateway = paid(url, &upstream).await;
    let released = crate::support::eventually("a release", async || {
        let lines = ledger(&gateway, "list --json --state released").await.json();
        lines.into_iter().next()
    })
    .await;

    let settled = ledger(&gateway, "list --json --state settled --since 1h --network base-sepolia");
    let settled = settled.await.json();
    assert_eq!(settled.len(), 3);
    assert_eq!(settled[0]["route"], "cut-out", "the newest is first");
    assert_eq!(settled[0]["decimal"], "0.05");
    let payer = Wallet::new(2).address();
    let of_payer = ledger(&gateway, &format!("list --json --payer {payer}")).await.json();
    assert_eq!(of_payer.len(), 1);
    assert_eq!(ledger(&gateway, "list --until 2020-01-01").await.out, "");

    let exchange = of_payer[0]["exchange"].as_str().unwrap();
    let shown = ledger(&gateway, &format!("show --json {exchange}")).await.json().remove(0);
    let states = shown["history"].as_array().unwrap().iter().map(|step| &step["state"]);
    assert_eq!(states.collect::<Vec<_>>(), ["held", "settling", "settled"]);
    let name = ["network", "asset", "payer", "nonce"].map(|part| shown[part].as_str().unwrap());
    let again = ledger(&gateway, &format!("show {}", name.join("/"))).await;
    assert!(again.out.contains(exchange) && again.out.contains("settling"), "{}", again.out);
    assert_eq!(ledger(&gateway, &format!("show {}", "0".repeat(32))).await.code, 1);

    let csv = ledger(&gateway, "export --format csv").await.out;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 5, "{csv}");
    assert!(lines[0].starts_with("claimed_at,changed_at,state,network,"));
    assert!(csv.contains(",\"GET,POST /paid\","), "{csv}");
    assert!(csv.contains(&format!(",{PRICE},0.05,")), "{csv}");
    assert_eq!(ledger(&gateway, "export --format json").await.json().len(), 4);

    let sums = ledger(&gateway, "summary --by route --format json").await.json();
    let sum = |route: &str| {
        let line = sums.iter().find(|line| line["route"] == route).unwrap();
        [&line["payments"], &line["amount"], &line["decimal"]].map(|cell| cell.as_str().unwrap())
    };
    assert_eq!(sum("GET,POST /paid"), ["2", "100000", "0.1"]);
    assert_eq!(sum("cut-out"), ["1", "50000", "0.05"]);
    let by_day = ledger(&gateway, "summary").await.out;
    assert!(by_day.starts_with("day,network,asset,payments,amount,decimal\n"), "{by_day}");
    assert!(by_day.trim_end().ends_with(",3,150000,0.15"), "{by_day}");

    differences_are_found(&gateway, url, &settled, &released).await;
}

/// The books are right; then three of them are falsified.
async fn differences_are_found(
    gateway: &Gateway,
    url: Option<&str>,
    settled: &[Value],
    released: &Value,
) {
    let whole = ledger(gateway, "reconcile --json").await;
    assert_eq!((whole.code, whole.out.as_str()), (0, ""), "{}", whole.errors);
    assert!(whole.errors.contains("4 payments agree with the chain, 0 differ"), "{}", whole.errors);

    let nonces = [&settled[0], &settled[1], &settled[2], released]
        .map(|line| line["nonce"].as_str().unwrap().to_owned());
    falsify(gateway, url, "\"transaction\" = '0xdead'", &nonces[0]).await;
    falsify(gateway, url, "state = 'released'", &nonces[1]).await;
    let journal = gateway.dir().join(JOURNAL);
    let text = fs::read_to_string(&journal).unwrap();
    let rest: Vec<&str> = text.lines().filter(|line| !line.contains(&nonces[2])).collect();
    fs::write(&journal, rest.join("\n") + "\n").unwrap();

    let found = ledger(gateway, "reconcile --json").await;
    assert_eq!(found.code, 1, "{}", found.errors);
    let mut differences: Vec<_> = found
        .json()
        .iter()
        .map(|line| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&line["payment"]["nonce"]), text(&line["difference"]))
        })
        .collect();
    differences.sort();
    let mut expected: Vec<_> = nonces
        .into_iter()
        .zip(["other_transaction", "moved", "not_moved"])
        .map(|(nonce, difference)| (nonce, difference.to_owned()))
        .collect();
    expected.sort();
    assert_eq!(differences, expected);
    let people = ledger(gateway, "reconcile --since 1d").await;
    assert_eq!((people.code, people.out.lines().count()), (1, 3), "{}", people.out);
}

async fn falsify(gateway: &Gateway, url: Option<&str>, change: &str, nonce: &str) {
    // A file has the bytes, a database their digits.
    let nonce = match url {
        Some(_) => format!("'{nonce}'"),
        None => format!("x'{}'", nonce.trim_start_matches("0x")),
    };
    let sql = AssertSqlSafe(format!("UPDATE payments SET {change} WHERE nonce = {nonce}"));
    match url {
        Some(url) => {
            let mut connection = postgres::connect(url).await;
            sqlx::query(sql).execute(&mut connection).await.unwrap();
        }
        None => {
            let options = sqlx::sqlite::SqliteConnectOptions::new();
            let path = gateway.dir().join(LEDGER);
            let mut connection = options.filename(path).connect().await.unwrap();
            sqlx::query(sql).execute(&mut connection).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_file_is_read_beside_its_gateway() {
    each_engine_says_the_same(None).await;
}

#[tokio::test]
async fn a_database_is_read_beside_its_gateway() {
    each_engine_says_the_same(Some(&postgres::database().await)).await;
}

#[tokio::test]
async fn a_gateway_whose_database_is_gone_says_so() {
    let upstream = Upstream::start().await;
    let url = postgres::database().await;
    let gateway = Plan::to(upstream.address).ledger(&url).start().await;
    gateway.ready().await;
    postgres::closes(&url).await;
    let payment = Wallet::new(1).pays();
    let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
    crate::blackbox::refusals::refused(&answer, "ledger_unavailable");
    let page = crate::support::eventually("not ready", async || {
        let (status, page) = gateway.admin("/readyz").await;
        (status == 503).then_some(page)
    })
    .await;
    assert!(page.contains("PostgreSQL cannot be written"), "{page}");
    postgres::opens(&url).await;
    gateway.ready().await;
    let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
    assert_eq!(answer.status, 200);
}
