//! What a route answers to, as written in `match`: methods, host and path.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::method::{Methods, Verb};
use super::path::{self, Flaw};

/// The text of `match`, such as `POST /v1/remove-background` or `GET,POST api.example.com/v1/*`.
///
/// Without methods, or with `*`, it is every method but `OPTIONS`. Without a host it is every host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Which methods.
    pub methods: Methods,
    /// In lower case, without a port; nothing: any.
    pub host: Option<Box<str>>,
    /// Which paths.
    pub path: PathPattern,
}

/// Which paths a route answers to.
///
/// `/a/b` is that path alone. `{name}` stands for exactly one segment that is not empty. A final
/// `/*` stands for one or more segments: `/v1/*` takes `/v1/x` and `/v1/x/y/`, neither `/v1` nor
/// `/v1/`. A final `/` is part of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    /// From the left.
    pub segments: Vec<Segment>,
    /// What follows them.
    pub end: End,
}

/// One segment of a path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// These bytes.
    Literal(Box<str>),
    /// Any one segment, by this name.
    Param(Box<str>),
}

/// How a path pattern ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// With its last segment; without any, it is the path `/`.
    Bare,
    /// With a `/` after its last segment.
    Slash,
    /// With `/*`: one or more further segments.
    Rest,
}

/// A text that is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flaw}")]
pub struct PatternError {
    /// What is wrong.
    pub flaw: PatternFlaw,
    /// Bytes of the text that are wrong.
    pub span: Range<usize>,
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternFlaw {
    /// More than one space, or none where one belongs.
    #[error("write methods, one space and a path, such as `POST /v1/images`")]
    Shape,
    /// Too many bytes or segments.
    #[error("a pattern has at most {PATTERN_BYTES_MAX} bytes and {SEGMENTS_MAX} segments")]
    TooLong,
    /// A word that is no method.
    #[error("methods are {}, or `*` for all but OPTIONS", Verb::list())]
    Method,
    /// A method twice.
    #[error("this method is listed twice")]
    MethodTwice,
    /// No `/` anywhere.
    #[error("the path is missing; it starts with `/`")]
    NoPath,
    /// Not a host name.
    #[error("this is not a host name; write it without scheme, port and wildcards")]
    Host,
    /// `{` without `}`, a name beyond letters, digits and `_`, or text beside it.
    #[error("a parameter is a whole segment, such as `{{id}}`")]
    Param,
    /// A parameter's name twice.
    #[error("this parameter's name is taken already")]
    ParamTwice,
    /// A `*` elsewhere than at the end.
    #[error("`*` stands only at the end, after a `/`")]
    Star,
    /// A literal that no request's path can have.
    #[error("no request can have this path: {0}")]
    Path(Flaw),
}

impl PathPattern {
    /// Whether it answers to exactly one path.
    pub fn is_fixed(&self) -> bool {
        let literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
        self.end != End::Rest && self.segments.iter().all(literal)
    }

    /// Whether a path is spelled as this pattern spells it: every literal byte for byte, the end
    /// with a `/` or without. The path has this pattern's shape.
    pub(super) fn is_spelled(&self, path: &str) -> Spelled {
        let mut given = path.split('/').skip(1);
        for segment in &self.segments {
            match (segment, given.next()) {
                (Segment::Literal(text), Some(given)) if **text != *given => {
                    return Spelled::Otherwise;
                }
                _ => {}
            }
        }
        match (self.end, path.len() > 1 && path.ends_with('/')) {
            (End::Bare, true) | (End::Slash, false) => Spelled::Otherwise,
            (End::Bare, false) | (End::Slash, true) | (End::Rest, _) => Spelled::Same,
        }
    }
}

/// How a path is spelled, beside the pattern that it has the shape of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelled {
    /// As the pattern.
    Same,
    /// In other letters, escapes, or with another end.
    Otherwise,
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternFlaw::TooLong.at(PATTERN_BYTES_MAX..text.len()));
        }
        let (methods, target_at) = match text.split_once(' ') {
            Some((words, _)) => (parse_methods(words)?, words.len() + 1),
            None => (Methods::Any, 0),
        };
        let target = text.get(target_at..).unwrap_or_default();
        if let Some(at) = target.find(char::is_whitespace) {
            let at = target_at + at;
            return Err(PatternFlaw::Shape.at(at..at + 1));
        }
        let Some(slash) = target.find('/') else {
            return Err(PatternFlaw::NoPath.at(target_at..text.len()));
        };
        let (host, path) = target.split_at(slash);
        let host = parse_host(host).map_err(|flaw| flaw.at(target_at..target_at + slash))?;
        let path = parse_path(path).map_err(|error| error.moved(target_at + slash))?;
        Ok(Self { methods, host, path })
    }
}

