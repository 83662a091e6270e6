//! Answers for clients of a proxy that understands no status but 401: packed into a header of one,
//! and given by us when the proxy comes for what it was handed.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use serde::{Deserialize, Serialize};

use super::drain::drain_before;
use super::{Asked, composed, send};
use crate::proxy::inspect;
use crate::refusal::Refusal;
use crate::x402::encoding;

/// An answer as it is carried: base64 of this as JSON.
#[derive(Serialize, Deserialize)]
struct Carried {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Answers 401 with a refusal packed into a header.
///
/// # Errors
/// The proxy is gone.
pub(in crate::proxy) async fn carried(
    session: &mut Session,
    refusal: &Refusal,
    asked: Asked<'_>,
) -> pingora::Result<()> {
    let answer = composed(refusal, asked, inspect::target(session.req_header()).0);
    let mut head = ResponseHeader::build(StatusCode::UNAUTHORIZED, Some(4))?;
    // Without it the proxy has nothing to come for, and its client hears that from us.
    head.insert_header(CARRIED, pack(&answer).unwrap_or_default())?;
    head.insert_header(header::CONTENT_LENGTH, 0)?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    let _ = drain_before(session).await;
    send(session, head, Bytes::new()).await
}

fn pack(answer: &Response<Bytes>) -> Option<String> {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let headers = answer.headers().iter();
    let headers = headers.map(|(name, value)| Some((name.as_str().to_owned(), text(value)?)));
    let carried = Carried {
        status: answer.status().as_u16(),
        headers: headers.collect::<Option<_>>()?,
        body: std::str::from_utf8(answer.body()).ok()?.to_owned(),
    };
    encoding::encode_json(&carried).ok()
}

/// The answer that a header carries. One that lets something pass is none: only refusals are
/// carried, whoever has written this one.
pub(in crate::proxy) fn unpacked(value: &[u8]) -> Option<Response<Bytes>> {
    let Carried { status, headers, body } =
        serde_json::from_slice(&encoding::decode(value).ok()?).ok()?;
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = StatusCode::from_u16(status).ok().filter(|code| code.as_u16() >= 400)?;
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        answer.headers_mut().append(name, HeaderValue::from_str(&value).ok()?);
    }
    let length = HeaderValue::from(answer.body().len());
    answer.headers_mut().insert(header::CONTENT_LENGTH, length);
    Some(answer)
}

/// Gives an answer that was carried here.
///
/// # Errors
/// The proxy is gone.
pub(in crate::proxy) async fn give(
    session: &mut Session,
    answer: Response<Bytes>,
) -> pingora::Result<()> {
    let (head, body) = answer.into_parts();
    let _ = drain_before(session).await;
    send(session, ResponseHeader::from(head), body).await
}

/// The header that carries.
pub(in crate::proxy) const CARRIED: &str = "x-tollgate-answer";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked() {
        let mut answer = Response::new(Bytes::from_static(b"{\"error\":\"not_found\"}"));
        *answer.status_mut() = StatusCode::NOT_FOUND;
        answer.headers_mut().insert("retry-after", HeaderValue::from_static("7"));
        let back = unpacked(pack(&answer).unwrap().as_bytes()).unwrap();
        assert_eq!((back.status(), back.body()), (answer.status(), answer.body()));
        assert_eq!(back.headers()["retry-after"], "7");
        assert_eq!(back.headers()["content-length"], "21");
    }

    #[test]
    fn only_refusals_are_carried() {
        for status in [100, 200, 204, 302, 399] {
            let carried = Carried { status, headers: Vec::new(), body: String::new() };
            let packed = encoding::encode_json(&carried).unwrap();
            assert!(unpacked(packed.as_bytes()).is_none(), "{status}");
        }
        for rubbish in [&b""[..], b"*", b"e30=", b"null"] {
            assert!(unpacked(rubbish).is_none());
        }
    }
}
