//! Paths with one spelling, and a normaliser that tries to find a second one.

use super::*;

fn check(path: &str, expected: Result<(), (Flaw, usize)>) {
    let got = CanonicalPath::new(path.as_bytes()).map(|accepted| {
        assert_eq!(accepted.as_str(), path);
    });
    assert_eq!(got, expected.map_err(|(flaw, at)| flaw.at(at)), "{path:?}");
}

#[test]
fn plain_paths_pass() {
    for path in ["/", "/v1/remove-background", "/v1/", "/a.b/..c/...", "/~_-.!$&'()*+,=:@x"] {
        check(path, Ok(()));
    }
}

#[test]
fn escapes_that_are_needed_pass() {
    for path in ["/%20", "/%22%3C%3E%7B%7D", "/%C3%A9/%E2%82%AC/%F0%9F%92%B6", "/%25", "/100%25/x"]
    {
        check(path, Ok(()));
    }
}

#[test]
fn bytes_that_libraries_write_either_way_pass_both_ways() {
    check("/did:x/a@b", Ok(()));
    check("/did%3Ax/a%40b", Ok(()));
}

#[test]
fn dot_segments_and_empty_segments_are_refused() {
    check("//", Err((Flaw::EmptySegment, 1)));
    check("/a//b", Err((Flaw::EmptySegment, 3)));
    check("/a//", Err((Flaw::EmptySegment, 3)));
    check("/./a", Err((Flaw::DotSegment, 1)));
    check("/a/../b", Err((Flaw::DotSegment, 3)));
    check("/a/.", Err((Flaw::DotSegment, 3)));
    check("/a/..", Err((Flaw::DotSegment, 3)));
    check("/..", Err((Flaw::DotSegment, 1)));
}

#[test]
fn other_spellings_of_a_byte_are_refused() {
    check("/%70aid", Err((Flaw::NeedlessEscape, 1)));
    check("/a%2Db", Err((Flaw::NeedlessEscape, 2)));
    check("/%2E%2E/a", Err((Flaw::NeedlessEscape, 1)));
    check("/%2e", Err((Flaw::LowerCaseEscape, 1)));
    check("/%c3%A9", Err((Flaw::LowerCaseEscape, 1)));
    check("/%C3%a9", Err((Flaw::LowerCaseEscape, 1)));
    check("/%2F", Err((Flaw::ForbiddenEscape, 1)));
    check("/%2f", Err((Flaw::LowerCaseEscape, 1)));
    check("/a%5Cb", Err((Flaw::ForbiddenEscape, 2)));
    check("/a%3Bb", Err((Flaw::ForbiddenEscape, 2)));
    check("/%00", Err((Flaw::ForbiddenEscape, 1)));
    check("/%1F", Err((Flaw::ForbiddenEscape, 1)));
    check("/%7F", Err((Flaw::ForbiddenEscape, 1)));
    check("/%2570aid", Err((Flaw::DoubleEscape, 1)));
    check("/%252f", Err((Flaw::DoubleEscape, 1)));
    check("/%25u0070aid", Err((Flaw::DoubleEscape, 1)));
    check("/100%25uptime/%25u00", Ok(()));
    check("/%25%32e", Err((Flaw::NeedlessEscape, 4)));
}

#[test]
fn bytes_that_do_not_belong_in_a_path_are_refused() {
    for byte in ["\\", ";", "?", "#", " ", "\t", "\r", "\n", "\0", "\x7f", "\"", "<", "{", "|", "é"]
    {
        check(&format!("/a{byte}"), Err((Flaw::Byte, 2)));
    }
    assert_eq!(CanonicalPath::new(b"/\xff"), Err(Flaw::Byte.at(1)));
}

#[test]
fn broken_escapes_are_refused() {
    for path in ["/%", "/%4", "/%G0", "/%4G", "/%%"] {
        check(path, Err((Flaw::BadEscape, 1)));
    }
    for path in ["/%80", "/%C3", "/%C3x", "/%C0%AF", "/%E2%82", "/%ED%A0%80", "/%F5%80%80%80"] {
        check(path, Err((Flaw::NotUtf8, 1)));
    }
}

#[test]
fn a_path_is_absolute_and_bounded() {
    check("", Err((Flaw::NoSlash, 0)));
    check("a", Err((Flaw::NoSlash, 0)));
    check("*", Err((Flaw::NoSlash, 0)));
    check("http://x/", Err((Flaw::NoSlash, 0)));
    check(&format!("/{}", "a".repeat(PATH_BYTES_MAX - 1)), Ok(()));
    check(&format!("/{}", "a".repeat(PATH_BYTES_MAX)), Err((Flaw::TooLong, PATH_BYTES_MAX)));
}

