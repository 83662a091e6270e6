//! The extension `bazaar` of a 402: how to call what is paid for, for catalogues of paid APIs.

use serde_json::{Map, Value, json};

use crate::route::pattern::{End, Segment};
use crate::route::{Contract, Document, Methods, Pattern, Verb};

/// What a 402 declares of its route; nothing where the route answers to several methods, or to
/// paths that no template names.
///
/// `mime_type` is the answer's, `types` are the bodies that the route takes. The `schema` in it
/// always holds for its `info`.
///
/// Source: x402 extension `bazaar`; npm `@x402/extensions` 2.27, `validateDiscoveryExtension`.
pub fn declared(
    pattern: &Pattern,
    contract: Option<&Contract>,
    (types, mime_type): (&[Box<str>], &str),
) -> Option<Value> {
    let verb = only(pattern.methods)?;
    let operation = contract.and_then(|contract| Some((contract, contract.words(verb)?.1)));
    let operation =
        operation.as_ref().map(|(contract, words)| Told { document: contract.document(), words });
    let mut input = Parts::default();
    input.add("type", "http".into(), json!({ "const": "http" }));
    input.add("method", verb.name().into(), json!({ "const": verb.name() }));
    match verb {
        Verb::Post | Verb::Put | Verb::Patch => the_body(&mut input, operation.as_ref(), types),
        Verb::Get | Verb::Head | Verb::Delete | Verb::Options => {
            the_query(&mut input, operation.as_ref());
        }
    }
    let (input, input_schema) = input.into_object();
    let output = match operation.as_ref().and_then(Told::output) {
        Some(Some(example)) => json!({ "type": "json", "example": example }),
        Some(None) => json!({ "type": "json" }),
        None if mime_type.is_empty() => Value::Null,
        None => json!({ "type": mime_type.strip_prefix("application/").unwrap_or(mime_type) }),
    };
    let mut info = json!({ "input": input });
    if let (Some(info), false) = (info.as_object_mut(), output.is_null()) {
        info.insert("output".to_owned(), output);
    }
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "input": input_schema,
            "output": {
                "type": "object",
                "properties": { "type": { "type": "string" } },
                "required": ["type"],
            },
        },
        "required": ["input"],
    });
    let mut declared = json!({ "info": info, "schema": schema });
    if !pattern.path.is_fixed() {
        declared.as_object_mut()?.insert("routeTemplate".to_owned(), template(pattern)?.into());
    }
    Some(declared)
}

/// The one method of a route; `HEAD` beside `GET` does not count.
fn only(methods: Methods) -> Option<Verb> {
    let Methods::Listed(set) = methods else { return None };
    let listed: Vec<Verb> = Verb::ALL.into_iter().filter(|verb| set.has(*verb)).collect();
    match *listed {
        [Verb::Options] => None,
        [verb] | [verb @ Verb::Get, Verb::Head] => Some(verb),
        _ => None,
    }
}

/// The path with `:name` for each part that the client chooses.
fn template(pattern: &Pattern) -> Option<String> {
    if pattern.path.end == End::Rest {
        return None;
    }
    let parts = pattern.path.segments.iter().map(|segment| match segment {
        Segment::Literal(text) => format!("/{text}"),
        Segment::Param(name) => format!("/:{name}"),
    });
    Some(parts.collect())
}

/// An object and the schema that holds for it, property by property.
#[derive(Default)]
struct Parts {
    object: Map<String, Value>,
    properties: Map<String, Value>,
}

impl Parts {
    fn add(&mut self, name: &str, value: Value, schema: Value) {
        self.object.insert(name.to_owned(), value);
        self.properties.insert(name.to_owned(), schema);
    }

    fn into_object(self) -> (Value, Value) {
        let required: Vec<&String> = self.object.keys().collect();
        let schema = json!({
            "type": "object",
            "properties": self.properties,
            "required": required,
            "additionalProperties": false,
        });
        (Value::Object(self.object), schema)
    }
}

fn the_body(input: &mut Parts, operation: Option<&Told<'_>>, types: &[Box<str>]) {
    let kind = |name: &str| match name {
        "application/json" => Some("json"),
        "multipart/form-data" | "application/x-www-form-urlencoded" => Some("form-data"),
        name if name.starts_with("text/") => Some("text"),
        _ => None,
    };
    let body = operation.and_then(Told::body);
    let kind = match body {
        Some(_) => Some("json"),
        None => types.iter().find_map(|name| kind(name)),
    };
    let Some(kind) = kind else { return };
    input.add("bodyType", kind.into(), json!({ "const": kind }));
    let (example, schema) = body.unwrap_or_else(|| match kind {
        "text" => ("".into(), json!({ "type": "string" })),
        _ => (json!({}), json!({ "type": "object" })),
    });
    input.add("body", example, schema);
}

