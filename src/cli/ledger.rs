//! `tollgate ledger`: which payments there are, readable while the gateway runs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::Config;
use crate::ledger::{Entry, Ledger};

/// What to look at.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List payments, newest first: claimed at, state, amount, payer, route, transaction
    List {
        /// The configuration that names the ledger
        #[arg(default_value = "gateway.toml")]
        config: PathBuf,
        /// How many
        #[arg(long, default_value_t = 20)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// One JSON object a line, for scripts
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    /// The configuration that names the ledger.
    pub fn config(&self) -> &Path {
        match self {
            Self::List { config, .. } => config,
        }
    }
}

/// Prints what was asked for.
///
/// # Errors
/// The ledger cannot be read, or the output is gone.
pub async fn run(command: Command, config: Config) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Command::List { limit, json, .. } = command;
    let entries = Ledger::open_to_read(&config.ledger).await?.list(limit).await?;
    let mut out = std::io::stdout().lock();
    for entry in &entries {
        if json {
            serde_json::to_writer(&mut out, &line(entry))?;
            writeln!(out)?;
        } else {
            writeln!(out, "{}", row(entry))?;
        }
    }
    if entries.is_empty() {
        writeln!(std::io::stderr(), "no payments yet")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One payment for people. The amount is in atomic units: the ledger does not know decimals.
fn row(entry: &Entry) -> String {
    format!(
        "{:>13}  {:<8}  {:>12}  {:#x}  {}  {}",
        entry.claimed_at.millis(),
        entry.state.name(),
        entry.amount,
        entry.identity.payer,
        entry.route,
        entry.transaction.as_deref().or(entry.reason.as_deref()).unwrap_or("-"),
    )
}

fn line(entry: &Entry) -> serde_json::Value {
    serde_json::json!({
        "claimed_ms": entry.claimed_at.millis(),
        "changed_ms": entry.changed_at.millis(),
        "state": entry.state.name(),
        "network": entry.identity.network.as_str(),
        "asset": entry.identity.asset.to_checksum(None),
        "payer": entry.identity.payer.to_checksum(None),
        "nonce": entry.identity.nonce.to_string(),
        "pay_to": entry.pay_to.to_checksum(None),
        "amount": entry.amount.to_string(),
        "route": entry.route,
        "facilitator": entry.facilitator,
        "exchange": entry.exchange.to_string(),
        "transaction": entry.transaction,
        "reason": entry.reason,
    })
}
