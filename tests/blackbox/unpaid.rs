//! Requests without payment: the 402 in both versions, and everybody who must be able to read it.

use serde_json::{Value, json};

use tollgate::x402::Identifying;

use crate::support::client::Answer;
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, PUBLIC_URL, Plan};
use crate::support::raw::{self, Raw};
use crate::support::upstream::Upstream;
use crate::support::wallet::{ASSET, NETWORK, NETWORK_V1, PAY_TO, PRICE, Wallet};

/// A gateway, and the upstream that no test here may reach.
async fn gateway() -> (Gateway, Upstream) {
    let upstream = Upstream::start().await;
    let typed = format!(
        "{PRICED}\ndescription = \"A photo in, a cut-out back\"\nmime_type = \"image/png\"\n\
         body = {{ types = [\"image/png\"], max = \"1kB\" }}"
    );
    let plan = Plan::to(upstream.address).no_routes().route("match = \"GET,POST /paid\"", &typed);
    (plan.route("match = \"POST /items/{id}\"", PRICED).start().await, upstream)
}

/// Checks a whole 402 for `/paid`.
#[track_caller]
fn asks_for_payment(answer: &Answer) {
    assert_eq!(answer.status, 402, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.header("payment-required").len() < 8 * 1024 - 20);
    let required = answer.object("payment-required");
    assert_eq!(required, v2("/paid", "A photo in, a cut-out back", "image/png"));
}

fn v2(path: &str, description: &str, mime_type: &str) -> Value {
    json!({
        "x402Version": 2,
        "error": "payment_required",
        "resource": {
            "url": format!("{PUBLIC_URL}{path}"),
            "description": description,
            "mimeType": mime_type,
        },
        "accepts": [{
            "scheme": "exact",
            "network": NETWORK,
            "amount": PRICE.to_string(),
            "asset": ASSET.to_checksum(None),
            "payTo": PAY_TO.to_checksum(None),
            "maxTimeoutSeconds": 300,
            "extra": { "name": "USDC", "version": "2" },
        }],
        "extensions": { "payment-identifier": Identifying::Optional.declared() },
    })
}

#[tokio::test]
async fn the_402_is_read_by_clients_of_either_version() {
    let (gateway, _upstream) = gateway().await;
    let answer = gateway.ask("POST", "/paid").send().await;
    asks_for_payment(&answer);
    let body = answer.json();
    assert_eq!(body["x402Version"], 1);
    assert_eq!(body["error"], "payment_required");
    let accepts = json!([{
        "scheme": "exact",
        "network": NETWORK_V1,
        "maxAmountRequired": PRICE.to_string(),
        "resource": format!("{PUBLIC_URL}/paid"),
        "description": "A photo in, a cut-out back",
        "mimeType": "image/png",
        "payTo": PAY_TO.to_checksum(None),
        "maxTimeoutSeconds": 300,
        "asset": ASSET.to_checksum(None),
        "extra": { "name": "USDC", "version": "2" },
    }]);
    assert_eq!(body["accepts"], accepts);
}

#[tokio::test]
async fn the_resource_is_the_public_url_and_never_the_clients_host() {
    let (gateway, _upstream) = gateway().await;
    let ask = gateway.ask("POST", "/items/42?size=2").header("host", "evil.example");
    let answer = ask.send().await;
    let mut told = answer.object("payment-required");
    let bazaar = told["extensions"].as_object_mut().unwrap().remove("bazaar").unwrap();
    assert_eq!(bazaar["routeTemplate"], "/items/:id");
    assert_eq!(bazaar["info"]["input"], json!({ "type": "http", "method": "POST" }));
    assert_eq!(told, v2("/items/42", "", ""));
    assert_eq!(answer.json()["accepts"][0]["resource"], format!("{PUBLIC_URL}/items/42"));
}

