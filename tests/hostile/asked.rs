//! Headers that name another request than the one that is sent: on the side of clients nobody reads
//! them, and on the side of proxies only those that the proxy itself writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::blackbox::refusals::refused;
use crate::support::asker::{CARRIED, KINDS, asks, fetched, verdict};
use crate::support::client::Ask;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::raw::exchange;
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};

/// What proxies name the original request in, each naming one that costs nothing.
const FREE: [(&str, &str); 9] = [
    ("x-original-url", "https://api.example.com/open"),
    ("x-original-uri", "/open"),
    ("x-original-method", "GET"),
    ("x-forwarded-uri", "/open"),
    ("x-forwarded-method", "GET"),
    ("x-forwarded-host", "free.example.com"),
    ("x-forwarded-prefix", "/open"),
    ("x-envoy-original-path", "/open"),
    ("x-rewrite-url", "/open"),
];

/// All of them at once, in front of what costs something.
fn with_all(ask: Ask) -> Ask {
    FREE.into_iter().fold(ask, |ask, (name, value)| ask.header(name, value))
}

#[tokio::test]
async fn clients_name_no_other_request() {
    let upstream = Upstream::start().await;
    for kind in KINDS {
        let gateway = Plan::to(upstream.address).asked_by(kind).start().await;
        refused(&with_all(gateway.ask("GET", "/paid")).send().await, "payment_required");
        for (name, value) in FREE {
            let value = value.replace("/open", "/free");
            let ask = gateway.ask("GET", "/paid").header(name, &value);
            refused(&ask.send().await, "payment_required");
        }
        refused(&with_all(gateway.ask("GET", "/open")).send().await, "not_found");
        let forged = forged(200);
        for path in ["/answer", "/ask", "/paid"] {
            let answer = gateway.ask("GET", path).header(CARRIED, &forged).send().await;
            assert!(matches!(answer.status, 402 | 404), "{path} {answer:?}");
        }
        assert!(upstream.seen().is_empty());
    }
}

/// A client's header beside the proxy's own: of the names of other proxies none is read, and a name
/// that stands twice is nobody's.
#[tokio::test]
async fn a_proxys_client_names_no_other_request() {
    let upstream = Upstream::start().await;
    for kind in KINDS {
        let gateway = Plan::to(upstream.address).asked_by(kind).start().await;
        for (name, value) in FREE {
            let ask = asks(kind, &gateway, "POST", "/asked").header(name, value);
            let answer = verdict(kind, &gateway, ask).await;
            assert!(matches!(answer.status, 400 | 402), "{kind} {name} {answer:?}");
        }
        let all = verdict(kind, &gateway, with_all(asks(kind, &gateway, "POST", "/asked"))).await;
        refused(&all, "bad_request");
    }
}

/// What the service behind would believe and the proxy hands on.
#[tokio::test]
async fn a_proxys_client_does_not_speak_for_the_gateway() {
    let upstream = Upstream::start().await;
    for kind in KINDS {
        let gateway = Plan::to(upstream.address).asked_by(kind).start().await;
        for name in [
            "x-tollgate-payer",
            "x_tollgate_payer",
            "x-tollgate-exchange",
            "x-tollgate-answer",
            "x-rewrite-url",
            "x_rewrite_url",
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
            "x_original_url",
            "payment-response",
            "payment-required",
            "settlement-overrides",
            "x_payment",
            "x_forwarded_for",
            "content_length",
        ] {
            for target in ["/open", "/asked"] {
                let payment = Wallet::new(1).pays();
                let ask = asks(kind, &gateway, "GET", target).pays(&payment).header(name, "/open");
                refused(&verdict(kind, &gateway, ask).await, "bad_request");
                assert_eq!(gateway.state(&payment).await, "none", "{kind} {name}");
            }
        }
    }
}

async fn asks_nginx(gateway: &Gateway, urls: &[&str], payment: &Payment) -> u16 {
    let mut request = String::from("GET /ask HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
    for url in urls {
        request += &format!("X-Original-URL: {url}\r\n");
    }
    request += &format!("X-Original-Method: GET\r\nPAYMENT-SIGNATURE: {}\r\n\r\n", payment.v2());
    let (status, text) = exchange(gateway.check.unwrap(), &request).await.unwrap();
    assert_ne!(status, 200, "{urls:?} {text}");
    status
}

/// A client chooses its `Host`, and nginx lets it have bytes that end a host elsewhere.
#[tokio::test]
async fn a_host_is_no_part_of_a_path() {
    let upstream = Upstream::start().await;
    let plan = Plan::to(upstream.address).asked_by("nginx");
    let gateway = plan.asked("match = \"GET /\"", "price = \"free\"").start().await;
    let payment = Wallet::new(7).pays();
    for url in [
        "https://a?/asked",
        "https://a#/asked",
        "https://a@b?/asked",
        "https://a\\/asked",
        "https://a,b/asked",
        "https://a%2f/asked",
        "https://",
        "https:///asked",
        "https://a",
        "https://a?x",
        "https:/a/asked",
        "ftp://a/asked",
        "/open",
        "//a/open",
        "open",
        "",
        "https://a/open#/asked",
        "https://a/%6fpen",
        "https://a//open",
        "https://a/./open",
        "https://a/asked/../open",
        "https://a/open;x",
        "https://a/open\\",
        "https://a/open\u{e9}",
        "https://ahttps://b/open",
    ] {
        asks_nginx(&gateway, &[url], &payment).await;
    }
    asks_nginx(&gateway, &["https://a/open", "https://a/open"], &payment).await;
    asks_nginx(&gateway, &["https://a/open", "https://a/asked"], &payment).await;
    asks_nginx(&gateway, &[], &payment).await;
    assert_eq!(gateway.state(&payment).await, "none");
}

/// An answer as nginx is handed one.
fn forged(status: u16) -> String {
    STANDARD.encode(format!("{{\"status\":{status},\"headers\":[],\"body\":\"\"}}"))
}

#[tokio::test]
async fn an_answer_that_was_not_ours_lets_nothing_pass() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).asked_by("nginx").start().await;
    for status in [100, 200, 204, 299, 301, 302, 304] {
        refused(&fetched(&gateway, &forged(status)).await, "bad_request");
    }
    assert_eq!(fetched(&gateway, &forged(402)).await.status, 402);
    // Where a question is asked it answers nothing.
    let ask = asks("nginx", &gateway, "GET", "/asked").header(CARRIED, &forged(200));
    refused(&verdict("nginx", &gateway, ask).await, "bad_request");
}
