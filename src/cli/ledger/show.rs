//! `tollgate ledger show`: one payment, and how it came to where it stands.

use std::io::{self, Write};

use alloy_primitives::B256;

use super::{Failure, line};
use crate::clock::date::stamp;
use crate::config::Config;
use crate::ledger::{Entry, ExchangeId, Filter, Ledger, Past, Walk};
use crate::x402::{Account, PaymentIdentity};

/// Which payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that an exchange claimed last.
    Exchange(ExchangeId),
    /// The one with this identity.
    Payment(PaymentIdentity),
}

/// A text that names no payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write an exchange (32 hex digits) or a payment (NETWORK/ASSET/PAYER/NONCE)")]
pub struct WhichError;

impl std::str::FromStr for Which {
    type Err = WhichError;

    fn from_str(text: &str) -> Result<Self, WhichError> {
        if let Ok(exchange) = text.parse() {
            return Ok(Self::Exchange(exchange));
        }
        let mut parts = text.split('/');
        let mut part = || parts.next().ok_or(WhichError);
        let identity = PaymentIdentity {
            network: part()?.parse().map_err(|_| WhichError)?,
            contract: part()?.parse::<Account>().map_err(|_| WhichError)?,
            payer: part()?.parse::<Account>().map_err(|_| WhichError)?,
            nonce: part()?.parse::<B256>().map_err(|_| WhichError)?,
        };
        if parts.next().is_some() { Err(WhichError) } else { Ok(Self::Payment(identity)) }
    }
}

/// Looks for a payment.
///
/// # Errors
/// The ledger cannot be read, or has no such payment.
pub(super) async fn find(ledger: &Ledger, which: Which) -> Result<(Entry, Vec<Past>), Failure> {
    let found = match which {
        Which::Payment(identity) => ledger.get(&identity).await?,
        Which::Exchange(exchange) => {
            let filter = Filter { exchange: Some(exchange), ..Filter::default() };
            Walk::new(ledger, filter).next().await?
        }
    };
    let entry = found.ok_or("the ledger has no such payment")?;
    let past = ledger.past(&entry).await?;
    Ok((entry, past))
}

/// Writes a payment for people.
///
/// # Errors
/// The output is gone.
pub(super) fn write(
    (entry, past): &(Entry, Vec<Past>),
    config: &Config,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "payment      {}", entry.identity)?;
    let serde_json::Value::Object(cells) = line::json(entry, config) else { return Ok(()) };
    for (name, value) in &cells {
        match value {
            serde_json::Value::Null => {}
            serde_json::Value::String(text) => writeln!(out, "{name:<12} {text}")?,
            other => writeln!(out, "{name:<12} {other}")?,
        }
    }
    writeln!(out, "\nhistory, by exchange")?;
    for step in steps(entry, past) {
        let Past { exchange, state, since } = step;
        writeln!(out, "  {}  {:<8}  {exchange}", stamp(since), state.name())?;
    }
    Ok(())
}

/// Writes a payment as JSON.
///
/// # Errors
/// The output is gone.
pub(super) fn write_json(
    (entry, past): &(Entry, Vec<Past>),
    config: &Config,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut object = line::json(entry, config);
    let history = steps(entry, past).map(|Past { exchange, state, since }| {
        serde_json::json!({
            "exchange": exchange.to_string(),
            "state": state.name(),
            "since_ms": since.millis(),
        })
    });
    if let Some(cells) = object.as_object_mut() {
        cells.insert("history".to_owned(), history.collect());
    }
    writeln!(out, "{object}")
}

/// Where it stood, and where it stands.
fn steps(entry: &Entry, past: &[Past]) -> impl Iterator<Item = Past> {
    let now = Past { exchange: entry.exchange, state: entry.state, since: entry.changed_at };
    past.iter().cloned().chain([now])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_is_named_by_its_exchange_or_its_identity() {
        let exchange = "0123456789abcdef0123456789abcdef";
        assert_eq!(exchange.parse(), Ok(Which::Exchange(exchange.parse().unwrap())));
        let (address, nonce) =
            ("0x".to_owned() + &"0a".repeat(20), "0x".to_owned() + &"0b".repeat(32));
        let text = format!("eip155:84532/{address}/{address}/{nonce}");
        let Ok(Which::Payment(identity)) = text.parse() else { panic!("{text}") };
        assert_eq!(identity.to_string(), text);
        for text in ["", "0x", "eip155:1/0x/0x/0x", &format!("{text}/"), &nonce] {
            assert_eq!(text.parse::<Which>(), Err(WhichError), "{text}");
        }
    }
}
