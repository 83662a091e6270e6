//! Paid requests that do not fit the route's document: refused by the field's name, never charged.

use std::fs;

use super::refusals::refused;
use crate::support::client::Answer;
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};

const DOCUMENT: &str = r#"
openapi: 3.0.3
paths:
  /ask/{name}:
    post:
      parameters:
        - { name: lang, in: query, required: true, schema: { enum: [de, en] } }
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [mode]
              properties: { mode: { enum: [fast, expert] } }
"#;

async fn gateway(upstream: &Upstream, rules: &str) -> Gateway {
    let route = format!("{PRICED}\nopenapi = \"ask.yaml\"\n{rules}");
    let plan = Plan::to(upstream.address).route("match = \"POST /ask/{id}\"", &route);
    plan.start_after(|dir| fs::write(dir.join("ask.yaml"), DOCUMENT).unwrap()).await
}

async fn ask(gateway: &Gateway, query: &str, body: &str, payment: Option<&Payment>) -> Answer {
    let ask = gateway.ask("POST", &format!("/ask/1{query}"));
    let ask = ask.header("content-type", "application/json").body(body.to_owned());
    match payment {
        Some(payment) => ask.pays(payment).send().await,
        None => ask.send().await,
    }
}

#[tokio::test]
async fn what_does_not_fit_is_told_by_its_name_and_nothing_is_taken() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, "").await;
    let payment = Wallet::new(1).pays();
    for (query, body, told) in [
        ("?lang=de", "{}", "`mode` is missing"),
        ("?lang=de", r#"{"mode":"slow"}"#, "`mode` "),
        ("?lang=fr", r#"{"mode":"fast"}"#, "the query's `lang`: it "),
        ("", r#"{"mode":"fast"}"#, "the query's `lang` is missing"),
        ("?lang=de", "", "the body is missing"),
        ("?lang=de", "{", "the body is not JSON"),
    ] {
        assert_eq!(ask(&gateway, query, body, None).await.status, 402, "{query} {body}");
        let answer = ask(&gateway, query, body, Some(&payment)).await;
        refused(&answer, "bad_request");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(told), "{message}");
    }
    assert_eq!((upstream.seen().len(), &*gateway.state(&payment).await), (0, "none"));
    let good = r#"{"mode":"fast"}"#;
    assert_eq!(ask(&gateway, "?lang=de", good, Some(&payment)).await.status, 200);
    assert_eq!(upstream.seen().last().unwrap().body, good.as_bytes());
    let again = ask(&gateway, "?lang=de", good, Some(&payment)).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn a_body_is_read_once_for_its_price_and_for_its_contract() {
    let upstream = Upstream::start().await;
    let rules = "price_rules = [{ body = \"mode\", is = \"fast\", price = \"$0.01\" }]";
    let gateway = gateway(&upstream, rules).await;
    let fast = Wallet::new(1).pays_units(10_000);
    refused(&ask(&gateway, "", r#"{"mode":"fast"}"#, Some(&fast)).await, "bad_request");
    let answer = ask(&gateway, "?lang=en", r#"{"mode":"fast"}"#, Some(&fast)).await;
    assert_eq!(answer.status, 200);
    let expert = Wallet::new(1).pays();
    let answer = ask(&gateway, "?lang=en", r#"{"mode":"expert"}"#, Some(&expert)).await;
    assert_eq!((answer.status, upstream.seen().len()), (200, 2));
}
