//! What callers say of the trace that they are in, and what is said on. Source: W3C Trace Context.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Kept;
use crate::outgoing::TRACE_PARENT;

/// A trace's number, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceId(u128);

/// A span's number, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpanId(u64);

/// The trace of a caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) trace: TraceId,
    /// The caller's own span.
    pub(super) parent: SpanId,
    pub(super) kept: Kept,
    /// What other vendors say, if that can be read.
    pub(super) state: Option<HeaderValue>,
}

impl TraceId {
    /// This number; zero is none.
    pub(super) fn of(number: u128) -> Self {
        Self(number.max(1))
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl SpanId {
    /// This number; zero is none.
    pub(super) fn of(number: u64) -> Self {
        Self(number.max(1))
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }
}

impl Context {
    /// What these headers say; nothing where they can be read in two ways, or not at all.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACE_PARENT).iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        let (trace, parent, kept) = read(value.to_str().ok()?.trim_matches(BLANKS))?;
        Some(Self { trace, parent, kept, state: state(headers) })
    }
}

/// Version 00, or what a later one has in common with it.
fn read(text: &str) -> Option<(TraceId, SpanId, Kept)> {
    let (version, rest) = hex(text, 2)?;
    let (trace, rest) = hex(rest.strip_prefix('-')?, 32)?;
    let (parent, rest) = hex(rest.strip_prefix('-')?, 16)?;
    let (flags, rest) = hex(rest.strip_prefix('-')?, 2)?;
    let ends = match version {
        0x00 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    let kept = if flags & SAMPLED == 0 { Kept::No } else { Kept::Yes };
    let parent = u64::try_from(parent).ok()?;
    (ends && trace != 0 && parent != 0).then_some((TraceId(trace), SpanId(parent), kept))
}

/// So many digits in lower case, and what follows them.
fn hex(text: &str, digits: usize) -> Option<(u128, &str)> {
    let (digits, rest) = text.split_at_checked(digits)?;
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let number = digits.bytes().all(lower).then(|| u128::from_str_radix(digits, 16));
    Some((number?.ok()?, rest))
}

/// All of `tracestate` in one line, within its bounds; else nothing of it.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut whole = String::new();
    for value in headers.get_all(TRACE_STATE) {
        let comma = if whole.is_empty() { "" } else { "," };
        whole.push_str(comma);
        whole.push_str(value.to_str().ok()?);
        if whole.len() > STATE_BYTES_MAX {
            return None;
        }
    }
    let members = whole.split(',').map(|member| member.trim_matches(BLANKS));
    let members: Vec<_> = members.filter(|member| !member.is_empty()).collect();
    let fits = (1..=STATE_MEMBERS_MAX).contains(&members.len());
    let fits = fits && members.into_iter().all(is_member);
    fits.then(|| HeaderValue::from_str(&whole).ok()).flatten()
}

/// Whether this is a vendor's key and value.
fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let next = |byte: u8| first(byte) || b"_-*/@".contains(&byte);
    let shown = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
    let length = |part: &str| (1..=MEMBER_BYTES_MAX).contains(&part.len());
    let named = key.bytes().next().is_some_and(first) && key.bytes().all(next);
    named && length(key) && length(value) && value.bytes().all(shown)
}

