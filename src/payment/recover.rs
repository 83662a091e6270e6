//! What is done about payments that a crash, or a lost answer, left half way.

use super::Payments;
use crate::facilitator::Trace;
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
    /// Only those whose outcome is unknown: the others belong to running exchanges.
    WhileServing,
}

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
                (State::Settling, Scope::AtStart) | (State::Unknown, _) => {
                    self.look(&entry, &mut found).await;
                }
                (State::Held | State::Settling, Scope::WhileServing)
                | (State::Settled | State::Refused | State::Released, _) => {}
            }
        }
        Ok(found)
    }

    async fn look(&self, entry: &Entry, found: &mut Recovered) {
        let trace = match self.facilitator(&entry.facilitator) {
            Ok(facilitator) => facilitator.trace(&entry.identity).await,
            Err(_) => Trace::CannotTell,
        };
        match trace {
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

    async fn end(&self, entry: &Entry, step: Step) {
        let (identity, now) = (&entry.identity, self.inner.clock.now());
        if let Err(fault) = self.inner.ledger.advance(identity, entry.exchange, step, now).await {
            tracing::error!(payment = %identity, %fault, "a payment could not be ended");
        }
    }
}
