//! The way from many exchanges to the one writer: first come, first written.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::lag::{Lag, Since};
use super::mail::{Answer, answer};
use super::{Claim, Claimed, ExchangeId, Step};
use crate::clock::{UnixMillis, steady};
use crate::fault::{Fault, Retry, Side};
use crate::x402::PaymentIdentity;

/// The callers' end.
///
/// The channel itself has no bound, so that a drop can hand in a release without waiting; what
/// callers put in is bounded by `room`, and releases by the claims in flight, one for each.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    sender: UnboundedSender<Op>,
    room: Arc<Semaphore>,
    lag: Lag,
}

/// The writer's end.
#[derive(Debug)]
pub(super) struct Ops {
    receiver: UnboundedReceiver<Op>,
    room: Arc<Semaphore>,
    flow: Flow,
    lag: Lag,
}

/// Whether more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Open,
    Closed,
}

/// Something to write.
#[derive(Debug)]
pub(super) enum Op {
    Claim(Claiming),
    Advance(Advancing),
    /// Nothing more comes after this.
    Close,
}

/// A claim and who waits for it.
#[derive(Debug)]
pub(super) struct Claiming {
    pub(super) claim: Claim,
    pub(super) now: UnixMillis,
    pub(super) since: Since,
    pub(super) answer: Answer<Claimed>,
}

/// A step and who waits for it; nobody does for a release from a drop.
#[derive(Debug)]
pub(super) struct Advancing {
    pub(super) identity: PaymentIdentity,
    pub(super) exchange: ExchangeId,
    pub(super) step: Step,
    pub(super) now: UnixMillis,
    pub(super) since: Since,
    pub(super) answer: Option<Answer<()>>,
}

/// A queue and its two ends.
pub(super) fn queue() -> (Queue, Ops) {
    let (sender, receiver) = unbounded_channel();
    let room = Arc::new(Semaphore::new(QUEUE_LEN_MAX));
    let lag = Lag::new(steady());
    let queue = Queue { sender, room: Arc::clone(&room), lag: lag.clone() };
    (queue, Ops { receiver, room, flow: Flow::Open, lag })
}

impl Queue {
    /// Hands in a claim and waits until it is written.
    ///
    /// # Errors
    /// The writer's own; later: no answer within [`WAIT_MAX`].
    ///
    /// # Cancel safety
    /// A claim that is dropped or given up before its answer was read is released behind itself.
    pub(super) async fn claim(&self, claim: Claim, now: UnixMillis) -> Result<Claimed, Fault> {
        let (identity, exchange) = (claim.identity.clone(), claim.exchange);
        let mut unread = Unread { queue: self, claim: Some((identity, exchange, now)) };
        let (answer, answered) = answer();
        let since = self.lag.since(steady());
        let op = Op::Claim(Claiming { claim, now, since, answer });
        let claimed = self.put_and_wait(op, answered).await?;
        unread.claim = None;
        Ok(claimed)
    }

    /// Hands in a step and waits until it is written.
    ///
    /// # Errors
    /// The writer's own; later: no answer within [`WAIT_MAX`], and it may still be written.
    ///
    /// # Cancel safety
    /// The step may still be written.
    pub(super) async fn advance(
        &self,
        identity: PaymentIdentity,
        exchange: ExchangeId,
        step: Step,
        now: UnixMillis,
    ) -> Result<(), Fault> {
        let (answer, answered) = answer();
        let (answer, since) = (Some(answer), self.lag.since(steady()));
        let op = Op::Advance(Advancing { identity, exchange, step, now, since, answer });
        self.put_and_wait(op, answered).await
    }

    /// Hands in a release behind everything that was handed in before.
    pub(super) fn release(&self, identity: PaymentIdentity, exchange: ExchangeId, now: UnixMillis) {
        let (step, since) = (Step::Released, self.lag.since(steady()));
        let op = Op::Advance(Advancing { identity, exchange, step, now, since, answer: None });
        if self.put(op).is_err() {
            tracing::debug!(%exchange, "the ledger is closed; recovery releases this payment");
        }
    }

