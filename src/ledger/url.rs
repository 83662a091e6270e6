//! Where a ledger is kept, as `gateway.toml` says it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

/// Where a ledger is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LedgerUrl {
    /// `sqlite://PATH`: one file, for one gateway.
    Sqlite(PathBuf),
    /// `memory:`: this process. A restart forgets every payment, so for tests and trials only.
    Memory,
}

/// A text that is not the place of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerUrlError {
    /// Another scheme, or none.
    #[error("`{0}` is not a ledger; write `sqlite://PATH` or `memory:`")]
    Scheme(String),
    /// PostgreSQL.
    #[error("a ledger in PostgreSQL is not supported yet; write `sqlite://PATH`")]
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
            Some(("postgres" | "postgresql", _)) => Err(LedgerUrlError::Postgres),
            Some(("sqlite", "" | ":memory:")) => Err(LedgerUrlError::Path),
            Some(("sqlite", path)) if path.contains('?') => Err(LedgerUrlError::Options),
            Some(("sqlite", path)) => Ok(Self::Sqlite(path.into())),
            _ => Err(LedgerUrlError::Scheme(text.chars().take(80).collect())),
        }
    }
}

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
    fn memory_is_a_ledger_of_its_own() {
        check("memory:", Ok(LedgerUrl::Memory));
    }

    #[test]
    fn what_is_not_a_ledger_says_what_is() {
        check("postgres://db/tollgate", Err(LedgerUrlError::Postgres));
        check("postgresql://db/tollgate", Err(LedgerUrlError::Postgres));
        check("sqlite://", Err(LedgerUrlError::Path));
        check("sqlite://:memory:", Err(LedgerUrlError::Path));
        check("sqlite://a.db?mode=ro", Err(LedgerUrlError::Options));
        check("tollgate.db", Err(LedgerUrlError::Scheme("tollgate.db".to_owned())));
        check("sqlite:tollgate.db", Err(LedgerUrlError::Scheme("sqlite:tollgate.db".to_owned())));
    }
}
