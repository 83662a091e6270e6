//! The money of the last month, added up by the hour.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::{UnixMillis, steady};
use crate::fault::Fault;
use crate::ledger::{Entry, Filter, Ledger, State, Walk};
use crate::x402::{Account, Network};

/// What is added up separately.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Heap {
    /// Milliseconds: when the hour of the claims began.
    pub(super) hour: i64,
    pub(super) route: Box<str>,
    pub(super) network: Network,
    pub(super) asset: Account,
}

/// Money that has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) payments: u64,
    /// Atomic units of the asset; held at the end of the scale.
    pub(super) units: u128,
}

/// Sums of the last [`SPAN`]. Hours that are over are read once an hour, the last ones each time.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) sums: BTreeMap<Heap, Sum>,
    /// The newest payments, newest first.
    pub(super) recent: Vec<Entry>,
    /// Nothing older is counted: the ledger has more in it than is read.
    pub(super) counted_since: Option<UnixMillis>,
    whole_at: Option<UnixMillis>,
    /// Not read again before.
    fresh_until: Option<UnixMillis>,
}

impl Books {
    /// Reads what may have changed since the last time, if that is a while ago.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(super) async fn read(&mut self, ledger: &Ledger, now: UnixMillis) -> Result<(), Fault> {
        if self.fresh_until.is_some_and(|until| now < until) {
            return Ok(());
        }
        let began = steady();
        let is_due = self.whole_at.is_none_or(|at| now >= at.plus(WHOLE_EVERY));
        let length = if is_due { SPAN } else { OPEN };
        let from = hour_of(now.millis().saturating_sub(millis(length)));
        let mut read = Self::default();
        let missed = read.walk(ledger, from).await?;
        match missed {
            // Older sums stay as they are.
            None if !is_due => self.sums.retain(|heap, _| heap.hour < from),
            None | Some(_) => {
                self.sums.clear();
                self.counted_since = missed;
                self.whole_at = Some(now);
            }
        }
        self.sums.append(&mut read.sums);
        self.sums.retain(|heap, _| heap.hour >= hour_of(now.millis().saturating_sub(millis(SPAN))));
        self.recent = read.recent;
        let rest = steady().saturating_duration_since(began).saturating_mul(REST);
        self.fresh_until = Some(now.plus(rest.max(FRESH)));
        Ok(())
    }

    /// Adds up what was claimed since. Tells since when, if that is too much to read.
    async fn walk(&mut self, ledger: &Ledger, from: i64) -> Result<Option<UnixMillis>, Fault> {
        let mut walk = Walk::new(ledger, Filter::default());
        for _ in 0..LINES_MAX {
            let Some(entry) = walk.next().await? else { return Ok(None) };
            let at = entry.claimed_at.millis();
            // Claims lie in the order of the clocks of several gateways.
            let is_past = at < from.saturating_sub(millis(CLOCKS_DIFFER));
            if is_past && self.recent.len() >= RECENT_MAX {
                return Ok(None);
            }
            if entry.state == State::Settled && at >= from {
                self.add(&entry);
            }
            if self.recent.len() < RECENT_MAX {
                self.recent.push(entry);
            }
        }
        // The hour that was not read to its beginning does not count.
        let Some(first) = self.sums.keys().next().map(|heap| heap.hour) else { return Ok(None) };
        self.sums.retain(|heap, _| heap.hour > first);
        Ok(Some(UnixMillis::new(first.saturating_add(HOUR_MS))))
    }

    fn add(&mut self, entry: &Entry) {
        let heap = Heap {
            hour: hour_of(entry.claimed_at.millis()),
            route: entry.route.clone(),
            network: entry.identity.network.clone(),
            asset: entry.asset,
        };
        let sum = self.sums.entry(heap).or_default();
        sum.payments = sum.payments.saturating_add(1);
        sum.units = sum.units.saturating_add(entry.amount.units());
    }
}

fn hour_of(millis: i64) -> i64 {
    millis.saturating_sub(millis.rem_euclid(HOUR_MS))
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

const HOUR_MS: i64 = 3_600_000;
/// What is shown at most.
pub(super) const SPAN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Payments change within these, but for the few whose outcome was not known.
const OPEN: Duration = Duration::from_secs(2 * 3600);
const WHOLE_EVERY: Duration = Duration::from_secs(3600);
/// Several pages that are open share what was read.
const FRESH: Duration = Duration::from_secs(2);
/// So many times as long as reading took, nothing is read again.
const REST: u32 = 20;
const CLOCKS_DIFFER: Duration = Duration::from_secs(600);
/// Some seconds' reading.
const LINES_MAX: u32 = 500_000;
const RECENT_MAX: usize = 50;

#[cfg(test)]
mod tests;
