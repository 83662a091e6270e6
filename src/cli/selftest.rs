//! `tollgate selftest`: pays and attacks the operator's own configuration, nothing real behind it.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

mod books;
mod example;
mod forge;
mod knock;
mod limits;
mod report;
mod stage;
mod stand_in;
mod trial;

use self::books::Books;
use self::knock::Origins;
use self::report::Report;
use self::stage::Gateway;
use self::stand_in::StandIn;
use self::trial::{Place, Trial};
use super::scratch::Scratch;
use crate::clock::Clock;
use crate::config::{Config, Stage};
use crate::fault::Fault;
use crate::route::Route;
use crate::server::ServeError;

/// What may be typed behind `tollgate selftest`.
#[derive(Args, Debug)]
#[command(after_help = ABOUT)]
pub struct Arguments {
    /// The configuration
    #[arg(default_value = super::DEFAULT_FILE)]
    config: PathBuf,
    /// The same, for scripts that name it
    #[arg(long = "config", value_name = "FILE", conflicts_with = "config")]
    named: Option<PathBuf>,
    /// Only the route of this name; may be given again
    #[arg(long = "route", value_name = "NAME")]
    routes: Vec<String>,
}

/// Why nothing can be said of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum SelftestError {
    /// A folder, a socket or a thread cannot be had.
    #[error("the selftest cannot run here")]
    Machine(#[from] io::Error),
    /// The gateway does not start.
    #[error("the gateway does not start with this configuration")]
    Serve(#[from] ServeError),
    /// It ended without a word.
    #[error("the gateway has ended")]
    Ended,
    /// The ledger of the rehearsal cannot be read.
    #[error(transparent)]
    Ledger(#[from] Fault),
    /// A name that no route has.
    #[error("there is no route `{0}`; there are {1}")]
    NoRoute(String, String),
}

impl Arguments {
    /// The file that is tested.
    pub fn config(&self) -> &Path {
        self.named.as_deref().unwrap_or(&self.config)
    }
}

/// Starts a gateway with this configuration in this process, with simulated chains and a stand-in
/// for every upstream, then asks, pays and attacks each route as clients would, starts it once
/// more, and compares what was paid with its ledger. One line of `out` for each thing looked at.
/// Both configurations are of the same file.
///
/// Fails when anything is found.
///
/// # Errors
/// See [`SelftestError`]; then nothing is known.
pub async fn run(
    arguments: &Arguments,
    (first, second): (Config, Config),
    clock: Clock,
    out: impl Write,
) -> Result<ExitCode, SelftestError> {
    let mut routes = first.routes.clone();
    let names: BTreeSet<&str> = routes.iter().map(|route| &*route.name).collect();
    if let Some(unknown) = arguments.routes.iter().find(|name| !names.contains(name.as_str())) {
        let names: Vec<&str> = names.into_iter().collect();
        return Err(SelftestError::NoRoute(unknown.clone(), names.join(", ")));
    }
    if !arguments.routes.is_empty() {
        routes.retain(|route| arguments.routes.iter().any(|name| **name == *route.name));
    }
    let unpaid = first.limits.unpaid;
    let folder = Scratch::create("selftest").map_err(|(_, error)| error)?;
    let upstream = StandIn::start().await?;
    let stage = Stage { upstream: upstream.address, folder: folder.path() };
    let mut report = Report::new(out);
    report.title(arguments.config(), routes.len())?;

    let gateway = Gateway::start(first.rehearsed(&stage)).await?;
    let origins = Arc::new(Origins::default());
    let place = Place { gateway: gateway.address, upstream: &upstream, origins: &origins, clock };
    let mut books = Books::default();
    for route in &routes {
        if route.upstream.is_none() {
            report.skip(&route.name, "a proxy forwards it, and asks about it elsewhere")?;
            continue;
        }
        Trial::of(route, &place).run(&mut report, &mut books).await?;
    }
    report.heading("the gateway as a whole")?;
    let fits = |route: &&Arc<Route>| route.upstream.is_some() && route.charge.is_priced();
    let priced = routes.iter().find(fits);
    limits::unpaid(priced.map(|route| &**route), unpaid, &place, &mut report).await?;
    gateway.stop().await?;

    let gateway = Gateway::start(second.rehearsed(&stage)).await?;
    let place = Place { gateway: gateway.address, ..place };
    books.again(&place, &mut report).await?;
    gateway.stop().await?;
    books.compare(folder.path(), &mut report).await?;
    Ok(report.end()?)
}

const ABOUT: &str = "\
Nothing of it is real: each facilitator is a simulated chain, each upstream a stand-in of this
command, the ledger a new file in a folder that is removed afterwards. Nobody else is asked, no key
and no account of the configuration is used, and a gateway that runs is left alone.

Exit codes:
   0  everything that was looked at is as it should be
   1  something is not; the lines that begin with FAILED say what
  64  a mistake in the configuration or on the command line";
