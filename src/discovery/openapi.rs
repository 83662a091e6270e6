//! `/openapi.json`: every listed route as operations, with prices, in the words of the API's own
//! documents where there are any.

mod answers;
mod gather;
mod operation;

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use self::answers::Answers;
use self::gather::Gathered;
use super::{HOW_TO_PAY, Told};
use crate::route::pattern::{End, PathPattern, Segment};
use crate::route::{Methods, Route, Verb, shape};

/// The document. Source: OpenAPI 3.1.
pub(super) fn document(told: Told<'_>) -> Value {
    let mut paths = Paths::default();
    let mut gathered = Gathered::default();
    let mut answers = Answers::default();
    for route in told.routes {
        for verb in verbs(route) {
            let words = route.contract.as_ref().and_then(|contract| contract.words(verb));
            if route.contract.is_some() && words.is_none() {
                // The document has no such operation.
                continue;
            }
            let template = template(route, words.as_ref().map(|(path, _)| *path));
            let (path, item) = paths.at(&template);
            let operation = words.and_then(|(own, words)| {
                let document = route.contract.as_ref()?.document();
                Some((own, gathered.take(document, Value::Object(words))))
            });
            // Where two routes differ by their hosts only, the first is told.
            item.entry(verb.name().to_ascii_lowercase()).or_insert_with(|| {
                let responses = gathered.components.get("responses");
                operation::operation(route, verb, path, operation, (&mut answers, responses))
            });
        }
    }
    let mut components = gathered.components;
    for (section, own) in answers.components() {
        let named = components.entry(section).or_insert_with(|| json!({}));
        if let (Value::Object(named), Value::Object(own)) = (named, own) {
            named.extend(own);
        }
    }
    let server = if told.origin.is_empty() { "/" } else { told.origin };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": told.title,
            "version": "1",
            "description": told.about.description,
            "x-guidance": HOW_TO_PAY,
        },
        "servers": [{ "url": server }],
        "paths": paths.into_value(),
        "components": components,
    })
}

/// The methods that a route is told with.
fn verbs(route: &Route) -> impl Iterator<Item = Verb> {
    let methods = route.pattern.methods;
    Verb::ALL.into_iter().filter(move |verb| match methods {
        Methods::Any => !matches!(verb, Verb::Head | Verb::Options),
        Methods::Listed(set) => set.has(*verb),
    })
}

/// The route's path as OpenAPI writes it: `/*` is a parameter.
fn template(route: &Route, own: Option<&str>) -> String {
    let path = &route.pattern.path;
    match (own, path.end) {
        (Some(own), _) => own.to_owned(),
        (None, End::Rest) => {
            let bare = PathPattern { segments: path.segments.clone(), end: End::Bare };
            let bare = if bare.segments.is_empty() { String::new() } else { bare.to_string() };
            let taken = |name: &str| path.segments.contains(&Segment::Param(name.into()));
            format!("{bare}/{{{}}}", if taken("rest") { "rest_of_path" } else { "rest" })
        }
        (None, End::Bare | End::Slash) => path.to_string(),
    }
}

/// The paths so far. Two that differ only in the names of their parts are one.
#[derive(Default)]
struct Paths {
    written: Vec<(String, Map<String, Value>)>,
    /// Where each shape stands among them.
    known: HashMap<String, usize>,
}

impl Paths {
    /// How a path is written, and its operations.
    fn at(&mut self, template: &str) -> (String, &mut Map<String, Value>) {
        let at = *self.known.entry(shape(template)).or_insert_with(|| {
            self.written.push((template.to_owned(), Map::new()));
            self.written.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "it was found or pushed just now")]
        let (known, item) = &mut self.written[at];
        (known.clone(), item)
    }

    /// No two operations have one id.
    fn into_value(mut self) -> Value {
        let mut seen: BTreeSet<String> = BTreeSet::new();
        for operation in self.written.iter_mut().flat_map(|(_, item)| item.values_mut()) {
            let id = operation.get("operationId").and_then(Value::as_str).map(str::to_owned);
            if let (Some(id), Value::Object(operation)) = (id, operation)
                && !seen.insert(id)
            {
                operation.remove("operationId");
            }
        }
        let paths = self.written.into_iter().map(|(path, item)| (path, Value::Object(item)));
        Value::Object(paths.collect())
    }
}

/// The names of a path's parts, from the left.
fn names(path: &str) -> Vec<&str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}
