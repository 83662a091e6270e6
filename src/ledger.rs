//! Which payments are held, settling, settled, refused, released or unknown: the memory of money.

pub mod answers;
mod entry;
mod forget;
mod index;
mod lag;
mod lines;
mod mail;
mod memory;
mod postgres;
mod queue;
mod reading;
mod round;
mod rows;
mod sqlite;
mod step;
#[cfg(test)]
pub(crate) mod tests;
mod url;
mod walk;
mod wanted;
mod writer;

use std::sync::Arc;

pub use entry::{
    Claim, Claimant, Claimed, Entry, ExchangeId, ExchangeIdError, Holder, Mark, Past, Unfinished,
};
pub use forget::{Forgetting, Forgotten, Keep, Round};
pub use lag::Lag;
use memory::Memory;
use postgres::Postgres;
use queue::Queue;
use sqlite::Sqlite;
pub use step::{Misstep, State, StateError, Step, TRANSACTION_LEN_MAX};
pub use url::{LedgerUrl, LedgerUrlError, PostgresUrl};
pub use walk::{Filter, Walk};
pub use wanted::Wanted;

use crate::clock::{UnixMillis, steady};
use crate::fault::{Fault, Retry, Side};
use crate::x402::PaymentIdentity;

/// The ledger, open. A clone is another handle to the same one.
///
/// One process writes a file; several write one database, and what one of them holds is nobody
/// else's while it lives. What was answered is on the disk. When the last handle is dropped
/// without [`Ledger::close`], what was handed in is still written as long as the runtime lives.
#[derive(Clone, Debug)]
pub struct Ledger {
    store: Store,
}

#[derive(Clone, Debug)]
enum Store {
    Sqlite(Sqlite),
    Postgres(Postgres),
    Memory(Arc<Memory>),
    /// One that breaks as dice tell it.
    #[cfg(test)]
    Simulated(tests::simulated::Opened),
}

impl Ledger {
    /// Opens the ledger for the gateway, creates or migrates it where needed, and starts its writer
    /// on the current tokio runtime, which must live as long as the ledger. SQLite's writer holds a
    /// thread of it up while the disk works, so where others wait too, it has one of its own.
    ///
    /// # Errors
    /// Ledger, later: another gateway has the file, its lock file cannot be written, or the
    /// database cannot be reached. Ledger, never: it cannot be opened, is no ledger, or a newer
    /// version has migrated it.
    ///
    /// # Cancel safety
    /// Nothing stays open. A migration is done or not done.
    pub async fn open(url: &LedgerUrl) -> Result<Self, Fault> {
        let store = match url {
            LedgerUrl::Sqlite(path) => Store::Sqlite(Sqlite::open(path).await?),
            LedgerUrl::Postgres(url) => Store::Postgres(Postgres::open(url).await?),
            LedgerUrl::Memory => Store::Memory(Arc::new(Memory::new())),
        };
        Ok(Self { store })
    }

