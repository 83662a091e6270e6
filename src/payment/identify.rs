//! Payments that their payer has named: whatever is signed under a name is bought once.

use std::time::Duration;

use super::{Payments, Reserved, Returning, Standing};
use crate::clock::UnixMillis;
use crate::fault::{Fault, Retry, Side};
use crate::ledger::answers::{Bound, Named};

impl Payments {
    /// Binds the name of a reserved payment to it, if it has one, for as long as answers are kept
    /// and `time` more. Only one payment of a payer at a time has a name; it has it until it was
    /// let go or refused, or the name has grown old.
    ///
    /// # Errors
    /// `Taken`: another payment has the name, and what it stands for is to be told; this one is to
    /// be let go. `Fault`: it is not known.
    ///
    /// # Cancel safety
    /// The name may be bound; it is free again when the payment was let go.
    pub async fn identify(
        &self,
        reserved: &Reserved,
        time: Duration,
        now: UnixMillis,
    ) -> Result<(), Standing> {
        let Some(id) = &reserved.id else { return Ok(()) };
        let (identity, exchange) = (reserved.hold.identity.clone(), reserved.hold.exchange);
        let mine = Named { identity, exchange };
        let mut bound = self.answers.bind(id, &mine, time, now).await.map_err(Standing::Fault)?;
        for _ in 0..TRIES_MAX {
            let Bound::To(other) = bound else { return Ok(()) };
            // What one exchange has bought is no longer what the name stands for when another
            // exchange has the payment now: that one had no name, or another.
            let entry = self.inner.ledger.get(&other.identity).await.map_err(Standing::Fault)?;
            let entry = entry.filter(|entry| entry.exchange == other.exchange);
            if let Some(entry) = entry.filter(|entry| !entry.state.is_free()) {
                return Err(Standing::Taken(Box::new(Returning::named(entry))));
            }
            let rebound = self.answers.rebind(id, (&other, &mine), time, now).await;
            bound = rebound.map_err(Standing::Fault)?;
        }
        let told = "a payment identifier is wanted by too many at once";
        Err(Standing::Fault(Fault::new(Side::Ours, Retry::Later, told)))
    }
}

/// How often a name is looked at that changes under one's eyes.
const TRIES_MAX: usize = 4;
