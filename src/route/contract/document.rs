//! An OpenAPI 3 document, and the operations of one path in it.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Body, Contract, Needed, Operation, Parameter, Place, compiled};
use crate::route::{PathPattern, Verb, shape};

/// A document of OpenAPI 3.0 or 3.1.
#[derive(Clone, Debug)]
pub struct Document(Value);

/// Why a document says nothing of a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not an object with `openapi: 3.…`.
    #[error("this is no OpenAPI 3 document")]
    NotOpenApi,
    /// No such path.
    #[error("the document has no path `{0}`")]
    NoPath(Box<str>),
    /// The path has none of the route's methods.
    #[error("the document has none of the route's methods at `{0}`")]
    NoMethod(Box<str>),
    /// A `$ref` that leads nowhere within the document.
    #[error("`{0}` leads nowhere in the document")]
    Reference(Box<str>),
    /// A schema that is none.
    #[error("the schema of {place} cannot be used: {why}")]
    Schema {
        /// What it is of.
        place: Box<str>,
        /// What its reader says.
        why: Box<str>,
    },
}

impl Document {
    /// A document as JSON has it.
    ///
    /// # Errors
    /// `NotOpenApi`.
    pub fn new(mut document: Value) -> Result<Self, DocumentError> {
        let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
        match version.get(..3) {
            Some("3.0") => modernise(&mut document),
            Some("3.1") => {}
            _ => return Err(DocumentError::NotOpenApi),
        }
        Ok(Self(document))
    }

    /// What it says of the requests at a path, whatever parts of the path are called.
    ///
    /// # Errors
    /// There is no such path, none of its methods is one of `verbs`, or a schema is none.
    pub fn contract(
        self: &Arc<Self>,
        path: &PathPattern,
        verbs: &[Verb],
    ) -> Result<Contract, DocumentError> {
        let typed = path.to_string();
        let paths = self.0.get("paths").and_then(Value::as_object);
        let below = typed.strip_prefix(self.base()).unwrap_or(&typed);
        let (whole, rest) = (shape(&typed), shape(below));
        let alike = |name: &str| [&whole, &rest].contains(&&shape(name));
        let found = paths.and_then(|paths| paths.iter().find(|(name, _)| alike(name)));
        let (name, item) = found.ok_or_else(|| DocumentError::NoPath(typed.as_str().into()))?;
        let item = self.followed(item)?;
        let mut operations = Vec::new();
        for verb in verbs {
            let Some(operation) = item.get(verb.name().to_ascii_lowercase()) else { continue };
            operations.push((*verb, self.operation(item, operation)?));
        }
        match &*operations {
            [] => Err(DocumentError::NoMethod(typed.into())),
            [..] => {
                let (document, path) = (Arc::clone(self), name.as_str().into());
                let base = if shape(name) == whole { "" } else { self.base() };
                Ok(Contract { operations, document, path, told: format!("{base}{name}").into() })
            }
        }
    }

    /// Scheme, host and port of its first server; one of this machine where it names none.
    pub fn origin(&self) -> String {
        match self.server() {
            Some((scheme, rest)) => {
                format!("{scheme}://{}", rest.split('/').next().unwrap_or_default())
            }
            None => "http://127.0.0.1:8000".to_owned(),
        }
    }

    /// What its first server's URL puts before each path; mostly nothing.
    fn base(&self) -> &str {
        let url = self.0.pointer("/servers/0/url").and_then(Value::as_str).unwrap_or_default();
        let path = match self.server() {
            Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default(),
            None if url.starts_with('/') => url,
            None => "",
        };
        path.trim_end_matches('/')
    }

    fn server(&self) -> Option<(&str, &str)> {
        let url = self.0.pointer("/servers/0/url")?.as_str()?;
        let (scheme, rest) = url.split_once("://")?;
        let known = matches!(scheme, "http" | "https") && !rest.starts_with('/');
        (known && !rest.is_empty() && !rest.contains('{')).then_some((scheme, rest))
    }

    /// All operations: path with what its server puts before it, method, and its own words.
    pub fn operations(&self) -> Vec<(String, Verb, Map<String, Value>)> {
        let paths = self.0.get("paths").and_then(Value::as_object);
        let mut operations = Vec::new();
        for path in paths.into_iter().flat_map(Map::keys) {
            for verb in Verb::ALL {
                if let Some(words) = self.words(path, verb) {
                    operations.push((format!("{}{path}", self.base()), verb, words));
                }
            }
        }
        operations
    }

    /// What a JSON pointer leads to.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }

