//! A facilitator for the load test: says yes to everything, so long after it was asked.
//!
//! `facilitator LISTEN VERIFY_MS SETTLE_MS`, on one thread. It moves nothing and keeps nothing:
//! what is measured is the one who waits for it.

use std::error::Error;
use std::time::Duration;

use alloy_primitives::keccak256;
use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [listen, verify, settle] = words.as_slice() else { return Err(USAGE.into()) };
    let verify = Duration::from_millis(verify.parse()?);
    let settle = Duration::from_millis(settle.parse()?);
    let router = Router::new()
        .route("/supported", get(async || json_of(&supported())))
        .route("/verify", post(async move |body: Bytes| answer(body, verify, agreed).await))
        .route("/settle", post(async move |body: Bytes| answer(body, settle, settled).await));
    axum::serve(TcpListener::bind(listen).await?, router).await?;
    Ok(())
}

async fn answer(
    body: Bytes,
    pause: Duration,
    say: fn(&Value) -> Option<Value>,
) -> Result<impl IntoResponse, StatusCode> {
    let question = serde_json::from_slice(&body).ok();
    let answer = question.as_ref().and_then(say).ok_or(StatusCode::BAD_REQUEST)?;
    // A pause of nothing would still be one of a millisecond.
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    Ok(json_of(&answer))
}

fn agreed(question: &Value) -> Option<Value> {
    Some(json!({ "isValid": true, "payer": authorization(question)?.get("from")? }))
}

fn settled(question: &Value) -> Option<Value> {
    let authorization = authorization(question)?;
    let nonce = authorization.get("nonce")?.as_str()?;
    let network = question.pointer("/paymentRequirements/network")?;
    Some(json!({
        "success": true, "transaction": keccak256(nonce).to_string(), "network": network,
        "payer": authorization.get("from")?,
    }))
}

fn authorization(question: &Value) -> Option<&Value> {
    question.pointer("/paymentPayload/payload/authorization")
}

fn supported() -> Value {
    let exact = json!({ "x402Version": 2, "scheme": "exact", "network": "eip155:84532" });
    json!({ "kinds": [exact], "extensions": [], "signers": {} })
}

fn json_of(value: &Value) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string())
}

const USAGE: &str = "facilitator LISTEN VERIFY_MS SETTLE_MS";
