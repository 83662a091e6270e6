//! One number in JSON, found while the JSON comes by, in memory that does not grow with it.

use super::Field;

/// How much was used: digits, of which so many stand behind the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    digits: u128,
    places: u32,
}

impl Quantity {
    /// Reads a number of JSON that is not negative; nothing where it is, or is not within bounds.
    pub fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, part) = number.split_once('.').map_or((number, None), |(w, p)| (w, Some(p)));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let leads = whole.len() > 1 && whole.starts_with('0');
        if leads || !digits(whole) || part.is_some_and(|part| !digits(part)) {
            return None;
        }
        let part = part.unwrap_or_default().trim_end_matches('0');
        let digits = format!("{whole}{part}").parse().ok().filter(|all| *all < DIGITS_END)?;
        let places = i32::try_from(part.len()).ok()?.checked_sub(exponent)?;
        match u32::try_from(places) {
            Ok(places) => (places <= PLACES_MAX).then_some(Self { digits, places }),
            Err(_) => {
                let zeros = 10_u128.checked_pow(places.unsigned_abs())?;
                let digits = digits.checked_mul(zeros).filter(|all| *all < DIGITS_END)?;
                Some(Self { digits, places: 0 })
            }
        }
    }

    pub(super) fn digits(self) -> u128 {
        self.digits
    }

    pub(super) fn places(self) -> u32 {
        self.places
    }
}

/// What stands at a place of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This much.
    Number(Quantity),
    /// Something that is no number within bounds.
    Other,
}

/// Looks for a field in documents that come byte by byte.
///
/// Keys are compared as they are written; one with escapes is no other's. Of a field that stands
/// twice the last one counts.
#[derive(Debug)]
pub(super) struct Scan {
    path: Field,
    state: State,
    /// Containers that are open: an object each 1, the innermost at the lowest bit.
    objects: u128,
    depth: u32,
    /// So many of them, from the outermost on, are objects on the way to the field.
    on_path: usize,
    /// The next value stands where the next name of the path leads.
    leads: bool,
    token: Vec<u8>,
    found: Option<Found>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value comes; right behind `[`, its end may.
    Value {
        or_end: bool,
    },
    /// A key comes; right behind `{`, its end may.
    Key {
        or_end: bool,
    },
    /// Within a key, of which so many bytes are those of the next name; nothing: it is another.
    InKey {
        same: Option<usize>,
        escaped: bool,
    },
    Colon,
    InText {
        escaped: bool,
    },
    /// A number; `kept` if it is the one.
    InNumber {
        kept: bool,
    },
    /// `true`, `false` or `null`: letters.
    InWord,
    After,
    /// Not JSON.
    Broken,
}

impl Scan {
    pub(super) fn new(path: Field) -> Self {
        Self {
            path,
            state: State::Value { or_end: false },
            objects: 0,
            depth: 0,
            on_path: 0,
            leads: false,
            token: Vec::new(),
            found: None,
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.step(*byte);
        }
    }

    /// What the document has at its place, if it is whole; the next one begins.
    pub(super) fn end(&mut self) -> Option<Found> {
        self.step(b' ');
        let whole = self.depth == 0 && self.state == State::After;
        let found = self.found.take().filter(|_| whole);
        (self.state, self.depth) = (State::Value { or_end: false }, 0);
        (self.objects, self.on_path, self.leads) = (0, 0, false);
        found
    }

    /// Bytes that it holds beside itself.
    #[cfg(test)]
    pub(super) fn token_bytes(&self) -> usize {
        self.token.capacity()
    }

    fn step(&mut self, byte: u8) {
        self.state = match self.state {
            State::Broken => State::Broken,
            State::InKey { same, escaped } => self.in_key(byte, same, escaped),
            State::InText { escaped: true } => State::InText { escaped: false },
            State::InText { escaped: false } => match byte {
                b'\\' => State::InText { escaped: true },
                b'"' => State::After,
                _ => State::InText { escaped: false },
            },
            State::InNumber { kept } if is_of_number(byte) => self.in_number(byte, kept),
            State::InNumber { kept } => {
                if kept {
                    self.keep_number();
                }
                self.after(byte)
            }
            State::InWord if byte.is_ascii_lowercase() => State::InWord,
            State::InWord | State::After => self.after(byte),
            same if byte.is_ascii_whitespace() => same,
            State::Colon if byte == b':' => State::Value { or_end: false },
            State::Colon => State::Broken,
            State::Key { or_end } => match byte {
                b'"' => State::InKey { same: self.is_on_path().then_some(0), escaped: false },
                b'}' if or_end => self.close(1),
                _ => State::Broken,
            },
            State::Value { or_end } => self.value(byte, or_end),
        };
    }

