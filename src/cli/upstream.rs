//! `tollgate demo-upstream`: an API to put a price on, whose answers are made up.

mod stream;
mod trading;

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use self::stream::Events;

/// What may be typed after `tollgate demo-upstream`.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Milliseconds between two events of a stream
    #[arg(long, value_name = "MS", default_value_t = 50)]
    pause: u64,
}

/// Serves until Ctrl-C. It knows nothing of payments, and asks nobody anything.
///
/// # Errors
/// The address cannot be listened on, or standard output is closed.
pub(super) async fn run(arguments: Arguments, mut out: impl Write) -> std::io::Result<()> {
    let listener = TcpListener::bind(arguments.listen).await?;
    writeln!(out, "demo upstream listening on {}", listener.local_addr()?)?;
    let pause = Duration::from_millis(arguments.pause);
    // A stop that cannot be heard is no reason to stop.
    let stopped = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    };
    axum::serve(listener, router(pause)).with_graceful_shutdown(stopped).await
}

/// The paths of the published assistant and trading API (PROTOCOL §9), and two of every server
/// that speaks as OpenAI's does.
fn router(pause: Duration) -> Router {
    let chat = |manner: Manner| {
        post(move |headers: HeaderMap, body: Bytes| async move {
            answered(&body, |asked| chat(&asked, manner, Wish::of(&headers, &asked), pause))
        })
    };
    let object = |answer: fn(&Asked) -> Result<Value, Problem>| {
        post(move |body: Bytes| async move {
            answered(&body, |asked| answer(&asked).map(|value| created(&value)))
        })
    };
    Router::new()
        .route("/x402/chat", chat(Manner::Short))
        .route("/x402/chat/expert", chat(Manner::Expert))
        .route("/x402/solana/chat", chat(Manner::Short))
        .route("/x402/solana/chat/expert", chat(Manner::Expert))
        .route("/x402/polygon/chat", chat(Manner::Short))
        .route("/x402/polygon/chat/expert", chat(Manner::Expert))
        .route("/x402/perp-trading-suggestion", object(trading::suggestion))
        .route("/x402/intent-to-swap-tx", object(trading::swap))
        .route("/x402/prediction-market-ask", object(trading::prediction))
        .route(
            "/v1/chat/completions",
            post(move |headers: HeaderMap, body: Bytes| async move {
                answered(&body, |asked| completion(&asked, Wish::of(&headers, &asked), pause))
            }),
        )
        .route("/v1/models", get(|| async { json_body(StatusCode::OK, &models()) }))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "not_found", "nothing is here") })
}

/// The object that a request brings.
struct Asked(Map<String, Value>);

/// What is wrong with it: the field, and what it must be.
struct Problem(String);

impl Asked {
    /// A field that must be text.
    fn text(&self, name: &str) -> Result<&str, Problem> {
        match self.0.get(name) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text),
            Some(_) => Err(Problem(format!("`{name}` must be a text"))),
            None => Err(Problem(format!("`{name}` is missing"))),
        }
    }

    /// A field that must be one of these words, if it is there.
    fn word<'a>(&'a self, name: &str, words: &[&'a str]) -> Result<Option<&'a str>, Problem> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if words.contains(&text.as_str()) => Ok(Some(text)),
            Some(_) => Err(Problem(format!("`{name}` must be one of {}", words.join(", ")))),
        }
    }

    /// A field that must be a whole number within these bounds, if it is there.
    fn number(&self, name: &str, (least, most): (u64, u64)) -> Result<Option<u64>, Problem> {
        let wrong = || Problem(format!("`{name}` must be a number from {least} to {most}"));
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => {
                let number = value.as_u64().filter(|number| (least..=most).contains(number));
                number.map(Some).ok_or_else(wrong)
            }
        }
    }

    fn is(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }
}

/// Answers a request whose body is one object.
fn answered(body: &[u8], answer: impl FnOnce(Asked) -> Result<Response, Problem>) -> Response {
    let asked = serde_json::from_slice(body).map(Asked);
    let asked = asked.map_err(|_| Problem("the body must be a JSON object".to_owned()));
    asked
        .and_then(answer)
        .unwrap_or_else(|Problem(told)| problem(StatusCode::BAD_REQUEST, "bad_request", &told))
}

#[derive(Clone, Copy)]
enum Manner {
    Short,
    Expert,
}

/// How an answer is wanted.
#[derive(Clone, Copy)]
enum Wish {
    Whole,
    Events,
}

impl Wish {
    fn of(headers: &HeaderMap, asked: &Asked) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let events = accept.is_some_and(|accept| accept.contains("text/event-stream"));
        if events || asked.is("stream") { Self::Events } else { Self::Whole }
    }
}

fn chat(asked: &Asked, manner: Manner, wish: Wish, pause: Duration) -> Result<Response, Problem> {
    let query = asked.text("userQuery")?;
    let content = match manner {
        Manner::Short => format!("You asked: {query}"),
        Manner::Expert => format!("You asked: {query} Here is what an expert would look at first."),
    };
    let event = |word: &str| json!({ "content": word });
    Ok(match wish {
        Wish::Whole => created(&json!({ "content": content })),
        Wish::Events => events(StatusCode::CREATED, &content, event, pause),
    })
}

/// As a server that speaks as OpenAI's does.
fn completion(asked: &Asked, wish: Wish, pause: Duration) -> Result<Response, Problem> {
    let model = asked.text("model")?;
    let Some(Value::Array(messages)) = asked.0.get("messages") else {
        return Err(Problem("`messages` must be a list".to_owned()));
    };
    let said = messages.last().and_then(|message| message.get("content")?.as_str());
    let content = format!("You said: {}", said.unwrap_or_default());
    let (prompt, completion) = (words(said.unwrap_or_default()), words(&content));
    let usage = json!({
        "prompt_tokens": prompt, "completion_tokens": completion,
        "total_tokens": prompt.saturating_add(completion)
    });
    Ok(match wish {
        Wish::Whole => {
            let message = json!({ "role": "assistant", "content": content });
            let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
            json_body(
                StatusCode::OK,
                &json!({
                    "id": "chatcmpl-demo", "object": "chat.completion", "model": model,
                    "choices": [choice], "usage": usage
                }),
            )
        }
        Wish::Events => {
            let event = |word: &str| {
                let choice = json!({ "index": 0, "delta": { "content": word } });
                json!({ "object": "chat.completion.chunk", "model": model, "choices": [choice] })
            };
            events(StatusCode::OK, &content, event, pause)
        }
    })
}

fn models() -> Value {
    json!({ "object": "list", "data": [{ "id": "demo", "object": "model" }] })
}

/// One event for each word, and the word that ends a stream.
fn events(
    status: StatusCode,
    content: &str,
    event: impl Fn(&str) -> Value,
    pause: Duration,
) -> Response {
    let words = content.split_inclusive(' ').map(|word| format!("data: {}\n\n", event(word)));
    let events = words.chain(["data: [DONE]\n\n".to_owned()]).map(Bytes::from).collect();
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (status, head, Body::new(Events::new(events, pause))).into_response()
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn created(value: &Value) -> Response {
    json_body(StatusCode::CREATED, value)
}

fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    json_body(status, &json!({ "error": code, "message": message }))
}

fn json_body(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