fn parse_methods(words: &str) -> Result<Methods, PatternError> {
    if words == "*" {
        return Ok(Methods::Any);
    }
    let mut verbs = Vec::new();
    let mut at = 0;
    for word in words.split(',') {
        let span = at..at + word.len();
        at = span.end + 1;
        let verb = Verb::named(word).ok_or_else(|| PatternFlaw::Method.at(span.clone()))?;
        if verbs.contains(&verb) {
            return Err(PatternFlaw::MethodTwice.at(span));
        }
        verbs.push(verb);
    }
    Ok(Methods::listed(&verbs))
}

fn parse_host(text: &str) -> Result<Option<Box<str>>, PatternFlaw> {
    if text.is_empty() {
        return Ok(None);
    }
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(fits)
    };
    let is_ip = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let good = match is_ip {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => text.len() <= HOST_BYTES_MAX && text.split('.').all(label),
    };
    if good { Ok(Some(text.to_ascii_lowercase().into())) } else { Err(PatternFlaw::Host) }
}

/// Spans count from the path's own `/`, which `path` begins with.
fn parse_path(path: &str) -> Result<PathPattern, PatternError> {
    let mut pattern = PathPattern { segments: Vec::new(), end: End::Bare };
    let body = path.strip_prefix('/').unwrap_or(path);
    if body.is_empty() {
        return Ok(pattern);
    }
    let mut at = 1;
    for text in body.split('/') {
        let span = at..at + text.len();
        let last = span.end == path.len();
        at = span.end + 1;
        match text {
            "" if last => pattern.end = End::Slash,
            "*" if last => pattern.end = End::Rest,
            _ => {
                let segment = parse_segment(text).map_err(|error| error.moved(span.start))?;
                if matches!(segment, Segment::Param(_)) && pattern.segments.contains(&segment) {
                    return Err(PatternFlaw::ParamTwice.at(span));
                }
                pattern.segments.push(segment);
            }
        }
    }
    if pattern.segments.len() > SEGMENTS_MAX {
        return Err(PatternFlaw::TooLong.at(0..path.len()));
    }
    Ok(pattern)
}

fn parse_segment(text: &str) -> Result<Segment, PatternError> {
    let whole = 0..text.len();
    if text.is_empty() {
        return Err(PatternFlaw::Path(Flaw::EmptySegment).at(0..1));
    }
    if text.contains(['{', '}']) {
        let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        return match name {
            Some(name) if !name.is_empty() && name.bytes().all(fits) => {
                Ok(Segment::Param(name.into()))
            }
            _ => Err(PatternFlaw::Param.at(whole)),
        };
    }
    if let Some(at) = text.find('*') {
        return Err(PatternFlaw::Star.at(at..at + 1));
    }
    match path::check_segment(text.as_bytes()) {
        Ok(()) if text.len() > SEGMENT_BYTES_MAX => Err(PatternFlaw::TooLong.at(whole)),
        Ok(()) => Ok(Segment::Literal(text.into())),
        Err(fault) => {
            let end = text.ceil_char_boundary(fault.at + 1);
            Err(PatternFlaw::Path(fault.flaw).at(fault.at..end))
        }
    }
}

impl PatternFlaw {
    const fn at(self, span: Range<usize>) -> PatternError {
        PatternError { flaw: self, span }
    }
}

impl PatternError {
    fn moved(self, by: usize) -> Self {
        Self { flaw: self.flaw, span: self.span.start + by..self.span.end + by }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.methods, self.host.as_deref().unwrap_or_default(), self.path)
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Param(name) => write!(f, "/{{{name}}}")?,
            }
        }
        match self.end {
            End::Bare if self.segments.is_empty() => f.write_str("/"),
            End::Bare => Ok(()),
            End::Slash => f.write_str("/"),
            End::Rest => f.write_str("/*"),
        }
    }
}

/// A path as it is written, without the names of its parameters. Two of one shape match alike.
pub fn shape(path: &str) -> String {
    let bare = |part| if str::starts_with(part, '{') { "{}" } else { part };
    path.split('/').map(bare).collect::<Vec<_>>().join("/")
}

/// Bytes of a pattern.
pub const PATTERN_BYTES_MAX: usize = 1024;

/// Segments of a pattern; also how deep a look-up may go.
pub const SEGMENTS_MAX: usize = 32;

/// Bytes of a literal segment.
pub const SEGMENT_BYTES_MAX: usize = 255;

/// Bytes of a host name. Source: RFC 1035 §2.3.4.
pub const HOST_BYTES_MAX: usize = 253;

#[cfg(test)]
mod tests;
