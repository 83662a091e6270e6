//! Published clients pay the assistant API of `deploy/examples`, which refuses in its own words.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::sdk::{CLIENTS, Client};
use crate::support::example::{Demo, gateway};
use crate::support::facilitator::Facilitator;

const CHAT: &str = r#"{"userQuery":"Why?"}"#;
const PERP: &str = r#"{"symbol":"BTC"}"#;
const SWAP: &str = r#"{"intent":"swap 10 USDC to ETH","walletAddress":"0x1"}"#;
const FAST: &str = r#"{"link":"https://example.com/m","mode":"fast"}"#;
const EXPERT: &str = r#"{"link":"https://example.com/m","mode":"expert"}"#;
/// Paths, bodies, and the network that pays for them.
const ENDPOINTS: [(&str, &str, &str); 8] = [
    ("/x402/chat", CHAT, "base"),
    ("/x402/chat/expert", CHAT, "base"),
    ("/x402/polygon/chat", CHAT, "polygon"),
    ("/x402/polygon/chat/expert", CHAT, "polygon"),
    ("/x402/perp-trading-suggestion", PERP, "base"),
    ("/x402/intent-to-swap-tx", SWAP, "base"),
    ("/x402/prediction-market-ask", FAST, "base"),
    ("/x402/prediction-market-ask", EXPERT, "base"),
];

#[tokio::test]
async fn published_clients_pay_each_endpoint_of_the_assistant() {
    let (demo, facilitator) = (Demo::start().await, Facilitator::start().await);
    let mut gateway = gateway("assistant.toml", &demo, &facilitator).await;
    for client in CLIENTS {
        // Python's client of version 1 knows two families of networks, and Polygon is neither.
        let endpoints = ENDPOINTS
            .iter()
            .filter(|(.., chain)| *chain == "base" || !matches!(client.name, "pypi-httpx-v1"));
        for (path, body, chain) in endpoints {
            let answer = paid(client, &gateway.url(path), body, gateway.dir()).await;
            assert!(answer.is_object(), "{} {path} {chain}", client.name);
        }
    }
    assert_eq!(facilitator.moved().len(), 4 * ENDPOINTS.len() + 6);
    gateway.terminate();
    assert!(gateway.ended().await.success());
}

/// Posts `body`, pays, and gives back the JSON that was bought.
async fn paid(client: Client, url: &str, body: &str, dir: &Path) -> Value {
    let (sent, out) = (dir.join("body.json"), dir.join("answer.json"));
    fs::write(&sent, body).unwrap();
    let answer = client.post(url, &sent, "application/json", &out).await;
    assert_eq!((answer.status, answer.paid), (201, true), "{} {url} {answer:?}", client.name);
    assert_eq!(answer.payer, Some(client.payer()));
    serde_json::from_slice(&fs::read(&out).unwrap()).unwrap()
}
