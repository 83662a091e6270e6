//! The request as it was typed.

use std::io::Read as _;
use std::str::FromStr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use reqwest::Url;

use super::Arguments;
use super::error::PayError;

/// What is asked for; sent the same with and without a payment.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Absolute URL.
    pub url: Url,
    /// Headers, the payment's not among them.
    pub headers: HeaderMap,
    /// Body; empty for none.
    pub body: Bytes,
}

/// One `-H 'Name: value'`.
#[derive(Clone, Debug)]
pub struct HeaderLine(HeaderName, HeaderValue);

/// A text that is not `Name: value`, or a header that is not for the caller to set.
#[derive(Debug, thiserror::Error)]
pub enum HeaderLineError {
    /// No colon, or bytes that no header has.
    #[error("a header is `Name: value`")]
    Malformed,
    /// The payment is signed here, once.
    #[error("the payment header is made by this command")]
    Payment,
}

impl FromStr for HeaderLine {
    type Err = HeaderLineError;

    fn from_str(text: &str) -> Result<Self, HeaderLineError> {
        let (name, value) = text.split_once(':').ok_or(HeaderLineError::Malformed)?;
        let name: HeaderName = name.trim().parse().map_err(|_| HeaderLineError::Malformed)?;
        let value = value.trim().parse().map_err(|_| HeaderLineError::Malformed)?;
        if ["payment-signature", "x-payment"].contains(&name.as_str()) {
            return Err(HeaderLineError::Payment);
        }
        Ok(Self(name, value))
    }
}

impl Request {
    /// The request of a URL, `GET` or, with a body, `POST`.
    ///
    /// # Errors
    /// `Url`: not absolute, or neither `http` nor `https`.
    pub fn new(url: &str, body: Bytes) -> Result<Self, PayError> {
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = parsed.ok_or_else(|| PayError::Url(url.to_owned()))?;
        let method = if body.is_empty() { Method::GET } else { Method::POST };
        let mut headers = HeaderMap::new();
        if let Some(kind) = media_type(&body) {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        Ok(Self { method, url, headers, body })
    }

    /// The request of a command line.
    pub(super) fn typed(arguments: &Arguments) -> Result<Self, PayError> {
        let body = data(arguments.data.as_deref())?;
        let mut request = Self::new(&arguments.url, body)?;
        if let Some(method) = &arguments.method {
            let wrong = |_| PayError::Method(method.clone());
            request.method = Method::from_bytes(method.as_bytes()).map_err(wrong)?;
        } else if arguments.data.is_some() {
            request.method = Method::POST;
        }
        let typed: HeaderMap =
            arguments.headers.iter().map(|line| (line.0.clone(), line.1.clone())).collect();
        // What is typed takes the place of what was guessed.
        request.headers.extend(typed);
        Ok(request)
    }
}

fn data(argument: Option<&str>) -> Result<Bytes, PayError> {
    let read = match argument {
        None => return Ok(Bytes::new()),
        Some("@-") => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        }
        Some(text) => match text.strip_prefix('@') {
            Some(path) => std::fs::read(path),
            None => Ok(text.as_bytes().to_vec()),
        },
    };
    read.map(Bytes::from).map_err(PayError::Data)
}

/// The media type that a body's first bytes speak for.
fn media_type(body: &[u8]) -> Option<&'static str> {
    match body {
        [] => None,
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'{' | b'[', ..] => Some("application/json"),
        _ => Some("application/octet-stream"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_a_colon_and_is_not_the_payment() {
        for text in ["", "Accept", ": x", "A b: c", "Accept: a\u{1}"] {
            assert!(matches!(text.parse::<HeaderLine>(), Err(HeaderLineError::Malformed)));
        }
        for text in ["X-PAYMENT: x", "payment-signature: x"] {
            assert!(matches!(text.parse::<HeaderLine>(), Err(HeaderLineError::Payment)));
        }
        let line: HeaderLine = "Accept: image/png".parse().unwrap();
        assert_eq!((line.0.as_str(), line.1.as_bytes()), ("accept", b"image/png".as_slice()));
    }

    #[test]
    fn the_method_and_type_follow_the_body() {
        let of = |body: &'static [u8]| Request::new("http://x/", Bytes::from_static(body)).unwrap();
        assert_eq!(of(b"").method, Method::GET);
        assert_eq!(of(b"{}").method, Method::POST);
        assert_eq!(of(b"{}").headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(of(b"\xff\xd8\xff\xe0").headers[header::CONTENT_TYPE], "image/jpeg");
        assert!(of(b"").headers.is_empty());
    }

    #[test]
    fn only_the_web_is_asked() {
        for url in ["", "x", "/path", "file:///etc/passwd", "ftp://x/"] {
            assert!(matches!(Request::new(url, Bytes::new()), Err(PayError::Url(_))), "{url}");
        }
    }
}
