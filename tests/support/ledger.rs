//! What the ledger and the simulated chain say, as an operator reads them.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::process::Command;

use super::gateway::Gateway;
use super::plan::{JOURNAL, LEDGER};
use super::wallet::Payment;
use super::{eventually, in_time};

/// One line of `tollgate ledger list --json`.
#[derive(Clone, Debug, PartialEq)]
pub struct Line(Value);

impl Line {
    pub fn state(&self) -> &str {
        self.0["state"].as_str().unwrap()
    }

    pub fn nonce(&self) -> &str {
        self.0["nonce"].as_str().unwrap()
    }

    pub fn amount(&self) -> u64 {
        self.0["amount"].as_str().unwrap().parse().unwrap()
    }

    /// The most that it might have paid.
    pub fn reserved(&self) -> u64 {
        self.0["reserved"].as_str().unwrap().parse().unwrap()
    }

    /// Empty when there is none.
    pub fn transaction(&self) -> &str {
        self.0["transaction"].as_str().unwrap_or_default()
    }

    pub fn reason(&self) -> &str {
        self.0["reason"].as_str().unwrap_or_default()
    }

    /// Whoever was asked last to settle it.
    pub fn facilitator(&self) -> &str {
        self.0["facilitator"].as_str().unwrap()
    }

    pub fn exchange(&self) -> &str {
        self.0["exchange"].as_str().unwrap()
    }
}

impl Gateway {
    /// Every payment in the ledger, by nonce.
    pub async fn ledger(&self) -> BTreeMap<String, Line> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(["ledger", "list", "--json", "--limit", "10000"]).arg(self.file());
        let output = in_time("the ledger", command.output()).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let lines = lines.lines().map(|line| Line(serde_json::from_str(line).unwrap()));
        lines.map(|line| (line.nonce().to_owned(), line)).collect()
    }

    /// The state of a payment now; `none` when the ledger does not know it.
    pub async fn state(&self, payment: &Payment) -> String {
        let ledger = self.ledger().await;
        ledger.get(&payment.nonce()).map_or("none", Line::state).to_owned()
    }

    /// Waits until a payment has come to this state.
    pub async fn comes_to(&self, payment: &Payment, state: &str) -> Line {
        let nonce = payment.nonce();
        let look = async || self.ledger().await.remove(&nonce).filter(|line| line.state() == state);
        eventually(state, look).await
    }

    /// The transfers of the simulated chain: nonces and transactions.
    pub fn transfers(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.dir().join(JOURNAL)).unwrap_or_default();
        // A last line may be cut off where the process was killed.
        let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        whole.map(|line| (text(&line["nonce"]), text(&line["transaction"]))).collect()
    }
}

/// Another process's lock on the ledger's file.
pub struct Lock(SqliteConnection);

/// Takes the ledger's file away from the gateway's writer, as a backup does that takes too long.
pub async fn locked(gateway: &Gateway) -> Lock {
    locked_file(gateway, LEDGER).await
}

/// The same of the file in which answers are kept, and what is owed.
pub async fn locked_answers(gateway: &Gateway) -> Lock {
    locked_file(gateway, &format!("{LEDGER}.answers")).await
}

async fn locked_file(gateway: &Gateway, name: &str) -> Lock {
    let options = SqliteConnectOptions::new().filename(gateway.dir().join(name));
    let mut connection = options.connect().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    Lock(connection)
}

impl Lock {
    /// Gives it back.
    pub async fn release(self) {
        self.0.close().await.unwrap();
    }
}