    fn value(&mut self, byte: u8, or_end: bool) -> State {
        let leads = std::mem::take(&mut self.leads);
        let last = leads && self.on_path == self.path.names().len();
        if last {
            // Nothing of before counts any more, whatever this is.
            self.found = (byte != b'n').then_some(Found::Other);
        }
        match byte {
            b'{' => self.open(1, (leads && !last) || self.depth == 0),
            b'[' => self.open(0, false),
            b']' if or_end => self.close(0),
            b'"' => State::InText { escaped: false },
            b'-' | b'0'..=b'9' => {
                self.token.clear();
                self.in_number(byte, last)
            }
            b't' | b'f' | b'n' => State::InWord,
            _ => State::Broken,
        }
    }

    fn in_key(&mut self, byte: u8, same: Option<usize>, escaped: bool) -> State {
        match (byte, escaped) {
            (_, true) => State::InKey { same: None, escaped: false },
            (b'\\', false) => State::InKey { same: None, escaped: true },
            (b'"', false) => {
                let name = self.name();
                self.leads = same.is_some_and(|same| name.is_some_and(|name| name.len() == same));
                State::Colon
            }
            (byte, false) => {
                let next =
                    same.filter(|same| self.name().and_then(|name| name.get(*same)) == Some(&byte));
                State::InKey { same: next.and_then(|same| same.checked_add(1)), escaped: false }
            }
        }
    }

    fn in_number(&mut self, byte: u8, kept: bool) -> State {
        if kept && self.token.len() <= TOKEN_BYTES_MAX {
            self.token.push(byte);
        }
        State::InNumber { kept }
    }

    fn keep_number(&mut self) {
        let fits = self.token.len() <= TOKEN_BYTES_MAX;
        let number = Quantity::read(&self.token).filter(|_| fits);
        self.found = Some(number.map_or(Found::Other, Found::Number));
    }

    /// Behind a value.
    fn after(&mut self, byte: u8) -> State {
        match byte {
            _ if byte.is_ascii_whitespace() => State::After,
            b',' if self.depth > 0 && self.objects & 1 == 1 => State::Key { or_end: false },
            b',' if self.depth > 0 => State::Value { or_end: false },
            b'}' => self.close(1),
            b']' => self.close(0),
            _ => State::Broken,
        }
    }

    fn open(&mut self, object: u128, leads: bool) -> State {
        if self.depth >= DEPTH_MAX {
            return State::Broken;
        }
        self.objects = (self.objects << 1) | object;
        self.depth = self.depth.saturating_add(1);
        if leads {
            self.on_path = self.on_path.saturating_add(1);
        }
        match object {
            1 => State::Key { or_end: true },
            _ => State::Value { or_end: true },
        }
    }

    fn close(&mut self, object: u128) -> State {
        if self.depth == 0 || self.objects & 1 != object {
            return State::Broken;
        }
        if self.is_on_path() {
            self.on_path = self.on_path.saturating_sub(1);
        }
        self.objects >>= 1;
        self.depth = self.depth.saturating_sub(1);
        State::After
    }

    /// Whether the innermost container is an object on the way.
    fn is_on_path(&self) -> bool {
        usize::try_from(self.depth) == Ok(self.on_path) && self.depth > 0
    }

    /// The name that leads on from the innermost container.
    fn name(&self) -> Option<&[u8]> {
        let names = self.path.names();
        names.get(self.on_path.checked_sub(1)?).map(|name| name.as_bytes())
    }
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E')
}

