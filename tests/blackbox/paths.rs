//! Which request finds which route, and every other spelling of a priced path.

use crate::support::client::Answer;
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::raw::{self, Raw};
use crate::support::server::Reply;
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

/// A priced folder beside a free one, as operators have them.
async fn gateway(upstream: &Upstream) -> Gateway {
    Plan::to(upstream.address)
        .no_routes()
        .route("match = \"GET /paid/a\"", PRICED)
        .route("match = \"GET /free/*\"", "price = \"free\"")
        .start()
        .await
}

/// Spellings with which peers were fooled, and their kin. None is a path of ours.
const SPELLINGS: [&str; 36] = [
    "/./paid/a",
    "/paid/./a",
    "/paid/a/.",
    "/free/../paid/a",
    "/free/x/../../paid/a",
    "/paid/b/../a",
    "/%2e/paid/a",
    "/%2E/paid/a",
    "/free/%2e%2e/paid/a",
    "/free/.%2e/paid/a",
    "/%70aid/a",
    "/paid/%61",
    "/paid%2fa",
    "/paid%2Fa",
    "/paid%5ca",
    "/paid\\a",
    "/free/..\\paid/a",
    "//paid/a",
    "/paid//a",
    "/free//../paid/a",
    "///paid/a",
    "/free/..;/paid/a",
    "/paid;x=1/a",
    "/paid/a;x=1",
    "/paid/%00a",
    "/paid/a%0d%0a",
    "/paid/a%",
    "/paid/a%4",
    "/paid/a%zz",
    "/%252e%252e/paid/a",
    "/free/%c0%ae%c0%ae/paid/a",
    "/free/\u{e9}",
    "/paid\x01/a",
    "/paid/a\x7f",
    "/paid/\"a",
    "paid/a",
];

#[tokio::test]
async fn no_second_spelling_of_a_path_reaches_the_upstream() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for path in SPELLINGS {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = raw::exchange(gateway.public, &request).await;
        // What pingora itself cannot parse gets no word of ours, but no service either.
        let status = answer.map_or(400, |(status, _)| status);
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
}

/// Letters in the other case and a final slash are what lax servers forgive: no service.
#[tokio::test]
async fn other_letters_and_ends_are_not_served() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let spellings =
        ["/PAID/a", "/Paid/a", "/paid/A", "/paid/a/", "/paid", "/paid/", "/free", "/free/"];
    for path in spellings {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let (status, text) = raw::exchange(gateway.public, &request).await.unwrap();
        assert!(matches!(status, 400 | 404), "{path}: {text}");
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
}

/// A fragment is no part of a request; what is left of it is matched, and that is forwarded.
#[tokio::test]
async fn a_fragment_hides_no_price() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for (path, status, forwarded) in [
        ("/paid/a#/free/x", 402, None),
        ("/free/x#/../../paid/a", 200, Some("/free/x")),
        ("/free/x?\x01", 200, Some("/free/x?%01")),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let (found, text) = raw::exchange(gateway.public, &request).await.unwrap();
        assert_eq!(found, status, "{path}: {text}");
        let target = upstream.seen().pop().map(|seen| seen.target);
        assert_eq!(target.as_deref(), forwarded, "{path}");
    }
}

/// Two messages in one, or one that ends in two places.
#[tokio::test]
async fn a_request_with_two_ends_is_never_forwarded() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).no_routes();
    let gateway = gateway.route("match = \"* /free/*\"", "price = \"free\"").start().await;
    let smuggled = "GET /free/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for framing in [
        "Content-Length: 4\r\nContent-Length: 5\r\n".to_owned(),
        "Content-Length: +4\r\n".to_owned(),
        "Content-Length : 4\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Host: b\r\n".to_owned(),
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", smuggled.len() + 5),
    ] {
        let head = format!("POST /free/outer HTTP/1.1\r\nHost: a\r\n{framing}\r\n");
        let mut raw = Raw::open(gateway.public).await;
        raw.send(format!("{head}0\r\n\r\n{smuggled}")).await;
        let _ = raw.head().await;
        raw.finish().await;
        raw.rest().await;
        let seen = upstream.seen();
        assert!(seen.iter().all(|seen| seen.target != "/free/smuggled"), "{framing}: {seen:?}");
    }
}

