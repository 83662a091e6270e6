//! Answers in the store: kept, found, read, and forgotten by age or for want of room.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Error;

use super::record::{Answer, Line, Outcome, Record};
use super::rows;
use super::store::{Store, Value};
use crate::clock::UnixMillis;
use crate::digest::Digest;
use crate::ledger::ExchangeId;
use crate::ledger::lines::key;
use crate::x402::PaymentIdentity;

impl Store {
    /// Writes answers, to be kept so long. They may be written twice.
    pub(super) async fn keep(
        &self,
        records: &[Arc<Record>],
        age: Duration,
        now: UnixMillis,
    ) -> Result<(), Error> {
        let mut rest = records;
        while !rest.is_empty() {
            let (some, others) = rest.split_at(portion(rest));
            let mut values = self.begun(now);
            values.push(age.into());
            some.iter().for_each(|record| add(&mut values, record));
            self.run(&rows::keep(some.len()), values).await?;
            rest = others;
        }
        Ok(())
    }

    pub(super) async fn find(
        &self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        now: UnixMillis,
    ) -> Result<Option<Line>, Error> {
        let asked = self.about(identity, exchange, now);
        let Some(row) = self.row(rows::FIND, asked).await? else { return Ok(None) };
        let unreadable = || Error::Decode("a line of kept answers cannot be read".into());
        let digest = |column| Digest::from_bytes(row.bytes(column).ok()?);
        Ok(Some(Line {
            identity: identity.clone(),
            exchange,
            payment: digest(1).ok_or_else(unreadable)?,
            request: digest(2).ok_or_else(unreadable)?,
            missing: rows::missing(row.text(0)?).ok_or_else(unreadable)?,
            bytes: usize::try_from(row.number(3)?).map_err(|_| unreadable())?,
            at_hand: None,
        }))
    }

    pub(super) async fn load(
        &self,
        identity: &PaymentIdentity,
        exchange: ExchangeId,
        now: UnixMillis,
    ) -> Result<Option<Answer>, Error> {
        let asked = self.about(identity, exchange, now);
        let Some(row) = self.row(rows::LOAD, asked).await? else { return Ok(None) };
        let answer = rows::answer(row.number(0)?, row.bytes(1)?, row.bytes(2)?.to_vec());
        let unreadable = || Error::Decode("a kept answer cannot be read".into());
        answer.ok_or_else(unreadable).map(Some)
    }

    /// Bytes of all answers.
    pub(super) async fn bytes(&self) -> Result<u64, Error> {
        let row = self.row(rows::BYTES, Vec::new()).await?.ok_or(Error::RowNotFound)?;
        Ok(u64::try_from(row.number(0)?).unwrap_or(0))
    }

    /// Forgets the oldest until so many bytes went, or a page of them; says how many bytes.
    pub(super) async fn forget(&self, bytes: u64) -> Result<u64, Error> {
        let (mut enough, mut last) = (0_u64, None);
        for row in self.rows(rows::OLDEST, Vec::new()).await? {
            if enough >= bytes {
                break;
            }
            enough = enough.saturating_add(u64::try_from(row.number(1)?).unwrap_or(0));
            last = Some(row.number(0)?);
        }
        let Some(last) = last else { return Ok(0) };
        // Another gateway may have been first: only what went here counts.
        let mut gone = 0_u64;
        for row in self.rows(rows::FORGET, vec![last.into()]).await? {
            gone = gone.saturating_add(u64::try_from(row.number(0)?).unwrap_or(0));
        }
        Ok(gone)
    }

    /// Forgets what is too old, page by page, up to a bound: the rest goes the next time.
    pub(super) async fn expire(&self, now: UnixMillis) -> Result<(), Error> {
        for sql in rows::EXPIRE {
            for _ in 0..PAGES_MAX {
                if self.run(sql, self.begun(now)).await? < rows::PAGE_LEN {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// How many of the next answers go into one statement: few sizes, so that all statements stay
/// prepared, and few bytes, so that nobody waits long for it.
fn portion(records: &[Arc<Record>]) -> usize {
    let (mut rows, mut bytes) = (0_usize, 0_usize);
    for record in records.iter().take(ROWS_MAX) {
        bytes = bytes.saturating_add(record.bytes());
        if rows > 0 && bytes > STATEMENT_BYTES_MAX {
            break;
        }
        rows = rows.saturating_add(1);
    }
    1 << rows.max(1).ilog2()
}

fn add<'a>(values: &mut Vec<Value<'a>>, record: &'a Record) {
    let (status, headers, body) = match &record.outcome {
        Outcome::Whole(answer) => (answer.status, rows::written(&answer.headers), &*answer.body),
        Outcome::Missing(_) => (0, Vec::new(), &[][..]),
    };
    values.extend(key(&record.identity).map(Value::Text));
    values.extend([
        Value::Text(record.exchange.to_string()),
        Value::Text(record.outcome.name().to_owned()),
        record.payment.bytes().into(),
        record.request.bytes().into(),
        i64::try_from(record.bytes()).unwrap_or(i64::MAX).into(),
        i64::from(status).into(),
        Value::Bytes(Cow::Owned(headers)),
        body.into(),
    ]);
}

/// Answers in one statement.
const ROWS_MAX: usize = 32;

/// Bytes of them, unless one alone has more.
const STATEMENT_BYTES_MAX: usize = 4 << 20;

/// Pages of each table that go at once.
const PAGES_MAX: usize = 256;
