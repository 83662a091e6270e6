//! What a person reads on standard error while a payment is made. Servers' words are made harmless.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use super::choice::{Payable, Unpayable, in_words};
use super::demand::Demand;
use super::receipt::Receipt;
use super::request::Request;
use super::wallet::Payment;
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
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute) = (second / 3_600, second % 3_600 / 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02}", second % 60)
}

/// Year, month and day of a day since 1970-01-01. Source: Hinnant, `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days.saturating_add(719_468);
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let (month, later) = match shifted_month {
        0..=9 => (shifted_month + 3, 0),
        _ => (shifted_month.saturating_sub(9), 1),
    };
    (year_of_era + era * 400 + later, month, day)
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
