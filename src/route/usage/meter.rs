//! What an answer says of its usage, read while it passes.

use std::sync::Arc;

use serde::Deserialize;

use super::scan::{Found, Quantity, Scan};
use super::{Missing, Usage};
use crate::x402::AtomicAmount;

/// Reads an answer's usage, piece by piece, in memory that does not grow with the answer.
#[derive(Debug)]
pub struct Meter {
    usage: Arc<Usage>,
    form: Form,
    line: Line,
    after_return: bool,
    scan: Scan,
    last: Option<Found>,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One document of JSON.
    Whole,
    /// One in each line.
    Lines,
    /// One in the data of each event of `text/event-stream`.
    Events,
}

/// Where in a line of an event the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Behind so many bytes of [`DATA`].
    Field(usize),
    Data,
    /// Of another field, or a comment.
    Other,
}

/// Why an answer does not say what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It says nothing there.
    Missing,
    /// It says something there that is no number, or none within bounds.
    NotANumber,
    /// Its `Settlement-Overrides` cannot be read.
    Override,
}

/// What an upstream itself says that its answer costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overridden {
    /// It does not.
    Not,
    /// So much, in atomic units, and never more than the maximum.
    To(AtomicAmount),
    /// What it says cannot be read.
    Badly,
}

impl Form {
    /// By the answer's media type.
    pub fn of(content_type: &str) -> Self {
        let name = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match &*name {
            "text/event-stream" => Self::Events,
            "application/x-ndjson" | "application/jsonl" | "application/x-jsonlines" => Self::Lines,
            _ => Self::Whole,
        }
    }
}

impl Meter {
    /// For an answer of this form.
    pub fn new(usage: Arc<Usage>, form: Form) -> Self {
        let scan = Scan::new(usage.from.clone());
        let (line, after_return, last) = (Line::Field(0), false, None);
        Self { usage, form, line, after_return, scan, last }
    }

    /// The next piece of the body.
    pub fn feed(&mut self, piece: &[u8]) {
        match self.form {
            Form::Whole => self.scan.feed(piece),
            Form::Lines => {
                for part in piece.split_inclusive(|byte| *byte == b'\n') {
                    self.scan.feed(part);
                    if part.ends_with(b"\n") {
                        self.document();
                    }
                }
            }
            Form::Events => piece.iter().for_each(|byte| self.event_byte(*byte)),
        }
    }

    /// What has been used so far, by what the answer has said up to now.
    ///
    /// # Errors
    /// It does not say it.
    pub fn used(&mut self) -> Result<Quantity, Unread> {
        self.document();
        match self.last {
            Some(Found::Number(used)) => Ok(used),
            Some(Found::Other) => Err(Unread::NotANumber),
            None => Err(Unread::Missing),
        }
    }

    /// What a whole answer costs, and why it does not say it where it does not.
    pub fn cost(
        &mut self,
        overridden: Overridden,
        max: AtomicAmount,
    ) -> (AtomicAmount, Option<Unread>) {
        let said = match overridden {
            Overridden::To(amount) => Ok(amount.min(max)),
            Overridden::Badly => Err(Unread::Override),
            Overridden::Not => self.used().map(|used| self.usage.amount(used, max)),
        };
        match (said, self.usage.missing) {
            (Ok(amount), _) => (amount, None),
            (Err(unread), Missing::Nothing) => (AtomicAmount::ZERO, Some(unread)),
            (Err(unread), Missing::Max) => (max, Some(unread)),
        }
    }

    /// What an answer costs that broke off: what it has said so far, or nothing.
    pub fn cost_so_far(&mut self, max: AtomicAmount) -> AtomicAmount {
        self.used().map_or(AtomicAmount::ZERO, |used| self.usage.amount(used, max))
    }

    fn document(&mut self) {
        self.last = self.scan.end().or(self.last);
    }

