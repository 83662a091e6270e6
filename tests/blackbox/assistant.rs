//! The ready configurations in front of the demo upstream: each endpoint paid, rates, streams.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::example::{Demo, gateway};
use crate::support::facilitator::Facilitator;
use crate::support::gateway::Gateway;
use crate::support::solana::Payer;
use crate::support::wallet::{BASE, POLYGON, Payment, Wallet};
use crate::support::{eventually, in_time};

const CHAT: &str = r#"{"userQuery":"Why?"}"#;
const PERP: &str = r#"{"symbol":"btc","style":"scalping","leverage":5}"#;
const SWAP: &str = r#"{"intent":"swap 10 USDC to ETH","walletAddress":"0x1"}"#;

async fn post(gateway: &Gateway, path: &str, body: &str, payment: Option<&Payment>) -> Answer {
    let ask = gateway.ask("POST", path).header("content-type", "application/json");
    let ask = ask.body(body.to_owned());
    match payment {
        Some(payment) => ask.header("X-PAYMENT-RESPONSE", &payment.v2()),
        None => ask,
    }
    .send()
    .await
}

/// The keys of an object, in their alphabet.
fn keys(value: &Value) -> String {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys.join(" ")
}

#[tokio::test]
async fn each_endpoint_asks_its_price_and_answers_in_its_shape() {
    let (demo, facilitator) = (Demo::start().await, Facilitator::start().await);
    let gateway = gateway("assistant.toml", &demo, &facilitator).await;
    let ask = |mode: &str| format!(r#"{{"link":"https://example.com/m","mode":"{mode}"}}"#);
    let (fast, expert) = (ask("fast"), ask("expert"));
    let suggestion = "confidence entryPrice reasons risks side stopLossPrice takeProfitPrice";
    for (path, body, chain, price, shape) in [
        ("/x402/chat", CHAT, "base", "0.01", "content"),
        ("/x402/chat/expert", CHAT, "base", "0.05", "content"),
        ("/x402/polygon/chat", CHAT, "polygon", "0.01", "content"),
        ("/x402/polygon/chat/expert", CHAT, "polygon", "0.05", "content"),
        ("/x402/perp-trading-suggestion", PERP, "base", "0.05", suggestion),
        ("/x402/intent-to-swap-tx", SWAP, "base", "0.02", "transaction"),
        ("/x402/prediction-market-ask", &fast, "base", "0.01", "predictions reasoning"),
        ("/x402/prediction-market-ask", &expert, "base", "0.05", "predictions reasoning"),
    ] {
        let unpaid = post(&gateway, path, body, None).await;
        let told = unpaid.json();
        assert_eq!((unpaid.status, &told["error"]), (402, &json!("payment_required")), "{path}");
        let instructions = &told["paymentInstructions"];
        assert_eq!(instructions["amount"], price, "{path}");
        assert_eq!(instructions["chain"], chain, "{path}");
        assert_eq!(instructions["currency"], "USDC", "{path}");
        let amount = unpaid.object("payment-required")["accepts"][0]["amount"].clone();
        let amount: u64 = amount.as_str().unwrap().parse().unwrap();
        let payment = match chain {
            "polygon" => Wallet::new(1).pays_at(POLYGON, amount),
            _ => Wallet::new(1).pays_at(BASE, amount),
        };
        let paid = post(&gateway, path, body, Some(&payment)).await;
        assert_eq!(paid.status, 201, "{path}: {}", paid.text());
        assert_eq!(keys(&paid.json()), shape, "{path}");
        assert_eq!(paid.object("payment-response")["success"], true);
    }
    // What the API's document does not take is not paid for, and the payment is good for another
    // question.
    let payment = Wallet::new(2).pays_at(BASE, 10_000);
    let refused = post(&gateway, "/x402/chat", "{}", Some(&payment)).await;
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("bad_request")));
    assert_eq!(gateway.state(&payment).await, "none");
    assert_eq!(post(&gateway, "/x402/chat", CHAT, Some(&payment)).await.status, 201);
}

#[tokio::test]
async fn the_same_questions_are_paid_on_solana() {
    let (demo, facilitator) = (Demo::start().await, Facilitator::start().await);
    let gateway = gateway("assistant.toml", &demo, &facilitator).await;
    for (path, price) in [("/x402/solana/chat", "0.01"), ("/x402/solana/chat/expert", "0.05")] {
        // Until the facilitator has said who pays the fees, there is no way to pay.
        let unpaid = eventually("an offer", async || {
            let answer = post(&gateway, path, CHAT, None).await;
            (answer.status == 402).then_some(answer)
        })
        .await;
        let instructions = &unpaid.json()["paymentInstructions"];
        assert_eq!(
            (&instructions["amount"], &instructions["chain"]),
            (&price.into(), &"solana".into())
        );
        let offer = unpaid.object("payment-required")["accepts"][0].clone();
        let ask = gateway.ask("POST", path).header("content-type", "application/json");
        let proof = Payer::new(1).pays(&offer).v2();
        let paid = ask.header("X-PAYMENT-RESPONSE", &proof).body(CHAT).send().await;
        assert_eq!((paid.status, keys(&paid.json()).as_str()), (201, "content"), "{path}");
        assert_eq!(paid.object("payment-response")["success"], true);
    }
}

