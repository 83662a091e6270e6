//! A ledger in one SQLite file: how it is opened, and what reads it.

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Error, Executor as _};

use super::forget::Place;
use super::lines::{self, of_key, select};
use super::queue::{Queue, queue};
use super::reading::Readers;
use super::writer::Writer;
use super::{Claimant, Entry, Holder, Mark, Unfinished, rows};
use crate::fault::{Fault, Retry, Side};

/// An open file.
#[derive(Clone, Debug)]
pub(super) struct Sqlite {
    /// Nothing when it was opened to read.
    queue: Option<Queue>,
    pub(super) readers: Readers<sqlx::Sqlite>,
    path: Arc<Path>,
    /// The last claim of whoever had the file before: claims up to it have nobody.
    inherited: Mark,
}

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
enum LockError {
    #[error("another gateway has it: `{}` is locked", .0.display())]
    Taken(PathBuf),
    #[error("`{}`", .0.display())]
    Io(PathBuf, #[source] std::io::Error),
}

impl Sqlite {
    /// Opens the file for the one gateway that writes it, creates or migrates it first, and starts
    /// the writer on the current runtime.
    pub(super) async fn open(path: &Path) -> Result<Self, Fault> {
        let lock = lock(path)?;
        private(path).map_err(|error| cannot_open(Error::Io(error)))?;
        let options = options(path).auto_vacuum(SqliteAutoVacuum::Incremental);
        let mut connection = options.connect().await.map_err(cannot_open)?;
        make_shrinkable(&mut connection).await.map_err(cannot_open)?;
        let migrated = MIGRATIONS.run(&mut connection).await;
        migrated.map_err(|error| cannot_open(error.into()))?;
        let serial = last_serial(&mut connection).await.map_err(cannot_open)?;
        let writing =
            writing(path).map_err(|error| cannot_open(Error::Configuration(error.into())))?;
        connection.close().await.map_err(cannot_open)?;
        let (queue, ops) = queue();
        tokio::spawn(Writer::new(writing, serial, lock).run(ops));
        let (queue, inherited) = (Some(queue), Mark(serial));
        Ok(Self { queue, readers: readers(path), path: path.into(), inherited })
    }

    /// Opens the file beside the gateway that writes it, if one does.
    pub(super) async fn open_to_read(path: &Path) -> Result<Self, Fault> {
        let readers = readers(path);
        readers.try_one().await.map_err(cannot_open)?;
        Ok(Self { queue: None, readers, path: path.into(), inherited: Mark(NO_SERIAL) })
    }

    /// The way to the writer.
    pub(super) fn queue(&self) -> Result<&Queue, Fault> {
        let read_only = || Fault::new(Side::Ledger, Retry::Never, "it was opened to read only");
        self.queue.as_ref().ok_or_else(read_only)
    }

    /// Where old payments are deleted.
    pub(super) fn place(&self) -> Place {
        Place::Sqlite(Box::new(options(&self.path)))
    }

    /// What is in flight behind a mark, oldest claim first.
    pub(super) async fn unfinished(
        &self,
        after: Mark,
        limit: u32,
    ) -> Result<Vec<Unfinished>, Fault> {
        let read = |row: &SqliteRow| {
            let (mark, entry) = (lines::mark(row)?, lines::entry(row)?);
            let holder = if mark <= self.inherited { Holder::Gone } else { Holder::Lives };
            Ok(Unfinished { mark, entry, holder })
        };
        self.readers.lines(UNFINISHED, after, limit, read).await
    }

    pub(super) async fn claimant(&self, entry: &Entry) -> Result<Claimant, Fault> {
        let found = self.readers.claim_of(CLAIM_OF, entry, None).await?;
        let inherited = found.filter(|(serial, _)| Mark(*serial) <= self.inherited);
        Ok(inherited.map_or(Claimant::Here, |(_, sender)| Claimant::Gone { sender }))
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        if let Some(queue) = &self.queue {
            queue.close().await;
        }
    }
}

/// Takes the file for this process. A lock beside it rather than in it, so that others may read.
///
/// The system lets go of it when the process ends, however it ends; the file itself stays.
fn lock(path: &Path) -> Result<File, Fault> {
    let mut name = path.to_path_buf().into_os_string();
    name.push(".lock");
    let name = PathBuf::from(name);
    let taken = match File::create(&name) {
        Ok(file) => match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => LockError::Taken(name),
            Err(TryLockError::Error(error)) => LockError::Io(name, error),
        },
        Err(error) => LockError::Io(name, error),
    };
    Err(Fault::new(Side::Ledger, Retry::Later, "the ledger cannot be locked").caused_by(taken))
}

