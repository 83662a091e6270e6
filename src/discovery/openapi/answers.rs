//! The answers of an operation: its document's, and every one that the gateway gives by itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::refusal::{Refusal, Shape, every};
use crate::route::Route;

/// The gateway's own answers so far, as components.
#[derive(Default)]
pub(super) struct Answers(BTreeMap<String, Value>);

impl Answers {
    /// The answers of a route's operation; `own` are its document's, whose shared ones stand in
    /// `responses`.
    pub(super) fn of(
        &mut self,
        route: &Route,
        own: Option<Value>,
        responses: Option<&Value>,
    ) -> Value {
        let is_priced = route.charge.is_priced();
        let mut answers = match own {
            Some(Value::Object(own)) => own,
            Some(_) | None => upstreams(route),
        };
        answers.values_mut().for_each(|answer| put_in_place(answer, responses));
        if is_priced {
            let good = answers.iter_mut().filter(|(status, _)| status.starts_with('2'));
            good.for_each(|(_, answer)| with_receipt(answer));
        }
        for (status, codes) in refusals(route) {
            let name = format!("Tollgate{status}{}", suffix(route));
            let refused = refused(status, &codes);
            match answers.get_mut(&status.to_string()) {
                Some(own) => either(own, &refused),
                None => {
                    let reference = json!({ "$ref": format!("#/components/responses/{name}") });
                    answers.insert(status.to_string(), reference);
                    self.0.entry(name).or_insert(refused);
                }
            }
        }
        Value::Object(answers)
    }

    /// The components that the answers refer to, by section.
    pub(super) fn components(self) -> Vec<(&'static str, Value)> {
        let responses: Map<String, Value> = self.0.into_iter().collect();
        let text = json!({ "type": "string" });
        let header = |said: &str| json!({ "description": said, "schema": text });
        vec![
            ("responses", Value::Object(responses)),
            ("schemas", json!({ "TollgateRefusal": refusal() })),
            (
                "headers",
                json!({
                    "TollgateTerms": header("The ways to pay: base64 of x402's PaymentRequired"),
                    "TollgateReceipt": header("The receipt: base64 of x402's SettlementResponse"),
                }),
            ),
            (
                "securitySchemes",
                json!({ "x402": {
                    "type": "apiKey", "in": "header", "name": "PAYMENT-SIGNATURE",
                    "description": "A signed payment for one call: base64 of x402's PaymentPayload",
                } }),
            ),
        ]
    }
}

/// Routes whose refusals have the same statuses share them.
fn suffix(route: &Route) -> &'static str {
    match (route.charge.is_priced(), route.refusals) {
        (false, _) => "Free",
        (true, Shape::X402) => "",
        (true, Shape::Assistant) => "Assistant",
    }
}

/// What is known of answers without a document.
fn upstreams(route: &Route) -> Map<String, Value> {
    let mut good = json!({ "description": "The answer" });
    if let (Some(good), false) = (good.as_object_mut(), route.mime_type.is_empty()) {
        good.insert("content".to_owned(), json!({ &*route.mime_type: {} }));
    }
    let paid = match route.upstream {
        Some(_) => "nothing was paid for it",
        None => "it was paid for before the API was asked",
    };
    let other = json!({ "description": format!("Whatever else the API answers; {paid}") });
    Map::from_iter([("200".to_owned(), good), ("default".to_owned(), other)])
}

/// The codes that a route refuses with, by status.
fn refusals(route: &Route) -> BTreeMap<u16, Vec<&'static str>> {
    let mut by_status: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    let may = |refusal: &&Refusal| match refusal {
        // There is this operation, and only proxies ask where they are refused so.
        Refusal::NoSuchRoute | Refusal::NotTrusted | Refusal::MethodNotAllowed { .. } => false,
        refusal => route.charge.is_priced() || !refusal.is_of_payment(),
    };
    for refusal in every().iter().filter(may) {
        let told = refusal.told(route.refusals);
        let codes = by_status.entry(told.status).or_default();
        if !codes.contains(&told.code) {
            codes.push(told.code);
        }
    }
    by_status
}

fn refused(status: u16, codes: &[&str]) -> Value {
    let content = json!({ "application/json": {
        "schema": { "$ref": "#/components/schemas/TollgateRefusal" },
    } });
    let mut answer = Map::new();
    answer.insert("description".to_owned(), format!("Refused: {}", codes.join(", ")).into());
    answer.insert("content".to_owned(), content);
    let headers = match status {
        401 | 402 => json!({
            "PAYMENT-REQUIRED": { "$ref": "#/components/headers/TollgateTerms" },
        }),
        429 | 503 => json!({
            "Retry-After": { "description": "Seconds", "schema": { "type": "integer" } },
        }),
        _ => return Value::Object(answer),
    };
    answer.insert("headers".to_owned(), headers);
    Value::Object(answer)
}

/// Makes of a reference to a shared answer that answer, so that more can be said of it.
fn put_in_place(answer: &mut Value, responses: Option<&Value>) {
    let name = answer.get("$ref").and_then(Value::as_str);
    let name = name.and_then(|name| name.strip_prefix("#/components/responses/"));
    if let Some(shared) = name.and_then(|name| responses?.get(name)) {
        *answer = shared.clone();
    }
}

/// An answer that the document has, or else the gateway's own of that status.
fn either(own: &mut Value, refused: &Value) {
    let Value::Object(answer) = own else { return };
    let content = answer.entry("content").or_insert_with(|| json!({}));
    let Some(content) = content.as_object_mut() else { return };
    let ours = refused.pointer("/content/application~1json/schema").cloned().unwrap_or_default();
    let json = content.entry("application/json").or_insert_with(|| json!({}));
    if let Some(media) = json.as_object_mut() {
        let both = match media.remove("schema") {
            Some(theirs) => json!({ "anyOf": [theirs, ours] }),
            None => ours,
        };
        media.insert("schema".to_owned(), both);
    }
}

fn with_receipt(answer: &mut Value) {
    let Value::Object(answer) = answer else { return };
    let headers = answer.entry("headers").or_insert_with(|| json!({}));
    if let Value::Object(headers) = headers {
        let receipt = json!({ "$ref": "#/components/headers/TollgateReceipt" });
        headers.insert("PAYMENT-RESPONSE".to_owned(), receipt);
    }
}

/// The body of every refusal. A 402's goes on with the terms for version 1.
fn refusal() -> Value {
    json!({
        "type": "object",
        "required": ["error", "message"],
        "properties": {
            "error": { "type": "string", "description": "One word; see the answer's description" },
            "message": { "type": "string", "description": "One sentence for a person" },
            "retriable": {
                "type": "boolean",
                "description": "Whether the same request may succeed later",
            },
            "consumed": {
                "type": "boolean",
                "description": "Whether the payment was taken; absent while it is not known",
            },
            "reason": { "type": "string", "description": "Why a payment is not good" },
            "transaction": { "type": "string", "description": "Of the settlement" },
        },
    })
}
