//! What was paid, and whether the gateway's ledger and the simulated chains say the same.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::SelftestError;
use super::knock::Request;
use super::report::{Report, Wrong};
use super::trial::Place;
use crate::facilitator::simulated::journal;
use crate::fault::{Fault, Retry, Side};
use crate::ledger::{Entry, Ledger, LedgerUrl, State};
use crate::x402::PaymentIdentity;

/// The payments of a rehearsal that bought an answer.
#[derive(Default)]
pub(super) struct Books {
    paid: Vec<Bought>,
}

/// One of them.
pub(super) struct Bought {
    pub(super) route: Box<str>,
    pub(super) identity: PaymentIdentity,
    /// What was sent, with the payment.
    pub(super) request: Request,
}

/// Who paid, by its number.
type Key = (String, String);

impl Books {
    pub(super) fn enter(&mut self, bought: Bought) {
        self.paid.push(bought);
    }

    /// After the gateway was started anew each payment buys nothing more: the answer that was kept,
    /// or none.
    pub(super) async fn again(
        &self,
        place: &Place<'_>,
        report: &mut Report<impl Write>,
    ) -> Result<(), SelftestError> {
        let mut last = BTreeMap::new();
        for bought in &self.paid {
            last.insert(&*bought.route, bought);
        }
        place.upstream.take();
        for (route, bought) in last {
            let found = self.replayed(bought, place).await;
            report.check(&format!("route {route}: a restart has forgotten no payment"), found)?;
        }
        Ok(())
    }

    async fn replayed(&self, bought: &Bought, place: &Place<'_>) -> Result<(), Wrong> {
        let answer = bought.request.send(place.gateway, place.origins.next()).await;
        let status = answer.map_err(|error| error.to_string())?.status;
        if !place.upstream.take().is_empty() {
            return Err(format!("the upstream was asked once more ({status})"));
        }
        match status {
            200..=299 | 409 => Ok(()),
            _ => Err(format!("it was answered {status}")),
        }
    }

    /// Compares what clients have, what moved, and what is written. Nothing serves any more.
    pub(super) async fn compare(
        &self,
        folder: &Path,
        report: &mut Report<impl Write>,
    ) -> Result<(), SelftestError> {
        let ledger = Ledger::open_to_read(&LedgerUrl::Sqlite(folder.join("ledger.db"))).await?;
        let entries = ledger.list(ENTRIES_MAX).await?;
        ledger.close().await;
        let moved = moved(folder)?;
        let twice = moved.values().filter(|times| **times > 1).count();
        let what = format!("{} payments have moved, none of them twice", moved.len());
        report.check(&what, if twice == 0 { Ok(()) } else { Err(format!("{twice} have")) })?;
        let what = "every answer that was sold was paid, and nothing else was";
        report.check(what, self.balanced(&moved))?;
        report.check(
            "the ledger agrees with the chains, and nothing is open",
            agree(&entries, &moved),
        )?;
        Ok(())
    }

    fn balanced(&self, moved: &BTreeMap<Key, u32>) -> Result<(), Wrong> {
        for bought in &self.paid {
            if !moved.contains_key(&key(&bought.identity)) {
                return Err(format!("route {}: an answer was not paid", bought.route));
            }
        }
        let bought: Vec<Key> = self.paid.iter().map(|bought| key(&bought.identity)).collect();
        match moved.keys().find(|key| !bought.contains(key)) {
            Some((payer, _)) => Err(format!("{payer} paid and has no answer")),
            None => Ok(()),
        }
    }
}

fn agree(entries: &[Entry], moved: &BTreeMap<Key, u32>) -> Result<(), Wrong> {
    for entry in entries {
        let settled = match entry.state {
            State::Settled => true,
            State::Refused | State::Released => false,
            State::Held | State::Settling | State::Unknown => {
                return Err(format!("a payment for {} is open", entry.route));
            }
        };
        if settled != moved.contains_key(&key(&entry.identity)) {
            return Err(format!("a payment for {} is written as {:?}", entry.route, entry.state));
        }
    }
    let settled = entries.iter().filter(|entry| entry.state == State::Settled).count();
    if settled == moved.len() {
        return Ok(());
    }
    Err(format!("{settled} are written as settled, {} have moved", moved.len()))
}

/// How often each payment has moved, over all simulated chains.
fn moved(folder: &Path) -> Result<BTreeMap<Key, u32>, SelftestError> {
    let mut moved = BTreeMap::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with("chain-") {
            continue;
        }
        let unreadable = |error| {
            Fault::new(Side::Ours, Retry::Never, "a simulated chain cannot be read")
                .caused_by(error)
        };
        for transfer in journal::read(&path).map_err(unreadable)? {
            let key = (transfer.from.to_string(), transfer.nonce.to_string());
            let times: &mut u32 = moved.entry(key).or_default();
            *times = times.saturating_add(1);
        }
    }
    Ok(moved)
}

fn key(identity: &PaymentIdentity) -> Key {
    (identity.payer.to_string(), identity.nonce.to_string())
}

const ENTRIES_MAX: u32 = 100_000;
