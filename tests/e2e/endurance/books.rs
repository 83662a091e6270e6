//! The sums at the end: what has moved on the chain, what the ledger says, what clients were told.

use std::collections::BTreeMap;
use std::fmt;

use alloy_primitives::U256;
use serde_json::json;
use sqlx::Row as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::clients;
use super::house::House;
use crate::support::wallet::{PAY_TO, PRICE};
use crate::support::{PATIENCE, eventually, postgres};

pub(super) struct Books {
    /// By nonce, with their transactions.
    moved: BTreeMap<String, String>,
    settled: BTreeMap<String, String>,
    told: BTreeMap<String, String>,
    not_taken: Vec<String>,
    /// Payments by state.
    states: BTreeMap<String, usize>,
    earned: U256,
    /// What `tollgate ledger reconcile` says, and whether it is content.
    compared: (bool, String),
}

/// Waits until nothing is under way any more.
pub(super) async fn of(house: &House) -> Books {
    comes_to_have_no(house, &["held", "settling"]).await;
    // What was never sent is let go when its window has closed in a block that stays.
    house.chain.ask("evm_increaseTime", json!([3600])).await;
    house.chain.mine(100).await;
    comes_to_have_no(house, &["unknown"]).await;
    clients::come_back(house).await;
    let lines = lines(house).await;
    let mut states = BTreeMap::new();
    for (_, state, _) in &lines {
        *states.entry(state.clone()).or_default() += 1;
    }
    let settled = lines.into_iter().filter(|(_, state, _)| state == "settled");
    let tally = house.tally.take();
    let books = Books {
        moved: house.chain.uses().await,
        settled: settled.map(|(nonce, _, transaction)| (nonce, transaction)).collect(),
        told: tally.paid.clone(),
        not_taken: tally.not_taken.clone(),
        states,
        earned: house.chain.balance(PAY_TO).await,
        compared: compared(house).await,
    };
    house.tally.replace(tally);
    books
}

async fn comes_to_have_no(house: &House, states: &[&str]) {
    eventually(&format!("no payment that is {states:?}"), async || {
        let lines = lines(house).await;
        (!lines.iter().any(|(_, state, _)| states.contains(&state.as_str()))).then_some(())
    })
    .await;
}

/// Nonce, state and transaction of every payment.
async fn lines(house: &House) -> Vec<(String, String, String)> {
    let mut connection = postgres::connect(&house.database).await;
    let all = "SELECT nonce, state, coalesce(transaction, '') FROM payments";
    let rows = sqlx::query(all).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

async fn compared(house: &House) -> (bool, String) {
    let gateway = house.gateway.lock().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    // It asks the chain about each payment, and a node with an hour of blocks answers 20 a second.
    command.args(["ledger", "reconcile", "--since", "5m"]).arg(gateway.as_ref().unwrap().file());
    let output = timeout(house.length + PATIENCE, command.output()).await;
    let output = output.expect("the comparison takes longer than the payments did").unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Books {
    pub(super) fn agree(&self) {
        assert_eq!(self.settled, self.moved, "ledger and chain");
        assert_eq!(self.told, self.moved, "clients and chain");
        assert!(self.not_taken.iter().all(|nonce| !self.moved.contains_key(nonce)));
        assert_eq!(self.earned, U256::from(PRICE * self.moved.len() as u64));
        let ends = |state: &str| matches!(state, "settled" | "released" | "refused");
        assert!(self.states.keys().all(|state| ends(state)), "{:?}", self.states);
        assert!(self.compared.0, "{}", self.compared.1);
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { moved, settled, told, states, .. } = self;
        let (moved, settled, told) = (moved.len(), settled.len(), told.len());
        writeln!(f, "moved on the chain: {moved}, settled in the ledger: {settled}")?;
        write!(f, "paid, as clients were told: {told}; the ledger's payments: {states:?}")
    }
}
