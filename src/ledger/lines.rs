//! How a line of the table `payments` is read, in either engine: its columns and what they become.

use alloy_primitives::B256;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Error, Row as _};

use super::{Claim, Entry, ExchangeId, Mark, Past, State};
use crate::clock::UnixMillis;
use crate::x402::{Account, PaymentIdentity};

/// `SELECT` with the columns that [`entry`] reads, then the rest of a statement. PostgreSQL keeps
/// them as `text`, SQLite what is hex in them as `bytes`.
macro_rules! select {
    (text, $rest:literal) => {
        concat!(
            "SELECT payments.network, payments.asset, payments.payer, payments.nonce, exchange, ",
            "route, facilitator, amount, pay_to, valid_before, state, transaction, reason, ",
            "claimed_at, changed_at, token, moves",
            $rest
        )
    };
    (bytes, $rest:literal) => {
        concat!(
            "SELECT network, '0x' || lower(hex(asset)), '0x' || lower(hex(payer)), ",
            "'0x' || lower(hex(nonce)), lower(hex(exchange)), route, facilitator, amount, ",
            "'0x' || lower(hex(pay_to)), valid_before, state, \"transaction\", reason, ",
            "claimed_at, changed_at, ",
            "CASE WHEN token IS NOT NULL THEN '0x' || lower(hex(token)) END, moves",
            $rest
        )
    };
}
pub(super) use select;

/// The condition that finds the payment of [`key`].
macro_rules! of_key {
    (text) => {
        " FROM payments WHERE payer = $1 AND nonce = $2 AND asset = $3 AND network = $4"
    };
    (bytes) => {
        " FROM payments WHERE payer = unhex(substr($1, 3)) AND nonce = unhex(substr($2, 3))
            AND asset = unhex(substr($3, 3)) AND network = $4"
    };
}
pub(super) use of_key;

/// The statement of [`Line::HAS_PAID`]. Its condition is the index's, where there is one.
macro_rules! has_paid {
    (text) => {
        has_paid!("$1")
    };
    (bytes) => {
        has_paid!("unhex(substr($1, 3))")
    };
    ($payer:literal) => {
        concat!(
            "SELECT changed_at FROM payments WHERE state = 'settled' AND payer = ",
            $payer,
            " AND route = $2 AND changed_at >= $3 AND ($4 = '' OR network = $4) LIMIT 1"
        )
    };
}

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What is bound for a payment in [`Line::GET`] and [`Line::PAST`], in order.
pub(super) fn key(identity: &PaymentIdentity) -> [String; 4] {
    [
        format!("{:#x}", identity.payer),
        format!("{:#x}", identity.nonce),
        format!("{:#x}", identity.contract),
        identity.network.to_string(),
    ]
}

/// What is bound for the asset of a claim, where it is not that of the identity.
pub(super) fn token(claim: &Claim) -> Option<Account> {
    (claim.asset != claim.identity.contract).then_some(claim.asset)
}

/// A row of either engine, and the statements that read rows there.
pub(super) trait Line {
    /// Reads the line of a payment.
    const GET: &'static str;
    /// Reads where a payment stood before.
    const PAST: &'static str;
    /// Reads whether an account has paid for a route since a moment, on a network or, where that
    /// is empty, on any.
    const HAS_PAID: &'static str;
    /// Reads a page of lines, newest claim first, each with its number.
    const PAGE: &'static str;

    fn text(&self, column: usize) -> Result<&str, Error>;
    fn optional(&self, column: usize) -> Result<Option<&str>, Error>;
    fn number(&self, column: usize) -> Result<i64, Error>;
}

macro_rules! line {
    ($row:ty, $form:tt) => {
        impl Line for $row {
            const GET: &'static str = concat!(select!($form, ""), of_key!($form));
            const PAST: &'static str = concat!("SELECT past", of_key!($form));
            const HAS_PAID: &'static str = has_paid!($form);
            const PAGE: &'static str = select!(
                $form,
                ", serial FROM payments WHERE serial < $1 ORDER BY serial DESC LIMIT $2"
            );

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

line!(SqliteRow, bytes);
line!(PgRow, text);

/// Reads a line.
///
/// # Errors
/// A column that is not what this program writes.
pub(super) fn entry(line: &impl Line) -> Result<Entry, BoxError> {
    let identity = PaymentIdentity {
        network: line.text(0)?.parse()?,
        contract: Account::from_hex(line.text(1)?)?,
        payer: Account::from_hex(line.text(2)?)?,
        nonce: line.text(3)?.parse::<B256>()?,
    };
    let reserved = line.text(7)?.parse()?;
    let moves = line.optional(16)?.map(str::parse).transpose()?;
    let token = line.optional(15)?.map(Account::from_hex).transpose()?;
    Ok(Entry {
        asset: token.unwrap_or(identity.contract),
        identity,
        exchange: line.text(4)?.parse()?,
        route: line.text(5)?.into(),
        facilitator: line.text(6)?.into(),
        amount: moves.unwrap_or(reserved),
        reserved,
        pay_to: Account::from_hex(line.text(8)?)?,
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
pub(super) const EXTRA: usize = 17;

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
