//! `tollgate ledger`: which payments there are, readable while gateways run.

mod chosen;
pub mod dates;
mod line;
pub mod show;
pub mod summary;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use self::chosen::Chosen;
use self::show::Which;
use self::summary::By;
use crate::clock::{Clock, UnixMillis};
use crate::config::Config;
use crate::ledger::{Filter, Ledger, State, Walk};
use crate::payment::reconcile::{Difference, News};
use crate::server;

/// What to look at.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List payments, newest first: claimed at, state, amount, payer, route, transaction
    List {
        /// The configuration that names the ledger
        #[arg(default_value = DEFAULT_FILE)]
        config: PathBuf,
        /// Which payments
        #[command(flatten)]
        chosen: Chosen,
        /// Only those that stand here: held, settling, settled, refused, released or unknown
        #[arg(long)]
        state: Option<State>,
        /// How many
        #[arg(long, default_value_t = 20)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// One JSON object a line, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Show one payment and its history
    Show {
        /// Its exchange (32 hex digits, as in the access log) or NETWORK/ASSET/PAYER/NONCE
        payment: Which,
        /// The configuration that names the ledger
        #[arg(default_value = DEFAULT_FILE)]
        config: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write all payments, or some, to the standard output, newest first
    Export {
        /// The configuration that names the ledger
        #[arg(default_value = DEFAULT_FILE)]
        config: PathBuf,
        /// Which payments
        #[command(flatten)]
        chosen: Chosen,
        /// Only those that stand here
        #[arg(long)]
        state: Option<State>,
        /// CSV, or one JSON object a line
        #[arg(long, value_enum)]
        format: Format,
    },
    /// Add up the money that has moved, for each network and asset, and by what is asked for
    Summary {
        /// The configuration that names the ledger
        #[arg(default_value = DEFAULT_FILE)]
        config: PathBuf,
        /// Which payments
        #[command(flatten)]
        chosen: Chosen,
        /// By what, with commas between
        #[arg(long, value_enum, value_delimiter = ',', default_value = "day")]
        by: Vec<By>,
        /// CSV, or one JSON object a line
        #[arg(long, value_enum, default_value = "csv")]
        format: Format,
    },
    /// Compare with the chain and print every difference; exits with 1 when there is one
    Reconcile {
        /// The configuration that names the ledger and the facilitators
        #[arg(default_value = DEFAULT_FILE)]
        config: PathBuf,
        /// Which payments
        #[command(flatten)]
        chosen: Chosen,
        /// One JSON object a line, for scripts
        #[arg(long)]
        json: bool,
    },
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// With a head
    Csv,
    /// One object a line
    Json,
}

type Failure = Box<dyn std::error::Error>;

impl Command {
    /// The configuration that names the ledger.
    pub fn config(&self) -> &Path {
        match self {
            Self::List { config, .. }
            | Self::Show { config, .. }
            | Self::Export { config, .. }
            | Self::Summary { config, .. }
            | Self::Reconcile { config, .. } => config,
        }
    }
}

/// Prints what was asked for.
///
/// # Errors
/// The ledger cannot be read, or the output is gone.
pub async fn run(command: Command, config: Config, clock: Clock) -> Result<ExitCode, Failure> {
    let (config, now) = (&config, clock.now());
    let mut out = BufWriter::new(std::io::stdout().lock());
    let ledger = async || Ledger::open_to_read(&config.ledger).await;
    let mut exit = ExitCode::SUCCESS;
    match command {
        Command::List { chosen, state, limit, json, .. } => {
            let filter = chosen.filter(state, config, now)?;
            list(&ledger().await?, filter, limit, (json, config), &mut out).await?;
        }
        Command::Show { payment, json, .. } => {
            let found = show::find(&ledger().await?, payment).await?;
            let write = if json { show::write_json } else { show::write };
            write(&found, config, &mut out)?;
        }
        Command::Export { chosen, state, format, .. } => {
            let filter = chosen.filter(state, config, now)?;
            export(&ledger().await?, filter, (format, config), &mut out).await?;
        }
        Command::Summary { chosen, by, format, .. } => {
            let filter = chosen.filter(None, config, now)?;
            summary::run(&ledger().await?, filter, &by, (format, config), &mut out).await?;
        }
        Command::Reconcile { chosen, json, .. } => {
            let filter = chosen.filter(None, config, now)?;
            exit = reconcile(filter, now, (json, config), &mut out).await?;
        }
    }
    out.flush()?;
    Ok(exit)
}

async fn list(
    ledger: &Ledger,
    filter: Filter,
    limit: u32,
    (json, config): (bool, &Config),
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut walk = Walk::new(ledger, filter);
    let mut written = 0;
    while written < limit
        && let Some(entry) = walk.next().await?
    {
        if json {
            writeln!(out, "{}", line::json(&entry, config))?;
        } else {
            writeln!(out, "{}", line::row(&entry))?;
        }
        written += 1;
    }
    if written == 0 {
        writeln!(std::io::stderr(), "no such payments yet")?;
    }
    Ok(())
}

async fn export(
    ledger: &Ledger,
    filter: Filter,
    (format, config): (Format, &Config),
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut walk = Walk::new(ledger, filter);
    if format == Format::Csv {
        writeln!(out, "{}", line::CSV_HEAD)?;
    }
    while let Some(entry) = walk.next().await? {
        match format {
            Format::Csv => writeln!(out, "{}", line::csv(&entry, config))?,
            Format::Json => writeln!(out, "{}", line::json(&entry, config))?,
        }
    }
    Ok(())
}

async fn reconcile(
    filter: Filter,
    as_of: UnixMillis,
    (json, config): (bool, &Config),
    out: &mut impl Write,
) -> Result<ExitCode, Failure> {
    let books = server::books(config).await?;
    let mut gone = Ok(());
    let tell = |news: News<'_>| {
        let told = match news {
            News::Difference(difference) if json => {
                writeln!(out, "{}", difference_json(difference, config))
            }
            News::Difference(difference) => writeln!(out, "{}", difference_row(difference)),
            News::Progress(so_far) => writeln!(
                std::io::stderr(),
                "{} payments looked at, {} differences",
                so_far.looked_at(),
                so_far.differ
            ),
        };
        if gone.is_ok() {
            gone = told;
        }
    };
    let found = books.reconcile(filter, as_of, tell).await?;
    gone?;
    writeln!(
        std::io::stderr(),
        "{} payments agree with the chain, {} differ, {} could not be looked up, {} are too young",
        found.agree,
        found.differ,
        found.untold,
        found.young
    )?;
    Ok(if found.differ == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One difference for people: what the chain says, then the payment.
fn difference_row(Difference { entry, finding }: &Difference) -> String {
    let transaction = finding.transaction().unwrap_or("-");
    format!("{:<17}  {transaction}  {}  {}", finding.name(), entry.identity, line::row(entry))
}

fn difference_json(
    Difference { entry, finding }: &Difference,
    config: &Config,
) -> serde_json::Value {
    serde_json::json!({
        "difference": finding.name(),
        "chain_transaction": finding.transaction(),
        "payment": line::json(entry, config),
    })
}

const DEFAULT_FILE: &str = "gateway.toml";