/// Numbers have fewer digits than this one.
const DIGITS_END: u128 = 1_000_000_000_000_000_000_000_000_000_000;
const PLACES_MAX: u32 = 50;
/// Bytes of the longest number that is read.
const TOKEN_BYTES_MAX: usize = 64;
/// Containers within each other: one bit each, and one to spare.
const DEPTH_MAX: u32 = 120;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, json: &str) -> Option<Found> {
        let mut scan = Scan::new(path.parse().unwrap());
        scan.feed(json.as_bytes());
        scan.end()
    }

    #[track_caller]
    fn number(path: &str, json: &str, expected: &str) {
        let expected = Quantity::read(expected.as_bytes()).unwrap();
        assert_eq!(of(path, json), Some(Found::Number(expected)), "{json}");
    }

    #[track_caller]
    fn nothing(path: &str, json: &str) {
        assert_eq!(of(path, json), None, "{json}");
    }

    #[test]
    fn a_number_is_found_at_its_place_and_nowhere_else() {
        let path = "usage.total_tokens";
        number(path, r#"{"usage":{"total_tokens":42}}"#, "42");
        number(
            path,
            r#" { "a" : [ {"usage":{"total_tokens":1}} ], "usage" :
            {"prompt": {"total_tokens": 3}, "total_tokens" : 42 , "x": "}"} } "#,
            "42",
        );
        number("a", r#"{"b":"\"a\":1","a":7}"#, "7");
        number("a.b.c", r#"{"a":{"b":{"d":{"c":1},"c":2},"c":3},"c":4}"#, "2");
        nothing(path, r#"{"total_tokens":42}"#);
        nothing(path, r#"{"x":{"usage":{"total_tokens":42}}}"#);
        nothing(path, r#"[{"usage":{"total_tokens":42}}]"#);
        nothing(path, r#"{"usage":[{"total_tokens":42}]}"#);
        nothing(path, r#"{"usage":{"total_token":42,"total_tokens2":42}}"#);
        nothing(path, r#"{"usage":{"total\u005ftokens":42}}"#);
    }

    #[test]
    fn of_two_the_last_counts_and_null_is_nothing() {
        number("a", r#"{"a":1,"a":2}"#, "2");
        nothing("a", r#"{"a":1,"a":null}"#);
        nothing("a.b", r#"{"a":null}"#);
    }

    #[test]
    fn what_is_no_number_is_told() {
        for value in ["\"42\"", "-1", "true", "{}", "[1]", "1e99", "1.2.3", "01", "1e"] {
            assert_eq!(of("a", &format!("{{\"a\":{value}}}")), Some(Found::Other), "{value}");
        }
        let long = format!("{{\"a\":{}}}", "9".repeat(1_000));
        assert_eq!(of("a", &long), Some(Found::Other));
    }

    #[test]
    fn what_is_no_whole_document_says_nothing() {
        for json in [
            "",
            "{",
            r#"{"a":1"#,
            r#"{"a":1}}"#,
            r#"{"a":1]"#,
            r#"{"a":1} x"#,
            "[DONE]",
            "a",
            r#"{"a":1}{"a":2}"#,
            r#"{a:1}"#,
            r#"{"a" 1}"#,
            r#"{,"a":1}"#,
        ] {
            nothing("a", json);
        }
        let deep = "[".repeat(1_000);
        nothing("a", &format!("{{\"a\":1,\"b\":{deep}"));
    }

    #[test]
    fn a_second_document_begins_anew() {
        let mut scan = Scan::new("a".parse().unwrap());
        scan.feed(b"{\"a\":1,");
        assert_eq!(scan.end(), None);
        scan.feed(b"{\"a\":2}");
        assert_eq!(scan.end(), Some(Found::Number(Quantity { digits: 2, places: 0 })));
    }

    #[test]
    fn decimals_keep_their_place() {
        for (text, digits, places) in
            [("1.50", 15, 1), ("0.001", 1, 3), ("2e3", 2_000, 0), ("2.5E+1", 25, 0), ("5e-2", 5, 2)]
        {
            assert_eq!(
                Quantity::read(text.as_bytes()),
                Some(Quantity { digits, places }),
                "{text}"
            );
        }
    }
}
