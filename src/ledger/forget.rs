//! Payments that are long over are forgotten, and what they took of the file is given back.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Error};
use tokio::time::sleep;

use crate::clock::UnixMillis;
use crate::fault::{Fault, Retry, Side};

/// How long payments are kept after their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Until somebody else deletes them.
    Forever,
    /// Settled ones so long, and at least until a day after their authorization has ended; those
    /// that were let go or refused for a day.
    For(Duration),
}

impl Default for Keep {
    /// A year and a month: long enough for the books of a year to be closed.
    fn default() -> Self {
        Self::For(Duration::from_secs(400 * DAY))
    }
}

/// Whoever forgets, and how far it has come in its round.
#[derive(Debug)]
pub struct Forgetting {
    place: Place,
    keep: Keep,
    /// Payments up to this claim have been looked at in this round.
    after: i64,
    /// Up to this one, those that did not move have been deleted. It does not go back: who signs
    /// payments without money makes many of them.
    let_go: i64,
}

/// Where the payments lie.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
    /// In memory, which forgets by itself.
    Nowhere,
}

/// What one pass has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Payments deleted.
    pub payments: u64,
    /// Whether the round is over.
    pub round: Round,
}

/// Whether all payments that are old enough have been looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Round {
    /// They have.
    #[default]
    Over,
    /// The next pass goes on.
    HalfWay,
}

impl Forgetting {
    pub(super) fn new(place: Place, keep: Keep) -> Self {
        Self { place, keep, after: START, let_go: START }
    }

    /// Looks at the next payments, oldest claim first, at most ten thousand,
    /// and deletes those that have ended long ago.
    ///
    /// A settled payment whose authorization could still be sent is never forgotten: it would be
    /// taken for a new one. One that did not move may be claimed again anyway.
    ///
    /// # Errors
    /// Ledger, later: it cannot be written now. The next pass goes on.
    ///
    /// # Cancel safety
    /// Each chunk is deleted or not.
    pub async fn pass(&mut self, now: UnixMillis) -> Result<Forgotten, Fault> {
        let Keep::For(keep) = self.keep else { return Ok(Forgotten::default()) };
        let Some(mut store) = Store::open(&self.place).await.map_err(cannot_forget)? else {
            return Ok(Forgotten::default());
        };
        let millis = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let ended_before = now.millis().saturating_sub(millis);
        let seconds = i64::try_from(now.seconds()).unwrap_or(0);
        let valid_before = seconds.saturating_sub(MARGIN_SECONDS);
        let let_go_before = now.millis().saturating_sub(LET_GO_MILLIS).max(ended_before);
        let claimed_before = let_go_before.saturating_sub(CLAIM_MILLIS_MAX);
        let mut forgotten = Forgotten { payments: 0, round: Round::HalfWay };
        for _ in 0..PASS_CHUNKS_MAX {
            let window = store.window(self.let_go, claimed_before).await;
            let (walk, last) = if let Some(last) = window.map_err(cannot_forget)? {
                (&mut self.let_go, last)
            } else if let Some(last) =
                store.window(self.after, ended_before).await.map_err(cannot_forget)?
            {
                (&mut self.after, last)
            } else {
                store.finish().await.map_err(cannot_forget)?;
                self.after = START;
                forgotten.round = Round::Over;
                break;
            };
            let bounds = [*walk, last, ended_before, valid_before, let_go_before];
            let deleted = store.delete(bounds).await.map_err(cannot_forget)?;
            forgotten.payments = forgotten.payments.saturating_add(deleted);
            *walk = last;
            // Whoever waits to write comes in between.
            sleep(CHUNK_PAUSE).await;
        }
        store.close().await.map_err(cannot_forget)?;
        Ok(forgotten)
    }
}

/// A connection of its own, beside the writer's: a payment waits for a chunk at most.
enum Store {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Store {
    async fn open(place: &Place) -> Result<Option<Self>, Error> {
        Ok(match place {
            Place::Sqlite(options) => Some(Self::Sqlite(options.connect().await?)),
            Place::Postgres(options) => Some(Self::Postgres(options.connect().await?)),
            Place::Nowhere => None,
        })
    }

    /// The last claim of the next chunk that was made before a moment.
    async fn window(&mut self, after: i64, before: i64) -> Result<Option<i64>, Error> {
        match self {
            Self::Sqlite(connection) => {
                let query = sqlx::query_scalar(WINDOW).bind(after).bind(CHUNK_LEN).bind(before);
                query.fetch_one(connection).await
            }
            Self::Postgres(connection) => {
                let query = sqlx::query_scalar(WINDOW).bind(after).bind(CHUNK_LEN).bind(before);
                query.fetch_one(connection).await
            }
        }
    }

    async fn delete(&mut self, bounds: [i64; 5]) -> Result<u64, Error> {
        match self {
            Self::Sqlite(connection) => {
                let query = bounds.into_iter().fold(sqlx::query(DELETE), |query, n| query.bind(n));
                let deleted = query.execute(&mut *connection).await?.rows_affected();
                // Statements without rows are still to be read to their end.
                sqlx::query(GIVE_BACK).fetch_all(connection).await?;
                Ok(deleted)
            }
            Self::Postgres(connection) => {
                let query = bounds.into_iter().fold(sqlx::query(DELETE), |query, n| query.bind(n));
                Ok(query.execute(connection).await?.rows_affected())
            }
        }
    }

    /// At the end of a round: what else has no use any more.
    async fn finish(&mut self) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => {
                sqlx::query(GIVE_BACK).fetch_all(connection).await.map(drop)
            }
            Self::Postgres(connection) => {
                sqlx::query(FORGET_INSTANCES).execute(connection).await.map(drop)
            }
        }
    }

    async fn close(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
    }
}

fn cannot_forget(error: Error) -> Fault {
    Fault::new(Side::Ledger, Retry::Later, "old payments cannot be deleted").caused_by(error)
}

const WINDOW: &str = "SELECT max(serial) FROM
    (SELECT serial, claimed_at FROM payments WHERE serial > $1 ORDER BY serial LIMIT $2) AS chunk
    WHERE claimed_at < $3";

const DELETE: &str = "DELETE FROM payments WHERE serial > $1 AND serial <= $2
    AND (state = 'settled' AND changed_at < $3 AND valid_before < $4
        OR state IN ('refused', 'released') AND changed_at < $5)";

/// Gives the system at most 8 MiB of free pages back.
const GIVE_BACK: &str = "PRAGMA incremental_vacuum(2048)";

/// Gateways that are gone, and have left nothing that recovery must know of.
const FORGET_INSTANCES: &str = "DELETE FROM instances WHERE lease_until < now() - interval '1 day'";

const START: i64 = i64::MIN;
const DAY: u64 = 24 * 3600;

/// After an authorization's end: far more than any clock is wrong by, and than a chain may take
/// back.
const MARGIN_SECONDS: i64 = 24 * 3600;

/// How long a payment that did not move is kept: its window may be as long as the payer likes.
const LET_GO_MILLIS: i64 = 24 * 3600 * 1000;

/// From a claim to its end. What takes longer is found in the round over all.
const CLAIM_MILLIS_MAX: i64 = 3600 * 1000;

/// Payments looked at in one transaction: a few milliseconds.
const CHUNK_LEN: i64 = 500;

/// Transactions of one pass; tests fill fewer.
const PASS_CHUNKS_MAX: usize = if cfg!(test) { 4 } else { 20 };

const CHUNK_PAUSE: Duration = Duration::from_millis(20);