    /// Source: HTML, "Server-sent events", 9.2.5.
    fn event_byte(&mut self, byte: u8) {
        let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
        match (byte, self.line) {
            (b'\n', _) if after_return => {}
            (b'\n' | b'\r', line) => {
                match line {
                    Line::Field(0) => self.document(),
                    Line::Data => self.scan.feed(b"\n"),
                    Line::Field(_) | Line::Other => {}
                }
                self.line = Line::Field(0);
            }
            (byte, Line::Data) => self.scan.feed(&[byte]),
            (_, Line::Other) => {}
            (byte, Line::Field(at)) => {
                self.line = match DATA.get(at) == Some(&byte) {
                    true if at.saturating_add(1) == DATA.len() => Line::Data,
                    true => Line::Field(at.saturating_add(1)),
                    false => Line::Other,
                };
            }
        }
    }
}

impl Unread {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Missing, Self::NotANumber, Self::Override];

    /// The word in logs and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::NotANumber => "not_a_number",
            Self::Override => "override",
        }
    }
}

impl Overridden {
    /// Reads the value of `Settlement-Overrides`, an object of JSON with an `amount`: atomic units,
    /// a part of the maximum such as `"12.5%"`, or dollars such as `"$0.05"`. Rounded up.
    ///
    /// Source: npm `@x402/core` 2.27, `resolveSettlementOverrideAmount`.
    pub fn read(value: Option<&[u8]>, max: AtomicAmount, decimals: u8) -> Self {
        let Some(value) = value else { return Self::Not };
        let Ok(Overrides { amount }) = serde_json::from_slice(value) else { return Self::Badly };
        let amount = match amount.strip_suffix('%') {
            Some(percent) => share(percent, max),
            None => match amount.strip_prefix('$') {
                Some(dollars) => {
                    Quantity::read(dollars.as_bytes()).map(|dollars| units(dollars, max, decimals))
                }
                None => amount.parse().ok(),
            },
        };
        amount.map_or(Self::Badly, |amount| Self::To(amount.min(max)))
    }
}

fn share(percent: &str, max: AtomicAmount) -> Option<AtomicAmount> {
    let percent = Quantity::read(percent.as_bytes())?;
    Some(priced(max, 100).amount(percent, max))
}

fn units(dollars: Quantity, max: AtomicAmount, decimals: u8) -> AtomicAmount {
    let one = 10_u128.checked_pow(decimals.into()).unwrap_or(u128::MAX);
    priced(AtomicAmount::new(one), 1).amount(dollars, max)
}

/// A rate, for its arithmetic alone.
fn priced(rate: AtomicAmount, count: u64) -> Usage {
    let (unit, from) = (Box::default(), super::Field::default());
    Usage { rate, count, unit, from, missing: Missing::Nothing }
}

#[derive(Deserialize)]
struct Overrides {
    amount: String,
}