/// The `traceparent` of whoever is called by this span.
pub(super) fn parent_of(trace: TraceId, span: SpanId, kept: Kept) -> HeaderValue {
    let flags = flags(kept);
    let text = format!("00-{trace}-{:016x}-{flags:02x}", span.0);
    // Digits and lines can be sent.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// The flags of a trace.
pub(super) fn flags(kept: Kept) -> u8 {
    u8::from(kept == Kept::Yes)
}

/// Where vendors say more of it.
pub const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

const SAMPLED: u128 = 1;
const BLANKS: [char; 2] = [' ', '\t'];

/// As long as everybody has to take; longer ones are not handed on.
const STATE_BYTES_MAX: usize = 512;
const STATE_MEMBERS_MAX: usize = 32;
const MEMBER_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: u128 = 0x1234_5678_9012_3456_7890_1234_5678_9012;
    const SPAN: u64 = 0x1234_5678_9012_3456;
    const GOOD: &str = "00-12345678901234567890123456789012-1234567890123456-01";

    fn headers(parents: &[&str], states: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, values) in [(TRACE_PARENT, parents), (TRACE_STATE, states)] {
            for value in values {
                headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
            }
        }
        headers
    }

    /// Source: the test suite of w3c/trace-context, `test_traceparent_*`.
    #[test]
    fn a_parent_has_one_reading_or_none() {
        let with = |from: &str, to: &str| GOOD.replacen(from, to, 1);
        let trace = &GOOD[3..35];
        // The trace's digits begin as the span's do.
        let spanned = |to: &str| with("-1234567890123456-", &format!("-{to}-"));
        for (text, good) in [
            (GOOD.to_owned(), true),
            (format!(" {GOOD}\t"), true),
            (with("-01", "-00"), true),
            (with("-01", "-03"), true),
            // Later versions may go on behind another line.
            (with("00-", "cc-"), true),
            (with("00-", "cc-") + "-what-the-future-will-be-like", true),
            (with("00-", "cc-") + ".what-the-future-will-be-like", false),
            (GOOD.to_owned() + "-what-the-future-will-be-like", false),
            (GOOD.to_owned() + ".", false),
            (with("00-", "ff-"), false),
            (with("00-", ".0-"), false),
            (with("00-", "0.-"), false),
            (with("00-", "+0-"), false),
            (with("00-", "000-"), false),
            (with("00-", "0000-"), false),
            (with("00-", "0-"), false),
            (with(trace, &"0".repeat(32)), false),
            (with(trace, ".2345678901234567890123456789012"), false),
            (with(trace, "1234567890123456789012345678901."), false),
            (with(trace, "1234567890123456789012345678901A"), false),
            (with(trace, "123456789012345678901234567890123"), false),
            (with(trace, "1234567890123456789012345678901"), false),
            (spanned(&"0".repeat(16)), false),
            (spanned(".234567890123456"), false),
            (spanned("123456789012345."), false),
            (spanned("123456789012345F"), false),
            (spanned("12345678901234567"), false),
            (spanned("123456789012345"), false),
            (with("-01", "-.0"), false),
            (with("-01", "-0."), false),
            (with("-01", "-001"), false),
            (with("-01", "-1"), false),
            (with("-", "_"), false),
            (String::new(), false),
        ] {
            let found = Context::of(&headers(&[&text], &[]));
            let found = found.map(|context| (context.trace, context.parent));
            assert_eq!(found, good.then_some((TraceId(TRACE), SpanId(SPAN))), "{text:?}");
        }
        assert_eq!(Context::of(&headers(&[GOOD, GOOD], &[])), None);
        assert_eq!(Context::of(&headers(&[], &["a=b"])), None);
    }

    #[test]
    fn the_flag_is_read_and_written() {
        for (flags, kept, written) in [("01", Kept::Yes, "01"), ("fe", Kept::No, "00")] {
            let text = GOOD.replace("-01", &format!("-{flags}"));
            let context = Context::of(&headers(&[&text], &[])).unwrap();
            assert_eq!(context.kept, kept);
            let on = parent_of(context.trace, SpanId(1), kept);
            let expected = format!("{}-{}-{written}", &GOOD[..35], "0000000000000001");
            assert_eq!(on, expected);
        }
    }

    /// Source: the same, `test_tracestate_*`.
    #[test]
    fn a_state_is_handed_on_whole_or_not_at_all() {
        let many = |count: usize| {
            let members: Vec<_> = (0..count).map(|at| format!("bar{at}=a")).collect();
            members.join(",")
        };
        let long = |key: usize, value: usize| format!("{}={}", "a".repeat(key), "b".repeat(value));
        for (states, expected) in [
            (vec!["foo=1,bar=2"], Some("foo=1,bar=2".to_owned())),
            (vec!["foo=1", "bar=2"], Some("foo=1,bar=2".to_owned())),
            (vec!["foo=1 \t , \t bar=2, \t baz=3"], Some("foo=1 \t , \t bar=2, \t baz=3".into())),
            (vec!["foo=1,,,bar=2"], Some("foo=1,,,bar=2".to_owned())),
            (vec!["fw529a3039@dt=~!@#$%^&*()_+"], Some("fw529a3039@dt=~!@#$%^&*()_+".into())),
            (vec![&many(32)], Some(many(32))),
            (vec![&many(33)], None),
            (vec![&long(256, 255)], Some(long(256, 255))),
            (vec![&long(257, 1)], None),
            (vec![&long(1, 257)], None),
            (vec![&long(200, 200), &long(200, 200)], None),
            (vec!["foo"], None),
            (vec!["foo="], None),
            (vec!["=1"], None),
            (vec!["foo =1"], None),
            (vec!["FOO=1"], None),
            (vec!["foo.bar=1"], None),
            (vec!["foo=bar=baz"], None),
            (vec![""], None),
            (vec![], None),
        ] {
            let context = Context::of(&headers(&[GOOD], &states)).unwrap();
            let expected = expected.map(|text| HeaderValue::from_str(&text).unwrap());
            assert_eq!(context.state, expected, "{states:?}");
        }
    }
}
