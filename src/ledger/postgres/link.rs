//! The one connection on which a gateway writes, and the lease that keeps what it holds its own.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Error};
use tokio::time::sleep;

use super::super::round::{Outcome, Round};
use super::{NAME, STATEMENT_MILLIS_MAX, in_time, rows};

/// A connection whose instance has no other that still writes.
#[derive(Debug)]
pub(super) struct Link {
    connection: PgConnection,
}

impl Link {
    /// Connects, makes sure that nothing of an earlier connection is still under way, and renews
    /// the lease.
    ///
    /// # Errors
    /// Nothing was written but the lease.
    pub(super) async fn open(options: &PgConnectOptions, instance: &str) -> Result<Self, Error> {
        let name = format!("{NAME} {instance}");
        let options = options.clone().application_name(&name).options(SESSION);
        let mut connection = in_time(options.connect()).await?;
        in_time(take_turn(&mut connection, &name)).await?;
        let mut link = Self { connection };
        link.renew(instance).await?;
        Ok(link)
    }

    /// Writes a round: all of it is on the server's disk when this returns.
    ///
    /// # Errors
    /// From the server: nothing was written. Others: it is not known whether all of it was written
    /// or nothing. Writing the same round again finds out, and does nothing twice.
    pub(super) async fn write(&mut self, round: &Round, instance: &str) -> Result<Outcome, Error> {
        in_time(rows::write(&mut self.connection, round, instance)).await
    }

    /// Makes what this instance holds its own for [`LEASE`] from now on.
    pub(super) async fn renew(&mut self, instance: &str) -> Result<(), Error> {
        let lease = i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX);
        let query = sqlx::query(rows::RENEW).bind(instance).bind(lease);
        in_time(query.execute(&mut self.connection)).await.map(drop)
    }

    /// Ends the lease: what is left belongs to recovery, wherever it runs.
    pub(super) async fn leave(mut self, instance: &str) -> Result<(), Error> {
        let query = sqlx::query(rows::LEAVE).bind(instance);
        in_time(query.execute(&mut self.connection)).await?;
        in_time(self.connection.close()).await
    }
}

/// Waits until no other connection of this instance is left, and ends one that is.
///
/// A connection that we have given up may still be known to the server, which then writes what
/// nobody expects any more: a claim that comes after its own release would be held for ever.
async fn take_turn(connection: &mut PgConnection, name: &str) -> Result<(), Error> {
    loop {
        let alone = sqlx::query_scalar(rows::LOCK).bind(name).fetch_one(&mut *connection).await?;
        if alone {
            return Ok(());
        }
        sqlx::query(rows::END_OTHERS).bind(name).execute(&mut *connection).await?;
        sleep(TURN_PAUSE).await;
    }
}

/// What is said of every statement of the writer.
const SESSION: [(&str, &str); 7] = [
    // A lost `settling` is a payment that recovery does not know of.
    ("synchronous_commit", "on"),
    ("default_transaction_isolation", "read committed"),
    ("statement_timeout", STATEMENT_MILLIS_MAX),
    // Each line is found by its key, also before the server has learned how long the table is.
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// How long what a gateway holds is its own after it was last heard of.
pub(super) const LEASE: Duration = Duration::from_secs(10);

/// How often a gateway is heard of.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(2);

const TURN_PAUSE: Duration = Duration::from_millis(50);