fn the_query(input: &mut Parts, operation: Option<&Told<'_>>) {
    let Some(operation) = operation else { return };
    let mut query = Parts::default();
    for parameter in operation.list("parameters") {
        let of = |key: &str| parameter.get(key).and_then(Value::as_str);
        let (Some("query"), Some(name)) = (of("in"), of("name")) else { continue };
        if parameter.get("required") == Some(&Value::Bool(true)) {
            let (example, schema) = operation.example(parameter);
            query.add(name, example, schema);
        }
    }
    if !query.object.is_empty() {
        let (query, schema) = query.into_object();
        input.add("queryParams", query, schema);
    }
}

/// An operation in its document's words.
struct Told<'a> {
    document: &'a Document,
    words: &'a Map<String, Value>,
}

impl Told<'_> {
    fn list(&self, name: &str) -> &[Value] {
        self.words.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// An example of its JSON body, and what such a body must be.
    fn body(&self) -> Option<(Value, Value)> {
        let body = self.document.followed(self.words.get("requestBody")?).ok()?;
        Some(self.example(body.pointer("/content/application~1json")?))
    }

    /// Whether it answers in JSON, and then an example if the document has one.
    fn output(&self) -> Option<Option<Value>> {
        let answers = self.words.get("responses")?.as_object()?;
        let (_, good) = answers.iter().find(|(status, _)| status.starts_with('2'))?;
        let good = self.document.followed(good).ok()?;
        let media = good.pointer("/content/application~1json")?;
        Some(given(media).filter(|example| size(example) <= EXAMPLE_BYTES_MAX))
    }

    /// An example of what a media type or a parameter holds, and its schema. Where no example
    /// holds for the schema, anything does.
    fn example(&self, holder: &Value) -> (Value, Value) {
        let schema = holder.get("schema").and_then(|schema| self.document.whole(schema, 0));
        let schema = schema.filter(|schema| size(schema) <= SCHEMA_BYTES_MAX);
        let schema = schema.unwrap_or_else(|| json!({}));
        let example = given(holder).unwrap_or_else(|| made(&schema, 0));
        let holds = jsonschema::options().offline().build(&schema);
        match holds {
            Ok(holds) if size(&example) <= EXAMPLE_BYTES_MAX && holds.is_valid(&example) => {
                (example, schema)
            }
            Ok(_) | Err(_) => (json!({}), json!({})),
        }
    }
}

/// The example that a document gives.
fn given(holder: &Value) -> Option<Value> {
    let named = || holder.get("examples")?.as_object()?.values().next()?.get("value").cloned();
    let of_schema = |key: &str| holder.get("schema")?.get(key).cloned();
    let first = || of_schema("examples")?.as_array()?.first().cloned();
    let plain = holder.get("example").cloned();
    plain.or_else(named).or_else(|| of_schema("example")).or_else(first)
}

/// The least that fits a schema, as far as can be seen.
fn made(schema: &Value, depth: usize) -> Value {
    let of = |key: &str| schema.get(key);
    let given = of("example").or_else(|| of("default")).or_else(|| of("const")).cloned();
    let listed = |key: &str| of(key)?.as_array()?.first().cloned();
    if let Some(value) = given.or_else(|| listed("examples")).or_else(|| listed("enum")) {
        return value;
    }
    let one = ["oneOf", "anyOf", "allOf"].into_iter().find_map(|key| of(key)?.as_array()?.first());
    if let Some(one) = one.filter(|_| depth < DEPTH_MAX) {
        return made(one, depth + 1);
    }
    let kind = match of("type") {
        Some(Value::Array(kinds)) => kinds.first(),
        kind => kind,
    };
    match kind.and_then(Value::as_str) {
        Some("string") => {
            let length = of("minLength").and_then(Value::as_u64).unwrap_or(0).clamp(1, 64);
            "a".repeat(usize::try_from(length).unwrap_or(1)).into()
        }
        Some("integer" | "number") => of("minimum").cloned().unwrap_or_else(|| 1.into()),
        Some("boolean") => false.into(),
        Some("array") => match (of("minItems").and_then(Value::as_u64), of("items")) {
            (Some(1..), Some(item)) if depth < DEPTH_MAX => vec![made(item, depth + 1)].into(),
            _ => json!([]),
        },
        Some("null") => Value::Null,
        _ => {
            let required = of("required").and_then(Value::as_array).into_iter().flatten();
            let names = required.filter_map(Value::as_str);
            let part = |name: &str| match of("properties").and_then(|all| all.get(name)) {
                Some(part) if depth < DEPTH_MAX => made(part, depth + 1),
                Some(_) | None => Value::Null,
            };
            Value::Object(names.map(|name| (name.to_owned(), part(name))).collect())
        }
    }
}

/// Bytes of a value as JSON.
fn size(value: &Value) -> usize {
    value.to_string().len()
}

/// Bytes of the longest schema and the longest example that a header carries.
const SCHEMA_BYTES_MAX: usize = 1536;
const EXAMPLE_BYTES_MAX: usize = 512;

