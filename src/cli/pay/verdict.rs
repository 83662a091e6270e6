//! What one answer to a payment says about the money, and about sending the payment again.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use super::client::Answer;
use super::receipt::{self, Receipt};

/// What is known of the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Money {
    /// It was not taken.
    Kept,
    /// It was taken.
    Taken,
    /// It may have been.
    Unknown,
}

/// What to do with the same payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    Stop,
    /// Send it again, after as long as the server says.
    Again(Option<Duration>),
}

/// An answer, read for what it says about the payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Was it taken?
    pub(super) money: Money,
    /// Is it sent again?
    pub(super) next: Next,
    /// Of the settlement, when one is named.
    pub(super) transaction: Option<String>,
}

impl Verdict {
    /// Reads an answer to a request that carried a payment.
    pub(super) fn of(answer: &Answer) -> Self {
        let receipt = Receipt::of(&answer.headers);
        let told: Told = serde_json::from_slice(&answer.body).unwrap_or_default();
        let named = receipt.as_ref().and_then(Receipt::transaction);
        let named = named.or_else(|| told.transaction.as_deref().and_then(receipt::transaction));
        let transaction = named.map(str::to_owned);
        let money = match (&receipt, told.consumed()) {
            (Some(Receipt(settled)), _) if settled.success => Money::Taken,
            (_, Some(money)) => money,
            (_, None) => assumed(answer.status),
        };
        Self { money, next: next(answer, &told), transaction }
    }
}

fn next(answer: &Answer, told: &Told) -> Next {
    let wait = retry_after(&answer.headers);
    match answer.status {
        status if status.is_success() => Next::Stop,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Next::Again(wait),
        // A new 402 is retriable with a new payment, and there is only this one.
        StatusCode::PAYMENT_REQUIRED => Next::Stop,
        _ if told.retriable == Some(true) => Next::Again(wait),
        _ => Next::Stop,
    }
}

/// What a status means for the money where the server does not say: a request that was refused
/// was not charged; a server that broke may have broken at any step.
fn assumed(status: StatusCode) -> Money {
    match status {
        _ if status.is_success() => Money::Taken,
        _ if status.is_server_error() => Money::Unknown,
        _ => Money::Kept,
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The keys of a refusal's body that matter here; other servers have none of them.
#[derive(Default, Deserialize)]
struct Told {
    #[serde(default)]
    retriable: Option<bool>,
    #[serde(default)]
    consumed: serde_json::Value,
    #[serde(default)]
    transaction: Option<String>,
}

impl Told {
    fn consumed(&self) -> Option<Money> {
        match &self.consumed {
            serde_json::Value::Null => None,
            serde_json::Value::Bool(true) => Some(Money::Taken),
            serde_json::Value::Bool(false) => Some(Money::Kept),
            _ => Some(Money::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, "7".parse().unwrap())]);
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    #[track_caller]
    fn check(status: u16, body: &str, money: Money, next: Next) {
        let verdict = Verdict::of(&answer(status, body));
        assert_eq!((verdict.money, verdict.next), (money, next));
    }

    const AGAIN: Next = Next::Again(Some(Duration::from_secs(7)));

    #[test]
    fn a_server_that_says_nothing_is_judged_by_its_status() {
        check(200, "", Money::Taken, Next::Stop);
        check(302, "", Money::Kept, Next::Stop);
        check(402, "{}", Money::Kept, Next::Stop);
        check(429, "", Money::Kept, AGAIN);
        check(500, "<html>", Money::Unknown, Next::Stop);
        check(503, "", Money::Unknown, AGAIN);
    }

    #[test]
    fn a_servers_word_on_the_money_is_heard() {
        check(503, r#"{"consumed":false,"retriable":true}"#, Money::Kept, AGAIN);
        check(503, r#"{"consumed":"unknown"}"#, Money::Unknown, AGAIN);
        check(502, r#"{"consumed":false,"retriable":true}"#, Money::Kept, AGAIN);
        check(409, r#"{"consumed":false,"retriable":true}"#, Money::Kept, AGAIN);
        check(409, r#"{"consumed":true,"retriable":false}"#, Money::Taken, Next::Stop);
    }

    #[test]
    fn a_402_is_never_a_reason_to_send_again() {
        check(402, r#"{"consumed":false,"retriable":true}"#, Money::Kept, Next::Stop);
    }

    #[test]
    fn only_a_hash_is_a_transaction() {
        let hash = format!("0x{}", "ab".repeat(32));
        for (named, expected) in [(hash.as_str(), Some(hash.clone())), ("0x1\u{1b}[2J", None)] {
            let body = serde_json::json!({"transaction": named}).to_string();
            assert_eq!(Verdict::of(&answer(503, &body)).transaction, expected);
        }
    }
}
