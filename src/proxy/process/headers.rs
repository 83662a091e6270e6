//! Heads as Envoy tells of them, and what it is to change in them.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};

use super::messages::{
    self, APPEND, CommonResponse, HeaderMutation, HeaderValueOption, HeadersResponse, HttpHeaders,
    HttpStatus, ImmediateResponse, OVERWRITE,
};
use super::talk::{Broken, Code};
use crate::refusal::Refusal;

/// A request, as if it had come here.
///
/// # Errors
/// It has no method or no path, or one that is not read alike everywhere.
pub(super) fn request_of(told: HttpHeaders) -> Result<RequestHeader, Refusal> {
    let Head { pseudo, plain } = Head::of(told).ok_or_else(unreadable)?;
    let one = |name| pseudo.one(name).ok_or_else(unreadable);
    let (method, path, authority) = (one(":method")?, one(":path")?, one(":authority")?);
    let once = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#';
    if !path.iter().all(once) {
        return Err(Refusal::PathNotCanonical);
    }
    let request = RequestHeader::build(&*method, &path, Some(plain.len().saturating_add(8)));
    let mut request = request.map_err(|_| unreadable())?;
    let host = HeaderValue::from_maybe_shared(authority).map_err(|_| unreadable())?;
    request.append_header(header::HOST, host).map_err(|_| unreadable())?;
    for (name, value) in plain {
        request.append_header(name, value).map_err(|_| unreadable())?;
    }
    Ok(request)
}

/// The head of an answer, the final one.
///
/// # Errors
/// It has no status, or one that another head follows: nothing is decided on that, and Envoy would
/// not tell of the other.
pub(super) fn head_of(told: HttpHeaders) -> Result<ResponseHeader, Broken> {
    let Head { pseudo, plain } = Head::of(told).ok_or(NO_HEAD)?;
    let status = pseudo.one(":status").ok_or(NO_HEAD)?;
    let status = std::str::from_utf8(&status).ok().and_then(|digits| digits.parse::<u16>().ok());
    let head = ResponseHeader::build(status.ok_or(NO_HEAD)?, Some(plain.len().saturating_add(8)));
    let mut head = head.map_err(|_| NO_HEAD)?;
    if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(NO_HEAD);
    }
    for (name, value) in plain {
        head.append_header(name, value).map_err(|_| NO_HEAD)?;
    }
    Ok(head)
}

/// To go on, with what makes the one head of the other.
pub(super) fn on(before: &http::HeaderMap, after: &http::HeaderMap) -> HeadersResponse {
    let header_mutation = Some(changes(before, after));
    HeadersResponse { response: Some(CommonResponse { header_mutation }) }
}

fn changes(before: &http::HeaderMap, after: &http::HeaderMap) -> HeaderMutation {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let remove_headers = gone.map(|name| name.as_str().to_owned()).collect();
    let same = |name: &HeaderName| before.get_all(name).iter().eq(after.get_all(name).iter());
    let changed = after.keys().filter(|name| !same(name));
    let set = |name: &HeaderName| {
        let actions = std::iter::once(OVERWRITE).chain(std::iter::repeat(APPEND));
        let values = after.get_all(name).iter().zip(actions);
        values.map(|(value, action)| option(name, value, action)).collect::<Vec<_>>()
    };
    HeaderMutation { set_headers: changed.flat_map(set).collect(), remove_headers }
}

/// To answer with this instead. Its length is Envoy's to say.
pub(super) fn instead((head, body): (ResponseHeader, Bytes)) -> ImmediateResponse {
    let code = head.status.as_u16().into();
    let mut own = head.headers.clone();
    own.remove(header::CONTENT_LENGTH);
    ImmediateResponse {
        status: Some(HttpStatus { code }),
        headers: Some(changes(&http::HeaderMap::new(), &own)),
        body,
        details: "tollgate".to_owned(),
    }
}

fn option(name: &HeaderName, value: &HeaderValue, append_action: i32) -> HeaderValueOption {
    let raw_value = Bytes::copy_from_slice(value.as_bytes());
    let header = messages::HeaderValue { key: name.to_string(), value: String::new(), raw_value };
    HeaderValueOption { header: Some(header), append_action }
}

/// A head, taken apart.
struct Head {
    pseudo: Pseudo,
    plain: Vec<(HeaderName, HeaderValue)>,
}

/// Pseudo-headers.
struct Pseudo(Vec<(String, Bytes)>);

impl Head {
    /// Nothing: a name or a value is none. How the body is framed is between Envoy and each of its
    /// neighbours.
    fn of(told: HttpHeaders) -> Option<Self> {
        let (mut pseudo, mut plain) = (Vec::new(), Vec::new());
        for messages::HeaderValue { key, value, raw_value } in told.headers?.headers {
            let bytes = if raw_value.is_empty() { value.into() } else { raw_value };
            if key.starts_with(':') {
                pseudo.push((key, bytes));
                continue;
            }
            let name = HeaderName::from_bytes(key.as_bytes()).ok()?;
            let value = HeaderValue::from_maybe_shared(bytes).ok()?;
            if name != header::TRANSFER_ENCODING {
                plain.push((name, value));
            }
        }
        Some(Self { pseudo: Pseudo(pseudo), plain })
    }
}

