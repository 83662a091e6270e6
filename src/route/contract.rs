//! What an OpenAPI document says of a route's requests, held against one before any money is.

mod document;

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, header};
use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value};

pub use self::document::{Document, DocumentError};
use super::method::Verb;
use super::tariff::{Asked, is_plain_json, query};
use crate::refusal::Refusal;

/// The operations of a route, by method.
#[derive(Debug)]
pub struct Contract {
    operations: Vec<(Verb, Operation)>,
    document: Arc<Document>,
    /// The document's key for the route's path.
    path: Box<str>,
    /// The path with what the document's server puts before it.
    told: Box<str>,
}

/// What one operation says of its requests.
#[derive(Debug)]
struct Operation {
    parameters: Vec<Parameter>,
    body: Option<Body>,
}

#[derive(Debug)]
struct Parameter {
    name: Box<str>,
    place: Place,
    needed: Needed,
    /// What its value must be, if the document says so.
    value: Option<Schema>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Query,
    Header(HeaderName),
}

#[derive(Debug)]
struct Body {
    needed: Needed,
    value: Schema,
    /// Media types, or ranges of them, that the document takes besides JSON. They are not judged.
    others: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needed {
    Always,
    Not,
}

/// A compiled schema.
struct Schema(Validator);

impl Contract {
    /// Whether some operation looks at the body, so that it must be read before money is looked at.
    pub fn reads_body(&self) -> bool {
        self.operations.iter().any(|(_, operation)| operation.body.is_some())
    }

    /// The document that it was read from.
    pub fn document(&self) -> &Arc<Document> {
        &self.document
    }

    /// The route's path as the document writes it, and the document's own words on an operation;
    /// nothing where it has none.
    pub fn words(&self, verb: Verb) -> Option<(&str, Map<String, Value>)> {
        self.operations.iter().find(|(known, _)| *known == verb)?;
        Some((&self.told, self.document.words(&self.path, verb)?))
    }

    /// Judges a request. A method that the document does not have is not judged.
    ///
    /// # Errors
    /// `RequestMalformed`, naming the field; `BodyTypeUnsupported`: a body that is not JSON.
    pub fn judge(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        let found = self.operations.iter().find(|(verb, _)| verb.name() == asked.method.as_str());
        let Some((_, operation)) = found else { return Ok(()) };
        for parameter in &operation.parameters {
            parameter.judge(asked)?;
        }
        match &operation.body {
            Some(body) => body.judge(asked),
            None => Ok(()),
        }
    }
}

impl Parameter {
    fn judge(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        let values = match &self.place {
            Place::Query => query::values(asked.query.unwrap_or_default(), &self.name),
            Place::Header(name) => of_header(asked.headers, name),
        };
        let what = match &self.place {
            Place::Query => "the query's",
            Place::Header(_) => "the header",
        };
        match (&*values, &self.value) {
            ([], _) if self.needed == Needed::Always => {
                Err(malformed(format!("{what} `{}` is missing", self.name)))
            }
            // Several are a list, in one of the many ways in which lists are written.
            ([value], Some(schema)) => schema
                .judge_text(value)
                .map_err(|told| malformed(format!("{what} `{}`: {told}", self.name))),
            ([] | [_] | [_, _, ..], _) => Ok(()),
        }
    }
}

impl Body {
    fn judge(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if asked.body.is_empty() {
            return match self.needed {
                Needed::Always => Err(malformed("the body is missing".to_owned())),
                Needed::Not => Ok(()),
            };
        }
        if !is_plain_json(asked.headers) {
            let other = self.others.iter().any(|range| is_of(asked.headers, range));
            return if other { Ok(()) } else { Err(Refusal::BodyTypeUnsupported) };
        }
        let value: Value = serde_json::from_slice(asked.body)
            .map_err(|_| malformed("the body is not JSON".to_owned()))?;
        self.value.judge(&value).map_err(malformed)
    }
}

impl Schema {
    fn judge(&self, value: &Value) -> Result<(), String> {
        self.0.validate(value).map_err(|error| told(&error, "the body"))
    }

    /// A text as it stands in a query or a header: it may stand for a number, true or false.
    fn judge_text(&self, text: &str) -> Result<(), String> {
        let plain: Option<Value> = serde_json::from_str(text).ok();
        let plain = plain.filter(|value| value.is_number() || value.is_boolean());
        match plain {
            Some(value) if self.0.is_valid(&value) => Ok(()),
            Some(_) | None => {
                let text = Value::from(text);
                self.0.validate(&text).map_err(|error| told(&error, "it"))
            }
        }
    }
}

/// What is wrong with a part of `whole`, by the field's name and without its value.
fn told(error: &ValidationError<'_>, whole: &str) -> String {
    let place = error.instance_path().to_string();
    let place = place.trim_start_matches('/').replace('/', ".");
    let told = match (error.kind(), &*place) {
        (ValidationErrorKind::Required { property }, "") => {
            format!("`{}` is missing", property.as_str().unwrap_or_default())
        }
        (ValidationErrorKind::Required { property }, place) => {
            format!("`{place}.{}` is missing", property.as_str().unwrap_or_default())
        }
        (_, "") => error.masked_with(whole.to_owned()).to_string(),
        (_, place) => error.masked_with(format!("`{place}`")).to_string(),
    };
    told.chars().take(TOLD_CHARS_MAX).collect()
}

/// Whether a body says that it is of this type or range, such as `text/plain` or `text/*`.
fn is_of(headers: &HeaderMap, range: &str) -> bool {
    let typed = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let typed = typed.and_then(|typed| typed.split(';').next()).unwrap_or_default().trim();
    let json = typed.eq_ignore_ascii_case("application/json") || typed.is_empty();
    let within = match range.strip_suffix('*') {
        Some("*/") => true,
        Some(kind) => typed.get(..kind.len()).is_some_and(|has| has.eq_ignore_ascii_case(kind)),
        None => typed.eq_ignore_ascii_case(range),
    };
    // What some server would take for JSON is judged as JSON.
    within && !json
}

fn malformed(told: String) -> Refusal {
    Refusal::RequestMalformed(told.into())
}

fn of_header(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

/// Compiles a schema. Patterns are matched in linear time, and nothing is fetched.
fn compiled(schema: &Value) -> Result<Schema, String> {
    let options = jsonschema::options().offline().with_draft(jsonschema::Draft::Draft202012);
    let options = options.with_pattern_options(PatternOptions::regex());
    options.build(schema).map(Schema).map_err(|error| error.to_string())
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

/// Characters of the longest sentence about a field.
const TOLD_CHARS_MAX: usize = 300;

#[cfg(test)]
mod tests;
