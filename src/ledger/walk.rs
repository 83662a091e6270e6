//! All payments, or some, one after the other: page by page, so that neither the memory nor a read
//! transaction grows with the ledger.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Entry, ExchangeId, Ledger, Mark, State};
use crate::clock::UnixMillis;
use crate::fault::Fault;
use crate::x402::{Account, Network};

/// Which payments; what is not said does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Where they stand.
    pub state: Option<State>,
    /// Claimed then or later.
    pub since: Option<UnixMillis>,
    /// Claimed before.
    pub until: Option<UnixMillis>,
    /// The name of their route.
    pub route: Option<Box<str>>,
    /// Their network.
    pub network: Option<Network>,
    /// Who pays.
    pub payer: Option<Account>,
    /// The last exchange that claimed them.
    pub exchange: Option<ExchangeId>,
}

/// A way over payments, newest claim first.
#[derive(Debug)]
pub struct Walk {
    ledger: Ledger,
    filter: Filter,
    before: Option<Mark>,
    page: VecDeque<Entry>,
    end: End,
}

/// Whether there is another page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Ahead,
    Reached,
}

impl Filter {
    /// Whether a payment is one of these.
    pub fn takes(&self, entry: &Entry) -> bool {
        self.state.is_none_or(|state| entry.state == state)
            && self.since.is_none_or(|since| entry.claimed_at >= since)
            && self.until.is_none_or(|until| entry.claimed_at < until)
            && self.route.as_ref().is_none_or(|route| entry.route == *route)
            && self.network.as_ref().is_none_or(|network| entry.identity.network == *network)
            && self.payer.is_none_or(|payer| entry.identity.payer == payer)
            && self.exchange.is_none_or(|exchange| entry.exchange == exchange)
    }

    /// Whether nothing older than this payment can be one of these. Claims are in the order in
    /// which they were written, which is that of the clocks of the gateways but for their errors.
    fn ends_at(&self, entry: &Entry) -> bool {
        self.since.is_some_and(|since| entry.claimed_at.plus(CLOCKS_DIFFER_MAX) < since)
    }
}

impl Walk {
    /// The payments of a ledger that a filter takes.
    pub fn new(ledger: &Ledger, filter: Filter) -> Self {
        let ledger = ledger.clone();
        Self { ledger, filter, before: None, page: VecDeque::new(), end: End::Ahead }
    }

    /// The next one; nothing behind the last.
    ///
    /// A payment that is claimed again meanwhile moves to the front, and may not be met.
    ///
    /// # Errors
    /// The ledger cannot be read.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<Option<Entry>, Fault> {
        loop {
            while let Some(entry) = self.page.pop_front() {
                if self.filter.ends_at(&entry) {
                    self.end = End::Reached;
                    self.page.clear();
                } else if self.filter.takes(&entry) {
                    return Ok(Some(entry));
                }
            }
            if self.end == End::Reached {
                return Ok(None);
            }
            let page = self.ledger.page(self.before, PAGE_LEN).await?;
            self.before = page.last().map(|(mark, _)| *mark);
            if u32::try_from(page.len()).is_ok_and(|length| length < PAGE_LEN) {
                self.end = End::Reached;
            }
            self.page = page.into_iter().map(|(_, entry)| entry).collect();
        }
    }
}

/// Payments read at once: some 500 KiB.
const PAGE_LEN: u32 = 1_000;

/// How far the clocks of gateways may differ, or one be set back, without a payment being missed.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_secs(24 * 3600);
