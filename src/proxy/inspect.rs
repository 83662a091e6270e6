//! What a request must look like before it is matched: one way to be read, by us and by whoever
//! stands behind us.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pingora::http::RequestHeader;

use crate::refusal::Refusal;

/// Methods that are forwarded. `CONNECT` and `TRACE` are not, nor are names nobody knows.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// Who reads an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// A program.
    Program,
    /// A person, by a browser that opens a URL.
    Browser,
}

impl Reader {
    /// Who sent this request. Browsers ask for HTML by name when they open a URL; scripts on their
    /// pages and programs do not.
    pub(super) fn of(request: &RequestHeader) -> Self {
        let opens = matches!(request.method, Method::GET | Method::HEAD);
        let mut accepts = request.headers.get_all(header::ACCEPT).iter();
        let html = |part: &str| part.split(';').next().unwrap_or_default().trim() == "text/html";
        let names_html = |value: &http::HeaderValue| {
            value.to_str().is_ok_and(|value| value.split(',').any(html))
        };
        if opens && accepts.any(names_html) { Self::Browser } else { Self::Program }
    }
}

/// Refuses what can be read in two ways.
///
/// # Errors
/// `RequestMalformed`, naming the part; `HeadersTooLarge` beyond `bytes_max`.
pub(super) fn inspect(request: &RequestHeader, bytes_max: usize) -> Result<(), Refusal> {
    let malformed = |what: &'static str| Err(Refusal::RequestMalformed(what.into()));
    if !METHODS.contains(&request.method) {
        return malformed("this method is not forwarded");
    }
    let Counted { bytes, hosts, framing } = count(&request.headers);
    let (path, query) = target(request);
    let line = request.method.as_str().len() + path.len() + query.map_or(0, <[u8]>::len);
    if bytes + line > bytes_max {
        return Err(Refusal::HeadersTooLarge);
    }
    let http2 = request.version == http::Version::HTTP_2;
    if hosts > 1 || (hosts == 0 && !http2) {
        return malformed("the request needs exactly one Host");
    }
    if !http2 && !request.raw_path().starts_with(b"/") {
        return malformed("the request target must be a path");
    }
    match framing {
        Framing::Plain => {}
        Framing::Twice => return malformed("a framing header stands twice"),
        Framing::Odd => return malformed("a framing header has more than one reading"),
    }
    if takes_headers_off(&request.headers) {
        return malformed("`Connection` names what says how the body is to be read");
    }
    Ok(())
}

/// The host a request is for, without its port.
pub(super) fn host(request: &RequestHeader) -> Option<&str> {
    let authority = match request.headers.get(header::HOST) {
        Some(value) => value.to_str().ok()?,
        None => request.uri.authority()?.as_str(),
    };
    let end = match authority.strip_prefix('[') {
        Some(v6) => v6.find(']').map(|at| at.saturating_add(2)),
        None => authority.find(':'),
    };
    authority.get(..end.unwrap_or(authority.len()))
}

/// The path and the query of a request, as they were sent.
pub(super) fn target(request: &RequestHeader) -> (&[u8], Option<&[u8]>) {
    let raw = match request.version {
        http::Version::HTTP_2 => {
            request.uri.path_and_query().map_or(&b"/"[..], |target| target.as_str().as_bytes())
        }
        _ => request.raw_path(),
    };
    let mut parts = raw.splitn(2, |byte| *byte == b'?');
    (parts.next().unwrap_or_default(), parts.next())
}

/// The headers of a message that belong to it and not to one connection.
pub(super) fn end_to_end(headers: &HeaderMap) -> Vec<(&HeaderName, &HeaderValue)> {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<_> = named.flat_map(|value| value.split(',')).map(str::trim).collect();
    let of_one = |name: &HeaderName| {
        BETWEEN_TWO.contains(&name.as_str())
            || named.iter().any(|other| other.eq_ignore_ascii_case(name.as_str()))
    };
    headers.iter().filter(|(name, _)| !of_one(name)).collect()
}

