//! One operation: its document's words, its price, and every answer that the gateway may give.

use serde_json::{Map, Value, json};

use super::answers::Answers;
use super::names;
use crate::discovery::price::{Price, networks, sentence};
use crate::route::{Route, Verb};

/// The operation of a route at `path`. `words` are its document's, and how that writes the path;
/// `responses` are the documents' shared ones.
pub(super) fn operation(
    route: &Route,
    verb: Verb,
    path: String,
    words: Option<(&str, Value)>,
    (answers, responses): (&mut Answers, Option<&Value>),
) -> Value {
    let (own_path, mut operation) = match words {
        Some((own, Value::Object(words))) => (own.to_owned(), words),
        Some(_) | None => (path.clone(), Map::new()),
    };
    // Whoever may call, who is called back and where: the gateway's to say.
    for gone in ["security", "callbacks", "servers"] {
        operation.remove(gone);
    }
    let parameters = operation.remove("parameters");
    let parameters = self::parameters(parameters, &names(&own_path), &names(&path));
    operation.insert("parameters".to_owned(), parameters.into());
    describe(&mut operation, route);
    if matches!(verb, Verb::Post | Verb::Put | Verb::Patch) {
        let types = route.body.types.iter();
        let content: Map<_, _> = types.map(|name| (name.to_string(), json!({}))).collect();
        if !content.is_empty() {
            operation.entry("requestBody").or_insert_with(|| json!({ "content": content }));
        }
    }
    if let Some(host) = &route.pattern.host {
        operation.insert("servers".to_owned(), json!([{ "url": format!("https://{host}") }]));
    }
    if route.charge.is_priced() {
        operation.insert("x-payment-info".to_owned(), payment(route));
        operation.insert("security".to_owned(), json!([{ "x402": [] }]));
    } else {
        operation.insert("security".to_owned(), json!([]));
    }
    let own = operation.remove("responses");
    operation.insert("responses".to_owned(), answers.of(route, own, responses));
    Value::Object(operation)
}

/// Says what it is and what it costs.
fn describe(operation: &mut Map<String, Value>, route: &Route) {
    if !route.description.is_empty() {
        operation.entry("summary").or_insert_with(|| route.description.as_ref().into());
    }
    let Some(costs) = sentence(route) else { return };
    let said = operation.get("description").and_then(Value::as_str).unwrap_or_default();
    let said = if said.is_empty() { costs } else { format!("{said}\n\n{costs}") };
    operation.insert("description".to_owned(), said.into());
}

/// The document's parameters, each part of the path called as in `path`, and the parts that the
/// document does not have.
fn parameters(typed: Option<Value>, own: &[&str], path: &[&str]) -> Vec<Value> {
    let Some(Value::Array(mut parameters)) = typed else {
        return path.iter().map(|name| part(name)).collect();
    };
    let is_part = |parameter: &Value| parameter.get("in").and_then(Value::as_str) == Some("path");
    let mut told = Vec::new();
    for (own, name) in own.iter().zip(path) {
        let of_name = |parameter: &Value| {
            is_part(parameter) && parameter.get("name").and_then(Value::as_str) == Some(own)
        };
        let found = parameters.iter().find(|parameter| of_name(parameter)).cloned();
        let mut found = found.unwrap_or_else(|| part(name));
        if let Value::Object(parameter) = &mut found {
            parameter.insert("name".to_owned(), (*name).into());
            parameter.insert("required".to_owned(), true.into());
        }
        told.push(found);
    }
    parameters.retain(|parameter| !is_part(parameter));
    told.extend(parameters);
    told
}

fn part(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
}

/// What it costs, in the words that crawlers of paid APIs read: `x-payment-info`.
fn payment(route: &Route) -> Value {
    let price = match Price::of(route) {
        Price::Free => json!({ "mode": "fixed", "currency": "USD", "amount": "0" }),
        Price::Fixed(amount) => json!({ "mode": "fixed", "currency": "USD", "amount": amount }),
        Price::UpTo(_, max) => {
            json!({ "mode": "dynamic", "currency": "USD", "min": "0", "max": max })
        }
        Price::Between(min, max) => {
            json!({ "mode": "dynamic", "currency": "USD", "min": min, "max": max })
        }
    };
    let networks: Vec<&str> = networks(route).iter().map(|network| network.as_str()).collect();
    json!({ "price": price, "protocols": [{ "x402": { "networks": networks } }] })
}
