//! `tollgate ledger summary`: the money that has moved, added up.

use std::collections::BTreeMap;
use std::io::Write;

use super::line::{csv_line, in_decimals};
use super::{Failure, Format};
use crate::clock::date::day;
use crate::config::Config;
use crate::ledger::{Entry, Filter, Ledger, State, Walk};
use crate::x402::{Account, AtomicAmount, Network};

/// What payments are told apart by, besides network and asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// The day of the claim, in UTC
    Day,
    /// The route
    Route,
    /// The payer
    Payer,
    /// The network; sums are never made over several
    Network,
    /// The asset; sums are never made over several
    Asset,
}

/// What is added up separately: the cells that were asked for, network and asset.
type Group = (Vec<String>, Network, Account);

#[derive(Clone, Copy, Default)]
struct Sum {
    payments: u64,
    amount: u128,
}

/// Adds up what has moved and writes a line for each group.
///
/// # Errors
/// The ledger cannot be read, there are too many groups, or the output is gone.
pub(super) async fn run(
    ledger: &Ledger,
    filter: Filter,
    by: &[By],
    (format, config): (Format, &Config),
    out: &mut impl Write,
) -> Result<(), Failure> {
    let by: Vec<By> =
        by.iter().copied().filter(|by| !matches!(by, By::Network | By::Asset)).collect();
    let mut sums: BTreeMap<Group, Sum> = BTreeMap::new();
    let mut walk = Walk::new(ledger, Filter { state: Some(State::Settled), ..filter });
    while let Some(entry) = walk.next().await? {
        let sum = sums.entry(group(&entry, &by)).or_default();
        sum.payments = sum.payments.saturating_add(1);
        let amount = sum.amount.checked_add(entry.amount.units());
        sum.amount = amount.ok_or("a sum does not fit 128 bits")?;
        if sums.len() > GROUPS_MAX {
            let why = format!("more than {GROUPS_MAX} lines; narrow it with --since and --until");
            return Err(why.into());
        }
    }
    write(&sums, &by, (format, config), out)?;
    Ok(())
}

fn group(entry: &Entry, by: &[By]) -> Group {
    let cell = |by: &By| match by {
        By::Day => day(entry.claimed_at),
        By::Route => entry.route.to_string(),
        By::Payer => entry.identity.payer.to_string(),
        By::Network | By::Asset => String::new(),
    };
    let identity = &entry.identity;
    (by.iter().map(cell).collect(), identity.network.clone(), entry.asset)
}

fn write(
    sums: &BTreeMap<Group, Sum>,
    by: &[By],
    (format, config): (Format, &Config),
    out: &mut impl Write,
) -> std::io::Result<()> {
    let head = by.iter().map(|by| name(*by));
    let head: Vec<&str> =
        head.chain(["network", "asset", "payments", "amount", "decimal"]).collect();
    let lines = sums.iter().map(|((cells, network, asset), sum)| {
        let decimal = in_decimals(AtomicAmount::new(sum.amount), network, *asset, config);
        let mut line = cells.clone();
        line.extend([network.to_string(), asset.to_string()]);
        line.extend([sum.payments.to_string(), sum.amount.to_string()]);
        line.push(decimal.unwrap_or_default());
        line
    });
    match format {
        Format::Csv => {
            writeln!(out, "{}", csv_line(&head))?;
            for line in lines {
                let cells: Vec<&str> = line.iter().map(String::as_str).collect();
                writeln!(out, "{}", csv_line(&cells))?;
            }
        }
        Format::Json => {
            for line in lines {
                let object: serde_json::Map<_, _> = head
                    .iter()
                    .map(|name| (*name).to_owned())
                    .zip(line.into_iter().map(serde_json::Value::String))
                    .collect();
                writeln!(out, "{}", serde_json::Value::Object(object))?;
            }
        }
    }
    Ok(())
}

const fn name(by: By) -> &'static str {
    match by {
        By::Day => "day",
        By::Route => "route",
        By::Payer => "payer",
        By::Network => "network",
        By::Asset => "asset",
    }
}

/// Lines of a summary: some 50 MB.
const GROUPS_MAX: usize = 100_000;
