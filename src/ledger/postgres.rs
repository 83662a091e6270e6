//! A ledger in PostgreSQL, for several gateways at once: how it is opened, and what reads it.

mod link;
mod rows;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions as _, Connection as _, Error};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use self::link::Link;
use self::writer::{Health, Writer};
use super::forget::Place;
use super::lines;
use super::queue::{Queue, queue};
use super::reading::Readers;
use super::url::PostgresUrl;
use super::{Claimant, Entry, ExchangeId, Holder, Mark, Unfinished};
use crate::clock::steady;
use crate::fault::{Fault, Retry, Side};

/// An open database.
#[derive(Clone, Debug)]
pub(super) struct Postgres {
    /// Nothing when it was opened to read.
    queue: Option<Queue>,
    pub(super) readers: Readers<sqlx::Postgres>,
    options: Arc<PgConnectOptions>,
    /// This gateway, as others see it.
    instance: Arc<str>,
    health: watch::Receiver<Health>,
}

impl Postgres {
    /// Opens the database for one of the gateways that write it, creates or migrates its tables
    /// first, and starts this gateway's writer on the current runtime.
    pub(super) async fn open(url: &PostgresUrl) -> Result<Self, Fault> {
        let options = url.options().map_err(cannot_open)?;
        let instance: Arc<str> = ExchangeId::random()?.to_string().into();
        let link = patiently(async || {
            migrate(&options).await?;
            Link::open(&options, &instance).await
        });
        let link = link.await.map_err(cannot_open)?;
        let (queue, ops) = queue();
        let (health, healthy) = watch::channel(Health::Up);
        let writer = Writer::new(options.clone(), instance.to_string(), link, health);
        tokio::spawn(writer.run(ops));
        let readers = readers(options.clone());
        let options = Arc::new(options);
        Ok(Self { queue: Some(queue), readers, options, instance, health: healthy })
    }

    /// Opens the database beside the gateways that write it, if any do.
    pub(super) async fn open_to_read(url: &PostgresUrl) -> Result<Self, Fault> {
        let options = url.options().map_err(cannot_open)?;
        let readers = readers(options.clone());
        readers.try_one().await.map_err(cannot_open)?;
        let (_, health) = watch::channel(Health::Up);
        let (options, instance) = (Arc::new(options), "".into());
        Ok(Self { queue: None, readers, options, instance, health })
    }

    /// The way to the writer.
    pub(super) fn queue(&self) -> Result<&Queue, Fault> {
        let read_only = || Fault::new(Side::Ledger, Retry::Never, "it was opened to read only");
        self.queue.as_ref().ok_or_else(read_only)
    }

    /// Where old payments are deleted.
    pub(super) fn place(&self) -> Place {
        let options = PgConnectOptions::clone(&self.options).application_name(NAME);
        Place::Postgres(Box::new(options.options([("statement_timeout", STATEMENT_MILLIS_MAX)])))
    }

    /// Whether the last attempt to write went through.
    pub(super) fn ready(&self) -> Result<(), Fault> {
        match &*self.health.borrow() {
            Health::Up => Ok(()),
            Health::Down(error) => {
                Err(Fault::new(Side::Ledger, Retry::Later, "PostgreSQL cannot be written")
                    .caused_by(Arc::clone(error)))
            }
        }
    }

    /// What is in flight behind a mark, in all gateways, oldest claim first.
    pub(super) async fn unfinished(
        &self,
        after: Mark,
        limit: u32,
    ) -> Result<Vec<Unfinished>, Fault> {
        let read = |row: &PgRow| {
            let (mark, entry, holder) = (lines::mark(row)?, lines::entry(row)?, rows::lives(row)?);
            Ok(Unfinished {
                mark,
                entry,
                holder: if holder { Holder::Lives } else { Holder::Gone },
            })
        };
        self.readers.lines(rows::UNFINISHED, after, limit, read).await
    }

    /// This gateway, as others see it.
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    pub(super) async fn claimant(&self, entry: &Entry) -> Result<Claimant, Fault> {
        let found = self.readers.claim_of(rows::CLAIM_OF, entry, Some(&self.instance)).await?;
        Ok(match found {
            Some((rows::ELSEWHERE, _)) => Claimant::Elsewhere,
            Some((rows::GONE, sender)) => Claimant::Gone { sender },
            _ => Claimant::Here,
        })
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        if let Some(queue) = &self.queue {
            queue.close().await;
        }
    }
}

/// Creates the tables or brings them up to date. Gateways that start together take turns.
async fn migrate(options: &PgConnectOptions) -> Result<(), Error> {
    let options = options.clone().application_name(NAME);
    let mut connection = in_time(options.connect()).await?;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await
}

/// Tries until it succeeds, fails for good, or has failed for [`OPEN_WAIT_MAX`]: a database that
/// starts together with its gateways may need a moment longer.
async fn patiently<T>(attempt: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
    let begun = steady();
    loop {
        match attempt().await {
            Err(error) if may_pass(&error) && begun.elapsed() < OPEN_WAIT_MAX => {
                tracing::warn!(%error, "PostgreSQL cannot be reached yet");
                sleep(OPEN_PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Whether the same attempt may succeed a moment later.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Io(_) => true,
        // Starting, stopping, or all its connections taken.
        Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("57P") || code == "53300")
        }
        _ => false,
    }
}

/// Waits for a connection or an answer, but not for ever.
async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Error::Io(std::io::ErrorKind::TimedOut.into());
    timeout(ANSWER_WAIT_MAX, work).await.map_err(late)?
}

fn readers(options: PgConnectOptions) -> Readers<sqlx::Postgres> {
    let options = options.application_name(NAME).options([
        ("default_transaction_read_only", "on"),
        ("statement_timeout", STATEMENT_MILLIS_MAX),
    ]);
    let pool = PgPoolOptions::new()
        .max_connections(READERS_MAX)
        .acquire_timeout(ANSWER_WAIT_MAX)
        .connect_lazy_with(options);
    Readers::new(pool)
}

fn cannot_open(error: Error) -> Fault {
    let retry = if may_pass(&error) { Retry::Later } else { Retry::Never };
    Fault::new(Side::Ledger, retry, "the ledger's database cannot be opened").caused_by(error)
}

static MIGRATIONS: Migrator = sqlx::migrate!("src/ledger/migrations/postgres");

/// What `pg_stat_activity` calls a gateway; the writer's connection has the instance behind it.
pub(super) const NAME: &str = "tollgate";

/// How long a gateway that starts waits for the database.
const OPEN_WAIT_MAX: Duration = Duration::from_secs(10);
const OPEN_PAUSE: Duration = Duration::from_millis(250);

/// How long a connection, or an answer on it, may take. After that its outcome is not known.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(3);

/// How long the server works on one statement: less than anyone waits for it.
const STATEMENT_MILLIS_MAX: &str = "2500";

/// Connections that read.
const READERS_MAX: u32 = 2;
