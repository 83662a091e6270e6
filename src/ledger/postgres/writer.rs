//! The one writer of a gateway: takes what is queued, writes it in one statement, answers all.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Error;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;
use tokio::time::sleep;

use super::super::queue::{Op, Ops, oldest};
use super::super::round::{Outcome, Round, rounds};
use super::link::{Link, RENEW_EVERY};
use crate::clock::steady;
use crate::fault::Retry;

/// Whether the last attempt to write went through.
#[derive(Clone, Debug)]
pub(super) enum Health {
    /// It did.
    Up,
    /// It did not, and why.
    Down(Arc<Error>),
}

/// The writer, alive until the queue is closed and empty.
pub(super) struct Writer {
    options: PgConnectOptions,
    instance: String,
    link: Option<Link>,
    /// When the lease was last renewed, or tried to.
    renewed: Instant,
    /// Releases that could not be written yet. At most one for each claim in flight.
    late: Vec<Op>,
    health: watch::Sender<Health>,
}

impl Writer {
    /// The writer of an instance whose link has just been opened.
    pub(super) fn new(
        options: PgConnectOptions,
        instance: String,
        link: Link,
        health: watch::Sender<Health>,
    ) -> Self {
        let (link, late) = (Some(link), Vec::new());
        Self { options, instance, link, renewed: steady(), late, health }
    }

    /// Writes what comes and renews the lease until the queue is closed, then ends the lease.
    pub(super) async fn run(mut self, mut ops: Ops) {
        let mut taken = Vec::with_capacity(TAKE_MAX);
        loop {
            self.take(&mut ops, &mut taken).await;
            if taken.is_empty() && self.late.is_empty() {
                break;
            }
            let closing = taken.is_empty();
            taken.append(&mut self.late);
            for round in rounds(taken.drain(..)) {
                self.renew_if_due().await;
                self.write(round).await;
            }
            ops.lag().keeps(oldest(&self.late));
            if closing {
                break;
            }
        }
        if let Some(link) = self.link.take()
            && let Err(error) = link.leave(&self.instance).await
        {
            tracing::warn!(%error, "the lease was not ended; it ends by itself");
        }
        drop(ops);
    }

    /// Waits for ops; meanwhile renews the lease and writes late releases. Takes none when the
    /// queue is closed and empty.
    async fn take(&mut self, ops: &mut Ops, taken: &mut Vec<Op>) {
        let lag = ops.lag().clone();
        // Never dropped half way: what it has taken has to be counted.
        let mut taking = pin!(ops.take(taken, TAKE_MAX));
        loop {
            tokio::select! {
                biased;
                () = &mut taking => return,
                () = sleep(self.pause()) => {
                    self.renew_if_due().await;
                    for round in rounds(std::mem::take(&mut self.late).into_iter()) {
                        self.write(round).await;
                    }
                    lag.keeps(oldest(&self.late));
                }
            }
        }
    }

    /// How long nothing has to be done.
    fn pause(&self) -> Duration {
        let left = RENEW_EVERY.saturating_sub(self.renewed.elapsed());
        if self.late.is_empty() { left } else { left.min(LATE_PAUSE) }
    }

    async fn renew_if_due(&mut self) {
        if self.renewed.elapsed() < RENEW_EVERY {
            return;
        }
        self.renewed = steady();
        let renewed = match &mut self.link {
            Some(link) => link.renew(&self.instance).await,
            // A link that is opened renews the lease.
            None => self.open().await,
        };
        match renewed {
            Ok(()) => self.is_up(),
            Err(error) => {
                self.link = None;
                self.is_down(&Arc::new(error));
            }
        }
    }

    /// Writes a round and answers it. One op that cannot be written does not fail its neighbours.
    async fn write(&mut self, round: Round) {
        match self.persist(&round).await {
            Ok(outcome) => round.answer(outcome),
            Err(error) if round.len() > 1 && is_of_one_op(&error) => {
                for alone in round.split() {
                    match self.persist(&alone).await {
                        Ok(outcome) => alone.answer(outcome),
                        Err(error) => self.fail(alone, &error),
                    }
                }
            }
            Err(error) => self.fail(round, &error),
        }
    }

    /// Writes a round, over a new connection where the old one is lost, until that is done or has
    /// failed for too long. When the outcome of an attempt is not known the next one finds it out.
    async fn persist(&mut self, round: &Round) -> Result<Outcome, Arc<Error>> {
        // Nobody waits long for a database that was gone a moment ago.
        let down = matches!(*self.health.borrow(), Health::Down(_));
        let patience = if down { Duration::ZERO } else { PATIENCE };
        let begun = steady();
        loop {
            match self.attempt(round).await {
                Ok(outcome) => {
                    self.is_up();
                    return Ok(outcome);
                }
                Err(error) if is_of_one_op(&error) => return Err(Arc::new(error)),
                Err(error) => {
                    if is_of_the_link(&error) {
                        self.link = None;
                    }
                    if begun.elapsed() >= patience {
                        let error = Arc::new(error);
                        self.is_down(&error);
                        return Err(error);
                    }
                    tracing::warn!(%error, "PostgreSQL is asked again");
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    async fn attempt(&mut self, round: &Round) -> Result<Outcome, Error> {
        if self.link.is_none() {
            self.open().await?;
        }
        match &mut self.link {
            Some(link) => link.write(round, &self.instance).await,
            // It has just been opened.
            None => Err(Error::Io(std::io::ErrorKind::NotConnected.into())),
        }
    }

    async fn open(&mut self) -> Result<(), Error> {
        self.link = Some(Link::open(&self.options, &self.instance).await?);
        self.renewed = steady();
        Ok(())
    }

    fn is_up(&self) {
        self.health.send_if_modified(|health| match health {
            Health::Up => false,
            Health::Down(_) => {
                tracing::info!("PostgreSQL is written again");
                *health = Health::Up;
                true
            }
        });
    }

    fn is_down(&self, error: &Arc<Error>) {
        self.health.send_replace(Health::Down(Arc::clone(error)));
    }

    fn fail(&mut self, round: Round, error: &Arc<Error>) {
        let retry = if is_of_one_op(error) { Retry::Never } else { Retry::Later };
        self.late.extend(round.fail(retry, error));
    }
}

/// Whether the error is about what was written: bad data, a broken constraint.
fn is_of_one_op(error: &Error) -> bool {
    match error {
        Error::Encode(_) => true,
        Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
        }
        _ => false,
    }
}

/// Whether the connection is of no more use: gone, its outcome not known, or to a server that is
/// stopping or takes no writes.
fn is_of_the_link(error: &Error) -> bool {
    match error {
        Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("57P") || code == "25006")
        }
        _ => true,
    }
}

/// Ops that are taken from the queue at once.
const TAKE_MAX: usize = 256;

/// How long a round is tried again before it fails: with the last attempt's own time still less
/// than its callers wait.
const PATIENCE: Duration = Duration::from_millis(1_500);
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// How long a release that could not be written waits for the next attempt.
const LATE_PAUSE: Duration = Duration::from_millis(500);
