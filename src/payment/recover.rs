//! What is done about payments that a crash, or a lost answer, left half way.

use std::time::Duration;

use super::Payments;
use crate::facilitator::{Sought, Trace};
use crate::fault::Fault;
use crate::ledger::{Entry, Holder, Mark, State, Step, Unfinished};

/// What one pass over the unfinished payments found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Held by an exchange that no longer exists, or not moved: released.
    pub released: usize,
    /// The money had moved: settled.
    pub settled: usize,
    /// Still not known.
    pub unknown: usize,
}

/// How far recovery has come in its round over all unfinished payments: payments whose outcome
/// cannot be found do not keep it from those behind them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recovery {
    /// Up to here the payments of this round have been looked at.
    after: Option<Mark>,
    /// Of unknown outcome in this round so far.
    counted: usize,
    /// Of unknown outcome in the last whole round.
    unknown: Option<usize>,
}

/// Far longer than a settlement takes. One that takes longer still writes its own outcome in the
/// end, over the `unknown` that a look has left.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(15 * 60);

/// Payments looked at in one pass.
pub const PASS_MAX: u32 = 1_000;

impl Recovery {
    /// Whether a round has begun and not ended: the next pass goes on where the last one ended.
    pub fn is_half_way(&self) -> bool {
        self.after.is_some()
    }

    /// Payments whose outcome the last whole round did not find; nothing before its end.
    pub fn unknown(&self) -> Option<usize> {
        self.unknown
    }

    /// A pass has looked at payments up to `last`.
    fn passed(&mut self, last: Option<Mark>, unknown: usize) {
        self.counted = self.counted.saturating_add(unknown);
        self.after = last;
        if last.is_none() {
            self.unknown = Some(std::mem::take(&mut self.counted));
        }
    }
}

impl Payments {
    /// Looks at the next [`PASS_MAX`] unfinished payments, oldest first, and ends those whose
    /// outcome can be found. What a living gateway holds or settles is left to it.
    ///
    /// # Errors
    /// The ledger cannot be read. A payment that cannot be ended stays for the next round.
    ///
    /// # Cancel safety
    /// Each payment is ended by one write; the rest stays for the next pass.
    pub async fn recover(&self, recovery: &mut Recovery) -> Result<Recovered, Fault> {
        let page = self.inner.ledger.unfinished(recovery.after, PASS_MAX).await?;
        let whole = u32::try_from(page.len()).is_ok_and(|length| length < PASS_MAX);
        let last = page.last().map(|unfinished| unfinished.mark);
        let mut found = Recovered::default();
        for Unfinished { entry, holder, .. } in page {
            match (entry.state, holder) {
                (State::Held, Holder::Gone) => {
                    self.end(&entry, Step::Orphaned).await;
                    found.released += 1;
                }
                (State::Settling, Holder::Lives) if !self.is_abandoned(&entry) => {}
                (State::Settling | State::Unknown, _) => self.look(&entry, &mut found).await,
                (State::Held, Holder::Lives)
                | (State::Settled | State::Refused | State::Released, _) => {}
            }
        }
        recovery.passed(last.filter(|_| !whole), found.unknown);
        Ok(found)
    }

    /// Whether a settlement has been under way for so long that nobody waits for it any more: its
    /// outcome could not be written down.
    fn is_abandoned(&self, entry: &Entry) -> bool {
        entry.changed_at.plus(ABANDONED_AFTER) < self.inner.clock.now()
    }

    async fn look(&self, entry: &Entry, found: &mut Recovered) {
        match self.trace(entry).await {
            Trace::Moved { transaction } => {
                self.end(entry, Step::Settled { transaction }).await;
                found.settled += 1;
            }
            Trace::NotMoved => {
                self.end(entry, Step::Released).await;
                found.released += 1;
            }
            Trace::CannotTell => {
                if entry.state == State::Settling {
                    self.end(entry, Step::Unknown { transaction: None }).await;
                }
                found.unknown += 1;
            }
        }
    }

    /// Asks the payment's facilitator, and the chain where that cannot tell.
    pub(super) async fn trace(&self, entry: &Entry) -> Trace {
        let sought = sought(entry);
        let told = match self.pool().member(&entry.facilitator) {
            Ok(member) => member.facilitator().trace(&sought).await,
            Err(_) => Trace::CannotTell,
        };
        match (told, self.reader(&entry.identity.network)) {
            (Trace::CannotTell, Some(reader)) => reader.read(&sought).await,
            (told, _) => told,
        }
    }

    async fn end(&self, entry: &Entry, step: Step) {
        let (identity, now) = (&entry.identity, self.inner.clock.now());
        if let Err(fault) = self.inner.ledger.advance(identity, entry.exchange, step, now).await {
            tracing::error!(payment = %identity, %fault, "a payment could not be ended");
        }
    }
}

fn sought(entry: &Entry) -> Sought {
    Sought {
        identity: entry.identity.clone(),
        asset: entry.asset,
        amount: entry.amount,
        pay_to: entry.pay_to,
        valid_before: entry.valid_before,
        since: entry.claimed_at,
        transaction: entry.transaction.clone(),
    }
}
