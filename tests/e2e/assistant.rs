//! Published clients pay every endpoint of the assistant API of `deploy/examples`, each on a node
//! of its chain. It refuses in its own words.

use std::fs;
use std::path::Path;

use alloy_primitives::U256;
use serde_json::{Value, json};

use super::chain::{Chain, SIGNER_KEY, Transfer};
use super::own;
use super::sdk::Client;
use super::solana::cluster::{Cluster, Mint, Wallet};
use super::{sdk, solana};
use crate::support::example::{Demo, gateway_after};
use crate::support::gateway::Gateway;
use crate::support::together;
use crate::support::wallet::{BASE, PAY_TO, POLYGON};

const CHAT: &str = r#"{"userQuery":"Why?"}"#;
const PERP: &str = r#"{"symbol":"BTC"}"#;
const SWAP: &str = r#"{"intent":"swap 10 USDC to ETH","walletAddress":"0x1"}"#;
const FAST: &str = r#"{"link":"https://example.com/m","mode":"fast"}"#;
const EXPERT: &str = r#"{"link":"https://example.com/m","mode":"expert"}"#;

/// What is asked where, for how much, on Base and on Polygon. One of them has two prices.
const ENDPOINTS: [(&str, &str, u64, On); 8] = [
    ("/x402/chat", CHAT, 10_000, On::Base),
    ("/x402/chat/expert", CHAT, 50_000, On::Base),
    ("/x402/polygon/chat", CHAT, 10_000, On::Polygon),
    ("/x402/polygon/chat/expert", CHAT, 50_000, On::Polygon),
    ("/x402/perp-trading-suggestion", PERP, 50_000, On::Base),
    ("/x402/intent-to-swap-tx", SWAP, 20_000, On::Base),
    ("/x402/prediction-market-ask", FAST, 10_000, On::Base),
    ("/x402/prediction-market-ask", EXPERT, 50_000, On::Base),
];
/// The same on Solana.
const ON_SOLANA: [(&str, u64); 2] =
    [("/x402/solana/chat", 10_000), ("/x402/solana/chat/expert", 50_000)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Base,
    Polygon,
}

#[tokio::test]
async fn published_clients_pay_each_endpoint_of_the_assistant_on_its_chain() {
    let clients = sdk::published();
    let payers = sdk::payers(&clients);
    let base = Chain::start_at(BASE, &payers).await;
    let polygon = Chain::start_at(POLYGON, &payers).await;
    let cluster = Cluster::start(400).await;
    let demo = Demo::start().await;
    let mut gateway = gateway(&demo, (&base, &polygon), &cluster).await;
    let pays = |client| pays_each(client, &gateway, (&base, &polygon));
    let on_evm = together(clients.into_iter().map(pays));
    tokio::join!(on_evm, each_pays_on_solana(&gateway, &cluster));
    gateway.terminate();
    assert!(gateway.ended().await.success());
}

/// Lets a client pay every endpoint, and finds each payment on its chain.
async fn pays_each(client: Client, gateway: &Gateway, (base, polygon): (&Chain, &Chain)) {
    // Python's client of version 1 knows two families of networks, and Polygon is neither.
    let knows = |on: On| on == On::Base || !matches!(client.name, "pypi-httpx-v1");
    for (path, body, price, on) in ENDPOINTS.into_iter().filter(|(.., on)| knows(*on)) {
        let transaction = paid(client, &gateway.url(path), body, gateway.dir()).await;
        let (chain, asset) = match on {
            On::Base => (base, BASE.asset),
            On::Polygon => (polygon, POLYGON.asset),
        };
        let moved = Transfer { from: client.payer(), to: PAY_TO, value: U256::from(price) };
        // Others may have paid in the same transaction.
        let mut moves = chain.transfers_of(asset, &transaction).await;
        moves.retain(|moved| moved.from == client.payer());
        assert_eq!(moves, [moved], "{} {path}", client.name);
    }
}

async fn each_pays_on_solana(gateway: &Gateway, cluster: &Cluster) {
    for (number, client) in solana::published().into_iter().enumerate() {
        let (payer, mint) = (Wallet::payer(number), Mint::Usdc);
        cluster.fund(payer, mint, 1_000_000).await;
        for (path, price) in ON_SOLANA {
            let before = cluster.balance(payer, mint).await;
            let asked = (path, CHAT, "application/json");
            let answer = client.posts(gateway, asked, &payer, cluster).await;
            assert_eq!(
                (&answer["status"], &answer["paid"]),
                (&json!(201), &json!(true)),
                "{answer}"
            );
            let transaction = answer["transaction"].as_str().unwrap();
            assert_eq!(cluster.error_of(transaction).await, Value::Null, "{client:?} {path}");
            assert_eq!(before - cluster.balance(payer, mint).await, price, "{client:?} {path}");
        }
    }
}

/// The example, each of its networks settled by the gateway itself. The Solana node takes itself
/// for devnet.
async fn gateway(demo: &Demo, (base, polygon): (&Chain, &Chain), cluster: &Cluster) -> Gateway {
    let settles = [
        ("base", own::settles_itself(&[base.url()], "")),
        ("polygon", own::settles_itself(&[polygon.url()], ", confirmations = 1")),
        ("solana", solana::settles_itself(cluster, "")),
    ];
    let change = |dir: &Path, mut text: String| {
        fs::write(dir.join(own::KEY_FILE), SIGNER_KEY).unwrap();
        fs::write(dir.join(solana::KEY_FILE), Wallet::FEE_PAYER.keygen()).unwrap();
        for (name, settled) in settles {
            // The networks stand in this order.
            text = text.replacen("\"hosted\"", &format!("\"{name}\""), 1);
            text = format!("{text}\n[facilitators.{name}]\n{settled}\n");
        }
        let (before, hosted) = text.split_once("[facilitators.hosted.http]").unwrap();
        let (_, after) = hosted.split_once("[limits]").unwrap();
        let text = format!("{before}[limits]{after}");
        let ours = Wallet::PAYEE.address().to_string();
        text.replace("8izNrokeuYU5o8gxzcSV5g7w1NJifoBuqXXpfYhYUueU", &ours)
            .replace("[networks.solana]", "[networks.solana-devnet]")
            .replace("[\"solana\"]", "[\"solana-devnet\"]")
    };
    // Whoever would have settled it elsewhere is asked nothing.
    let gateway = gateway_after("assistant.toml", demo, "http://127.0.0.1:9", change).await;
    gateway.ready().await;
    gateway
}

/// Posts `body`, pays, gets JSON for it, and gives back the transaction.
async fn paid(client: Client, url: &str, body: &str, dir: &Path) -> String {
    let (sent, out) = (dir.join(format!("{}.body", client.name)), dir.join(client.name));
    fs::write(&sent, body).unwrap();
    let answer = client.post(url, &sent, "application/json", &out).await;
    assert_eq!((answer.status, answer.paid), (201, true), "{} {url} {answer:?}", client.name);
    assert_eq!(answer.payer, Some(client.payer()));
    let bought: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert!(bought.is_object(), "{bought}");
    answer.transaction.unwrap()
}
