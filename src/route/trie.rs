//! Finds the most specific pattern of a path, one segment at a time.
//!
//! A literal goes before a parameter, a parameter before `/*`; where a branch ends without a
//! route, the next one is tried. The tree is walked as the laxest upstream would read the path:
//! letters in either case, `%40` like `@`, a final `/` or none. Whoever asks then looks at how the
//! pattern that was found is spelled, so another spelling of `/v1/paid` can never slip through to
//! a cheaper `/v1/*`.

use std::collections::HashMap;

use super::path::{is_either_way, read_escape};
use super::pattern::{End, PathPattern, SEGMENT_BYTES_MAX, Segment};

/// A place in the tree: what may follow, and what ends here.
#[derive(Debug)]
pub(super) struct Node<T> {
    literals: HashMap<Box<[u8]>, Self>,
    param: Option<Box<Self>>,
    bare: Option<T>,
    slash: Option<T>,
    rest: Option<T>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { literals: HashMap::new(), param: None, bare: None, slash: None, rest: None }
    }
}

impl<T> Node<T> {
    /// Where patterns of this shape end; made if it is not there.
    pub(super) fn place(&mut self, pattern: &PathPattern) -> &mut Option<T> {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Param(_) => node.param.get_or_insert_default(),
                Segment::Literal(text) => {
                    let folded = Folded(text.as_bytes()).collect();
                    node.literals.entry(folded).or_default()
                }
            };
        }
        match pattern.end {
            End::Bare => &mut node.bare,
            End::Slash => &mut node.slash,
            End::Rest => &mut node.rest,
        }
    }

    /// What ends at the most specific pattern of this path.
    pub(super) fn find(&self, path: &str) -> Option<&T> {
        let body = path.strip_prefix('/')?;
        if body.is_empty() {
            return self.bare.as_ref();
        }
        match body.strip_suffix('/') {
            Some(segments) => self.walk(Some(segments), End::Slash),
            None => self.walk(Some(body), End::Bare),
        }
    }

    /// Goes on with the segments in `path`. As deep as the longest pattern, never as the path.
    fn walk(&self, path: Option<&str>, end: End) -> Option<&T> {
        let Some(path) = path else {
            return match end {
                End::Bare | End::Rest => self.bare.as_ref().or(self.slash.as_ref()),
                End::Slash => self.slash.as_ref().or(self.bare.as_ref()),
            };
        };
        let (segment, further) = match path.split_once('/') {
            Some((segment, further)) => (segment, Some(further)),
            None => (path, None),
        };
        let literal = || self.literal(segment)?.walk(further, end);
        let param = || self.param.as_ref()?.walk(further, end);
        literal().or_else(param).or(self.rest.as_ref())
    }

    fn literal(&self, segment: &str) -> Option<&Self> {
        if self.literals.is_empty() {
            return None;
        }
        let is_folded = |byte: u8| byte != b'%' && !byte.is_ascii_uppercase();
        if segment.bytes().all(is_folded) {
            return self.literals.get(segment.as_bytes());
        }
        let mut room = [0; SEGMENT_BYTES_MAX];
        let mut slots = room.iter_mut();
        for byte in Folded(segment.as_bytes()) {
            // Longer than any literal, so it is none.
            *slots.next()? = byte;
        }
        let unused = slots.len();
        self.literals.get(room.get(..room.len() - unused)?)
    }
}

/// The bytes of a segment as the laxest upstream compares them.
struct Folded<'a>(&'a [u8]);

impl Iterator for Folded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (&byte, tail) = self.0.split_first()?;
        if byte == b'%'
            && let Ok((escaped, further)) = read_escape(tail)
            && is_either_way(escaped)
        {
            self.0 = further;
            return Some(escaped);
        }
        self.0 = tail;
        Some(byte.to_ascii_lowercase())
    }
}