    /// A part with everything that it refers to put in place; nothing where that leads outside the
    /// document, or around in circles.
    pub fn whole(&self, part: &Value, depth: usize) -> Option<Value> {
        if depth > WHOLE_DEPTH_MAX {
            return None;
        }
        Some(match part {
            Value::Array(items) => {
                let items = items.iter().map(|item| self.whole(item, depth + 1));
                items.collect::<Option<Vec<_>>>()?.into()
            }
            Value::Object(object) => {
                if let Some(Value::String(reference)) = object.get("$ref") {
                    return self.whole(self.at(reference.strip_prefix('#')?)?, depth + 1);
                }
                let parts = object.iter();
                let parts =
                    parts.map(|(key, part)| Some((key.clone(), self.whole(part, depth + 1)?)));
                Value::Object(parts.collect::<Option<_>>()?)
            }
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                plain.clone()
            }
        })
    }

    /// An operation as it is written, with the parameters of its path. `path` is the document's.
    pub(super) fn words(&self, path: &str, verb: Verb) -> Option<Map<String, Value>> {
        let item = self.followed(self.0.get("paths")?.get(path)?).ok()?;
        let mut operation = item.get(verb.name().to_ascii_lowercase())?.as_object()?.clone();
        let mut parameters: Vec<Value> = Vec::new();
        for typed in all_parameters(item, item.get(verb.name().to_ascii_lowercase())?) {
            let typed = self.followed(typed).ok()?;
            let place = |value: &Value| (value.get("name").cloned(), value.get("in").cloned());
            if !parameters.iter().any(|known| place(known) == place(typed)) {
                parameters.push(typed.clone());
            }
        }
        operation.insert("parameters".to_owned(), parameters.into());
        Some(operation)
    }

    fn operation(&self, item: &Value, operation: &Value) -> Result<Operation, DocumentError> {
        let mut parameters: Vec<Parameter> = Vec::new();
        for typed in all_parameters(item, operation) {
            let Some(parameter) = self.parameter(self.followed(typed)?)? else { continue };
            let same = |p: &Parameter| (&p.name, &p.place) == (&parameter.name, &parameter.place);
            if !parameters.iter().any(same) {
                parameters.push(parameter);
            }
        }
        let body = match operation.get("requestBody") {
            Some(body) => self.body(self.followed(body)?)?,
            None => None,
        };
        Ok(Operation { parameters, body })
    }

    /// Nothing for parts of the path, which the route matches, and for cookies.
    fn parameter(&self, typed: &Value) -> Result<Option<Parameter>, DocumentError> {
        let name = typed.get("name").and_then(Value::as_str).unwrap_or_default();
        let place = match (typed.get("in").and_then(Value::as_str), name.parse()) {
            (Some("query"), _) => Place::Query,
            (Some("header"), Ok(name)) => Place::Header(name),
            _ => return Ok(None),
        };
        let value = typed.get("schema").map(|schema| self.schema(schema, name)).transpose()?;
        Ok(Some(Parameter { name: name.into(), place, needed: needed(typed), value }))
    }

    /// Nothing for a body that is not JSON.
    fn body(&self, typed: &Value) -> Result<Option<Body>, DocumentError> {
        let content = typed.get("content").and_then(Value::as_object);
        let json = content.and_then(|content| content.get("application/json")?.get("schema"));
        let value = json.map(|schema| self.schema(schema, "the body")).transpose()?;
        let others = content.into_iter().flat_map(Map::keys);
        let others = others.filter(|name| *name != "application/json");
        let bare = |name: &String| name.split(';').next().unwrap_or_default().trim().into();
        let others = others.map(bare).collect();
        Ok(value.map(|value| Body { needed: needed(typed), value, others }))
    }

    /// A schema, which may refer to what stands elsewhere in the document.
    fn schema(&self, schema: &Value, place: &str) -> Result<super::Schema, DocumentError> {
        let mut whole = Map::new();
        for section in ["components", "paths"] {
            if let Some(section_value) = self.0.get(section) {
                whole.insert(section.to_owned(), section_value.clone());
            }
        }
        whole.insert("allOf".to_owned(), json!([schema]));
        let wrong = |why: String| DocumentError::Schema { place: place.into(), why: why.into() };
        compiled(&Value::Object(whole)).map_err(wrong)
    }

    /// What a `$ref` leads to, through up to eight others; what has none leads to itself.
    ///
    /// # Errors
    /// `Reference`.
    pub fn followed<'a>(&'a self, mut value: &'a Value) -> Result<&'a Value, DocumentError> {
        for _ in 0..STEPS_MAX {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return Ok(value);
            };
            let found = reference.strip_prefix('#').and_then(|pointer| self.0.pointer(pointer));
            value = found.ok_or_else(|| DocumentError::Reference(reference.into()))?;
        }
        Err(DocumentError::Reference("$ref".into()))
    }
}

/// The operation's own parameters, which stand for those of its path with the same name, and these.
fn all_parameters<'a>(item: &'a Value, operation: &'a Value) -> impl Iterator<Item = &'a Value> {
    list(operation, "parameters").iter().chain(list(item, "parameters"))
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn needed(typed: &Value) -> Needed {
    match typed.get("required") {
        Some(Value::Bool(true)) => Needed::Always,
        _ => Needed::Not,
    }
}

/// Makes of 3.0's schemas those of 3.1: `nullable`, and bounds that are excluded by a word.
fn modernise(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(modernise),
        Value::Object(object) => {
            if object.remove("nullable") == Some(Value::Bool(true))
                && let Some(Value::String(name)) = object.get("type").cloned()
            {
                object.insert("type".to_owned(), json!([name, "null"]));
            }
            for (word, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")]
            {
                match object.get(word) {
                    Some(Value::Bool(true)) => {
                        let bound = object.remove(bound);
                        object.remove(word);
                        object.extend(bound.map(|bound| (word.to_owned(), bound)));
                    }
                    Some(Value::Bool(false)) => drop(object.remove(word)),
                    Some(_) | None => {}
                }
            }
            object.values_mut().for_each(modernise);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// How deep a part may go that is told whole.
const WHOLE_DEPTH_MAX: usize = 24;

/// References that are followed from one to the next.
const STEPS_MAX: usize = 8;
