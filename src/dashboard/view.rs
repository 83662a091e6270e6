//! What the page is told: sums, payments in doubt, the newest ones.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Health;
use super::books::{Books, Heap, Sum};
use crate::clock::UnixMillis;
use crate::fault::{Fault, Retry, Side};
use crate::ledger::{Entry, State, Unfinished};
use crate::x402::network::Worth;
use crate::x402::{Account, Network};

/// An asset that is paid with, in an operator's words.
#[derive(Clone, Debug)]
pub struct Money {
    /// Where it moves.
    pub network: Network,
    /// Its contract or mint.
    pub asset: Account,
    /// The operator's name for the network.
    pub name: Box<str>,
    /// Decimals; a unit counts as a dollar.
    pub decimals: u8,
    /// Where a transaction is looked up: its name goes at the end.
    pub explorer: Option<Box<str>>,
    /// Whether it is real.
    pub worth: Worth,
}

/// How far back, and how finely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Span {
    /// By the hour.
    #[default]
    Day,
    /// By six hours.
    Week,
    /// By days in UTC.
    Month,
}

impl Span {
    pub(super) fn of_query(query: &str) -> Self {
        match query {
            "span=7d" => Self::Week,
            "span=30d" => Self::Month,
            _ => Self::Day,
        }
    }

    const fn hours(self) -> (i64, i64) {
        match self {
            Self::Day => (24, 1),
            Self::Week => (7 * 24, 6),
            Self::Month => (30 * 24, 24),
        }
    }
}

/// Everything that the page shows, but for the metrics.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    now: UnixMillis,
    since: UnixMillis,
    /// Milliseconds.
    step: i64,
    monies: Vec<Shown>,
    sums: Vec<Point>,
    unresolved: Vec<Line>,
    recent: Vec<Line>,
    ready: bool,
    troubles: Vec<String>,
}

/// An asset, at its place in the list.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    /// Nothing where nobody says so.
    decimals: Option<u8>,
    explorer: Option<Box<str>>,
    real: bool,
}

/// Money of one route in one step of time.
#[derive(Debug, Serialize)]
struct Point {
    at: i64,
    route: Box<str>,
    /// Place of the asset among the monies.
    money: usize,
    payments: u64,
    /// Atomic units: more than a number of JavaScript holds.
    units: String,
}

/// One payment.
#[derive(Debug, Serialize)]
struct Line {
    claimed: UnixMillis,
    changed: UnixMillis,
    state: &'static str,
    route: Box<str>,
    money: usize,
    units: String,
    payer: String,
    transaction: Option<Box<str>>,
    reason: Option<Box<str>>,
    facilitator: Box<str>,
    exchange: String,
}

impl Data {
    pub(super) fn new(
        (books, monies): (&Books, &[Money]),
        waiting: Vec<Unfinished>,
        span: Span,
        now: UnixMillis,
    ) -> Self {
        let (hours, step) = span.hours();
        let step = step.saturating_mul(HOUR_MS);
        let from = now.millis().saturating_sub(hours.saturating_mul(HOUR_MS));
        let from = from.max(books.counted_since.map_or(i64::MIN, UnixMillis::millis));
        let from = from.saturating_sub(from.rem_euclid(step));
        let mut list = List { known: monies, found: monies.iter().map(Money::key).collect() };
        let sums = points(&books.sums, (from, step), &mut list);
        let is_old = |entry: &Entry| {
            entry.state == State::Unknown || entry.changed_at.plus(UNRESOLVED_AFTER) < now
        };
        let waiting = waiting.iter().map(|waiting| &waiting.entry).filter(|entry| is_old(entry));
        let unresolved = waiting.map(|entry| list.line(entry)).collect();
        let recent = books.recent.iter().map(|entry| list.line(entry)).collect();
        let since = UnixMillis::new(from);
        let (ready, troubles) = (true, Vec::new());
        let monies = list.shown();
        Self { now, since, step, monies, sums, unresolved, recent, ready, troubles }
    }

    pub(super) fn say(&mut self, health: &Health<'_>) {
        self.ready = health.ready;
        self.troubles = health.troubles.to_vec();
    }

    pub(super) fn json(&self) -> Result<String, Fault> {
        serde_json::to_string(self).map_err(broken)
    }
}

/// Sums of hours, put together by steps.
fn points(sums: &BTreeMap<Heap, Sum>, (from, step): (i64, i64), list: &mut List<'_>) -> Vec<Point> {
    let mut together: BTreeMap<(i64, usize, Box<str>), Sum> = BTreeMap::new();
    for (heap, sum) in sums.iter().filter(|(heap, _)| heap.hour >= from) {
        let at = heap.hour.saturating_sub(heap.hour.rem_euclid(step));
        let money = list.place((heap.network.clone(), heap.asset));
        let point = together.entry((at, money, heap.route.clone())).or_default();
        point.payments = point.payments.saturating_add(sum.payments);
        point.units = point.units.saturating_add(sum.units);
    }
    let point = |((at, money, route), Sum { payments, units })| Point {
        at,
        route,
        money,
        payments,
        units: units.to_string(),
    };
    together.into_iter().map(point).collect()
}

/// The assets that were met: those of the configuration, and others that a ledger has of before.
struct List<'a> {
    known: &'a [Money],
    found: Vec<(Network, Account)>,
}

impl List<'_> {
    fn place(&mut self, key: (Network, Account)) -> usize {
        let place = self.found.iter().position(|found| *found == key);
        place.unwrap_or_else(|| {
            self.found.push(key);
            self.found.len().saturating_sub(1)
        })
    }

    fn line(&mut self, entry: &Entry) -> Line {
        Line {
            claimed: entry.claimed_at,
            changed: entry.changed_at,
            state: entry.state.name(),
            route: entry.route.clone(),
            money: self.place((entry.identity.network.clone(), entry.asset)),
            units: entry.amount.to_string(),
            payer: entry.identity.payer.to_string(),
            transaction: entry.transaction.clone(),
            reason: entry.reason.clone(),
            facilitator: entry.facilitator.clone(),
            exchange: entry.exchange.to_string(),
        }
    }

    fn shown(self) -> Vec<Shown> {
        let known = self.known.iter().map(|money| Shown {
            name: money.name.to_string(),
            decimals: Some(money.decimals),
            explorer: money.explorer.clone(),
            real: money.worth == Worth::Mainnet,
        });
        let others = self.found.iter().skip(self.known.len()).map(|(network, asset)| Shown {
            name: format!("{network} {asset}"),
            decimals: None,
            explorer: None,
            real: false,
        });
        known.chain(others).collect()
    }
}

impl Money {
    fn key(&self) -> (Network, Account) {
        (self.network.clone(), self.asset)
    }
}

pub(super) fn broken(error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    Fault::new(Side::Ours, Retry::Later, "the dashboard broke").caused_by(error)
}

const HOUR_MS: i64 = 3_600_000;
/// A payment that is not over by then waits for something.
const UNRESOLVED_AFTER: Duration = Duration::from_secs(60);
pub(super) const UNRESOLVED_MAX: u32 = 100;