impl Pseudo {
    /// The value of one that stands there once.
    fn one(&self, name: &str) -> Option<Bytes> {
        let mut found = self.0.iter().filter(|(other, _)| other == name);
        let (_, value) = found.next()?;
        found.next().is_none().then(|| value.clone())
    }
}

fn unreadable() -> Refusal {
    Refusal::RequestMalformed("what Envoy tells of the request cannot be read".into())
}

const NO_HEAD: Broken =
    Broken::Wrong(Code::InvalidArgument, "an answer without a head was told of");

#[cfg(test)]
mod tests {
    use super::*;

    fn told(headers: &[(&str, &str)]) -> HttpHeaders {
        let header = |(key, value): &(&str, &str)| messages::HeaderValue {
            key: (*key).to_owned(),
            value: String::new(),
            raw_value: Bytes::copy_from_slice(value.as_bytes()),
        };
        let headers = headers.iter().map(header).collect();
        HttpHeaders { headers: Some(messages::HeaderMap { headers }) }
    }

    const LINE: [(&str, &str); 3] = [(":method", "POST"), (":path", "/a?b"), (":authority", "c")];

    #[test]
    fn a_request_is_read_as_it_came_to_envoy() {
        let mut headers = LINE.to_vec();
        headers.extend([("x-a", "1"), ("x-a", "2"), ("transfer-encoding", "chunked")]);
        let request = request_of(told(&headers)).unwrap();
        assert_eq!((request.method.as_str(), request.raw_path()), ("POST", &b"/a?b"[..]));
        assert_eq!(request.headers["host"], "c");
        let values: Vec<_> = request.headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
        assert!(!request.headers.contains_key("transfer-encoding"));
    }

    #[test]
    fn an_envoy_that_knows_text_only_is_understood() {
        let mut text = told(&LINE);
        for header in &mut text.headers.as_mut().unwrap().headers {
            header.value = String::from_utf8(std::mem::take(&mut header.raw_value).into()).unwrap();
        }
        assert_eq!(request_of(text).unwrap().raw_path(), b"/a?b");
    }

    #[test]
    fn what_has_no_one_reading_is_no_request() {
        for missing in 0..LINE.len() {
            let mut headers = LINE.to_vec();
            let twice = headers.remove(missing);
            assert!(request_of(told(&headers)).is_err(), "without {twice:?}");
            headers.extend([twice, twice]);
            assert!(request_of(told(&headers)).is_err(), "{twice:?} twice");
        }
        for (name, value) in [("a b", "1"), ("", "1"), ("x-a", "1\n2"), (":path", "/a b")] {
            let mut headers: Vec<_> =
                LINE.into_iter().filter(|(other, _)| *other != name).collect();
            headers.push((name, value));
            assert!(request_of(told(&headers)).is_err(), "{name:?}: {value:?}");
        }
        assert!(request_of(HttpHeaders { headers: None }).is_err());
    }

    #[test]
    fn an_answer_needs_a_status() {
        let head = head_of(told(&[(":status", "204"), ("x-a", "1")])).unwrap();
        assert_eq!((head.status.as_u16(), &head.headers["x-a"]), (204, &"1".parse().unwrap()));
        for status in [&[][..], &[(":status", "")], &[(":status", "99")], &[(":status", "2xx")]] {
            assert!(head_of(told(status)).is_err(), "{status:?}");
        }
    }

    #[test]
    fn only_what_differs_is_changed() {
        let map = |all: &[(&'static str, &'static str)]| {
            let mut map = http::HeaderMap::new();
            for (name, value) in all {
                map.append(*name, HeaderValue::from_static(value));
            }
            map
        };
        let before = map(&[("kept", "1"), ("gone", "1"), ("timing", "api"), ("other", "1")]);
        let after = map(&[("kept", "1"), ("timing", "api"), ("timing", "ours"), ("other", "2")]);
        let HeaderMutation { set_headers, remove_headers } = changes(&before, &after);
        assert_eq!(remove_headers, ["gone"]);
        let mut set: Vec<_> = set_headers
            .into_iter()
            .map(|option| {
                let header = option.header.unwrap();
                (
                    header.key,
                    String::from_utf8(header.raw_value.into()).unwrap(),
                    option.append_action,
                )
            })
            .collect();
        set.sort();
        let expected =
            [("other", "2", OVERWRITE), ("timing", "api", OVERWRITE), ("timing", "ours", APPEND)];
        assert_eq!(
            set,
            expected.map(|(name, value, action)| (name.to_owned(), value.to_owned(), action))
        );
    }
}
