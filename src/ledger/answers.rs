//! The answers that were paid for, kept for a while for payers who come back.

mod copy;
mod debts;
mod desk;
mod keeper;
mod kept;
mod names;
mod record;
mod room;
mod rows;
mod sign_ins;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub use copy::{Copying, Going, Running};
pub use debts::{Giver, Owed, Turn};
use desk::Desk;
use keeper::{Keeper, Op};
pub use names::{Bound, Named};
pub use record::{Answer, Counted, Line, Missing, Outcome};
use room::Room;
pub use sign_ins::Seen;
use store::Store;

use super::{ExchangeId, Ledger, LedgerUrl};
use crate::clock::{Clock, UnixMillis};
use crate::fault::{Fault, Retry, Side};
use crate::x402::PaymentIdentity;

/// Where answers are kept. A clone is another handle to the same place.
///
/// What is handed in is written behind the exchange that made it; until it is, it is found in
/// memory. A crash loses what was not written yet, never what the ledger says of the payment.
#[derive(Clone, Debug)]
pub struct Answers(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    bounds: Bounds,
    room: Arc<Room>,
    desk: Arc<Desk>,
    store: Store,
    ops: mpsc::UnboundedSender<Op>,
}

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of all kept answers together; beyond it the oldest go.
    pub total_bytes_max: u64,
    /// Bytes of memory for answers that are copied, written and read, together. An answer that
    /// finds no room is not kept.
    pub memory_bytes_max: usize,
    /// How long one is kept.
    pub age: Duration,
}

/// What is known of the answer that a payment has bought.
#[derive(Debug)]
pub enum Found {
    /// It is on its way to whoever asked first.
    UnderWay,
    /// It was kept, or it is known why not.
    Line(Box<Line>),
    /// Nothing: it was never kept, or it has become too old.
    Nothing,
}

/// An answer that was looked for to be given.
#[derive(Debug)]
pub enum Opened {
    /// It is here.
    Answer(Arc<Answer>),
    /// It went since it was found.
    Gone,
    /// So many are being given that there is no room for another.
    NoRoom,
}

impl Answers {
    /// A place that keeps nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Opens the place beside the ledger of this URL, which is open, creates or migrates it where
    /// needed, and starts its keeper on the current tokio runtime, which must live as long as it.
    ///
    /// # Errors
    /// Ledger, never: it cannot be opened, or a newer version has migrated it.
    ///
    /// # Cancel safety
    /// Nothing stays open.
    pub async fn open(
        url: &LedgerUrl,
        ledger: &Ledger,
        bounds: Bounds,
        clock: Clock,
    ) -> Result<Self, Fault> {
        let store = Store::open(url, ledger).await?;
        let (desk, (ops, queue)) = (Arc::new(Desk::default()), mpsc::unbounded_channel());
        let keeper = Keeper::new(store.clone(), Arc::clone(&desk), bounds, clock).await?;
        tokio::spawn(keeper.run(queue));
        let room = Room::of(bounds.memory_bytes_max);
        Ok(Self(Some(Arc::new(Inner { bounds, room, desk, store, ops }))))
    }

    /// How long answers are kept, if any are.
    pub fn age(&self) -> Option<Duration> {
        self.0.as_ref().map(|inner| inner.bounds.age)
    }

    /// Notes that the answer to a payment is being made, until the guard is dropped.
    pub fn begin(&self, identity: PaymentIdentity, exchange: ExchangeId) -> Running {
        Running::begin(self.0.clone(), identity, exchange)
    }

    /// Looks for the answer that a payment has bought in this exchange.
    ///
    /// # Errors
    /// Ledger, later: it cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn find(
        &self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        now: UnixMillis,
    ) -> Result<Found, Fault> {
        let Some(inner) = &self.0 else { return Ok(Found::Nothing) };
        // In this order: an answer goes from under way to the desk, and from there to the store.
        if let Some(found) = inner.desk.find(identity, exchange) {
            return Ok(found);
        }
        let found = inner.store.find(identity, exchange, now).await.map_err(cannot_read)?;
        if let Some(line) = found {
            return Ok(Found::Line(Box::new(line)));
        }
        let giving = inner.store.is_giving(identity, exchange, now).await.map_err(cannot_read)?;
        Ok(if giving { Found::UnderWay } else { Found::Nothing })
    }

    /// Reads an answer that was found.
    ///
    /// # Errors
    /// Ledger, later: it cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn open_line(&self, line: &Line, now: UnixMillis) -> Result<Opened, Fault> {
        let Some(inner) = &self.0 else { return Ok(Opened::Gone) };
        if let Some(answer) = line.at_hand() {
            return Ok(Opened::Answer(answer));
        }
        let mut share = inner.room.share();
        if share.grow(line.bytes).is_err() {
            return Ok(Opened::NoRoom);
        }
        let read = inner.store.load(&line.identity, line.exchange, now).await;
        Ok(match read.map_err(cannot_read)? {
            Some(answer) => Opened::Answer(Arc::new(answer.holding(share))),
            None => Opened::Gone,
        })
    }

    /// How many answers were kept, and were not, and how much is kept now.
    pub fn counted(&self) -> Counted {
        self.0.as_ref().map(|inner| inner.desk.counted()).unwrap_or_default()
    }

    /// Writes what was handed in, then lets go of the place, for every handle.
    ///
    /// # Cancel safety
    /// It closes all the same, in the background.
    pub async fn close(&self) {
        if let Some(inner) = &self.0 {
            // An error means that the keeper is gone already.
            let _gone = inner.ops.send(Op::Close);
            inner.ops.closed().await;
        }
    }
}

impl Inner {
    /// Waits until every turn that was given back is written.
    async fn queue_is_through(&self) -> Result<(), Fault> {
        let (who, told) = oneshot::channel();
        self.ops.send(Op::Tell(who)).map_err(|_| closed())?;
        told.await.map_err(|_| closed())
    }
}

fn closed() -> Fault {
    Fault::new(Side::Ledger, Retry::Later, "the place of kept answers is closed")
}

fn cannot_write(error: sqlx::Error) -> Fault {
    tracing::error!(%error, "what is owed was not written");
    Fault::new(Side::Ledger, Retry::Later, "what is owed cannot be written").caused_by(error)
}

fn cannot_read(error: sqlx::Error) -> Fault {
    Fault::new(Side::Ledger, Retry::Later, "kept answers cannot be read").caused_by(error)
}
