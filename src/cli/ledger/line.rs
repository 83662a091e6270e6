//! One payment as a line: for people, for scripts, for spreadsheets.

use crate::clock::date::stamp;
use crate::config::Config;
use crate::ledger::Entry;
use crate::x402::{Account, AtomicAmount, Network};

/// One payment for people. The amount is in atomic units.
pub(super) fn row(entry: &Entry) -> String {
    format!(
        "{:>13}  {:<8}  {:>12}  {}  {}  {}",
        entry.claimed_at.millis(),
        entry.state.name(),
        entry.amount,
        entry.identity.payer.folded(),
        entry.route,
        entry.transaction.as_deref().or(entry.reason.as_deref()).unwrap_or("-"),
    )
}

/// One payment as JSON.
pub(super) fn json(entry: &Entry, config: &Config) -> serde_json::Value {
    serde_json::json!({
        "claimed_ms": entry.claimed_at.millis(),
        "changed_ms": entry.changed_at.millis(),
        "state": entry.state.name(),
        "network": entry.identity.network.as_str(),
        "asset": entry.asset.to_string(),
        "contract": entry.identity.contract.to_string(),
        "payer": entry.identity.payer.to_string(),
        "nonce": entry.identity.nonce.to_string(),
        "pay_to": entry.pay_to.to_string(),
        "amount": entry.amount.to_string(),
        "reserved": entry.reserved.to_string(),
        "decimal": decimal(entry, config),
        "valid_before": entry.valid_before,
        "route": entry.route,
        "facilitator": entry.facilitator,
        "exchange": entry.exchange.to_string(),
        "transaction": entry.transaction,
        "reason": entry.reason,
    })
}

/// The head of [`csv`].
pub(super) const CSV_HEAD: &str = "claimed_at,changed_at,state,network,asset,payer,nonce,pay_to,\
     amount,decimal,route,facilitator,exchange,transaction,reason";

/// One payment as a line of CSV.
pub(super) fn csv(entry: &Entry, config: &Config) -> String {
    let identity = &entry.identity;
    csv_line(&[
        &stamp(entry.claimed_at),
        &stamp(entry.changed_at),
        entry.state.name(),
        identity.network.as_str(),
        &entry.asset.to_string(),
        &identity.payer.to_string(),
        &identity.nonce.to_string(),
        &entry.pay_to.to_string(),
        &entry.amount.to_string(),
        &decimal(entry, config).unwrap_or_default(),
        &entry.route,
        &entry.facilitator,
        &entry.exchange.to_string(),
        entry.transaction.as_deref().unwrap_or_default(),
        entry.reason.as_deref().unwrap_or_default(),
    ])
}

/// A line of CSV. Source: RFC 4180.
pub(super) fn csv_line(cells: &[&str]) -> String {
    let cell = |cell: &&str| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => (*cell).to_owned(),
    };
    cells.iter().map(cell).collect::<Vec<_>>().join(",")
}

fn decimal(entry: &Entry, config: &Config) -> Option<String> {
    in_decimals(entry.amount, &entry.identity.network, entry.asset, config)
}

/// The amount in whole units, if the configuration knows the asset.
pub(super) fn in_decimals(
    amount: AtomicAmount,
    network: &Network,
    asset: Account,
    config: &Config,
) -> Option<String> {
    let knows = |settings: &&crate::config::NetworkSettings| {
        settings.network == *network && settings.asset == asset
    };
    config.networks.values().find(knows).map(|settings| amount.to_decimal(settings.decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be() {
        assert_eq!(csv_line(&["a", "", "b c"]), "a,,b c");
        assert_eq!(
            csv_line(&["a,b", "say \"x\"", "two\nlines"]),
            "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\""
        );
    }
}
