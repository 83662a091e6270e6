//! The index by which whoever signs in is found. Each payment that settles is written into it, so
//! only the ledgers of gateways that let wallets in have it.

use sqlx::{ConnectOptions as _, Connection as _, Error};

use super::Ledger;
use super::forget::Place;
use crate::fault::{Fault, Retry, Side};

impl Ledger {
    /// Lets [`Ledger::has_paid`] find a payment as soon among a million as among ten. To be called
    /// at the start: the first time it takes some seconds for each million payments, in which none
    /// is written; after that, nothing.
    ///
    /// # Errors
    /// Ledger, later: it cannot be written now.
    ///
    /// # Cancel safety
    /// It is made or not.
    pub async fn index_settled(&self) -> Result<(), Fault> {
        let told = "the index of settled payments cannot be made";
        let made = self.place().index_settled().await;
        made.map_err(|error| Fault::new(Side::Ledger, Retry::Later, told).caused_by(error))
    }
}

impl Place {
    async fn index_settled(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(options) => {
                let mut connection = options.connect().await?;
                sqlx::query(INDEX).execute(&mut connection).await?;
                connection.close().await
            }
            Self::Postgres(options) => {
                let mut connection = options.connect().await?;
                let mut transaction = connection.begin().await?;
                // It may take longer than anything else here, and others may be starting too.
                for statement in ["SET LOCAL statement_timeout = 0", LOCK, INDEX] {
                    sqlx::query(statement).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
                connection.close().await
            }
            Self::Nowhere => Ok(()),
        }
    }
}

const INDEX: &str = "CREATE INDEX IF NOT EXISTS payments_settled
    ON payments (payer, route, changed_at) WHERE state = 'settled'";

/// One gateway at a time.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('payments_settled', 0))";
