//! The names that payers give to what they buy, and the payment that each stands for.

use std::time::Duration;

use alloy_primitives::B256;
use sqlx::Error;

use super::store::{Row, Store, Value};
use super::{Answers, ExchangeId, cannot_write};
use crate::clock::UnixMillis;
use crate::fault::Fault;
use crate::ledger::lines::{BoxError, key};
use crate::x402::{Account, PaymentId, PaymentIdentity};

/// A payment in an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The payment.
    pub identity: PaymentIdentity,
    /// The exchange that has, or had, claimed it.
    pub exchange: ExchangeId,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The payment that it was asked for.
    Here,
    /// Another, or the same in another exchange.
    To(Named),
}

impl Answers {
    /// Binds a payer's name to its payment, unless it stands for something already. It lasts for
    /// as long as answers are kept and `time` more. Written when it returns.
    ///
    /// # Errors
    /// Ledger, later: it cannot be written.
    ///
    /// # Cancel safety
    /// It may be written.
    pub async fn bind(
        &self,
        id: &PaymentId,
        to: &Named,
        time: Duration,
        now: UnixMillis,
    ) -> Result<Bound, Fault> {
        let Some(inner) = &self.0 else { return Ok(Bound::Here) };
        let lasts = inner.bounds.age.saturating_add(time);
        inner.store.bind(id, to, lasts, now).await.map_err(cannot_write)
    }

    /// Binds a payer's name to another payment than it stands for, if it still stands for that.
    ///
    /// # Errors
    /// Ledger, later: it cannot be written.
    ///
    /// # Cancel safety
    /// It may be written.
    pub async fn rebind(
        &self,
        id: &PaymentId,
        (from, to): (&Named, &Named),
        time: Duration,
        now: UnixMillis,
    ) -> Result<Bound, Fault> {
        let Some(inner) = &self.0 else { return Ok(Bound::Here) };
        let lasts = inner.bounds.age.saturating_add(time);
        let mut values = inner.store.naming(id, to, lasts, now);
        values.extend(key(&from.identity).map(Value::Text));
        values.push(Value::Text(from.exchange.to_string()));
        if inner.store.run(REBIND, values).await.map_err(cannot_write)? > 0 {
            return Ok(Bound::Here);
        }
        inner.store.bind(id, to, lasts, now).await.map_err(cannot_write)
    }
}

impl Store {
    async fn bind(
        &self,
        id: &PaymentId,
        to: &Named,
        lasts: Duration,
        now: UnixMillis,
    ) -> Result<Bound, Error> {
        loop {
            if self.run(BIND, self.naming(id, to, lasts, now)).await? > 0 {
                return Ok(Bound::Here);
            }
            // Nothing when it has grown too old in between.
            if let Some(row) = self.row(BOUND, self.naming(id, to, lasts, now)).await? {
                let found = named(&row, to).map_err(Error::Decode)?;
                return Ok(if found == *to { Bound::Here } else { Bound::To(found) });
            }
        }
    }

    fn naming(
        &self,
        id: &PaymentId,
        to: &Named,
        lasts: Duration,
        now: UnixMillis,
    ) -> Vec<Value<'_>> {
        let mut values = self.about(&to.identity, to.exchange, now);
        values.extend([Value::Text(id.as_str().to_owned()), lasts.into()]);
        values
    }
}

/// What a row of [`BOUND`] says; the payer is the one that was asked for.
fn named(row: &Row, asked: &Named) -> Result<Named, BoxError> {
    let identity = PaymentIdentity {
        payer: asked.identity.payer,
        nonce: row.text(0)?.parse::<B256>()?,
        contract: Account::from_hex(row.text(1)?)?,
        network: row.text(2)?.parse()?,
    };
    Ok(Named { identity, exchange: row.text(3)?.parse()? })
}

const BIND: &str = "INSERT INTO names (payer, nonce, asset, network, exchange, id, expires_at)
    VALUES ($3, $4, $5, $6, $7, $8, {now} + $9)
    ON CONFLICT (payer, id) DO UPDATE SET nonce = excluded.nonce, asset = excluded.asset,
        network = excluded.network, exchange = excluded.exchange, expires_at = excluded.expires_at
    WHERE names.expires_at <= {now}";

const BOUND: &str = "SELECT nonce, asset, network, exchange FROM names
    WHERE payer = $3 AND id = $8 AND expires_at > {now}";

const REBIND: &str = "UPDATE names SET nonce = $4, asset = $5, network = $6, exchange = $7,
        expires_at = {now} + $9
    WHERE payer = $10 AND id = $8 AND nonce = $11 AND asset = $12 AND network = $13
        AND exchange = $14";