async fn get(gateway: &Gateway, host: &str, path: &str) -> Answer {
    gateway.ask("GET", path).header("host", host).send().await
}

/// The more a pattern says, the earlier it is asked: host, then literal, parameter, wildcard.
#[tokio::test]
async fn the_most_specific_route_wins() {
    let upstream = Upstream::start().await;
    let free = |name: &str| format!("name = \"{name}\"\nprice = \"free\"");
    let gateway = Plan::to(upstream.address)
        .no_routes()
        .route("match = \"GET /v1/*\"", &free("rest"))
        .route("match = \"GET /v1/{id}\"", &free("param"))
        .route("match = \"GET /v1/list\"", PRICED)
        .route("match = \"GET /v1/{id}/parts/{part}\"", &free("parts"))
        .route("match = \"GET api.example.com/v1/list\"", &format!("name = \"host\"\n{PRICED}"))
        .route("match = \"* api.example.com/any\"", &free("any"))
        .start()
        .await;
    for (host, path, status, route) in [
        ("a", "/v1/7", 200, "param"),
        ("a", "/v1/7/8", 200, "rest"),
        ("a", "/v1/7/parts/8", 200, "parts"),
        ("a", "/v1/list", 402, "GET /v1/list"),
        ("API.Example.com:8402", "/v1/list", 402, "host"),
        ("api.example.com.", "/v1/list", 402, "host"),
        ("api.example.com", "/v1/other", 200, "param"),
        ("api.example.com", "/any", 200, "any"),
    ] {
        let path = format!("{path}?{host}");
        assert_eq!(get(&gateway, host, &path).await.status, status, "{host}{path}");
        let fits = |line: &serde_json::Value| line["route"] == route;
        gateway.logged(route, fits).await;
    }
    assert_eq!(get(&gateway, "a", "/any").await.status, 404, "of another host");
    assert_eq!(get(&gateway, "a", "/v1").await.status, 404);
    assert_eq!(get(&gateway, "a", "/v1/").await.status, 404);
}

/// Byte for byte: what was matched is what the upstream reads.
#[tokio::test]
async fn what_was_matched_is_what_is_forwarded() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for target in ["/free/a/b", "/free/%C3%A9?q=%2e%2e/&b=//c;d", "/free/a:b@c!$&'()*+,=~"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let (status, text) = raw::exchange(gateway.public, &request).await.unwrap();
        assert_eq!(status, 200, "{target}: {text}");
        assert_eq!(upstream.seen().pop().unwrap().target, target);
    }
}

#[tokio::test]
async fn a_method_that_a_route_lacks_is_told_which_it_has() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for (method, path) in [("POST", "/paid/a"), ("DELETE", "/free/x")] {
        let answer = gateway.ask(method, path).pays(&Wallet::new(1).pays()).send().await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD, OPTIONS"));
    }
    assert!(upstream.seen().is_empty());
}

/// Free routes pass everything through, errors included.
#[tokio::test]
async fn a_free_route_is_a_plain_proxy() {
    let rule = |_: &crate::support::server::Seen| {
        Reply::new(418).header("x-own", "kept").header("etag", "\"1\"").body("short and stout")
    };
    let upstream = Upstream::answering(rule).await;
    let gateway = gateway(&upstream).await;
    let answer = gateway.ask("GET", "/free/tea").send().await;
    assert_eq!((answer.status, answer.text().as_str()), (418, "short and stout"));
    assert_eq!((answer.header("x-own"), answer.header("etag")), ("kept", "\"1\""));
    let line = gateway.logged("it", |line| line["status"] == 418).await;
    assert_eq!(line["outcome"], "free");
}
