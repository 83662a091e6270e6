//! Paths and queries that have only one spelling.
//!
//! What is matched is what is forwarded, byte for byte, so a path must mean the same to us and to
//! every upstream. Upstreams decode escapes, drop dot segments, merge slashes and cut `;`
//! parameters, each in its own way; a path that any of that would change is refused.

use crate::refusal::Refusal;

/// A request path that no upstream reads in another way than we do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanonicalPath<'a>(&'a str);

/// A query that is forwarded as it came: visible ASCII without `#`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanonicalQuery<'a>(&'a str);

/// A path or query that is refused, and where it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flaw}")]
pub struct NotCanonical {
    /// What is wrong.
    pub flaw: Flaw,
    /// The first byte of it.
    pub at: usize,
}

/// What gives a path a second spelling, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// More than [`PATH_BYTES_MAX`] or [`QUERY_BYTES_MAX`].
    #[error("it is too long")]
    TooLong,
    /// Not an absolute path.
    #[error("a path starts with `/`")]
    NoSlash,
    /// `//` inside.
    #[error("`//` is an empty segment")]
    EmptySegment,
    /// `.` or `..` as a segment.
    #[error("`.` and `..` are not segments")]
    DotSegment,
    /// A byte that may not stand in a path as it is.
    #[error("this byte must be escaped, or left out")]
    Byte,
    /// `%` without two hex digits after it.
    #[error("`%` is not followed by two hex digits")]
    BadEscape,
    /// `%c3` for `%C3`.
    #[error("escapes are written in upper case")]
    LowerCaseEscape,
    /// `%70` for `p`, `%2E` for `.`.
    #[error("this byte needs no escape")]
    NeedlessEscape,
    /// An escaped `/`, `\`, `;` or control byte.
    #[error("this byte is not accepted, escaped or not")]
    ForbiddenEscape,
    /// `%25` before two hex digits, or before `u` and four.
    #[error("this is escaped twice")]
    DoubleEscape,
    /// Escapes that are not UTF-8 together.
    #[error("these escapes are not UTF-8")]
    NotUtf8,
}

impl<'a> CanonicalPath<'a> {
    /// Accepts a request's path as it came, without its query.
    ///
    /// # Errors
    /// The first thing that gives it another spelling, or none.
    pub fn new(raw: &'a [u8]) -> Result<Self, NotCanonical> {
        if raw.len() > PATH_BYTES_MAX {
            return Err(Flaw::TooLong.at(PATH_BYTES_MAX));
        }
        let Some((b'/', segments)) = raw.split_first() else {
            return Err(Flaw::NoSlash.at(0));
        };
        let mut at = 1;
        for segment in segments.split(|&byte| byte == b'/') {
            let last = at + segment.len() == raw.len();
            if segment.is_empty() && !last {
                return Err(Flaw::EmptySegment.at(at));
            }
            check_segment(segment).map_err(|fault| fault.flaw.at(at + fault.at))?;
            at += segment.len() + 1;
        }
        str::from_utf8(raw).map(Self).map_err(|_| Flaw::Byte.at(0))
    }

    /// The path, as it came and as it is forwarded.
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

impl<'a> CanonicalQuery<'a> {
    /// Accepts what stands behind the first `?` of a request's target.
    ///
    /// # Errors
    /// A control byte, a space, `#`, a byte beyond ASCII, or more than [`QUERY_BYTES_MAX`].
    pub fn new(raw: &'a [u8]) -> Result<Self, NotCanonical> {
        if raw.len() > QUERY_BYTES_MAX {
            return Err(Flaw::TooLong.at(QUERY_BYTES_MAX));
        }
        if let Some(at) = raw.iter().position(|&byte| !byte.is_ascii_graphic() || byte == b'#') {
            return Err(Flaw::Byte.at(at));
        }
        str::from_utf8(raw).map(Self).map_err(|_| Flaw::Byte.at(0))
    }

    /// The query, without its `?`.
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

impl Flaw {
    /// This flaw, found at that byte.
    pub(super) const fn at(self, at: usize) -> NotCanonical {
        NotCanonical { flaw: self, at }
    }
}

impl From<NotCanonical> for Refusal {
    fn from(_: NotCanonical) -> Self {
        Self::PathNotCanonical
    }
}

/// Looks at one segment; `at` in its error counts from the segment's start.
///
/// # Errors
/// The first thing that gives it another spelling, or none.
pub(super) fn check_segment(segment: &[u8]) -> Result<(), NotCanonical> {
    if matches!(segment, b"." | b"..") {
        return Err(Flaw::DotSegment.at(0));
    }
    let mut rest = segment;
    while let Some((&byte, tail)) = rest.split_first() {
        let step = match byte {
            b'%' => check_escape(tail),
            _ if is_plain(byte) => Ok(tail),
            _ => Err(Flaw::Byte),
        };
        rest = step.map_err(|flaw| flaw.at(segment.len() - rest.len()))?;
    }
    Ok(())
}

/// Whether a byte stands for itself in a segment. RFC 3986 `pchar`, without `%` and `;`.
pub(super) const fn is_plain(byte: u8) -> bool {
    is_unreserved(byte) || is_either_way(byte)
}

/// Whether a byte may be written both as it is and escaped: we cannot tell which one a client's
/// library writes, so both are let through, and the route table sees them as one.
pub(super) const fn is_either_way(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@'
    )
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Takes the bytes behind a `%` and gives what follows the escape.
fn check_escape(tail: &[u8]) -> Result<&[u8], Flaw> {
    let (byte, rest) = read_escape(tail)?;
    match byte {
        b'/' | b'\\' | b';' | 0..=0x1f | 0x7f => Err(Flaw::ForbiddenEscape),
        b'%' if begins_escape(rest) => Err(Flaw::DoubleEscape),
        0x80.. => check_utf8(byte, rest),
        _ if is_unreserved(byte) => Err(Flaw::NeedlessEscape),
        _ => Ok(rest),
    }
}

/// Whether somebody who decodes once more finds an escape behind a `%`: of a byte, or of four
/// digits behind a `u`, as some servers have it.
fn begins_escape(rest: &[u8]) -> bool {
    let (digits, count) = match rest {
        [b'u' | b'U', digits @ ..] => (digits, 4),
        digits => (digits, 2),
    };
    digits.get(..count).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// Reads on until the escapes that `lead` opens are one character, and gives what follows them.
/// An overlong `/` is no UTF-8, so it is refused here.
fn check_utf8(lead: u8, mut rest: &[u8]) -> Result<&[u8], Flaw> {
    let mut character = [lead, 0, 0, 0];
    let length = match lead {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => return Err(Flaw::NotUtf8),
    };
    for slot in character.iter_mut().take(length).skip(1) {
        let tail = rest.strip_prefix(b"%").ok_or(Flaw::NotUtf8)?;
        (*slot, rest) = read_escape(tail)?;
    }
    let character = character.get(..length).ok_or(Flaw::NotUtf8)?;
    str::from_utf8(character).map(|_| rest).map_err(|_| Flaw::NotUtf8)
}

/// The byte that two upper-case hex digits write, and what follows them.
pub(super) fn read_escape(tail: &[u8]) -> Result<(u8, &[u8]), Flaw> {
    let [high, low, rest @ ..] = tail else {
        return Err(Flaw::BadEscape);
    };
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        b'a'..=b'f' => Err(Flaw::LowerCaseEscape),
        _ => Err(Flaw::BadEscape),
    };
    Ok(((digit(*high)? << 4) | digit(*low)?, rest))
}

/// Bytes of a path.
pub const PATH_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a query.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests;