/// Sees that a new file is nobody else's to read: it tells who bought what. One that is there keeps
/// the mode that it has, and SQLite gives that of the file to the files beside it.
pub(super) fn private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        // Readers and the writer do not wait for each other, and a commit is one append.
        .journal_mode(SqliteJournalMode::Wal)
        // As the writer: what is forgotten is written too.
        .synchronous(SqliteSynchronous::Full)
        // There is one writer; this is for a backup that holds the file for a moment.
        .busy_timeout(BUSY_WAIT_MAX)
        // One table, no references between tables: nothing to enforce.
        .foreign_keys(false)
        .pragma("wal_autocheckpoint", WAL_PAGES.to_string())
}

/// The writer's connection to a file that is ready for it.
fn writing(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_WAIT_MAX)?;
    // Each commit is on the disk before it is answered. NORMAL would lose the last ones to a power
    // cut, and a lost `settling` is a payment that recovery does not know of.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    // Pages that one transaction after another changes are copied back once for all of them, and
    // the log is used again from its start instead of growing for ever.
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    Ok(connection)
}

fn readers(path: &Path) -> Readers<sqlx::Sqlite> {
    let pool = SqlitePoolOptions::new()
        .max_connections(READERS_MAX)
        .acquire_timeout(BUSY_WAIT_MAX)
        .connect_lazy_with(options(path).read_only(true).pragma("cache_size", READ_CACHE_KIB));
    Readers::new(pool)
}

/// Lets the file give pages back to the system. A file of an older version is written anew once,
/// which takes its own length on the disk for a moment.
async fn make_shrinkable(connection: &mut SqliteConnection) -> Result<(), Error> {
    let mode: i64 = sqlx::query_scalar("PRAGMA auto_vacuum").fetch_one(&mut *connection).await?;
    if mode != INCREMENTAL {
        tracing::info!("the ledger's file is written anew, so that it can shrink later");
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL; VACUUM").await?;
    }
    Ok(())
}

/// The last claim's number, read as a writer: a process that was cut off has ended its last commit.
async fn last_serial(connection: &mut SqliteConnection) -> Result<i64, Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let serial = sqlx::query_scalar(rows::SERIAL).fetch_one(&mut *transaction).await?;
    transaction.rollback().await?;
    Ok(serial)
}

fn cannot_open(error: Error) -> Fault {
    Fault::new(Side::Ledger, Retry::Never, "the ledger's file cannot be opened").caused_by(error)
}

static MIGRATIONS: Migrator = sqlx::migrate!("src/ledger/migrations/sqlite");

/// Reads what is in flight, oldest first, each with its number. Its condition is the index's.
pub(super) const UNFINISHED: &str = select!(
    bytes,
    ", serial FROM payments WHERE (state = 'held' OR state = 'settling' OR state = 'unknown')
    AND serial > $1 ORDER BY serial LIMIT $2"
);

/// Reads the number and the sender of a claim.
pub(super) const CLAIM_OF: &str = concat!(
    "SELECT serial, CASE WHEN sender IS NOT NULL THEN hex(sender) END",
    of_key!(bytes),
    " AND exchange = unhex($5)"
);

/// What SQLite calls a file that gives pages back when it is asked to.
const INCREMENTAL: i64 = 2;

/// No claim has this number.
const NO_SERIAL: i64 = 0;

/// How long a statement waits for another process's.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(2);

/// Connections that read.
const READERS_MAX: u32 = 2;

/// Pages of 4 KiB in the log before they are copied back: 16 MiB.
const WAL_PAGES: i64 = 4_096;

/// The writer's cache, in KiB, which SQLite tells from pages by the sign: the upper pages of an
/// index of a million payments, and what a group of changes touches. The system caches the rest.
const CACHE_KIB: i64 = -1_024;

/// The cache of each connection that reads.
const READ_CACHE_KIB: &str = "-512";
