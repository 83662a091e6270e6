//! Where answers lie: a SQLite file beside the ledger's, so that neither waits for the other.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::query::Query;
use sqlx::sqlite::{
    Sqlite, SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Error, Row as _};

use super::record::{Answer, Line, Outcome, Record};
use super::rows;
use super::{Digest, LedgerUrl};
use crate::clock::UnixMillis;
use crate::fault::{Fault, Retry, Side};
use crate::ledger::ExchangeId;
use crate::x402::PaymentIdentity;

/// An open store.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) connection: SqliteConnection,
}

impl Store {
    /// Opens the store beside the ledger of this URL.
    pub(super) async fn open(url: &LedgerUrl) -> Result<Self, Fault> {
        let options = match url {
            LedgerUrl::Sqlite(path) => file(&beside(path))?,
            LedgerUrl::Postgres(_) | LedgerUrl::Memory => {
                SqliteConnectOptions::new().in_memory(true)
            }
        };
        let mut connection = options.connect().await.map_err(cannot_open)?;
        let migrated = MIGRATIONS.run(&mut connection).await;
        migrated.map_err(|error| cannot_open(error.into()))?;
        Ok(Self { connection })
    }

    /// Writes answers, all or none.
    pub(super) async fn keep(&mut self, records: &[Arc<Record>]) -> Result<(), Error> {
        let mut transaction = self.connection.begin().await?;
        let mut rest = records;
        while !rest.is_empty() {
            // Few sizes, so that all statements stay prepared.
            let rows = 1 << rest.len().min(ROWS_MAX).ilog2();
            let (some, others) = rest.split_at(rows.min(rest.len()));
            let sql = rows::keep(some.len());
            let query = some.iter().fold(sqlx::query(AssertSqlSafe(sql)), bind);
            query.execute(&mut *transaction).await?;
            rest = others;
        }
        transaction.commit().await
    }

    pub(super) async fn find(
        &mut self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        now: UnixMillis,
    ) -> Result<Option<Line>, Error> {
        let query = named(sqlx::query(rows::FIND), identity).bind(exchange.to_string());
        let found = query.bind(now.millis()).fetch_optional(&mut self.connection).await?;
        let Some(row) = found else { return Ok(None) };
        let unreadable = || Error::Decode("a line of kept answers cannot be read".into());
        let digest = |column| Digest::from_bytes(row.try_get(column).ok()?);
        Ok(Some(Line {
            identity: identity.clone(),
            exchange,
            payment: digest(1).ok_or_else(unreadable)?,
            request: digest(2).ok_or_else(unreadable)?,
            missing: rows::missing(row.try_get(0)?).ok_or_else(unreadable)?,
            bytes: usize::try_from(row.try_get::<i64, _>(3)?).map_err(|_| unreadable())?,
            at_hand: None,
        }))
    }

    pub(super) async fn load(
        &mut self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
    ) -> Result<Option<Answer>, Error> {
        let query = named(sqlx::query(rows::LOAD), identity).bind(exchange.to_string());
        let Some(row) = query.fetch_optional(&mut self.connection).await? else { return Ok(None) };
        let answer = rows::answer(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let unreadable = || Error::Decode("a kept answer cannot be read".into());
        answer.ok_or_else(unreadable).map(Some)
    }

    /// Bytes of all answers.
    pub(super) async fn bytes(&mut self) -> Result<u64, Error> {
        let bytes: i64 = sqlx::query_scalar(rows::BYTES).fetch_one(&mut self.connection).await?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }

    /// Forgets the oldest until so many bytes went, or a page of them; says how many bytes.
    pub(super) async fn forget(&mut self, bytes: u64) -> Result<u64, Error> {
        let oldest = sqlx::query_as::<_, (i64, i64)>(rows::OLDEST);
        let (mut gone, mut last) = (0_u64, None);
        for (serial, size) in oldest.fetch_all(&mut self.connection).await? {
            if gone >= bytes {
                break;
            }
            gone = gone.saturating_add(u64::try_from(size).unwrap_or(0));
            last = Some(serial);
        }
        if let Some(last) = last {
            sqlx::query(rows::FORGET).bind(last).execute(&mut self.connection).await?;
        }
        Ok(gone)
    }

    /// Forgets what is too old.
    pub(super) async fn expire(&mut self, now: UnixMillis) -> Result<(), Error> {
        for sql in rows::EXPIRE {
            sqlx::query(sql).bind(now.millis()).execute(&mut self.connection).await?;
        }
        Ok(())
    }

    pub(super) async fn close(self) -> Result<(), Error> {
        self.connection.close().await
    }
}

type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

fn bind<'q>(query: Bound<'q>, record: &'q Arc<Record>) -> Bound<'q> {
    let (status, headers, body) = match &record.outcome {
        Outcome::Whole(answer) => (answer.status, rows::written(&answer.headers), &*answer.body),
        Outcome::Missing(_) => (0, Vec::new(), &[][..]),
    };
    named(query, &record.identity)
        .bind(record.exchange.to_string())
        .bind(record.outcome.name())
        .bind(record.payment.bytes())
        .bind(record.request.bytes())
        .bind(i64::try_from(record.bytes()).unwrap_or(i64::MAX))
        .bind(record.expires_at.millis())
        .bind(i64::from(status))
        .bind(headers)
        .bind(body)
}

/// Binds what makes a payment itself: payer, nonce, asset, network.
pub(super) fn named<'q>(query: Bound<'q>, identity: &'q PaymentIdentity) -> Bound<'q> {
    query
        .bind(format!("{:#x}", identity.payer))
        .bind(format!("{:#x}", identity.nonce))
        .bind(format!("{:#x}", identity.contract))
        .bind(identity.network.as_str())
}

/// The file of answers beside the file of a ledger.
fn beside(ledger: &Path) -> PathBuf {
    let mut name = ledger.to_path_buf().into_os_string();
    name.push(".answers");
    name.into()
}

fn file(path: &Path) -> Result<SqliteConnectOptions, Fault> {
    // What was paid for is nobody else's to read. SQLite gives its side files the same mode.
    let private = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    private.map_err(|error| cannot_open(Error::Io(error)))?;
    Ok(SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // A power cut may lose what was written in the last moment, a killed process nothing.
        // Waiting for the disk here would make the ledger wait for it too.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_WAIT_MAX)
        .foreign_keys(false)
        .pragma("temp_store", "MEMORY")
        // Room that old answers leave is used again; the file does not grow beyond the bound.
        .pragma("journal_size_limit", JOURNAL_BYTES_MAX))
}

pub(super) fn cannot_open(error: Error) -> Fault {
    let told = "the file of kept answers cannot be opened";
    Fault::new(Side::Ledger, Retry::Never, told).caused_by(error)
}

static MIGRATIONS: Migrator = sqlx::migrate!("src/ledger/migrations/answers-sqlite");

/// How long a statement waits for another process's, a backup for example.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(2);

/// What the log is cut to once it was copied back: 16 MiB.
const JOURNAL_BYTES_MAX: &str = "16777216";

/// Answers in one statement.
const ROWS_MAX: usize = 32;
