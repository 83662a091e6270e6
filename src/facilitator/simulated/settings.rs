//! What a simulated chain starts with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::x402::network::Worth;
use crate::x402::{Account, AtomicAmount, KnownNetwork, Network};

/// What a simulated chain starts with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The networks it stands in for; a known mainnet is refused, unless this is a rehearsal.
    pub networks: Vec<Network>,
    /// Which networks it may stand in for.
    pub play: Play,
    /// What every account holds of every asset at the start, in atomic units.
    pub balance: AtomicAmount,
    /// What some accounts hold instead.
    pub balances: BTreeMap<Account, AtomicAmount>,
    /// Whether signatures are looked at.
    pub signatures: Signatures,
    /// The file in which its transfers outlive the process.
    pub journal: Option<PathBuf>,
    /// How long its answers take.
    pub delay: Delay,
}

/// Which networks a simulated chain may stand in for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Play {
    /// Those whose money is not known to be real: its word may reach clients.
    #[default]
    Testnets,
    /// All of them, for a rehearsal that has no clients: nobody else hears of what it moves.
    Rehearsal,
}

/// Whether signatures are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signatures {
    /// As a chain does.
    #[default]
    Checked,
    /// Not at all, for load tests: ours is the check that is measured.
    Trusted,
}

/// How long the answers of a simulated chain take, beyond its own work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// Before a verdict.
    pub verify: Option<Duration>,
    /// After the money has moved, before this is said.
    pub settle: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            networks: Vec::new(),
            play: Play::default(),
            balance: BALANCE_DEFAULT,
            balances: BTreeMap::new(),
            signatures: Signatures::default(),
            journal: None,
            delay: Delay::default(),
        }
    }
}

impl Play {
    /// Whether a simulated chain may stand in for this network.
    pub fn serves(self, network: &Network) -> bool {
        let is_real = |known: &KnownNetwork| known.worth == Worth::Mainnet;
        self == Self::Rehearsal || !network.known().is_some_and(is_real)
    }
}

/// 1,000 units of an asset with six decimals.
pub(super) const BALANCE_DEFAULT: AtomicAmount = AtomicAmount::new(1_000_000_000);