    /// Opens the ledger beside the gateways that write it. Claims and steps are faults.
    ///
    /// # Errors
    /// Ledger, never: it cannot be opened, or it is the memory of another process.
    ///
    /// # Cancel safety
    /// Nothing stays open.
    pub async fn open_to_read(url: &LedgerUrl) -> Result<Self, Fault> {
        let elsewhere = "a ledger in memory can be read by its own process only";
        let store = match url {
            LedgerUrl::Sqlite(path) => Store::Sqlite(Sqlite::open_to_read(path).await?),
            LedgerUrl::Postgres(url) => Store::Postgres(Postgres::open_to_read(url).await?),
            LedgerUrl::Memory => return Err(Fault::new(Side::Ledger, Retry::Never, elsewhere)),
        };
        Ok(Self { store })
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
        match self.way()? {
            Way::Queue(queue) => queue.claim(claim, now).await,
            Way::Memory(memory) => memory.claim(claim, now),
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
        match self.way()? {
            Way::Queue(queue) => queue.advance(identity.clone(), exchange, step, now).await,
            Way::Memory(memory) => Ok(memory.advance(identity, exchange, &step, now)?),
        }
    }

    /// Releases a payment behind everything that was handed in before, without waiting: for drops.
    ///
    /// It is written as soon as the ledger can be written, and tried again until then; a crash
    /// before that leaves the payment held, and recovery releases it. A payment that has gone on to
    /// another state or exchange stays as it is.
    pub fn release_later(&self, identity: PaymentIdentity, exchange: ExchangeId, now: UnixMillis) {
        match self.way() {
            Ok(Way::Queue(queue)) => queue.release(identity, exchange, now),
            Ok(Way::Memory(memory)) => {
                // A misstep is a payment that has gone on.
                let _gone_on = memory.advance(&identity, exchange, &Step::Released, now);
            }
            Err(read_only) => tracing::debug!(%exchange, %read_only, "nothing to release"),
        }
    }

    /// Payments that something must still become of, behind a mark, oldest claim first.
    ///
    /// # Errors
    /// Ledger, later: it cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn unfinished(
        &self,
        after: Option<Mark>,
        limit: u32,
    ) -> Result<Vec<Unfinished>, Fault> {
        let after = after.unwrap_or(Mark(i64::MIN));
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.unfinished(after, limit).await,
            Store::Postgres(postgres) => postgres.unfinished(after, limit).await,
            Store::Memory(memory) => Ok(memory.unfinished(after, limit)),
            #[cfg(test)]
            Store::Simulated(opened) => Ok(opened.books.unfinished(after, limit)),
        }
    }

    /// Payments before a mark, newest claim first. A payment that is claimed again while page after
    /// page is read moves to the front, and is then not met any more.
    ///
    /// # Errors
    /// Ledger, later: it cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn page(
        &self,
        before: Option<Mark>,
        limit: u32,
    ) -> Result<Vec<(Mark, Entry)>, Fault> {
        let before = before.unwrap_or(Mark(i64::MAX));
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.readers.page(before, limit).await,
            Store::Postgres(postgres) => postgres.readers.page(before, limit).await,
            Store::Memory(memory) => Ok(memory.page(before, limit)),
            #[cfg(test)]
            Store::Simulated(opened) => Ok(opened.books.page(before, limit)),
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
        let page = self.page(None, limit).await?;
        Ok(page.into_iter().map(|(_, entry)| entry).collect())
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
            Store::Sqlite(sqlite) => sqlite.readers.get(identity).await,
            Store::Postgres(postgres) => postgres.readers.get(identity).await,
            Store::Memory(memory) => Ok(memory.get(identity)),
            #[cfg(test)]
            Store::Simulated(opened) => Ok(opened.books.get(identity)),
        }
    }

    /// Whether somebody has paid for something, and the money has moved. Looks at all payments of
    /// that payer where [`Ledger::index_settled`] was never called.
    ///
    /// # Errors
    /// Ledger, later: it cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn has_paid(&self, wanted: &Wanted<'_>) -> Result<bool, Fault> {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.readers.has_paid(wanted).await,
            Store::Postgres(postgres) => postgres.readers.has_paid(wanted).await,
            Store::Memory(memory) => Ok(memory.has_paid(wanted)),
            #[cfg(test)]
            Store::Simulated(opened) => Ok(opened.books.has_paid(wanted)),
        }
    }

    /// Where the payment of an entry stood before, oldest first, as far as it is kept: some forty
    /// changes. A ledger in memory keeps nothing.
    ///
    /// # Errors
    /// Ledger, later: it cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn past(&self, entry: &Entry) -> Result<Vec<Past>, Fault> {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.readers.past(entry).await,
            Store::Postgres(postgres) => postgres.readers.past(entry).await,
            Store::Memory(_) => Ok(Vec::new()),
            #[cfg(test)]
            Store::Simulated(_) => Ok(Vec::new()),
        }
    }

    /// Who has claimed this entry, and may know more of it.
    ///
    /// # Errors
    /// Ledger, later: it cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn claimant(&self, entry: &Entry) -> Result<Claimant, Fault> {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.claimant(entry).await,
            Store::Postgres(postgres) => postgres.claimant(entry).await,
            Store::Memory(_) => Ok(Claimant::Here),
            #[cfg(test)]
            Store::Simulated(_) => Ok(Claimant::Here),
        }
    }

    /// This gateway, as others that share the ledger see it; nothing where none do.
    fn instance(&self) -> Option<&str> {
        match &self.store {
            Store::Postgres(postgres) => Some(postgres.instance()),
            Store::Sqlite(_) | Store::Memory(_) => None,
            #[cfg(test)]
            Store::Simulated(_) => None,
        }
    }

    /// Whether it can be expected to be written.
    ///
    /// # Errors
    /// Ledger, later: the last attempt to write failed. A file is always expected to.
    pub fn ready(&self) -> Result<(), Fault> {
        match &self.store {
            Store::Postgres(postgres) => postgres.ready(),
            Store::Sqlite(_) | Store::Memory(_) => Ok(()),
            #[cfg(test)]
            Store::Simulated(_) => Ok(()),
        }
    }

    /// How far it is behind what was handed in here. One in memory, or that is read only, never is.
    pub fn lag(&self) -> Lag {
        match self.way() {
            Ok(Way::Queue(queue)) => queue.lag().clone(),
            Ok(Way::Memory(_)) | Err(_) => Lag::new(steady()),
        }
    }

    /// Whoever forgets payments some time after their end. One is enough for each gateway.
    pub fn forgetting(&self, keep: Keep) -> Forgetting {
        Forgetting::new(self.place(), keep)
    }

    /// Where its payments lie, for whoever writes there besides the writer.
    fn place(&self) -> forget::Place {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.place(),
            Store::Postgres(postgres) => postgres.place(),
            Store::Memory(_) => forget::Place::Nowhere,
            #[cfg(test)]
            Store::Simulated(_) => forget::Place::Nowhere,
        }
    }

    /// Writes what was handed in, then lets go of the file or the connection, for every handle.
    ///
    /// # Cancel safety
    /// It closes all the same, in the background.
    pub async fn close(&self) {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.close().await,
            Store::Postgres(postgres) => postgres.close().await,
            Store::Memory(_) => {}
            #[cfg(test)]
            Store::Simulated(opened) => opened.queue.close().await,
        }
    }

    /// The way to whoever writes.
    fn way(&self) -> Result<Way<'_>, Fault> {
        match &self.store {
            Store::Sqlite(sqlite) => sqlite.queue().map(Way::Queue),
            Store::Postgres(postgres) => postgres.queue().map(Way::Queue),
            Store::Memory(memory) => Ok(Way::Memory(memory)),
            #[cfg(test)]
            Store::Simulated(opened) => Ok(Way::Queue(&opened.queue)),
        }
    }
}

/// How a ledger is written.
enum Way<'a> {
    Queue(&'a Queue),
    Memory(&'a Memory),
}
