//! What is done about payments that a crash, or a lost answer, left half way.

use std::time::Duration;

use super::Payments;
use crate::facilitator::{Sought, Trace, chain};
use crate::fault::Fault;
use crate::ledger::{Entry, State, Step};

/// What one pass over the unfinished payments found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Held by an exchange that no longer exists: released.
    pub released: usize,
    /// The money had moved: settled.
    pub settled: usize,
    /// Still not known.
    pub unknown: usize,
}

/// Which payments a pass looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All: no exchange is running yet.
    AtStart,
    /// Those whose outcome is unknown, and settlements that nobody waits for any more: the others
    /// belong to running exchanges.
    WhileServing,
}

/// Far longer than a settlement takes. One that takes longer still writes its own outcome in the
/// end, over the `unknown` that a look has left.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(15 * 60);

/// Payments looked at in one pass.
pub const PASS_MAX: u32 = 1_000;

impl Payments {
    /// Looks at unfinished payments once, oldest first, and ends those whose outcome can be found.
    ///
    /// # Errors
    /// The ledger cannot be read. A payment that cannot be ended stays for the next pass.
    ///
    /// # Cancel safety
    /// Each payment is ended by one write; the rest stays for the next pass.
    pub async fn recover(&self, scope: Scope) -> Result<Recovered, Fault> {
        let mut found = Recovered::default();
        for entry in self.inner.ledger.unfinished(PASS_MAX).await? {
            match (entry.state, scope) {
                (State::Held, Scope::AtStart) => {
                    self.end(&entry, Step::Released).await;
                    found.released += 1;
                }
                (State::Settling, Scope::WhileServing) if !self.is_abandoned(&entry) => {}
                (State::Settling | State::Unknown, _) => {
                    self.look(&entry, &mut found).await;
                }
                (State::Held, Scope::WhileServing)
                | (State::Settled | State::Refused | State::Released, _) => {}
            }
        }
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
    async fn trace(&self, entry: &Entry) -> Trace {
        let sought = sought(entry);
        let told = match self.facilitator(&entry.facilitator) {
            Ok(facilitator) => facilitator.trace(&sought).await,
            Err(_) => Trace::CannotTell,
        };
        match (told, self.inner.readers.get(&entry.identity.network)) {
            (Trace::CannotTell, Some(reader)) => chain::read(reader, &sought).await,
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
        amount: entry.amount,
        pay_to: entry.pay_to,
        valid_before: entry.valid_before,
        since: entry.claimed_at,
        transaction: entry.transaction.clone(),
    }
}