/// What a line of an event's data begins with. A space may follow, which is nothing to JSON.
const DATA: &[u8] = b"data:";

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: AtomicAmount = AtomicAmount::new(100_000);

    fn meter(form: Form, missing: Missing) -> Meter {
        let usage = Usage {
            rate: AtomicAmount::new(2_000),
            count: 1_000,
            unit: "tokens".into(),
            from: "usage.total_tokens".parse().unwrap(),
            missing,
        };
        Meter::new(Arc::new(usage), form)
    }

    #[track_caller]
    fn check(form: Form, body: &[u8], expected: Result<u128, Unread>) {
        for cut in 0..=body.len() {
            let mut meter = meter(form, Missing::Nothing);
            let (first, second) = body.split_at(cut);
            meter.feed(first);
            meter.feed(second);
            let cost = meter.cost(Overridden::Not, MAX);
            let expected = match expected {
                Ok(units) => (AtomicAmount::new(units), None),
                Err(unread) => (AtomicAmount::ZERO, Some(unread)),
            };
            assert_eq!(cost, expected, "cut at {cut}");
        }
    }

    #[test]
    fn json_is_read_wherever_it_is_cut() {
        let body = br#"{"choices":[{"text":"\"usage\""}],"usage":{"total_tokens":1234}}"#;
        check(Form::Whole, body, Ok(2_468));
        check(Form::Whole, br#"{"usage":{"total_tokens":"many"}}"#, Err(Unread::NotANumber));
        check(Form::Whole, br#"{"usage":{}}"#, Err(Unread::Missing));
        check(Form::Whole, br#"{"usage":{"total_tokens":1234}"#, Err(Unread::Missing));
    }

    #[test]
    fn the_last_event_that_has_it_counts_wherever_it_is_cut() {
        for end in ["\n", "\r\n", "\r"] {
            let body = [
                ": usage",
                "",
                "event: x",
                r#"data: {"usage":{"total_tokens":1}}"#,
                "",
                r#"data:{"usage":"#,
                r#"data:{"total_tokens":500}}"#,
                "",
                r#"data: {"usage":null}"#,
                "",
                r#"datax: {"usage":{"total_tokens":9}}"#,
                "",
                "data: [DONE]",
                "",
                "",
            ];
            check(Form::Events, body.join(end).as_bytes(), Ok(1_000));
        }
        check(Form::Events, b"data: {\"usage\":null}\n\n", Err(Unread::Missing));
        check(Form::Events, b"data: {\"usage\":{\"total_tokens\":500}}", Ok(1_000));
    }

    #[test]
    fn the_last_line_that_has_it_counts_wherever_it_is_cut() {
        let body = b"{\"a\":1}\nnot json\n{\"usage\":{\"total_tokens\":500}}\n{\"b\":2}\n";
        check(Form::Lines, body, Ok(1_000));
    }

    #[test]
    fn a_body_without_end_needs_no_memory() {
        let mut meter = meter(Form::Events, Missing::Max);
        for _ in 0..1_000 {
            meter.feed(&[b'x'; 4_096]);
            meter.feed(b"\ndata: [[[[[[[\n");
        }
        assert!(meter.scan_bytes() < 256);
        assert_eq!(meter.cost(Overridden::Not, MAX), (MAX, Some(Unread::Missing)));
    }

    impl Meter {
        fn scan_bytes(&self) -> usize {
            self.scan.token_bytes()
        }
    }

    #[test]
    fn an_upstream_may_name_the_amount() {
        let read = |value: &str| Overridden::read(Some(value.as_bytes()), MAX, 6);
        let to = |units| Overridden::To(AtomicAmount::new(units));
        assert_eq!(read(r#"{"amount":"1500"}"#), to(1_500));
        assert_eq!(read(r#"{"amount":"0"}"#), to(0));
        assert_eq!(read(r#"{"amount":"999999999"}"#), to(100_000));
        assert_eq!(read(r#"{"amount":"12.5%"}"#), to(12_500));
        assert_eq!(read(r#"{"amount":"0.0001%"}"#), to(1));
        assert_eq!(read(r#"{"amount":"$0.05"}"#), to(50_000));
        assert_eq!(read(r#"{"amount":"$0.0000001"}"#), to(1));
        for bad in ["", "1500", r#"{"amount":1500}"#, r#"{"amount":"-1"}"#, r#"{"amount":"x%"}"#] {
            assert_eq!(read(bad), Overridden::Badly, "{bad}");
        }
        assert_eq!(Overridden::read(None, MAX, 6), Overridden::Not);
    }

    #[test]
    fn what_an_upstream_names_counts_before_what_it_says() {
        let mut meter = meter(Form::Whole, Missing::Max);
        meter.feed(br#"{"usage":{"total_tokens":1234}}"#);
        assert_eq!(meter.cost(Overridden::Badly, MAX), (MAX, Some(Unread::Override)));
        let seven = AtomicAmount::new(7);
        assert_eq!(meter.cost(Overridden::To(seven), MAX), (seven, None));
    }
}
