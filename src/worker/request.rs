//! What a request asks for, judged by its head alone.

use std::fmt;

use axum::http::{HeaderMap, Uri, header};

use super::container::Kind;
use super::problem::Problem;

/// A head that promises an image we take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The kind its `Content-Type` names.
    pub(super) kind: Kind,
    pub(super) order: Order,
}

/// What is to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) format: Format,
    pub(super) output: Output,
    pub(super) crop: Crop,
}

/// The kinds of file that are given back. Both keep opacity and lose nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    #[default]
    Png,
    WebP,
}

/// What the file shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Output {
    /// The subject, everything else transparent.
    #[default]
    CutOut,
    /// How opaque each pixel is: white is the subject.
    Mask,
    /// The subject before one colour (red, green, blue).
    Before([u8; 3]),
}

/// How much of the photo comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Crop {
    #[default]
    Whole,
    /// The smallest rectangle around the subject.
    Subject,
}

/// What is wrong with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BadQuery {
    /// Its name, cut to [`NAME_CHARACTERS_MAX`].
    Unknown(Box<str>),
    Twice(&'static str),
    /// Its name and what it may be.
    Value(&'static str, &'static str),
    /// A background behind a mask.
    Background,
}

impl Format {
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
        let order = Order::read(uri.query().unwrap_or_default()).map_err(Problem::Query)?;
        let kind = kind(headers)?;
        match declared_length(headers) {
            Some(length) if length > BODY_BYTES_MAX => Err(Problem::BodyTooLarge),
            Some(_) | None => Ok(Self { kind, order }),
        }
    }
}

/// The parameters of a query, as they were met.
#[derive(Default)]
struct Parameters {
    format: Option<Format>,
    mask: Option<()>,
    background: Option<[u8; 3]>,
    crop: Option<Crop>,
}

impl Order {
    fn read(query: &str) -> Result<Self, BadQuery> {
        let mut met = Parameters::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            met.take(name, value)?;
        }
        let output = match (met.mask, met.background) {
            (None, None) => Output::CutOut,
            (None, Some(colour)) => Output::Before(colour),
            (Some(()), None) => Output::Mask,
            (Some(()), Some(_)) => return Err(BadQuery::Background),
        };
        let (format, crop) = (met.format.unwrap_or_default(), met.crop.unwrap_or_default());
        Ok(Self { format, output, crop })
    }
}

impl Parameters {
    fn take(&mut self, name: &str, value: &str) -> Result<(), BadQuery> {
        match name {
            "format" => {
                let format = match value {
                    "png" => Some(Format::Png),
                    "webp" => Some(Format::WebP),
                    _ => None,
                };
                once(&mut self.format, format, "format", "png or webp")
            }
            "output" => once(&mut self.mask, (value == "mask").then_some(()), "output", "mask"),
            "background" => {
                let expected = "a colour such as %23ffffff";
                once(&mut self.background, colour(value), "background", expected)
            }
            "crop" => {
                let crop = (value == "subject").then_some(Crop::Subject);
                once(&mut self.crop, crop, "crop", "subject")
            }
            _ => Err(BadQuery::Unknown(name.chars().take(NAME_CHARACTERS_MAX).collect())),
        }
    }
}

fn once<T>(
    met: &mut Option<T>,
    value: Option<T>,
    name: &'static str,
    expected: &'static str,
) -> Result<(), BadQuery> {
    let value = value.ok_or(BadQuery::Value(name, expected))?;
    if met.replace(value).is_some() { Err(BadQuery::Twice(name)) } else { Ok(()) }
}

/// `#rrggbb` as it is written in a query, where `#` is `%23`; the sign may be left out.
fn colour(value: &str) -> Option<[u8; 3]> {
    let digits = value.strip_prefix("%23").unwrap_or(value);
    if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some([red, green, blue])
}

impl fmt::Display for BadQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(
                f,
                "there is no parameter `{name}`; there are format, output, background and crop"
            ),
            Self::Twice(name) => write!(f, "`{name}` is given twice"),
            Self::Value(name, expected) => write!(f, "`{name}` may only be {expected}"),
            Self::Background => f.write_str("`background` has no meaning beside output=mask"),
        }
    }
}

impl BadQuery {
    /// The parameter that is wrong.
    pub(super) fn parameter(&self) -> &str {
        match self {
            Self::Unknown(name) => name,
            Self::Twice(name) | Self::Value(name, _) => name,
            Self::Background => "background",
        }
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

/// As much of an unknown parameter's name is repeated.
const NAME_CHARACTERS_MAX: usize = 40;

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

    const DEFAULT: Order = Order { format: Format::Png, output: Output::CutOut, crop: Crop::Whole };

    #[track_caller]
    fn orders(query: &str, expected: Order) {
        check(query, &[PNG], Ok(Wanted { kind: Kind::Png, order: expected }));
    }

    #[track_caller]
    fn refused(query: &str, expected: BadQuery) {
        check(query, &[PNG], Err(Problem::Query(expected)));
    }

    #[test]
    fn a_png_of_the_whole_cut_out_unless_asked_otherwise() {
        for query in ["", "?", "?&", "?format=png"] {
            orders(query, DEFAULT);
        }
    }

    #[test]
    fn each_parameter_says_one_thing() {
        orders("?format=webp", Order { format: Format::WebP, ..DEFAULT });
        orders("?output=mask", Order { output: Output::Mask, ..DEFAULT });
        orders("?crop=subject", Order { crop: Crop::Subject, ..DEFAULT });
        for query in ["?background=%23fF8001", "?background=ff8001"] {
            orders(query, Order { output: Output::Before([255, 128, 1]), ..DEFAULT });
        }
    }

    #[test]
    fn parameters_add_up_in_any_order() {
        let all =
            Order { format: Format::WebP, output: Output::Before([0; 3]), crop: Crop::Subject };
        orders("?crop=subject&background=000000&format=webp", all);
    }

    #[test]
    fn an_unknown_parameter_is_named() {
        refused("?size=1", BadQuery::Unknown("size".into()));
        refused("?format=png&Format=png", BadQuery::Unknown("Format".into()));
        refused(&format!("?{}", "x".repeat(999)), BadQuery::Unknown("x".repeat(40).into()));
    }

    #[test]
    fn a_value_that_is_not_known_is_refused() {
        for query in ["?format=gif", "?format", "?format=", "?format=PNG"] {
            refused(query, BadQuery::Value("format", "png or webp"));
        }
        refused("?output=both", BadQuery::Value("output", "mask"));
        refused("?crop=1", BadQuery::Value("crop", "subject"));
        for value in ["", "%23fff", "white", "%2523ffffff", "+12345", "é1234", "%23ffffffff"] {
            let expected = BadQuery::Value("background", "a colour such as %23ffffff");
            refused(&format!("?background={value}"), expected);
        }
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        refused("?format=png&format=png", BadQuery::Twice("format"));
    }

    #[test]
    fn a_mask_has_no_background() {
        refused("?output=mask&background=ffffff", BadQuery::Background);
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
        let wanted = Ok(Wanted { kind: Kind::Png, order: DEFAULT });
        check("", &[PNG, ("content-length", "25000000")], wanted);
        check("", &[PNG, ("content-length", "25000001")], Err(Problem::BodyTooLarge));
        check("", &[PNG, ("content-length", "99999999999999999999")], Err(Problem::BodyTooLarge));
    }
}
