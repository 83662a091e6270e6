//! Payments that nobody may take, each wrong in one thing.

use alloy_primitives::Address;
use serde_json::Value;

use super::report::Wrong;
use crate::cli::pay::{Demand, Payable, Payment, Wallet};
use crate::clock::UnixMillis;
use crate::x402::{AtomicAmount, encoding};

/// A payment header and what is wrong with it.
pub(super) struct Forged {
    pub(super) what: &'static str,
    pub(super) header: &'static str,
    pub(super) value: String,
}

/// Changes the JSON of a payment.
type Edit = fn(&mut Value);

/// One of each kind.
///
/// # Errors
/// A payment of ours cannot be read again.
pub(super) fn all(
    wallet: &Wallet,
    payable: &Payable<'_>,
    demand: &Demand,
    now: UnixMillis,
) -> Result<Vec<Forged>, Wrong> {
    let sign = |payable: &Payable<'_>, now| {
        wallet.pay(payable, demand, now).map_err(|error| error.to_string())
    };
    let forged = |what, Payment { header, value, .. }: Payment| Forged { what, header, value };
    let good = sign(payable, now)?;
    let less = AtomicAmount::new(payable.amount.units().saturating_sub(1));
    let thief = Payable { pay_to: THIEF, ..*payable };
    let cheap = Payable { amount: less, ..*payable };
    let long_ago = UnixMillis::new(now.millis().saturating_sub(LONG_AGO_MILLIS));
    let mut all = vec![
        forged("pays a unit less than the price", sign(&cheap, now)?),
        forged("pays somebody else", sign(&thief, now)?),
        forged("has expired", sign(payable, long_ago)?),
    ];
    let edits: [(&str, Edit); 4] = [
        ("has another signature", |payment| edit(payment, &["payload", "signature"], turned)),
        ("says more than was signed", |payment| {
            edit(payment, &["payload", "authorization", "value"], |text| format!("{text}0"));
            edit(payment, &["payload", "permit2Authorization", "permitted", "amount"], |text| {
                format!("{text}0")
            });
        }),
        ("names another payer", |payment| {
            edit(payment, &["payload", "authorization", "from"], |_| THIEF.to_string());
            edit(payment, &["payload", "permit2Authorization", "from"], |_| THIEF.to_string());
        }),
        ("is for another network", |payment| {
            edit(payment, &["accepted", "network"], |_| ELSEWHERE.to_owned());
            edit(payment, &["network"], |_| ELSEWHERE.to_owned());
        }),
    ];
    for (what, change) in edits {
        let value = edited(&good.value, change)?;
        all.push(Forged { what, header: good.header, value });
    }
    // An offer of the payer's own making, and a signature for it.
    let own = edited(&sign(&cheap, now)?.value, |payment| {
        for key in ["amount", "maxAmountRequired"] {
            edit(payment, &["accepted", key], lowered);
        }
    })?;
    all.push(Forged { what: "accepts an offer nobody made", header: good.header, value: own });
    let garbled = good.value.chars().rev().collect();
    all.push(Forged { what: "is no payment at all", header: good.header, value: garbled });
    Ok(all)
}

/// The same payment with one thing of its JSON changed.
fn edited(value: &str, change: impl Fn(&mut Value)) -> Result<String, Wrong> {
    let json = encoding::decode(value.as_bytes()).map_err(|error| error.to_string())?;
    let mut payment: Value = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
    change(&mut payment);
    encoding::encode_json(&payment).map_err(|error| error.to_string())
}

/// Changes the text at the end of `path`, if there is one.
fn edit(payment: &mut Value, path: &[&str], change: impl Fn(&str) -> String) {
    let mut place = Some(payment);
    for key in path {
        place = place.and_then(|value| value.get_mut(key));
    }
    if let Some(value) = place
        && let Some(text) = value.as_str()
    {
        *value = Value::String(change(text));
    }
}

/// A signature with another digit in the middle of its first half.
fn turned(signature: &str) -> String {
    let digit = |place: usize, digit: char| match (place, digit) {
        (TURNED, '0') => '1',
        (TURNED, _) => '0',
        (_, digit) => digit,
    };
    signature.chars().enumerate().map(|(place, of)| digit(place, of)).collect()
}

fn lowered(amount: &str) -> String {
    amount.parse::<u128>().map_or_else(|_| amount.to_owned(), |n| n.saturating_sub(1).to_string())
}

const THIEF: Address = Address::repeat_byte(0x7e);
/// A network that is nowhere.
const ELSEWHERE: &str = "eip155:999999999";
/// Beyond every time that an offer leaves.
const LONG_AGO_MILLIS: i64 = 48 * 3_600_000;
const TURNED: usize = 20;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_thing_is_changed() {
        let good = json!({"payload": {"signature": format!("0x{}", "0".repeat(130))}, "n": 1});
        let value = encoding::encode_json(&good).unwrap();
        let other = edited(&value, |it| edit(it, &["payload", "signature"], turned)).unwrap();
        let read = encoding::decode(other.as_bytes()).unwrap();
        let read: Value = serde_json::from_slice(&read).unwrap();
        let signature = read["payload"]["signature"].as_str().unwrap();
        assert_eq!(signature.matches('1').count(), 1);
        assert_eq!(read["n"], 1);
        // What is not there stays away.
        assert_eq!(edited(&value, |it| edit(it, &["no", "such"], turned)).unwrap(), value);
        assert_eq!(lowered("50000"), "49999");
    }
}