/// Names that a client may not send on: proofs of payment, what only we may say, and what some
/// servers read another path or method from than the one that was priced. A server behind us may
/// read `_` as `-`, and PHP reads `.` as `_`, so whatever is no letter and no digit is one here;
/// and what stands beside a header that we judge or write ourselves goes no further either.
pub(super) fn ours_alone(headers: &HeaderMap) -> Vec<HeaderName> {
    let ours = |name: &&HeaderName| is_ours(name.as_str()) || is_twin(name.as_str());
    headers.keys().filter(ours).cloned().collect()
}

fn is_twin(name: &str) -> bool {
    let twin_of = |one: &str| {
        name.len() == one.len()
            && name.bytes().zip(one.bytes()).all(|(byte, want)| same(byte, want))
    };
    let odd = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'-';
    name.bytes().any(odd) && JUDGED.iter().any(|one| twin_of(one))
}

fn is_ours(name: &str) -> bool {
    let starts = |prefix: &str| {
        name.len() >= prefix.len()
            && name.bytes().zip(prefix.bytes()).all(|(byte, want)| same(byte, want))
    };
    let first = name.bytes().next().unwrap_or_default();
    matches!(first, b'x' | b'p' | b's')
        && OURS.iter().any(|(prefix, exact)| {
            starts(prefix)
                && match exact {
                    Extent::Whole => name.len() == prefix.len(),
                    Extent::Prefix => true,
                }
        })
}

fn same(byte: u8, want: u8) -> bool {
    let folded = if byte.is_ascii_alphanumeric() { byte } else { b'-' };
    folded == want
}

#[derive(Clone, Copy)]
enum Extent {
    Whole,
    Prefix,
}

const JUDGED: [&str; 7] = [
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

const OURS: [(&str, Extent); 12] = [
    ("settlement-overrides", Extent::Whole),
    ("sign-in-with-x", Extent::Whole),
    ("payment-signature", Extent::Whole),
    ("payment-required", Extent::Whole),
    ("payment-response", Extent::Whole),
    ("x-payment", Extent::Prefix),
    ("x-tollgate-", Extent::Prefix),
    ("x-original-url", Extent::Whole),
    ("x-rewrite-url", Extent::Whole),
    ("x-http-method", Extent::Whole),
    ("x-http-method-override", Extent::Whole),
    ("x-method-override", Extent::Whole),
];

/// What one walk over the headers finds.
#[derive(Default)]
struct Counted {
    /// As on an HTTP/1 line, with `: ` and line end.
    bytes: usize,
    hosts: usize,
    framing: Framing,
}

/// How the headers say where a body ends, and what it is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Framing {
    #[default]
    Plain,
    Twice,
    Odd,
}

fn count(headers: &HeaderMap) -> Counted {
    let mut counted = Counted::default();
    let mut framing = [
        (header::CONTENT_LENGTH, false),
        (header::TRANSFER_ENCODING, false),
        (header::CONTENT_TYPE, false),
    ];
    for (name, value) in headers {
        counted.bytes += name.as_str().len() + value.len() + 4;
        counted.hosts += usize::from(name == header::HOST);
        if let Some((name, seen)) = framing.iter_mut().find(|(framing, _)| name == framing) {
            if std::mem::replace(seen, true) {
                counted.framing = Framing::Twice;
            } else if !has_one_reading(name, value.as_bytes()) {
                counted.framing = Framing::Odd;
            }
        }
    }
    counted
}

/// `5, 5` and `gzip, chunked` are allowed, and not read alike everywhere: pingora sends the second
/// on as `chunked`.
fn has_one_reading(name: &HeaderName, value: &[u8]) -> bool {
    match *name {
        header::CONTENT_LENGTH => !value.is_empty() && value.iter().all(u8::is_ascii_digit),
        header::TRANSFER_ENCODING => value.eq_ignore_ascii_case(b"chunked"),
        _ => true,
    }
}