#[tokio::test]
async fn head_is_asked_for_payment_without_a_body() {
    let (gateway, upstream) = gateway().await;
    let answer = gateway.ask("HEAD", "/paid").send().await;
    asks_for_payment(&answer);
    assert!(answer.body.is_empty());
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_preflight_costs_nothing_and_lets_the_payment_headers_through() {
    let (gateway, upstream) = gateway().await;
    let asked = "payment-signature, access-control-expose-headers, x-own";
    let ask = gateway
        .ask("OPTIONS", "/paid")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", asked);
    let answer = ask.send().await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-allow-methods"), "GET, HEAD, POST, OPTIONS");
    assert_eq!(answer.header("access-control-allow-headers"), asked);

    let answer = gateway.ask("OPTIONS", "/paid").send().await;
    let allowed = answer.header("access-control-allow-headers").to_ascii_lowercase();
    for name in ["content-type", "payment-signature", "x-payment", "access-control-expose-headers"]
    {
        assert!(allowed.contains(name), "{allowed}");
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn browsers_may_read_the_payment_headers() {
    let (gateway, _upstream) = gateway().await;
    let unpaid = gateway.ask("POST", "/paid").send().await;
    let payment = Wallet::new(1).pays();
    let paid = gateway.ask("POST", "/paid").pays(&payment).header("content-type", "image/png");
    let paid = paid.send().await;
    for (answer, status) in [(unpaid, 402), (paid, 200)] {
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let exposed = answer.header("access-control-expose-headers").to_ascii_lowercase();
        for name in ["payment-required", "payment-response", "x-payment-response", "retry-after"] {
            assert!(exposed.contains(name), "{status}: {exposed}");
        }
    }
}

/// Catalogues probe with an empty body, with a wrong one, and without a type.
#[tokio::test]
async fn a_probe_gets_the_402_before_anything_else_is_judged() {
    let (gateway, upstream) = gateway().await;
    let ask = || gateway.ask("POST", "/paid");
    asks_for_payment(&ask().send().await);
    asks_for_payment(&ask().body("{}").send().await);
    asks_for_payment(&ask().header("content-type", "text/plain").body("x").send().await);
    asks_for_payment(&ask().body(vec![0; 2_000]).send().await);
    assert!(upstream.seen().is_empty());
}

/// Five megabytes fit into no socket buffer: who never reads them resets the connection under the
/// client's hands.
#[tokio::test]
async fn a_client_that_sends_everything_before_it_reads_sees_the_402() {
    let (gateway, _upstream) = gateway().await;
    let body = vec![7; 5_000_000];
    let mut raw = Raw::open(gateway.public).await;
    let head = format!("POST /paid HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    raw.send(&head).await;
    raw.send(&body).await;
    assert_eq!(raw.head().await.map(|answer| answer.status), Some(402));
    // And with a length that is not said before.
    let stream = "POST /paid HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut raw = Raw::open(gateway.public).await;
    raw.send(stream).await;
    for piece in body.chunks(100_000) {
        raw.send(format!("{:x}\r\n", piece.len())).await;
        raw.send(piece).await;
        raw.send("\r\n").await;
    }
    raw.send("0\r\n\r\n").await;
    assert_eq!(raw.head().await.map(|answer| answer.status), Some(402));
}

#[tokio::test]
async fn a_client_that_waits_for_100_gets_the_402_instead() {
    let (gateway, _upstream) = gateway().await;
    let mut raw = Raw::open(gateway.public).await;
    let head = "POST /paid HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\nExpect: 100-continue\r\n";
    raw.send(format!("{head}\r\n")).await;
    assert_eq!(raw.head().await.map(|answer| answer.status), Some(402));
}

#[tokio::test]
async fn a_connection_with_a_small_unread_body_is_used_again() {
    let (gateway, _upstream) = gateway().await;
    let mut raw = Raw::open(gateway.public).await;
    for _ in 0..3 {
        raw.send("POST /paid HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await;
        let answer = raw.head().await.expect("the connection is open");
        assert_eq!(answer.status, 402);
        let length = answer.head.to_ascii_lowercase();
        let length = length.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        raw.read(length.parse().unwrap()).await;
    }
}

#[tokio::test]
async fn http_1_0_is_asked_too() {
    let (gateway, _upstream) = gateway().await;
    let request = "POST /paid HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let (status, text) = raw::exchange(gateway.public, request).await.unwrap();
    assert_eq!(status, 402, "{text}");
}

#[tokio::test]
async fn an_unpaid_request_is_logged_with_its_outcome() {
    let (gateway, _upstream) = gateway().await;
    gateway.ask("POST", "/paid?secret=1").send().await;
    let line = gateway.logged("the 402", |line| line["status"] == 402).await;
    assert_eq!(line["outcome"], "payment_required");
    assert_eq!((&line["method"], &line["path"]), (&"POST".into(), &"/paid".into()));
    assert_eq!(line["client"], "127.0.0.1");
    assert!(line.get("payment").is_none(), "{line}");
    assert!(!gateway.said().contains("secret=1"), "queries may hold keys");
    let metric = r#"tollgate_exchanges_total{outcome="payment_required",route="GET,POST /paid"}"#;
    gateway.counts(metric, "1").await;
}
