//! What a request asks for, judged by its head alone.

use axum::http::{HeaderMap, Uri, header};

use super::container::Kind;
use super::problem::Problem;

/// A head that promises an image we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The kind its `Content-Type` names.
    pub(super) kind: Kind,
    pub(super) output: Output,
}

/// The kinds of image that are given back. Both keep opacity and lose nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Png,
    WebP,
}

impl Output {
    /// As it stands in `Content-Type`.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Png => Kind::Png.media_type(),
            Self::WebP => Kind::WebP.media_type(),
        }
    }
}

impl Wanted {
    /// Reads the query, the type and the length, in this order.
    ///
    /// # Errors
    /// `Query`, `Type`, `BodyTooLarge`.
    pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Result<Self, Problem> {
        let output = output(uri.query().unwrap_or_default())?;
        let kind = kind(headers)?;
        match declared_length(headers) {
            Some(length) if length > BODY_BYTES_MAX => Err(Problem::BodyTooLarge),
            Some(_) | None => Ok(Self { kind, output }),
        }
    }
}

fn output(query: &str) -> Result<Output, Problem> {
    match query {
        "" | "format=png" => Ok(Output::Png),
        "format=webp" => Ok(Output::WebP),
        _ => Err(Problem::Query),
    }
}

fn kind(headers: &HeaderMap) -> Result<Kind, Problem> {
    let plain = headers
        .get(header::CONTENT_ENCODING)
        .is_none_or(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    match (types.next().and_then(|value| value.to_str().ok()), types.next()) {
        (Some(text), None) if plain => Kind::of_media_type(text).ok_or(Problem::Type),
        _ => Err(Problem::Type),
    }
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    let text = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    Some(text.parse().unwrap_or(usize::MAX))
}

/// The longest body: 25 MB.
pub(super) const BODY_BYTES_MAX: usize = 25_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, headers: &[(&'static str, &str)], expected: Result<Wanted, Problem>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let uri = format!("/v1/remove-background{query}").parse().unwrap();
        assert_eq!(Wanted::read(&uri, &map), expected);
    }

    const PNG: (&str, &str) = ("content-type", "image/png");

    #[test]
    fn png_out_unless_asked_otherwise() {
        let wanted = Ok(Wanted { kind: Kind::Png, output: Output::Png });
        check("", &[PNG], wanted);
        check("?", &[PNG], wanted);
        check("?format=png", &[PNG], wanted);
    }

    #[test]
    fn webp_out() {
        let wanted = Ok(Wanted { kind: Kind::Png, output: Output::WebP });
        check("?format=webp", &[PNG], wanted);
    }

    #[test]
    fn other_formats_and_other_parameters_are_refused() {
        for query in ["?format=gif", "?format", "?size=1", "?format=png&size=1", "?format=PNG"] {
            check(query, &[PNG], Err(Problem::Query));
        }
    }

    #[test]
    fn other_types_are_refused() {
        check("", &[("content-type", "image/gif")], Err(Problem::Type));
        check("", &[("content-type", "application/octet-stream")], Err(Problem::Type));
        check("", &[], Err(Problem::Type));
        check("", &[PNG, PNG], Err(Problem::Type));
    }

    #[test]
    fn a_compressed_body_is_refused() {
        check("", &[PNG, ("content-encoding", "gzip")], Err(Problem::Type));
    }

    #[test]
    fn a_declared_length_over_the_bound_is_refused() {
        let wanted = Ok(Wanted { kind: Kind::Png, output: Output::Png });
        check("", &[PNG, ("content-length", "25000000")], wanted);
        check("", &[PNG, ("content-length", "25000001")], Err(Problem::BodyTooLarge));
        check("", &[PNG, ("content-length", "99999999999999999999")], Err(Problem::BodyTooLarge));
    }
}