/// Asks until it is limited: as many pass as a minute has, and what the time gives back meanwhile.
async fn emptied(a_minute: u64, ask: impl AsyncFn() -> Answer, passes: u16) {
    let (began, mut passed) = (Instant::now(), 0);
    let limited = loop {
        let answer = ask().await;
        if answer.status == 429 {
            break answer;
        }
        assert_eq!(answer.status, passes, "{}", answer.text());
        passed += 1;
        assert!(passed < 400, "nothing is limited");
    };
    assert_eq!(limited.json()["error"], "rate_limit_exceeded");
    assert!(!limited.header("retry-after").is_empty());
    let given_back = began.elapsed().as_millis() * u128::from(a_minute) / 60_000;
    let most = u128::from(a_minute) + given_back + 1;
    assert!((u128::from(a_minute)..=most).contains(&passed), "{passed} of {a_minute}");
}

#[tokio::test]
async fn a_payer_has_sixty_answers_a_minute_and_thirty_trades_and_others_have_theirs() {
    let (demo, facilitator) = (Demo::start().await, Facilitator::start().await);
    let gateway = gateway("assistant.toml", &demo, &facilitator).await;
    let pays = |wallet, amount| move || Wallet::new(wallet).pays_at(BASE, amount);
    let buys =
        async |path, body, payment: Payment| post(&gateway, path, body, Some(&payment)).await;
    let trade = "/x402/perp-trading-suggestion";
    emptied(30, async || buys(trade, PERP, pays(1, 50_000)()).await, 201).await;
    let swap = post(&gateway, "/x402/intent-to-swap-tx", SWAP, Some(&pays(1, 20_000)())).await;
    assert!(matches!(swap.status, 429 | 201), "it is the same class: {}", swap.status);
    let other = pays(2, 50_000)();
    let other = post(&gateway, trade, PERP, Some(&other)).await;
    assert_eq!(other.status, 201);
    emptied(60, async || buys("/x402/chat", CHAT, pays(1, 10_000)()).await, 201).await;
    let other = post(&gateway, "/x402/chat", CHAT, Some(&pays(2, 10_000)())).await;
    assert_eq!(other.status, 201);
    // Without payment an address has thirty, and whoever pays goes on.
    emptied(30, async || post(&gateway, "/x402/chat", CHAT, None).await, 402).await;
    let other = post(&gateway, "/x402/chat", CHAT, Some(&pays(2, 10_000)())).await;
    assert_eq!(other.status, 201);
}

#[tokio::test]
async fn a_stream_passes_event_by_event_and_is_paid_on_its_head() {
    let (demo, facilitator) = (Demo::start().await, Facilitator::start().await);
    let gateway = gateway("assistant.toml", &demo, &facilitator).await;
    let payment = Wallet::new(1).pays_at(BASE, 10_000);
    let ask = gateway.ask("POST", "/x402/chat").header("content-type", "application/json");
    let mut answer =
        ask.header("accept", "text/event-stream").body(CHAT).pays(&payment).open().await;
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert!(answer.headers().contains_key("payment-response"));
    let mut pieces = Vec::new();
    while let Some(piece) = in_time("an event", answer.chunk()).await.unwrap() {
        pieces.push(String::from_utf8(piece.to_vec()).unwrap());
    }
    assert!(pieces.len() >= 3, "the events came together: {pieces:?}");
    let whole = pieces.concat();
    assert_eq!(
        whole,
        "data: {\"content\":\"You \"}\n\ndata: {\"content\":\"asked: \"}\n\n\
         data: {\"content\":\"Why?\"}\n\ndata: [DONE]\n\n"
    );
    gateway.comes_to(&payment, "settled").await;
}

#[tokio::test]
async fn a_server_that_speaks_as_openais_does_is_paid_by_the_request() {
    let (demo, facilitator) = (Demo::start().await, Facilitator::start().await);
    let gateway = gateway("llm.toml", &demo, &facilitator).await;
    let models = gateway.ask("GET", "/v1/models").send().await;
    assert_eq!((models.status, &models.json()["object"]), (200, &json!("list")));
    let path = "/v1/chat/completions";
    let body = r#"{"model":"demo","messages":[{"role":"user","content":"Hello"}]}"#;
    assert_eq!(post(&gateway, path, body, None).await.status, 402);
    let payment = Wallet::new(1).pays_at(BASE, 10_000);
    let paid = post(&gateway, path, body, Some(&payment)).await;
    assert_eq!(paid.status, 200, "{}", paid.text());
    assert_eq!(paid.json()["choices"][0]["message"]["content"], "You said: Hello");
}