    /// Lets nothing more in, and waits until the writer has written the rest and gone.
    pub(super) async fn close(&self) {
        self.room.close();
        // An error means that the writer is gone already.
        let _gone = self.sender.send(Op::Close);
        self.sender.closed().await;
    }

    /// How far the writer is behind.
    pub(super) fn lag(&self) -> &Lag {
        &self.lag
    }

    fn put(&self, op: Op) -> Result<(), Fault> {
        if let Some(since) = op.since() {
            self.lag.waits(since);
        }
        self.sender.send(op).map_err(|_| closed())
    }

    async fn put_and_wait<T>(
        &self,
        op: Op,
        answered: oneshot::Receiver<Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let put_and_wait = async {
            let room = self.room.acquire().await.map_err(|_| closed())?;
            self.put(op)?;
            // The writer gives it back when it takes the op.
            room.forget();
            answered.await.map_err(|_| closed())?
        };
        match timeout(WAIT_MAX, put_and_wait).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::new(Side::Ledger, Retry::Later, "the ledger is too slow")),
        }
    }
}

impl Ops {
    /// Waits for an op and takes up to `len_max`. Takes none when the queue is closed and empty.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn take(&mut self, into: &mut Vec<Op>, len_max: usize) {
        if self.receiver.is_empty() {
            self.lag.takes(None);
        }
        if self.flow == Flow::Open {
            self.receiver.recv_many(into, 1).await;
            self.lag.takes(oldest(into));
            self.give_room_back(into);
            // Those whose answers went out a moment ago are about to hand in more: one commit
            // for all of them.
            yield_now().await;
        }
        self.take_more(into, len_max);
    }

    /// Takes up to `len_max` with those that were taken before, without waiting.
    pub(super) fn take_more(&mut self, into: &mut Vec<Op>, len_max: usize) {
        let before = into.len();
        while into.len() < len_max
            && let Ok(op) = self.receiver.try_recv()
        {
            into.push(op);
        }
        let more = into.get(before..).unwrap_or_default();
        if let Some(since) = oldest(more) {
            self.lag.waits(since);
        }
        self.give_room_back(more);
    }

    /// How far the writer is behind.
    pub(super) fn lag(&self) -> &Lag {
        &self.lag
    }

    fn give_room_back(&mut self, taken: &[Op]) {
        let mut room = 0;
        for op in taken {
            match op {
                Op::Claim(_) => room += 1,
                Op::Advance(advancing) if advancing.answer.is_some() => room += 1,
                Op::Advance(_) => {}
                Op::Close => self.flow = Flow::Closed,
            }
        }
        self.room.add_permits(room);
    }
}

impl Op {
    /// When it was handed in, if it is to be written.
    fn since(&self) -> Option<Since> {
        match self {
            Self::Claim(op) => Some(op.since),
            Self::Advance(op) => Some(op.since),
            Self::Close => None,
        }
    }
}

/// When the oldest of these was handed in.
pub(super) fn oldest(ops: &[Op]) -> Option<Since> {
    ops.iter().filter_map(Op::since).min()
}

/// A claim whose answer nobody has read yet.
struct Unread<'a> {
    queue: &'a Queue,
    claim: Option<(PaymentIdentity, ExchangeId, UnixMillis)>,
}

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        if let Some((identity, exchange, now)) = self.claim.take() {
            self.queue.release(identity, exchange, now);
        }
    }
}

fn closed() -> Fault {
    Fault::new(Side::Ledger, Retry::Later, "the ledger is closed")
}

/// Claims and steps that wait for the writer. Beyond it callers wait for room.
const QUEUE_LEN_MAX: usize = 4096;

/// How long a caller waits for room and answer together.
const WAIT_MAX: Duration = Duration::from_secs(5);
