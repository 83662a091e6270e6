//! Which payments a command of `tollgate ledger` is about.

use super::Failure;
use super::dates::Moment;
use crate::clock::UnixMillis;
use crate::config::Config;
use crate::ledger::{Filter, State};
use crate::x402::{Account, Network};

/// Which payments.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Chosen {
    /// Claimed then or later: a day, a time (2026-11-21T09:30:00Z) or how long ago (90m, 24h, 7d)
    #[arg(long)]
    since: Option<Moment>,
    /// Claimed before
    #[arg(long)]
    until: Option<Moment>,
    /// Of this route
    #[arg(long)]
    route: Option<Box<str>>,
    /// On this network: its section's name, or CAIP-2
    #[arg(long)]
    network: Option<String>,
    /// Of this payer
    #[arg(long)]
    payer: Option<Account>,
}

impl Chosen {
    /// The filter, seen from `now`.
    ///
    /// # Errors
    /// There is no such network.
    pub(super) fn filter(
        self,
        state: Option<State>,
        config: &Config,
        now: UnixMillis,
    ) -> Result<Filter, Failure> {
        let network = self.network.map(|name| network(&name, config)).transpose()?;
        let moment = |moment: Moment| moment.seen_from(now);
        Ok(Filter {
            state,
            since: self.since.map(moment),
            until: self.until.map(moment),
            route: self.route,
            network,
            payer: self.payer,
            exchange: None,
        })
    }
}

fn network(name: &str, config: &Config) -> Result<Network, Failure> {
    match config.networks.get(name) {
        Some(settings) => Ok(settings.network.clone()),
        None => name.parse().map_err(|_| {
            format!("`{name}` is no network of the configuration, and not CAIP-2").into()
        }),
    }
}
