//! What reads a ledger's lines, in either engine: same statements, other rows.

use sqlx::encode::Encode;
use sqlx::{Database, Error, Executor, IntoArguments, Pool, Type};

use super::lines::{self, BoxError, Line, key};
use super::{Entry, Mark, Past, Wanted};
use crate::digest::Digest;
use crate::fault::{Fault, Retry, Side};
use crate::x402::{Network, PaymentIdentity};

/// Connections that read.
#[derive(Debug)]
pub(super) struct Readers<D: Database>(Pool<D>);

impl<D: Database> Clone for Readers<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D> Readers<D>
where
    D: Database,
    D::Row: Line,
    D::Arguments: IntoArguments<D>,
    String: Type<D> + for<'v> Encode<'v, D>,
    i64: Type<D> + for<'v> Encode<'v, D>,
    for<'c> &'c Pool<D>: Executor<'c, Database = D>,
{
    /// Readers over a pool, which opens nothing before it must.
    pub(super) fn new(pool: Pool<D>) -> Self {
        Self(pool)
    }

    /// Opens a connection, so that a wrong place is known now.
    pub(super) async fn try_one(&self) -> Result<(), Error> {
        self.0.acquire().await.map(drop)
    }

    pub(super) async fn get(&self, identity: &PaymentIdentity) -> Result<Option<Entry>, Fault> {
        let found = self.find(D::Row::GET, identity).await.map_err(cannot_read)?;
        found.as_ref().map(lines::entry).transpose().map_err(is_odd)
    }

    pub(super) async fn past(&self, entry: &Entry) -> Result<Vec<Past>, Fault> {
        let found = self.find(D::Row::PAST, &entry.identity).await.map_err(cannot_read)?;
        let text = found.as_ref().map(|row| row.optional(0)).transpose();
        let text = text.map_err(cannot_read)?.flatten();
        Ok(text.map(|text| lines::past(text, entry.exchange)).unwrap_or_default())
    }

    pub(super) async fn has_paid(&self, wanted: &Wanted<'_>) -> Result<bool, Fault> {
        let Wanted { payer, route, since, network } = wanted;
        let network = network.map_or("", Network::as_str).to_owned();
        let query = sqlx::query(D::Row::HAS_PAID).bind(format!("{payer:#x}"));
        let query = query.bind((*route).to_owned()).bind(since.millis()).bind(network);
        let found = query.fetch_optional(&self.0).await.map_err(cannot_read)?;
        Ok(found.is_some())
    }

    /// Lines before a mark, newest claim first.
    pub(super) async fn page(&self, before: Mark, limit: u32) -> Result<Vec<(Mark, Entry)>, Fault> {
        let read = |row: &D::Row| Ok((lines::mark(row)?, lines::entry(row)?));
        self.lines(D::Row::PAGE, before, limit, read).await
    }

    /// What a statement with a mark and a limit finds.
    pub(super) async fn lines<T>(
        &self,
        sql: &'static str,
        from: Mark,
        limit: u32,
        read: impl Fn(&D::Row) -> Result<T, BoxError>,
    ) -> Result<Vec<T>, Fault> {
        let query = sqlx::query(sql).bind(from.0).bind(i64::from(limit));
        let found = query.fetch_all(&self.0).await.map_err(cannot_read)?;
        found.iter().map(read).collect::<Result<_, _>>().map_err(is_odd)
    }

    /// What a statement says of the claim that made this entry what it is: a number, and its
    /// sender. Nothing when it has been claimed again since.
    pub(super) async fn claim_of(
        &self,
        sql: &'static str,
        entry: &Entry,
        asker: Option<&str>,
    ) -> Result<Option<(i64, Option<Digest>)>, Fault> {
        let values = key(&entry.identity).into_iter().chain([entry.exchange.to_string()]);
        let values = values.chain(asker.map(str::to_owned));
        let query = values.fold(sqlx::query(sql), |query, value| query.bind(value));
        let found = query.fetch_optional(&self.0).await.map_err(cannot_read)?;
        let read = |row: D::Row| -> Result<_, BoxError> {
            Ok((row.number(0)?, row.optional(1)?.map(str::parse).transpose()?))
        };
        found.map(read).transpose().map_err(is_odd)
    }

    pub(super) async fn close(&self) {
        self.0.close().await;
    }

    async fn find(
        &self,
        sql: &'static str,
        identity: &PaymentIdentity,
    ) -> Result<Option<D::Row>, Error> {
        let query =
            key(identity).into_iter().fold(sqlx::query(sql), |query, part| query.bind(part));
        query.fetch_optional(&self.0).await
    }
}

fn cannot_read(error: Error) -> Fault {
    Fault::new(Side::Ledger, Retry::Later, "the ledger cannot be read").caused_by(error)
}

/// A line that this program does not write.
fn is_odd(error: BoxError) -> Fault {
    cannot_read(Error::Decode(error))
}
