//! The ledger against the chain: every payment is looked up, every difference is told.

use tokio::task::{JoinError, JoinSet};

use super::Payments;
use crate::clock::UnixMillis;
use crate::facilitator::Trace;
use crate::fault::{Fault, Retry, Side};
use crate::ledger::{Entry, Filter, State, Walk};

/// A payment of which the ledger and the chain say different things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What the ledger says.
    pub entry: Entry,
    /// What the chain says.
    pub finding: Finding,
}

/// What the chain says of a payment, where the ledger says something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The ledger has it settled, the chain does not.
    NotMoved,
    /// Its money has moved with this transaction, the ledger names another or none.
    OtherTransaction(Box<str>),
    /// Its money has moved with this transaction, the ledger does not have it settled.
    Moved(Box<str>),
}

/// How many payments were looked at, and what was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Ledger and chain say the same.
    pub agree: u64,
    /// They do not.
    pub differ: u64,
    /// Nobody could be asked, or whoever was asked could not tell.
    pub untold: u64,
    /// Changed after the look began: the next one finds them.
    pub young: u64,
}

/// What is told while payments are looked at.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    /// A difference.
    Difference(&'a Difference),
    /// How far the look has come, every thousand payments.
    Progress(Reconciled),
}

impl Finding {
    /// The word for it, in columns and scripts.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotMoved => "not_moved",
            Self::OtherTransaction(_) => "other_transaction",
            Self::Moved(_) => "moved",
        }
    }

    /// The transaction that the chain names.
    pub fn transaction(&self) -> Option<&str> {
        match self {
            Self::NotMoved => None,
            Self::OtherTransaction(transaction) | Self::Moved(transaction) => Some(transaction),
        }
    }
}

impl Reconciled {
    /// How many payments were looked at.
    pub fn looked_at(&self) -> u64 {
        [self.agree, self.differ, self.untold, self.young].into_iter().fold(0, u64::saturating_add)
    }
}

/// What one look has found.
enum Found {
    Agree,
    Differ(Box<Difference>),
    Untold,
    Young,
}

impl Payments {
    /// Looks up every payment that `filter` takes and that has not changed since `as_of`, a few at
    /// a time, newest first. Changes nothing.
    ///
    /// # Errors
    /// The ledger cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn reconcile(
        &self,
        filter: Filter,
        as_of: UnixMillis,
        mut tell: impl FnMut(News<'_>),
    ) -> Result<Reconciled, Fault> {
        let mut walk = Walk::new(self.ledger(), filter);
        let (mut looks, mut so_far) = (JoinSet::new(), Reconciled::default());
        while let Some(entry) = walk.next().await? {
            if looks.len() >= LOOKS_MAX
                && let Some(found) = looks.join_next().await
            {
                note(found.map_err(cut_off)??, &mut so_far, &mut tell);
            }
            let payments = self.clone();
            looks.spawn(async move { payments.compare(entry, as_of).await });
        }
        while let Some(found) = looks.join_next().await {
            note(found.map_err(cut_off)??, &mut so_far, &mut tell);
        }
        Ok(so_far)
    }

    async fn compare(&self, entry: Entry, as_of: UnixMillis) -> Result<Found, Fault> {
        if entry.changed_at >= as_of {
            return Ok(Found::Young);
        }
        let trace = self.trace(&entry).await;
        match judge(entry, trace) {
            // The gateway may have gone on while the chain was asked.
            Found::Differ(difference) => {
                let now = self.ledger().get(&difference.entry.identity).await?;
                let same = now.as_ref() == Some(&difference.entry);
                Ok(if same { Found::Differ(difference) } else { Found::Young })
            }
            found => Ok(found),
        }
    }
}

fn cut_off(error: JoinError) -> Fault {
    Fault::new(Side::Ours, Retry::Later, "a look was cut off").caused_by(error)
}

fn judge(entry: Entry, trace: Trace) -> Found {
    let finding = match (entry.state, trace) {
        (_, Trace::CannotTell) => return Found::Untold,
        (State::Settled, Trace::Moved { transaction }) => {
            if entry.transaction.as_ref() == Some(&transaction) {
                return Found::Agree;
            }
            Finding::OtherTransaction(transaction)
        }
        (State::Settled, Trace::NotMoved) => Finding::NotMoved,
        (_, Trace::Moved { transaction }) => Finding::Moved(transaction),
        (_, Trace::NotMoved) => return Found::Agree,
    };
    Found::Differ(Box::new(Difference { entry, finding }))
}

fn note(found: Found, so_far: &mut Reconciled, tell: &mut impl FnMut(News<'_>)) {
    let count = match &found {
        Found::Agree => &mut so_far.agree,
        Found::Differ(_) => &mut so_far.differ,
        Found::Untold => &mut so_far.untold,
        Found::Young => &mut so_far.young,
    };
    *count = count.saturating_add(1);
    if let Found::Differ(difference) = &found {
        tell(News::Difference(difference));
    }
    if so_far.looked_at().is_multiple_of(PROGRESS_EVERY) {
        tell(News::Progress(*so_far));
    }
}

/// Payments that are looked up at the same time.
const LOOKS_MAX: usize = 16;

/// Payments between two reports.
const PROGRESS_EVERY: u64 = 1_000;
