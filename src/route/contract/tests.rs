//! Requests held against small documents.

use http::{Method, header};
use serde_json::{Value, json};

use super::*;
use crate::route::Pattern;

/// The contract of `POST /v1/ask/{id}` in a document with this operation.
fn contract(openapi: &str, operation: Value) -> Result<Contract, DocumentError> {
    let document = json!({
        "openapi": openapi,
        "paths": { "/v1/ask/{name}": {
            "parameters": [{ "name": "hd", "in": "query", "schema": { "type": "boolean" } }],
            "post": operation,
        } },
        "components": {
            "schemas": { "Mode": { "enum": ["fast", "expert"] } },
            "parameters": { "Tier": {
                "name": "X-Tier", "in": "header", "required": true,
                "schema": { "type": "string", "maxLength": 4 }
            } },
            "requestBodies": { "Ask": { "required": true, "content": { "application/json": {
                "schema": {
                    "type": "object", "required": ["link", "mode"], "properties": {
                        "link": { "type": "string", "pattern": "^https://" },
                        "mode": { "$ref": "#/components/schemas/Mode" },
                        "leverage": { "type": "integer", "minimum": 1, "maximum": 40 },
                        "deep": { "type": "object", "required": ["inner"] }
                    }
                }
            } } } }
        }
    });
    let pattern: Pattern = "POST /v1/ask/{id}".parse().unwrap();
    let document = Arc::new(Document::new(document)?);
    document.contract(&pattern.path, &[Verb::Post])
}

fn ask() -> Contract {
    let body = json!({ "requestBody": { "$ref": "#/components/requestBodies/Ask" } });
    contract("3.1.0", body).unwrap()
}

