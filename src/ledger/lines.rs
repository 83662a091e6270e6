//! How a line of the table `payments` is read, in either engine: its columns and what they become.

use alloy_primitives::{Address, B256};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Error, Row as _};

use super::{Claim, Entry, ExchangeId, Mark, Past, State};
use crate::clock::UnixMillis;
use crate::x402::PaymentIdentity;

/// `SELECT` with the columns that [`entry`] reads, then the rest of a statement.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT payments.network, payments.asset, payments.payer, payments.nonce, exchange, ",
            "route, facilitator, amount, pay_to, valid_before, state, \"transaction\", reason, ",
            "claimed_at, changed_at, token",
            $rest
        )
    };
}
pub(super) use select;

/// Reads the line of a payment.
pub(super) const GET: &str =
    select!(" FROM payments WHERE payer = $1 AND nonce = $2 AND asset = $3 AND network = $4");

/// Reads where a payment stood before.
pub(super) const PAST: &str =
    "SELECT past FROM payments WHERE payer = $1 AND nonce = $2 AND asset = $3 AND network = $4";

/// Reads a page of lines, newest claim first, each with its number.
pub(super) const PAGE: &str =
    select!(", serial FROM payments WHERE serial < $1 ORDER BY serial DESC LIMIT $2");

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What is bound for a payment in [`GET`] and [`PAST`], in order.
pub(super) fn key(identity: &PaymentIdentity) -> [String; 4] {
    [
        format!("{:#x}", identity.payer),
        format!("{:#x}", identity.nonce),
        format!("{:#x}", identity.contract),
        identity.network.to_string(),
    ]
}

/// What is bound for the asset of a claim, where it is not that of the identity.
pub(super) fn token(claim: &Claim) -> Option<String> {
    let other = claim.asset != claim.identity.contract;
    other.then(|| format!("{:#x}", claim.asset))
}

/// A row of either engine.
pub(super) trait Line {
    fn text(&self, column: usize) -> Result<&str, Error>;
    fn optional(&self, column: usize) -> Result<Option<&str>, Error>;
    fn number(&self, column: usize) -> Result<i64, Error>;
}

macro_rules! line {
    ($row:ty) => {
        impl Line for $row {
            fn text(&self, column: usize) -> Result<&str, Error> {
                self.try_get(column)
            }

            fn optional(&self, column: usize) -> Result<Option<&str>, Error> {
                self.try_get(column)
            }

            fn number(&self, column: usize) -> Result<i64, Error> {
                self.try_get(column)
            }
        }
    };
}

line!(SqliteRow);
line!(PgRow);

/// Reads a line.
///
/// # Errors
/// A column that is not what this program writes.
pub(super) fn entry(line: &impl Line) -> Result<Entry, BoxError> {
    let identity = PaymentIdentity {
        network: line.text(0)?.parse()?,
        contract: line.text(1)?.parse::<Address>()?,
        payer: line.text(2)?.parse::<Address>()?,
        nonce: line.text(3)?.parse::<B256>()?,
    };
    let token = line.optional(15)?.map(str::parse::<Address>).transpose()?;
    Ok(Entry {
        asset: token.unwrap_or(identity.contract),
        identity,
        exchange: line.text(4)?.parse()?,
        route: line.text(5)?.into(),
        facilitator: line.text(6)?.into(),
        amount: line.text(7)?.parse()?,
        pay_to: line.text(8)?.parse()?,
        valid_before: u64::try_from(line.number(9)?)?,
        state: line.text(10)?.parse::<State>()?,
        transaction: line.optional(11)?.map(Into::into),
        reason: line.optional(12)?.map(Into::into),
        claimed_at: UnixMillis::new(line.number(13)?),
        changed_at: UnixMillis::new(line.number(14)?),
    })
}

/// The number behind the columns of an entry.
///
/// # Errors
/// The row has none.
pub(super) fn mark(line: &impl Line) -> Result<Mark, BoxError> {
    Ok(Mark(line.number(EXTRA)?))
}

/// Reads where a payment of `exchange` stood before, oldest first. A first word that was cut
/// through is left out.
pub(super) fn past(text: &str, exchange: ExchangeId) -> Vec<Past> {
    let mut owner = exchange;
    let mut found = Vec::new();
    for word in text.split(' ').rev() {
        let (word, named) = match word.split_once('/') {
            Some((word, named)) => (word, named.parse().ok()),
            None => (word, None),
        };
        owner = named.unwrap_or(owner);
        let Some((state, since)) = word.split_once('@') else { continue };
        let (Ok(state), Ok(since)) = (state.parse(), since.parse()) else { continue };
        found.push(Past { exchange: owner, state, since: UnixMillis::new(since) });
    }
    found.reverse();
    found
}

/// The first column behind those of an entry.
pub(super) const EXTRA: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(u128, State, i64)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|&(exchange, state, since)| Past {
                exchange: ExchangeId::new(exchange),
                state,
                since: UnixMillis::new(since),
            })
            .collect();
        assert_eq!(past(text, ExchangeId::new(7)), expected);
    }

    #[test]
    fn a_past_belongs_to_the_exchange_named_behind_it_or_to_the_last() {
        let three = format!("{:032x}", 3);
        check("", &[]);
        check("held@1 settling@2", &[(7, State::Held, 1), (7, State::Settling, 2)]);
        check(
            &format!("held@1 released@2/{three} held@3"),
            &[(3, State::Held, 1), (3, State::Released, 2), (7, State::Held, 3)],
        );
    }

    #[test]
    fn a_word_that_was_cut_through_is_left_out() {
        check("ld@1 settling@2", &[(7, State::Settling, 2)]);
        check("34 settling@2", &[(7, State::Settling, 2)]);
    }
}
