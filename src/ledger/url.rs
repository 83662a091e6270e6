//! Where a ledger is kept, as `gateway.toml` says it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use sqlx::Error;
use sqlx::postgres::PgConnectOptions;

/// Where a ledger is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LedgerUrl {
    /// `sqlite://PATH`: one file, for one gateway.
    Sqlite(PathBuf),
    /// `postgres://…`: a database, for several gateways at once.
    Postgres(PostgresUrl),
    /// `memory:`: this process. A restart forgets every payment, so for tests and trials only.
    Memory,
}

/// The URL of a PostgreSQL database, as `libpq` reads it. There is no password in it: it comes from
/// the environment's `PGPASSWORD` or a `.pgpass` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresUrl(Box<str>);

/// A text that is not the place of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerUrlError {
    /// Another scheme, or none.
    #[error("`{0}` is not a ledger; write `sqlite://PATH`, `postgres://USER@HOST/DB` or `memory:`")]
    Scheme(String),
    /// A secret where everybody reads it.
    #[error("a password does not belong here; leave it out and set PGPASSWORD, or use `.pgpass`")]
    Password,
    /// Something behind the question mark that nothing reads.
    #[error("`{0}` is not an option of PostgreSQL's URL; the usual one is `sslmode=verify-full`")]
    Option(String),
    /// Not a URL of PostgreSQL.
    #[error("this is not PostgreSQL's URL; write `postgres://USER@HOST/DB`")]
    Postgres,
    /// `sqlite://` with nothing after it, or one of SQLite's names for no file.
    #[error("the ledger's file is missing; write `sqlite://PATH`, such as `sqlite://tollgate.db`")]
    Path,
    /// Options behind a question mark.
    #[error("a ledger's file takes no options; write `sqlite://PATH` without `?`")]
    Options,
}

impl FromStr for LedgerUrl {
    type Err = LedgerUrlError;

    fn from_str(text: &str) -> Result<Self, LedgerUrlError> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        match text.split_once("://") {
            Some(("postgres" | "postgresql", rest)) => {
                PostgresUrl::new(text, rest).map(Self::Postgres)
            }
            Some(("sqlite", "" | ":memory:")) => Err(LedgerUrlError::Path),
            Some(("sqlite", path)) if path.contains('?') => Err(LedgerUrlError::Options),
            Some(("sqlite", path)) => Ok(Self::Sqlite(path.into())),
            _ => Err(LedgerUrlError::Scheme(text.chars().take(80).collect())),
        }
    }
}

impl PostgresUrl {
    /// Reads a URL whose part behind `://` is `rest`.
    fn new(text: &str, rest: &str) -> Result<Self, LedgerUrlError> {
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = place.split('/').next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        if user.is_some_and(|user| user.contains(':')) {
            return Err(LedgerUrlError::Password);
        }
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let name = option.split('=').next().unwrap_or_default();
            if name == "password" {
                return Err(LedgerUrlError::Password);
            }
            if !OPTIONS.contains(&name) {
                return Err(LedgerUrlError::Option(name.chars().take(80).collect()));
            }
        }
        let url = Self(text.into());
        url.options().map(|_| url).map_err(|_| LedgerUrlError::Postgres)
    }

    /// How to connect. A password is looked for in the environment and in `.pgpass`.
    ///
    /// # Errors
    /// The URL cannot be read.
    pub(super) fn options(&self) -> Result<PgConnectOptions, Error> {
        self.0.parse()
    }
}

/// What may stand behind the question mark.
const OPTIONS: &[&str] =
    &["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "port", "user", "dbname"];

impl TryFrom<String> for LedgerUrl {
    type Error = LedgerUrlError;

    fn try_from(text: String) -> Result<Self, LedgerUrlError> {
        text.parse()
    }
}

impl fmt::Display for LedgerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(PostgresUrl(text)) => f.write_str(text),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<LedgerUrl, LedgerUrlError>) {
        let read = text.parse::<LedgerUrl>();
        assert_eq!(read, expected);
        if let Ok(url) = read {
            assert_eq!(url.to_string(), text);
        }
    }

    #[test]
    fn a_file_is_relative_or_absolute() {
        check("sqlite://tollgate.db", Ok(LedgerUrl::Sqlite("tollgate.db".into())));
        check("sqlite:///var/lib/t.db", Ok(LedgerUrl::Sqlite("/var/lib/t.db".into())));
    }

    #[test]
    fn a_database_has_a_url_without_a_password() {
        for text in [
            "postgres://db/tollgate",
            "postgresql://gate@db.example.com:5433/tollgate?sslmode=verify-full",
            "postgres:///tollgate?host=/run/postgresql&user=gate",
        ] {
            check(text, Ok(LedgerUrl::Postgres(PostgresUrl(text.into()))));
        }
        check("postgres://gate:secret@db/tollgate", Err(LedgerUrlError::Password));
        check("postgres://db/tollgate?user=a&password=b", Err(LedgerUrlError::Password));
    }

    #[test]
    fn memory_is_a_ledger_of_its_own() {
        check("memory:", Ok(LedgerUrl::Memory));
    }

    #[test]
    fn what_is_not_a_ledger_says_what_is() {
        check("postgres://db:port/tollgate", Err(LedgerUrlError::Postgres));
        check("postgres://db/t?sslmode=never", Err(LedgerUrlError::Postgres));
        check("postgres://db/t?sslmod=require", Err(LedgerUrlError::Option("sslmod".to_owned())));
        check("sqlite://", Err(LedgerUrlError::Path));
        check("sqlite://:memory:", Err(LedgerUrlError::Path));
        check("sqlite://a.db?mode=ro", Err(LedgerUrlError::Options));
        check("tollgate.db", Err(LedgerUrlError::Scheme("tollgate.db".to_owned())));
        check("sqlite:tollgate.db", Err(LedgerUrlError::Scheme("sqlite:tollgate.db".to_owned())));
    }
}
