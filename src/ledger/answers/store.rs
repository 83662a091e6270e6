//! The database that answers lie in, and the way in which a statement reaches either engine.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::encode::Encode;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Arguments, AssertSqlSafe, Database, Error, Row as _, Type};
use tokio::time::timeout;

use super::LedgerUrl;
use crate::clock::UnixMillis;
use crate::fault::{Fault, Retry, Side};
use crate::ledger::lines::key;
use crate::ledger::postgres::NAME;
use crate::ledger::sqlite::private;
use crate::ledger::{ExchangeId, Ledger};
use crate::x402::PaymentIdentity;

/// An open store. A clone is another handle to the same one.
#[derive(Clone, Debug)]
pub(super) struct Store {
    engine: Engine,
    /// The gateway, as the ledger names it.
    instance: Box<str>,
}

/// Beside a ledger's file a file, so that neither waits for the other; in its database, tables.
#[derive(Clone, Debug)]
enum Engine {
    /// One connection: the file has one writer anyway.
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Something that is bound to a statement.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Text(String),
    Number(i64),
    Bytes(Cow<'a, [u8]>),
}

/// What a statement finds.
#[derive(Debug)]
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Store {
    /// Opens the store that belongs to an open ledger of this URL.
    pub(super) async fn open(url: &LedgerUrl, ledger: &Ledger) -> Result<Self, Fault> {
        let engine = match url {
            LedgerUrl::Sqlite(path) => Engine::sqlite(file(&beside(path))?).await?,
            LedgerUrl::Memory => {
                Engine::sqlite(SqliteConnectOptions::new().in_memory(true)).await?
            }
            // Its tables are the ledger's business, which is open.
            LedgerUrl::Postgres(url) => {
                let options = url.options().map_err(cannot_open)?.application_name(NAME);
                let options = options.options([("statement_timeout", STATEMENT_MILLIS_MAX)]);
                let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX);
                Engine::Postgres(pool.acquire_timeout(WAIT_MAX).connect_lazy_with(options))
            }
        };
        let instance = match ledger.instance() {
            Some(instance) => instance.into(),
            None => ExchangeId::random()?.to_string().into(),
        };
        Ok(Self { engine, instance })
    }

    /// Whether other gateways have it too.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// Runs a statement; says how many rows it has changed.
    pub(super) async fn run(&self, sql: &str, values: Vec<Value<'_>>) -> Result<u64, Error> {
        let sql = self.said(sql);
        in_time(async {
            match &self.engine {
                Engine::Sqlite(pool) => {
                    let query = sqlx::query_with(sql, bound::<sqlx::Sqlite>(values)?);
                    Ok(query.execute(pool).await?.rows_affected())
                }
                Engine::Postgres(pool) => {
                    let query = sqlx::query_with(sql, bound::<sqlx::Postgres>(values)?);
                    Ok(query.execute(pool).await?.rows_affected())
                }
            }
        })
        .await
    }

    /// Runs a statement that finds something.
    pub(super) async fn rows(&self, sql: &str, values: Vec<Value<'_>>) -> Result<Vec<Row>, Error> {
        let sql = self.said(sql);
        in_time(async {
            match &self.engine {
                Engine::Sqlite(pool) => {
                    let query = sqlx::query_with(sql, bound::<sqlx::Sqlite>(values)?);
                    Ok(query.fetch_all(pool).await?.into_iter().map(Row::Sqlite).collect())
                }
                Engine::Postgres(pool) => {
                    let query = sqlx::query_with(sql, bound::<sqlx::Postgres>(values)?);
                    Ok(query.fetch_all(pool).await?.into_iter().map(Row::Postgres).collect())
                }
            }
        })
        .await
    }