/// Whether `Connection` names a header by which a body is judged: pingora takes it off afterwards.
/// Prices that go by a header look for themselves; of others the upstream judges what it gets.
fn takes_headers_off(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONNECTION).iter();
    let options = values.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    let judged = |option: &str| BODY_IS.iter().any(|name| option.eq_ignore_ascii_case(name));
    options.map(str::trim).any(judged)
}

const BODY_IS: [&str; 3] = ["content-length", "content-type", "content-encoding"];

/// Options of a connection, and headers that go no further than to the next server in any case.
const BETWEEN_TWO: [&str; 11] = [
    "close",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "transfer-encoding",
    "http2-settings",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, path: &str, headers: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build(method, path.as_bytes(), None).unwrap();
        for (name, value) in headers {
            request.append_header(*name, *value).unwrap();
        }
        request
    }

    #[track_caller]
    fn check(method: &str, path: &str, headers: &[(&'static str, &str)], good: bool) {
        let verdict = inspect(&request(method, path, headers), 1_000);
        assert_eq!(verdict.is_ok(), good, "{verdict:?}");
    }

    #[test]
    fn what_has_one_reading_passes() {
        check("GET", "/a?b", &[("host", "a")], true);
        check("POST", "/a", &[("host", "a"), ("content-length", "3")], true);
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        check("GET", "/a", &[], false);
        check("GET", "/a", &[("host", "a"), ("host", "a")], false);
        check("TRACE", "/a", &[("host", "a")], false);
        check("BREW", "/a", &[("host", "a")], false);
        check("GET", "http://a/a", &[("host", "a")], false);
        check(
            "POST",
            "/",
            &[("host", "a"), ("content-length", "3"), ("content-length", "3")],
            false,
        );
        let long = "x".repeat(1_000);
        check("GET", "/", &[("host", "a"), ("cookie", &long)], false);
        check("GET", &format!("/{long}"), &[("host", "a")], false);
        check("GET", &format!("/?{long}"), &[("host", "a")], false);
        for (name, value) in [
            ("content-length", "5, 5"),
            ("content-length", "+5"),
            ("content-length", ""),
            ("transfer-encoding", "gzip, chunked"),
            ("transfer-encoding", "chunked, chunked"),
            ("transfer-encoding", "identity"),
        ] {
            check("POST", "/", &[("host", "a"), (name, value)], false);
        }
    }

    #[test]
    fn what_was_judged_is_not_taken_off_by_the_client() {
        let kind = ("content-type", "image/png");
        for (options, good) in [
            ("content-type", false),
            ("close, Content-Type", false),
            ("keep-alive,content-length ", false),
            ("keep-alive, Upgrade, HTTP2-Settings, TE", true),
            ("x-other", true),
            ("close", true),
        ] {
            check("GET", "/", &[("host", "a"), kind, ("connection", options)], good);
        }
    }

    #[test]
    fn a_host_has_no_port() {
        for (header, expected) in [("a.example:8402", "a.example"), ("[::1]:80", "[::1]")] {
            assert_eq!(host(&request("GET", "/", &[("host", header)])), Some(expected));
        }
    }

    #[test]
    fn nothing_stands_beside_what_is_judged() {
        for name in [
            "content_length",
            "transfer_encoding",
            "x-forwarded_for",
            "x_forwarded_for",
            "content.length",
            "x.forwarded-for",
        ] {
            assert!(is_twin(name), "{name}");
        }
        for name in
            ["content-length", "x-forwarded-for", "x_forwarded", "my_own", "content_lengths"]
        {
            assert!(!is_twin(name), "{name}");
        }
    }

    #[test]
    fn proofs_and_our_own_words_do_not_pass_in_any_spelling() {
        for name in [
            "x-payment",
            "x_payment",
            "payment_signature",
            "x-tollgate-payer",
            "x_tollgate_payer",
            "x.tollgate.payer",
            "x-tollgate~payer",
            "x-original-url",
            "x_rewrite_url",
            "x-http-method-override",
            "settlement_overrides",
        ] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["x-paymen", "payment-signatures", "x-tollgat", "host", "x-tollgated"] {
            assert!(!is_ours(name), "{name}");
        }
    }
}
