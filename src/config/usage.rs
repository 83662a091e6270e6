//! A price by usage, as typed: so much for so many units, up to a maximum.

use serde::de::Error;

use crate::route::Field;
use crate::route::usage::Missing;

use super::file::Sections;
use super::mistake::Mistake;
use super::reader::Reader;
use super::text::{Text, Written};
use super::units::Dollars;

/// A table of a price by usage.
pub(super) struct FileUsage {
    max: Text<Dollars>,
    per: Text<Per>,
    rate: Text<Dollars>,
    from: Text<Field>,
    missing: Option<Text<Missing>>,
}

/// The same, each part of it good.
pub(super) struct UsagePrice {
    pub(super) max: Dollars,
    pub(super) per: Per,
    pub(super) rate: Text<Dollars>,
    pub(super) from: Field,
    pub(super) missing: Missing,
}

/// How many of what a rate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Per {
    pub(super) count: u64,
    pub(super) unit: Box<str>,
}

/// A string of a price's table, before it is known what it stands for.
pub(super) struct Raw(Box<str>);

impl Raw {
    /// What it says, as this.
    pub(super) fn say<T: Written>(typed: Text<Self>) -> Text<T> {
        let Text { span, said } = typed;
        Text { span, said: said.and_then(|Self(text)| T::read(&text)) }
    }
}

impl FileUsage {
    /// Whether a price's table is one by usage, and not one by networks.
    pub(super) fn is_one(typed: &Sections<Text<Raw>>) -> bool {
        typed.keys().any(|name| KEYS.contains(&&**name.get_ref()))
    }

    /// Takes it.
    pub(super) fn take<E: Error>(typed: Sections<Text<Raw>>) -> Result<Self, E> {
        let [mut max, mut per, mut rate, mut from, mut missing] = [const { None }; 5];
        for (name, said) in typed {
            let place = match &**name.get_ref() {
                "max" => &mut max,
                "per" => &mut per,
                "rate" => &mut rate,
                "from" => &mut from,
                "missing" => &mut missing,
                other => return Err(E::unknown_field(other, &KEYS)),
            };
            *place = Some(said);
        }
        let there = |said: Option<Text<Raw>>, name| said.ok_or_else(|| E::missing_field(name));
        Ok(Self {
            max: Raw::say(there(max, "max")?),
            per: Raw::say(there(per, "per")?),
            rate: Raw::say(there(rate, "rate")?),
            from: Raw::say(there(from, "from")?),
            missing: missing.map(Raw::say),
        })
    }

    /// What it stands for.
    pub(super) fn read(self, reader: &mut Reader<'_>) -> Option<UsagePrice> {
        let Self { max, per, rate, from, missing } = self;
        let (max_span, rate_span) = (max.span.clone(), rate.span.clone());
        let (max, per, rate) = (reader.take(max), reader.take(per), reader.take(rate));
        let (from, missing) = (reader.take(from), reader.take_if(missing));
        let mut priced = |dollars: Option<Dollars>, span| {
            if dollars.as_ref().is_some_and(Dollars::is_zero) {
                reader.wrong(span, Mistake::PriceZero);
                return None;
            }
            dollars
        };
        let (max, rate) = (priced(max, max_span), priced(rate, rate_span.clone()));
        let missing = missing.unwrap_or_default();
        let rate = Text { span: rate_span, said: Ok(rate?) };
        Some(UsagePrice { max: max?, per: per?, rate, from: from?, missing })
    }
}

impl Written for Raw {
    const EXPECTED: &'static str = super::units::Price::EXPECTED;

    fn read(text: &str) -> Result<Self, Mistake> {
        Ok(Self(text.into()))
    }
}

impl Written for Per {
    const EXPECTED: &'static str = "a number of units in quotes such as \"1k tokens\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let wrong = || Mistake::not("a number of units", text, "\"1k tokens\" or \"second\"");
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, rest) = text.split_at_checked(end).ok_or_else(wrong)?;
        let count: u64 = match digits {
            "" => 1,
            digits => digits.parse().map_err(|_| wrong())?,
        };
        let (each, unit) = match rest.strip_prefix(['k', 'M']) {
            Some(unit) if !digits.is_empty() && (unit.is_empty() || unit.starts_with(' ')) => {
                (if rest.starts_with('k') { 1_000 } else { 1_000_000 }, unit)
            }
            _ => (1, rest),
        };
        let named = unit.trim();
        let spaced = unit.is_empty() || digits.is_empty() || unit.starts_with(' ');
        let plain = named.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            && named.chars().next().is_none_or(char::is_alphabetic);
        match count.checked_mul(each).filter(|count| *count > 0) {
            Some(count) if spaced && plain && named.len() <= UNIT_LEN_MAX && !text.is_empty() => {
                Ok(Self { count, unit: named.into() })
            }
            Some(_) | None => Err(wrong()),
        }
    }
}

impl Written for Missing {
    const EXPECTED: &'static str = "\"nothing\" or \"max\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        match text {
            "nothing" => Ok(Self::Nothing),
            "max" => Ok(Self::Max),
            _ => Err(Mistake::not("what an answer of unknown usage costs", text, Self::EXPECTED)),
        }
    }
}

const KEYS: [&str; 5] = ["max", "per", "rate", "from", "missing"];
const UNIT_LEN_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(u64, &str)>) {
        let expected = expected.map(|(count, unit)| Per { count, unit: unit.into() });
        assert_eq!(Per::read(text).ok(), expected, "{text}");
    }

    #[test]
    fn units_are_counted() {
        check("1k tokens", Some((1_000, "tokens")));
        check("1M tokens", Some((1_000_000, "tokens")));
        check("250 requests", Some((250, "requests")));
        check("token", Some((1, "token")));
        check("minute", Some((1, "minute")));
        check("10k", Some((10_000, "")));
        for text in ["", "0 tokens", "1ktokens", "1.5 tokens", "-1", "1k <b>"] {
            check(text, None);
        }
        check("99999999999999999999 tokens", None);
    }
}