    /// The first row of what a statement finds.
    pub(super) async fn row(
        &self,
        sql: &str,
        values: Vec<Value<'_>>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// The values that every statement begins with: the time, and who asks.
    pub(super) fn begun<'a>(&self, now: UnixMillis) -> Vec<Value<'a>> {
        vec![now.millis().into(), Value::Text((*self.instance).to_owned())]
    }

    /// The same, and a payment that was claimed by this exchange.
    pub(super) fn about<'a>(
        &self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        now: UnixMillis,
    ) -> Vec<Value<'a>> {
        let mut values = self.begun(now);
        values.extend(key(identity).map(Value::Text));
        values.push(Value::Text(exchange.to_string()));
        values
    }

    /// Waits for what is under way, and closes.
    pub(super) async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(pool) => pool.close().await,
            Engine::Postgres(pool) => pool.close().await,
        }
    }

    /// A statement in the words of this engine. The time of a file is its one gateway's, and
    /// whoever else was at something there has ended; a server has its own clock, and leases.
    fn said(&self, sql: &str) -> AssertSqlSafe<String> {
        let [now, gone, skip] = match self.engine {
            Engine::Sqlite(_) => ["$1", "debts.instance <> $2", ""],
            Engine::Postgres(_) => [
                "(extract(epoch FROM now()) * 1000)::bigint",
                "NOT EXISTS (SELECT 1 FROM instances
                    WHERE instances.id = debts.instance AND lease_until > now())",
                "FOR UPDATE SKIP LOCKED",
            ],
        };
        // The statements are this module's own; what they are about is bound.
        AssertSqlSafe(sql.replace("{now}", now).replace("{gone}", gone).replace("{skip}", skip))
    }
}

impl Engine {
    async fn sqlite(options: SqliteConnectOptions) -> Result<Self, Fault> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(WAIT_MAX)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options);
        let migrated = MIGRATIONS.run(&pool).await;
        migrated.map_err(|error| cannot_open(error.into()))?;
        Ok(Self::Sqlite(pool))
    }
}

impl Row {
    pub(super) fn text(&self, column: usize) -> Result<&str, Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    pub(super) fn number(&self, column: usize) -> Result<i64, Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    pub(super) fn bytes(&self, column: usize) -> Result<&[u8], Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Duration> for Value<'_> {
    /// As milliseconds.
    fn from(time: Duration) -> Self {
        Self::Number(i64::try_from(time.as_millis()).unwrap_or(i64::MAX >> 1))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

fn bound<D>(values: Vec<Value<'_>>) -> Result<D::Arguments, Error>
where
    D: Database,
    String: Type<D> + for<'t> Encode<'t, D>,
    i64: Type<D> + for<'t> Encode<'t, D>,
    for<'b> &'b [u8]: Type<D> + Encode<'b, D>,
{
    let mut arguments = D::Arguments::default();
    for value in values {
        let added = match value {
            Value::Text(text) => arguments.add(text),
            Value::Number(number) => arguments.add(number),
            Value::Bytes(bytes) => arguments.add(&*bytes),
        };
        added.map_err(Error::Encode)?;
    }
    Ok(arguments)
}

/// Waits for the store, but not for ever.
async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Error::Io(std::io::ErrorKind::TimedOut.into());
    timeout(WAIT_MAX, work).await.map_err(late)?
}

/// The file of answers beside the file of a ledger.
fn beside(ledger: &Path) -> PathBuf {
    let mut name = ledger.to_path_buf().into_os_string();
    name.push(".answers");
    name.into()
}

fn file(path: &Path) -> Result<SqliteConnectOptions, Fault> {
    private(path).map_err(|error| cannot_open(Error::Io(error)))?;
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
    let told = "the place of kept answers cannot be opened";
    Fault::new(Side::Ledger, Retry::Never, told).caused_by(error)
}

static MIGRATIONS: Migrator = sqlx::migrate!("src/ledger/migrations/answers-sqlite");

/// How long a statement waits for another process's, a backup for example.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(2);

/// What the log is cut to once it was copied back: 16 MiB.
const JOURNAL_BYTES_MAX: &str = "16777216";

/// Connections to PostgreSQL, opened when they are needed.
const CONNECTIONS_MAX: u32 = 4;

/// How long the server works on one statement: less than anyone waits for it.
const STATEMENT_MILLIS_MAX: &str = "4000";

/// How long somebody waits for the store.
const WAIT_MAX: Duration = Duration::from_secs(5);
