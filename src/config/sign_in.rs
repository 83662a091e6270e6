//! `sign_in`: how long a wallet that has paid is let in again by its signature.

use std::ops::Range;
use std::time::Duration;

use crate::ledger::Keep;
use crate::route::{Charge, Methods, Route, Verb};

use super::mistake::Mistake;
use super::reader::Reader;
use super::text::Written;
use super::units::split_unit;

/// How long a payment lets its wallet in.
pub(super) struct SignIn(pub(super) Duration);

impl Written for SignIn {
    const EXPECTED: &'static str = "a length of time in quotes such as \"24h\" or \"30d\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let wrong = || Mistake::not("a length of time", text, "\"1h\", \"24h\" or \"30d\"");
        let (count, unit) = split_unit(text).ok_or_else(wrong)?;
        let seconds_each = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 24 * 3_600,
            _ => return Err(wrong()),
        };
        match count.checked_mul(seconds_each) {
            Some(0) => Err(Mistake::NoTime),
            Some(seconds @ 1..=SECONDS_MAX) => Ok(Self(Duration::from_secs(seconds))),
            Some(_) | None => {
                Err(Mistake::not("a length of time up to a year", text, "\"365d\" or less"))
            }
        }
    }
}

/// Lets nobody in to more than was paid for, nor for longer than it is known: a payment's line says
/// for which route it was, and neither for which price nor by which method.
pub(super) fn sound(
    route: &Route,
    span: Option<Range<usize>>,
    keep: Keep,
    reader: &mut Reader<'_>,
) {
    let Some((span, within)) = span.zip(lets_in(route)) else { return };
    let more = match &route.charge {
        charge if charge.is_by_usage() => Some("a price by usage"),
        Charge::ByRequest(_) => Some("several prices"),
        Charge::Exact(_) | Charge::Free if has_several(route.pattern.methods) => {
            Some("several methods")
        }
        Charge::Exact(_) | Charge::Free => None,
    };
    if let Some(more) = more {
        reader.wrong(span.clone(), Mistake::SignInToMore(more));
    }
    if let Keep::For(kept) = keep
        && kept < within
    {
        reader.wrong(span, Mistake::SignInForgotten);
    }
}

/// How long a payment for a route lets its wallet in, if it does.
pub(super) fn lets_in(route: &Route) -> Option<Duration> {
    route.charge.all().find_map(|terms| terms.declared.sign_in)
}

/// Whoever may get something may ask for its head.
fn has_several(methods: Methods) -> bool {
    let Methods::Listed(listed) = methods else { return true };
    let counts = |verb: &Verb| listed.has(*verb) && !(*verb == Verb::Head && listed.has(Verb::Get));
    Verb::ALL.iter().filter(|verb| counts(verb)).count() > 1
}

/// A year.
const SECONDS_MAX: u64 = 365 * 24 * 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_is_let_in_for_up_to_a_year() {
        let seconds = |text| SignIn::read(text).ok().map(|SignIn(length)| length.as_secs());
        for (text, expected) in
            [("1s", 1), ("90m", 5_400), ("24h", 86_400), ("30d", 2_592_000), ("365d", SECONDS_MAX)]
        {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "24", "h", "0h", "366d", "1w", "500ms", "-1h", "99999999999999999d"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
