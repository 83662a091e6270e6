//! A proxy that asks before it forwards, in the words of each kind.

use super::client::{self, Answer, Ask};
use super::gateway::Gateway;
use super::plan::PUBLIC_URL;

/// All kinds there are.
pub const KINDS: [&str; 4] = ["nginx", "traefik", "caddy", "envoy"];

/// The question of such a proxy about a request; what it adds to it, its client has sent.
pub fn asks(kind: &str, gateway: &Gateway, method: &str, target: &str) -> Ask {
    let ask =
        |method: &str, target: &str| Ask::new(&client::client(), method, &at(gateway, target));
    match kind {
        "nginx" => ask("GET", "/ask")
            .header("x-original-method", method)
            .header("x-original-url", &format!("{PUBLIC_URL}{target}")),
        "envoy" => ask(method, target),
        _ => ask("GET", "/")
            .header("x-forwarded-method", method)
            .header("x-forwarded-host", "api.example.com")
            .header("x-forwarded-uri", target),
    }
}

/// What the proxy's client gets for it; 200: what the service behind answers.
pub async fn verdict(kind: &str, gateway: &Gateway, ask: Ask) -> Answer {
    let answer = ask.send().await;
    if kind != "nginx" || answer.status == 200 {
        return answer;
    }
    // All else that nginx understands of an answer is 403.
    assert_eq!((answer.status, answer.body.len()), (401, 0), "{answer:?}");
    fetched(gateway, answer.header(CARRIED)).await
}

/// What nginx is given for what it was told to fetch.
pub async fn fetched(gateway: &Gateway, carried: &str) -> Answer {
    let fetch = Ask::new(&client::client(), "GET", &at(gateway, "/answer"));
    fetch.header(CARRIED, carried).send().await
}

fn at(gateway: &Gateway, target: &str) -> String {
    format!("http://{}{target}", gateway.check.expect("it is asked"))
}

/// What carries the answer for a client.
pub const CARRIED: &str = "x-tollgate-answer";
