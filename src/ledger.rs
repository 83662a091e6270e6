//! Which payments are held, settling, settled, refused, released or unknown: the memory of money.

pub mod answers;
mod entry;
mod memory;
mod queue;
mod round;
mod rows;
mod sqlite;
mod step;
#[cfg(test)]
mod tests;
mod url;
mod writer;

use std::sync::Arc;

pub use entry::{Claim, Claimed, Entry, ExchangeId, ExchangeIdError};
use memory::Memory;
use sqlite::Sqlite;
pub use step::{Misstep, State, StateError, Step, TRANSACTION_LEN_MAX};
pub use url::{LedgerUrl, LedgerUrlError};

use crate::clock::UnixMillis;
use crate::fault::{Fault, Retry, Side};
use crate::x402::PaymentIdentity;

/// The ledger, open. A clone is another handle to the same one.
///
/// One process writes it; what it has answered is on the disk. When the last handle is dropped
/// without [`Ledger::close`], what was handed in is still written as long as the runtime lives.
#[derive(Clone, Debug)]
pub struct Ledger {
    store: Store,
}

#[derive(Clone, Debug)]
enum Store {
    Sqlite(Sqlite),
    Memory(Arc<Memory>),
}

impl Ledger {
    /// Opens the ledger for the gateway, creates or migrates it where needed, and starts its writer
    /// on the current tokio runtime, which must live as long as the ledger.
    ///
    /// # Errors
    /// Ledger, later: another gateway has it, or its lock file cannot be written. Ledger, never: it
    /// cannot be opened, is no ledger, or a newer version has migrated it.
    ///
    /// # Cancel safety
    /// Nothing stays open. A migration is done or not done.
    pub async fn open(url: &LedgerUrl) -> Result<Self, Fault> {
        let store = match url {
            LedgerUrl::Sqlite(path) => Store::Sqlite(Sqlite::open(path).await?),
            LedgerUrl::Memory => Store::Memory(Arc::new(Memory::new())),
        };
        Ok(Self { store })
    }

    /// Opens the ledger beside the gateway that writes it. Claims and steps are faults.
    ///
    /// # Errors
    /// Ledger, never: it cannot be opened, or it is the memory of another process.
    ///
    /// # Cancel safety
    /// Nothing stays open.
    pub async fn open_to_read(url: &LedgerUrl) -> Result<Self, Fault> {
        let elsewhere = "a ledger in memory can be read by its own process only";
        match url {
            LedgerUrl::Sqlite(path) => {
                Ok(Self { store: Store::Sqlite(Sqlite::open_to_read(path).await?) })
            }
            LedgerUrl::Memory => Err(Fault::new(Side::Ledger, Retry::Never, elsewhere)),
        }
    }

    /// Claims a payment for one exchange: nobody has it, or whoever had it was refused or let go.
    ///
    /// Durable when it returns. [`Claimed::Taken`] carries the entry as it stands now.
    ///
    /// # Errors
    /// Ledger, later: it cannot be written now, is full, is too slow or is closed. The claim is not
    /// ours, whether it was written or not.
    ///
    /// # Cancel safety
    /// The claim may still be written, and is then released again.
    pub async fn claim(&self, claim: Claim, now: UnixMillis) -> Result<Claimed, Fault> {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.queue()?.claim(claim, now).await,
            Store::Memory(memory) => memory.claim(claim, now),
        }
    }

    /// Records what became of a payment that this exchange has claimed.
    ///
    /// Durable when it returns. A step that the payment has taken already is taken again without a
    /// change, so that a caller may repeat it after a fault.
    ///
    /// # Errors
    /// Ledger, never: a [`Misstep`], nothing changed. Ledger, later: it cannot be written now, is
    /// too slow or is closed; when it is too slow, the step may still be written.
    ///
    /// # Cancel safety
    /// The step may still be written.
    pub async fn advance(
        &self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        step: Step,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        if step.transaction().is_some_and(|name| name.len() > TRANSACTION_LEN_MAX) {
            return Err(Misstep::Transaction.into());
        }
        match &self.store {
            Store::Sqlite(sqlite) => {
                sqlite.queue()?.advance(identity.clone(), exchange, step, now).await
            }
            Store::Memory(memory) => Ok(memory.advance(identity, exchange, &step, now)?),
        }
    }

    /// Releases a payment behind everything that was handed in before, without waiting: for drops.
    ///
    /// It is written as soon as the ledger can be written, and tried again until then; a crash
    /// before that leaves the payment held, and recovery releases it. A payment that has gone on to
    /// another state or exchange stays as it is.
    pub fn release_later(&self, identity: PaymentIdentity, exchange: ExchangeId, now: UnixMillis) {
        match &self.store {
            Store::Sqlite(sqlite) => {
                if let Ok(queue) = sqlite.queue() {
                    queue.release(identity, exchange, now);
                }
            }
            Store::Memory(memory) => {
                // A misstep is a payment that has gone on.
                let _gone_on = memory.advance(&identity, exchange, &Step::Released, now);
            }
        }
    }

    /// The payments that something must still become of, oldest claim first.
    ///
    /// # Errors
    /// Ledger, later: it cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn unfinished(&self, limit: u32) -> Result<Vec<Entry>, Fault> {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.unfinished(limit).await,
            Store::Memory(memory) => Ok(memory.unfinished(limit)),
        }
    }

    /// The last payments, newest claim first.
    ///
    /// # Errors
    /// Ledger, later: it cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn list(&self, limit: u32) -> Result<Vec<Entry>, Fault> {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.list(limit).await,
            Store::Memory(memory) => Ok(memory.list(limit)),
        }
    }

    /// The entry of a payment, if it has one.
    ///
    /// # Errors
    /// Ledger, later: it cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn get(&self, identity: &PaymentIdentity) -> Result<Option<Entry>, Fault> {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.get(identity).await,
            Store::Memory(memory) => Ok(memory.get(identity)),
        }
    }

    /// Writes what was handed in, then lets go of the file, for every handle.
    ///
    /// # Cancel safety
    /// It closes all the same, in the background.
    pub async fn close(&self) {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.close().await,
            Store::Memory(_) => {}
        }
    }
}