/// How deep an example is made up.
const DEPTH_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    fn contract(of: &str, operation: Value) -> Contract {
        let pattern = pattern(of);
        let verb = only(pattern.methods).unwrap();
        let path = pattern.path.to_string();
        let document = Document::new(json!({
            "openapi": "3.1.0",
            "paths": { path: { verb.name().to_ascii_lowercase(): operation } },
            "components": { "schemas": {
                "Ask": {
                    "type": "object",
                    "required": ["text", "tags", "kind"],
                    "properties": {
                        "text": { "type": "string", "minLength": 3 },
                        "tags": { "type": "array", "minItems": 1, "items": { "type": "integer" } },
                        "kind": { "$ref": "#/components/schemas/Kind" },
                        "more": { "type": "string" },
                    },
                },
                "Kind": { "enum": ["fast", "slow"] },
                "Tree": { "properties": { "left": { "$ref": "#/components/schemas/Tree" } } },
            } },
        }));
        Arc::new(document.unwrap()).contract(&pattern.path, &[verb]).unwrap()
    }

    /// Checks that the schema holds for the info, and gives the info.
    fn info(pattern: &Pattern, contract: Option<&Contract>, types: &[&str], mime: &str) -> Value {
        let types: Vec<Box<str>> = types.iter().map(|name| (*name).into()).collect();
        let declared = declared(pattern, contract, (&types, mime)).unwrap();
        let validator = jsonschema::draft202012::new(&declared["schema"]).unwrap();
        assert!(validator.is_valid(&declared["info"]), "{declared:#}");
        assert!(!declared["schema"].to_string().contains("$ref"), "{declared:#}");
        declared["info"].clone()
    }

    fn body_of(schema: Value) -> Value {
        json!({ "requestBody": { "content": { "application/json": schema } } })
    }

    #[test]
    fn a_body_is_shown_by_an_example_that_fits() {
        let ask = json!({ "schema": { "$ref": "#/components/schemas/Ask" } });
        let made = contract("POST /ask", body_of(ask.clone()));
        let told = info(&pattern("POST /ask"), Some(&made), &[], "");
        let body = json!({ "text": "aaa", "tags": [1], "kind": "fast" });
        let input = json!({ "type": "http", "method": "POST", "bodyType": "json", "body": body });
        assert_eq!(told, json!({ "input": input }));

        let mut named = ask;
        named["examples"] =
            json!({ "one": { "value": { "text": "why?", "tags": [2], "kind": "slow" } } });
        let given = contract("POST /ask", body_of(named));
        let told = info(&pattern("POST /ask"), Some(&given), &[], "");
        assert_eq!(told["input"]["body"]["text"], "why?");
    }

    #[test]
    fn what_cannot_be_shown_is_left_open() {
        let tree = body_of(json!({ "schema": { "$ref": "#/components/schemas/Tree" } }));
        let wrong = json!({ "type": "string", "pattern": "^[0-9]{40}$" });
        let wrong = body_of(json!({ "schema": wrong }));
        let long = body_of(json!({ "schema": { "enum": ["x".repeat(2000)] } }));
        for operation in [tree, wrong, long] {
            let contract = contract("POST /ask", operation);
            let told = info(&pattern("POST /ask"), Some(&contract), &[], "");
            assert_eq!(told["input"]["body"], json!({}));
        }
    }

    #[test]
    fn a_query_is_shown_by_what_it_must_have() {
        let parameters = json!([
            { "name": "city", "in": "query", "required": true, "schema": { "type": "string" },
              "example": "Bern" },
            { "name": "page", "in": "query", "schema": { "type": "integer" } },
            { "name": "x-key", "in": "header", "required": true },
        ]);
        let good = json!({ "200": { "content": { "application/json": {
            "example": { "sun": true },
        } } } });
        let weather = json!({ "parameters": parameters, "responses": good });
        let contract = contract("GET /weather", weather);
        let told = info(&pattern("GET /weather"), Some(&contract), &[], "");
        assert_eq!(told["input"]["queryParams"], json!({ "city": "Bern" }));
        assert_eq!(told["output"], json!({ "type": "json", "example": { "sun": true } }));
    }

    #[test]
    fn without_a_document_the_route_tells_what_it_knows() {
        let told = info(&pattern("POST /cut"), None, &["multipart/form-data"], "image/png");
        let input = json!({
            "type": "http", "method": "POST", "bodyType": "form-data", "body": {},
        });
        assert_eq!(told, json!({ "input": input, "output": { "type": "image/png" } }));
        let told = info(&pattern("GET /report"), None, &[], "application/json");
        let input = json!({ "type": "http", "method": "GET" });
        assert_eq!(told, json!({ "input": input, "output": { "type": "json" } }));
    }

    #[test]
    fn one_path_template_and_one_method_are_declared() {
        let of = |text: &str| declared(&pattern(text), None, (&[], ""));
        assert_eq!(of("GET /a/{id}").unwrap()["routeTemplate"], "/a/:id");
        assert!(of("GET,HEAD /a").unwrap().get("routeTemplate").is_none());
        for none in ["/a", "GET,POST /a", "OPTIONS /a", "GET /a/*"] {
            assert!(of(none).is_none(), "{none}");
        }
    }
}