#[test]
fn a_query_is_visible_ascii() {
    for query in ["", "a=1&b=%2f;c=../..//", "?x", "format=webp", "a[]={x}|\\\""] {
        assert_eq!(CanonicalQuery::new(query.as_bytes()).unwrap().as_str(), query);
    }
    for query in ["a b", "a\n", "a\0", "a\x7f", "é", "a#b"] {
        assert!(CanonicalQuery::new(query.as_bytes()).is_err(), "{query:?}");
    }
    assert!(CanonicalQuery::new(&vec![b'a'; QUERY_BYTES_MAX + 1]).is_err());
}

/// Everything that upstreams are known to do to a path, one after the other, until it rests.
mod upstream {
    pub(super) fn normalised(path: &str) -> Vec<u8> {
        let mut path = path.as_bytes().to_vec();
        loop {
            let next = step(&path);
            if next == path {
                return path;
            }
            path = next;
        }
    }

    fn step(path: &[u8]) -> Vec<u8> {
        let decoded: Vec<u8> = decode(path).into_iter().map(as_slash).collect();
        let mut kept: Vec<&[u8]> = Vec::new();
        let ends = decoded.ends_with(b"/") || decoded.ends_with(b"/.") || decoded.ends_with(b"/..");
        for segment in decoded.split(|byte| *byte == b'/') {
            let name = segment.split(|byte| *byte == b';').next().unwrap();
            match name {
                b"" | b"." => {}
                b".." => drop(kept.pop()),
                _ => kept.push(name),
            }
        }
        let mut next = vec![b'/'];
        next.extend(kept.join(&b'/'));
        if ends && !kept.is_empty() {
            next.push(b'/');
        }
        next
    }

    fn as_slash(byte: u8) -> u8 {
        if byte == b'\\' { b'/' } else { byte }
    }

    pub(super) fn decode(path: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::new();
        let mut rest = path;
        while let Some((byte, tail)) = rest.split_first() {
            let hex = tail.get(..2).and_then(|hex| str::from_utf8(hex).ok());
            match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                Some(escaped) if *byte == b'%' && tail[0] != b'+' => {
                    decoded.push(escaped);
                    rest = &tail[2..];
                }
                _ => {
                    decoded.push(*byte);
                    rest = tail;
                }
            }
        }
        decoded
    }
}

/// Small and good enough for tests: splitmix64.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let seed = match std::env::var("SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => {
                let mut bytes = [0; 8];
                getrandom::fill(&mut bytes).unwrap();
                u64::from_le_bytes(bytes)
            }
        };
        eprintln!("SEED={seed}");
        Self(seed)
    }

    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(below).unwrap()).unwrap()
    }

    fn path(&mut self) -> String {
        const PIECES: [&str; 32] = [
            "/", "/", "/", "/", ".", "..", "a", "paid", "V1", "%2e", "%2E", "%2F", "%5C", "%70",
            "%20", "%25", "25", "2e", "70", "%C3%A9", "%c3", "%40", "@", ";", ";x=1", "\\", "%3B",
            "~", "%", "%00", "+", "é",
        ];
        let pieces = 1 + self.next(8);
        (0..pieces).fold("/".to_owned(), |path, _| path + PIECES[self.next(PIECES.len())])
    }
}

/// The path with every escape decoded once: what both sides take it to mean.
fn meaning(path: &str) -> Vec<u8> {
    upstream::decode(path.as_bytes())
}

#[test]
fn no_upstream_reads_an_accepted_path_in_another_way() {
    let mut random = Random::seeded();
    let mut accepted = 0;
    for _ in 0..200_000 {
        let path = random.path();
        if CanonicalPath::new(path.as_bytes()).is_ok() {
            accepted += 1;
            assert_eq!(upstream::normalised(&path), meaning(&path), "{path:?}");
        }
    }
    assert!(accepted > 1000, "{accepted} accepted");
}

#[test]
fn two_accepted_paths_with_one_meaning_differ_only_where_libraries_do() {
    let mut random = Random::seeded();
    let mut spellings = std::collections::HashMap::new();
    for _ in 0..200_000 {
        let path = random.path();
        if CanonicalPath::new(path.as_bytes()).is_ok() {
            let plain = path.replace("%40", "@");
            let known = spellings.entry(meaning(&path)).or_insert_with(|| plain.clone());
            assert_eq!(*known, plain);
        }
    }
}
