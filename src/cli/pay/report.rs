//! What a person reads on standard error while a payment is made. Servers' words are made harmless.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use super::choice::{Payable, Unpayable, in_words};
use super::demand::Demand;
use super::receipt::Receipt;
use super::request::Request;
use super::wallet::Payment;
use crate::clock::{UnixMillis, date};
use crate::fault::printable;
use crate::x402::Version;

pub(super) fn demand(request: &Request, demand: &Demand) {
    let version = match demand.version {
        Version::V1 => 1,
        Version::V2 => 2,
    };
    line(format_args!(
        "402 {} {} asks for payment (x402 version {version})",
        request.method, request.url
    ));
    for (at, offer) in demand.offers.iter().enumerate() {
        let (words, pay_to) = (in_words(offer), printable(&offer.pay_to));
        line(format_args!(
            "  offer {}: {words} to {pay_to} ({})",
            at + 1,
            printable(&offer.scheme)
        ));
    }
    if demand.unread > 0 {
        line(format_args!("  and {} that cannot be read", demand.unread));
    }
    if let Some(elsewhere) =
        demand.resource.as_deref().filter(|named| *named != request.url.as_str())
    {
        line(format_args!("  note: the server says this is for {}", printable(elsewhere)));
    }
}

/// Told before the same payment is sent again.
pub(super) fn waiting(pause: Duration) {
    line(format_args!("no final answer; the same payment goes out again in {pause:.0?}"));
}

pub(super) fn choice(payable: &Result<Payable<'_>, Vec<Unpayable>>) {
    match payable {
        Ok(payable) => line(format_args!(
            "would pay {} USDC on {} to {}; nothing was paid",
            payable.price(),
            payable.known.name,
            payable.pay_to
        )),
        Err(refused) => {
            for why in refused {
                line(format_args!("would not pay: {}", printable(&why.to_string())));
            }
        }
    }
}

pub(super) fn paying(payable: &Payable<'_>, payment: &Payment) {
    line(format_args!(
        "paying {} USDC on {} to {}\n  payment {}",
        payable.price(),
        payable.known.name,
        payable.pay_to,
        payment.identity
    ));
}

pub(super) fn receipt(receipt: Option<&Receipt>, payable: &Payable<'_>) {
    let Some(Receipt(settled)) = receipt else {
        return line(format_args!("the answer carries no receipt"));
    };
    if !settled.success {
        let why = settled.error_reason.as_deref().unwrap_or("no reason given");
        return line(format_args!("the receipt says nothing was settled: {}", printable(why)));
    }
    let known = payable.known;
    line(format_args!("paid {} USDC on {} ({})", payable.price(), known.name, known.caip2));
    let Some(transaction) = receipt.and_then(Receipt::transaction) else {
        return line(format_args!("  transaction {}", printable(&settled.transaction)));
    };
    line(format_args!("  transaction {transaction}"));
    if let Some(explorer) = known.explorer {
        line(format_args!("  look it up  {explorer}{transaction}"));
    }
}

pub(super) fn line(text: fmt::Arguments<'_>) {
    // Nobody is left to be told that standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A Unix time as `2026-11-21 09:30:00`.
pub(super) fn moment(seconds: u64) -> String {
    let millis = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let stamp = date::stamp(UnixMillis::new(millis));
    // What is finer is not said.
    stamp.split('.').next().unwrap_or_default().replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_by_people() {
        assert_eq!(moment(0), "1970-01-01 00:00:00");
        assert_eq!(moment(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(moment(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(moment(1_795_246_439), "2026-11-21 07:33:59");
        assert_eq!(moment(4_107_542_400), "2100-03-01 00:00:00");
    }
}
