//! A ledger in one SQLite file: how it is opened, and what reads it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Error};

use super::Entry;
use super::queue::{Queue, queue};
use super::rows::{self, Values};
use super::writer::Writer;
use crate::fault::{Fault, Retry, Side};
use crate::x402::PaymentIdentity;

/// An open file.
#[derive(Clone, Debug)]
pub(super) struct Sqlite {
    /// Nothing when it was opened to read.
    queue: Option<Queue>,
    readers: SqlitePool,
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
        let options = options(path).create_if_missing(true);
        let mut connection = options.connect().await.map_err(cannot_open)?;
        let migrated = MIGRATIONS.run(&mut connection).await;
        migrated.map_err(|error| cannot_open(error.into()))?;
        let serial = last_serial(&mut connection).await.map_err(cannot_open)?;
        let (queue, ops) = queue();
        tokio::spawn(Writer::new(connection, serial, lock).run(ops));
        Ok(Self { queue: Some(queue), readers: readers(path) })
    }

    /// Opens the file beside the gateway that writes it, if one does.
    pub(super) async fn open_to_read(path: &Path) -> Result<Self, Fault> {
        let readers = readers(path);
        // A pool opens nothing before it must; a wrong path is known here.
        readers.acquire().await.map_err(cannot_open)?;
        Ok(Self { queue: None, readers })
    }

    /// The way to the writer.
    pub(super) fn queue(&self) -> Result<&Queue, Fault> {
        let read_only = || Fault::new(Side::Ledger, Retry::Never, "it was opened to read only");
        self.queue.as_ref().ok_or_else(read_only)
    }

    pub(super) async fn get(&self, identity: &PaymentIdentity) -> Result<Option<Entry>, Fault> {
        let mut values = Values::default();
        values.identity(identity).map_err(|error| cannot_read(Error::Encode(error)))?;
        let query = sqlx::query_with(rows::GET, values.bound());
        let row = query.fetch_optional(&self.readers).await.map_err(cannot_read)?;
        let entry = row.as_ref().map(rows::entry).transpose();
        entry.map_err(|error| cannot_read(Error::Decode(error)))
    }

    pub(super) async fn list(&self, limit: u32) -> Result<Vec<Entry>, Fault> {
        self.read(rows::LIST, limit).await
    }

    pub(super) async fn unfinished(&self, limit: u32) -> Result<Vec<Entry>, Fault> {
        self.read(rows::UNFINISHED, limit).await
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        if let Some(queue) = &self.queue {
            queue.close().await;
        }
    }

    async fn read(&self, sql: &'static str, limit: u32) -> Result<Vec<Entry>, Fault> {
        let query = sqlx::query(sql).bind(i64::from(limit));
        let found = query.fetch_all(&self.readers).await.map_err(cannot_read)?;
        let entries = found.iter().map(rows::entry).collect::<Result<_, _>>();
        entries.map_err(|error| cannot_read(Error::Decode(error)))
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

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        // Readers and the writer do not wait for each other, and a commit is one append.
        .journal_mode(SqliteJournalMode::Wal)
        // Each commit is on the disk before it is answered. NORMAL would lose the last ones to a
        // power cut, and a lost `settling` is a payment that recovery does not know of.
        .synchronous(SqliteSynchronous::Full)
        // There is one writer; this is for a backup that holds the file for a moment.
        .busy_timeout(BUSY_WAIT_MAX)
        // One table, no references between tables: nothing to enforce.
        .foreign_keys(false)
        // Pages that one transaction after another changes are copied back once for all of them,
        // and the log is used again from its start instead of growing for ever.
        .pragma("wal_autocheckpoint", WAL_PAGES)
        // Else every statement of many rows opens a file to be able to undo half of itself.
        .pragma("temp_store", "MEMORY")
        // The upper pages of the index stay in memory: 16 MiB.
        .pragma("cache_size", "-16384")
}

fn readers(path: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS_MAX)
        .acquire_timeout(BUSY_WAIT_MAX)
        .connect_lazy_with(options(path).read_only(true))
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

fn cannot_read(error: Error) -> Fault {
    Fault::new(Side::Ledger, Retry::Later, "the ledger cannot be read").caused_by(error)
}

static MIGRATIONS: Migrator = sqlx::migrate!("src/ledger/migrations/sqlite");

/// How long a statement waits for another process's.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(2);

/// Connections that read.
const READERS_MAX: u32 = 2;

/// Pages of 4 KiB in the log before they are copied back: 16 MiB.
const WAL_PAGES: &str = "4096";
