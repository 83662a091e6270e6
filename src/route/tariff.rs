//! Prices that depend on the request: which of a route's terms are for it.
//!
//! What a rule looks at is read as the laxest server behind us would read it. Where two servers
//! could read it differently, the request is refused: else it would be priced as one reading and
//! served as the other.

mod field;
pub(super) mod query;

use std::fmt;

use http::{HeaderMap, HeaderName, Method, header};

pub use self::field::{Field, FieldError};
use super::Terms;
use super::method::Verb;
use crate::refusal::Refusal;
use crate::x402::{AtomicAmount, Network};

/// The terms of a route whose price depends on the request.
#[derive(Clone, Debug)]
pub struct Tariff {
    /// In the order of the configuration: the first that is met counts.
    pub rules: Vec<PriceRule>,
    /// Where none is met.
    pub otherwise: Terms,
}

/// Terms for some requests.
#[derive(Clone, Debug)]
pub struct PriceRule {
    /// Which ones.
    pub when: When,
    /// What they cost.
    pub terms: Terms,
}

/// What a rule asks of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// The method.
    Method(Verb),
    /// A part of the query.
    Query {
        /// Its name.
        name: Box<str>,
        /// Its value, unescaped.
        is: Box<str>,
    },
    /// A header.
    Header {
        /// Its name.
        name: HeaderName,
        /// Its value.
        is: Box<str>,
    },
    /// A field of a JSON body.
    Body {
        /// Where it stands.
        field: Field,
        /// Its value, as text.
        is: Box<str>,
    },
}

/// Which of a route's terms a request is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tier {
    /// Those of no rule.
    #[default]
    Otherwise,
    /// Those of the rule at this place.
    Rule(usize),
}

/// What rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// Its query, without `?`.
    pub query: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its whole body; nothing where no rule looks at it.
    pub body: &'a [u8],
}

impl Tariff {
    /// Whether a rule looks at the body, so that it must be read before the price is known.
    pub fn reads_body(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.when, When::Body { .. }))
    }

    /// Which terms a request is for.
    ///
    /// # Errors
    /// `RequestMalformed`, `BodyTypeUnsupported`: what a rule looks at has two readings.
    pub fn tier(&self, asked: &Asked<'_>) -> Result<Tier, Refusal> {
        for (at, rule) in self.rules.iter().enumerate() {
            if rule.when.is_met(asked)? {
                return Ok(Tier::Rule(at));
            }
        }
        Ok(Tier::Otherwise)
    }

    /// These terms.
    pub fn terms(&self, tier: Tier) -> &Terms {
        let rule = match tier {
            Tier::Otherwise => None,
            Tier::Rule(at) => self.rules.get(at),
        };
        rule.map_or(&self.otherwise, |rule| &rule.terms)
    }

    /// Whether what was paid may have been paid for these terms: it was for them, or for none that
    /// there are now.
    pub fn sold(&self, tier: Tier, network: &Network, amount: AtomicAmount) -> bool {
        let took = |terms: &Terms| terms.took(network, amount);
        took(self.terms(tier)) || !self.all().any(took)
    }

    /// All its terms, those of no rule first.
    pub fn all(&self) -> impl Iterator<Item = &Terms> {
        std::iter::once(&self.otherwise).chain(self.rules.iter().map(|rule| &rule.terms))
    }
}

impl When {
    fn is_met(&self, asked: &Asked<'_>) -> Result<bool, Refusal> {
        match self {
            Self::Method(verb) => Ok(asked.method.as_str() == verb.name()),
            Self::Query { name, is } => {
                let value = query::value(asked.query.unwrap_or_default(), name);
                let value = value.map_err(|_| two_readings("the part of the query", name))?;
                Ok(value.is_some_and(|value| *value == *is.as_bytes()))
            }
            Self::Header { name, is } => {
                let value = header_value(asked.headers, name);
                let value = value.map_err(|_| two_readings("the header", name.as_str()))?;
                Ok(value.is_some_and(|value| *value == *is.as_bytes()))
            }
            Self::Body { field, is } => {
                // What is not there says nothing, in whatever type it was announced.
                if asked.body.is_empty() {
                    return Ok(false);
                }
                if !is_plain_json(asked.headers) {
                    return Err(Refusal::BodyTypeUnsupported);
                }
                let value = field.of(asked.body).map_err(|error| match error {
                    FieldError::NotJson => {
                        Refusal::RequestMalformed("the body is not a JSON object".into())
                    }
                    FieldError::TwoReadings => two_readings("the body's field", &field.to_string()),
                })?;
                Ok(value.as_deref() == Some(is))
            }
        }
    }
}

fn two_readings(what: &str, name: &str) -> Refusal {
    let told = format!(
        "{what} `{name}` sets the price, and can be read in two ways: it may be there once, \
         spelled like this, as text, a whole number, true or false"
    );
    Refusal::RequestMalformed(told.into())
}

/// The value of a header that reaches the upstream as it stands here.
fn header_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, ()> {
    // A server may read `_` as `-`, or the other way round.
    let folded = |name: &HeaderName| name.as_str().replace('_', "-");
    let alike = |other: &HeaderName| other != name && folded(other) == folded(name);
    let taken_off = |value: &http::HeaderValue| {
        let named = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        named.into_iter().any(|token| token.eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    if headers.keys().any(alike) || headers.get_all(header::CONNECTION).iter().any(taken_off) {
        return Err(());
    }
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|value| value.as_bytes().trim_ascii())),
        (_, Some(_)) => Err(()),
    }
}

/// Whether a body says that it is JSON in UTF-8, so that nobody reads it as a form, in another
/// alphabet, or unpacked.
pub(super) fn is_plain_json(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let encoding = headers.get(header::CONTENT_ENCODING);
    let plain = encoding.is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"));
    let mut parts = text(header::CONTENT_TYPE).unwrap_or_default().split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    let utf8 = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim().trim_matches('"');
        !name.trim().to_ascii_lowercase().starts_with("charset")
            || value.eq_ignore_ascii_case("utf-8")
    };
    plain && json && parts.all(utf8)
}

/// A name as servers that do not look closely read it: letters without case.
fn folded(name: &str) -> String {
    // Upper case first: it takes together what only looks like two letters, as `ſ` and `s`.
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(verb) => write!(f, "method {}", verb.name()),
            Self::Query { name, is } => write!(f, "query {name} is \"{is}\""),
            Self::Header { name, is } => write!(f, "header {name} is \"{is}\""),
            Self::Body { field, is } => write!(f, "body {field} is \"{is}\""),
        }
    }
}

/// Bytes of the longest body that is read before its price is known: what pingora sends again.
pub const BODY_BYTES_MAX: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