/// What a request is told; nothing when it is good.
fn told(contract: &Contract, query: &str, headers: &[(&'static str, &str)], body: &str) -> String {
    let mut map = HeaderMap::new();
    map.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    let (query, body) = (Some(query.as_bytes()), body.as_bytes());
    let asked = Asked { method: &Method::POST, query, headers: &map, body };
    match contract.judge(&asked) {
        Ok(()) => String::new(),
        Err(refusal) => format!("{}: {}", refusal.row().code, refusal.message()),
    }
}

/// Checks the part that we write, and that no value of the request is repeated.
#[track_caller]
fn begins(told: &str, expected: &str) {
    assert_eq!(told.is_empty(), expected.is_empty(), "{told}");
    assert!(told.starts_with(expected) && !told.contains("secret"), "{told}");
}

#[test]
fn a_body_is_refused_by_the_name_of_its_field_and_without_its_value() {
    let contract = ask();
    assert!(contract.reads_body());
    for (body, expected) in [
        (r#"{"link":"https://a","mode":"fast"}"#, ""),
        (r#"{"link":"https://a","mode":"fast","more":1}"#, ""),
        (r#"{"mode":"fast"}"#, "bad_request: `link` is missing"),
        (r#"{"link":"secret","mode":"fast"}"#, "bad_request: `link` "),
        (r#"{"link":"https://a","mode":"slow"}"#, "bad_request: `mode` "),
        (r#"{"link":"https://a","mode":"fast","leverage":41}"#, "bad_request: `leverage` "),
        (r#"{"link":"https://a","mode":"fast","deep":{}}"#, "bad_request: `deep.inner` is missing"),
        ("{", "bad_request: the body is not JSON"),
        ("", "bad_request: the body is missing"),
        ("[]", "bad_request: the body "),
    ] {
        begins(&told(&contract, "", &[], body), expected);
    }
    let form =
        Asked { method: &Method::POST, query: None, headers: &HeaderMap::new(), body: b"{}" };
    assert_eq!(contract.judge(&form), Err(Refusal::BodyTypeUnsupported));
}

#[test]
fn parameters_are_texts_that_may_stand_for_numbers() {
    let tier = json!({ "$ref": "#/components/parameters/Tier" });
    let count = json!({ "name": "n", "in": "query", "schema": { "type": "integer" } });
    let contract = contract("3.1.0", json!({ "parameters": [tier, count] })).unwrap();
    assert!(!contract.reads_body());
    let gold: &[(&str, &str)] = &[("x-tier", "gold")];
    for (query, headers, expected) in [
        ("", gold, ""),
        ("hd=true&n=5", gold, ""),
        ("n=1&n=x", gold, ""),
        ("hd=1", gold, "bad_request: the query's `hd`: it "),
        ("n=x", gold, "bad_request: the query's `n`: it "),
        ("", &[], "bad_request: the header `X-Tier` is missing"),
        ("", &[("x-tier", "golden")], "bad_request: the header `X-Tier`: it "),
    ] {
        begins(&told(&contract, query, headers, ""), expected);
    }
}

#[test]
fn documents_of_3_0_are_read_in_their_own_words() {
    let schema = json!({ "type": "object", "properties": {
        "a": { "type": "string", "nullable": true },
        "b": { "type": "number", "minimum": 0, "exclusiveMinimum": true },
        "c": { "type": "number", "maximum": 9, "exclusiveMaximum": false }
    } });
    let body =
        json!({ "requestBody": { "content": { "application/json": { "schema": schema } } } });
    let old = contract("3.0.3", body.clone()).unwrap();
    assert_eq!(told(&old, "", &[], r#"{"a":null,"b":1,"c":9}"#), "");
    assert_eq!(told(&old, "", &[], ""), "");
    let zero = told(&old, "", &[], r#"{"b":0}"#);
    assert!(zero.starts_with("bad_request: `b` "), "{zero}");
    assert!(contract("3.1.0", body).is_err(), "3.1 has no `exclusiveMinimum: true`");
}

#[test]
fn what_a_document_does_not_have_is_a_mistake() {
    let reference = |to: &str| json!({ "requestBody": { "$ref": to } });
    let missing = contract("3.1.0", reference("#/components/requestBodies/None"));
    let place = "#/components/requestBodies/None".into();
    assert_eq!(missing.unwrap_err(), DocumentError::Reference(place));
    assert!(contract("3.1.0", reference("other.json#/x")).is_err());
    assert_eq!(contract("2.0", json!({})).unwrap_err(), DocumentError::NotOpenApi);
    let schema = json!({ "$ref": "https://example.com/schema.json" });
    let body =
        json!({ "requestBody": { "content": { "application/json": { "schema": schema } } } });
    assert!(matches!(contract("3.1.0", body), Err(DocumentError::Schema { .. })));
    let document = Document::new(json!({ "openapi": "3.1.0", "paths": { "/a": { "get": {} } } }));
    let document = Arc::new(document.unwrap());
    let of = |pattern: &str| {
        let pattern: Pattern = pattern.parse().unwrap();
        document.contract(&pattern.path, &[Verb::Post]).unwrap_err()
    };
    assert_eq!(of("POST /b"), DocumentError::NoPath("/b".into()));
    assert_eq!(of("POST /a"), DocumentError::NoMethod("/a".into()));
}

/// A body of another type that the document takes goes on as it is; nothing is taken for JSON that
/// is not judged.
#[test]
fn other_types_of_the_document_are_taken() {
    let content = json!({
        "application/json": { "schema": { "type": "object" } },
        "text/plain; charset=utf-8": {},
        "image/*": {},
    });
    let contract = contract("3.1.0", json!({ "requestBody": { "content": content } })).unwrap();
    let of = |kind: &str, body: &str| {
        let mut headers = HeaderMap::new();
        headers.append(header::CONTENT_TYPE, kind.parse().unwrap());
        let (query, body) = (None, body.as_bytes());
        let asked = Asked { method: &Method::POST, query, headers: &headers, body };
        contract.judge(&asked).map_err(|refusal| refusal.row().status)
    };
    assert_eq!(of("text/plain", "x"), Ok(()));
    assert_eq!(of("Text/Plain;charset=latin1", "x"), Ok(()));
    assert_eq!(of("image/png", "x"), Ok(()));
    assert_eq!(of("text/html", "x"), Err(415));
    assert_eq!(of("application/json", "[]"), Err(400));
    assert_eq!(of("application/json; charset=utf-16", "[]"), Err(415));
}
