//! Request lines and hosts that say two things, and heads without measure.

use super::framing::{Fate, answers, check, gateway};
use crate::support::plan::{PRICED, Plan};
use crate::support::raw::{Raw, exchange};
use crate::support::upstream::Upstream;

use Fate::{Forwarded, Refused};

const LINES: [(&str, Fate); 38] = [
    ("GET /free/a HTTP/1.1", Forwarded("")),
    ("GET /free/a HTTP/1.0", Forwarded("")),
    ("GET http://a/free/a HTTP/1.1", Refused),
    ("GET https://a/free/a HTTP/1.1", Refused),
    ("GET http://b/free/a HTTP/1.1", Refused),
    ("GET http:/free/a HTTP/1.1", Refused),
    ("GET http:\\\\a\\free\\a HTTP/1.1", Refused),
    ("GET //a/free/a HTTP/1.1", Refused),
    ("GET a:80 HTTP/1.1", Refused),
    ("GET a/free/a HTTP/1.1", Refused),
    ("GET free/a HTTP/1.1", Refused),
    ("GET ?/free/a HTTP/1.1", Refused),
    ("GET # HTTP/1.1", Refused),
    ("GET * HTTP/1.1", Refused),
    ("OPTIONS * HTTP/1.1", Refused),
    ("CONNECT a:80 HTTP/1.1", Refused),
    ("CONNECT /free/a HTTP/1.1", Refused),
    ("TRACE /free/a HTTP/1.1", Refused),
    ("get /free/a HTTP/1.1", Refused),
    ("GET\t/free/a HTTP/1.1", Refused),
    ("GET /free/a\tHTTP/1.1", Refused),
    (" GET /free/a HTTP/1.1", Refused),
    ("GET /free/a HTTP/1.1 ", Refused),
    ("GET /free/a HTTP/1.2", Refused),
    ("GET /free/a HTTP/2.0", Refused),
    ("GET /free/a HTTP/3", Refused),
    ("GET /free/a http/1.1", Refused),
    ("GET /free/a HTTP/1,1", Refused),
    ("GET /free/a XTTP/1.1", Refused),
    ("GET /free/a", Refused),
    ("GET", Refused),
    ("PRI * HTTP/2.0", Refused),
    ("GET /free/\0 HTTP/1.1", Refused),
    ("G\0T /free/a HTTP/1.1", Refused),
    ("GET /free/\r/a HTTP/1.1", Refused),
    ("GET /free/../paid HTTP/1.1", Refused),
    ("GET(/free/a HTTP/1.1", Refused),
    ("{\"method\":\"GET\",\"path\":\"/free/a\"}", Refused),
];

#[tokio::test]
async fn a_request_line_has_one_reading() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for (line, fate) in LINES {
        let head = format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n");
        check(&gateway, &upstream, line, (head.as_bytes(), fate)).await;
    }
}

/// A line end without its `\r` is one line end for all; the upstream gets whole ones.
#[tokio::test]
async fn line_ends_have_one_reading() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for (head, fate) in [
        ("GET /free/a HTTP/1.1\nHost: a\nConnection: close\n\n", Forwarded("")),
        ("\r\n\r\nGET /free/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", Forwarded("")),
        ("GET /free/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\n", Forwarded("")),
        ("GET /free/a HTTP/1.1\rHost: a\r\r", Refused),
        ("GET /free/a HTTP/1.1\r\r\nHost: a\r\n\r\n", Refused),
        ("GET /free/a HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", Refused),
        ("GET /free/a HTTP/1.1\u{85}Host: a\r\n\r\n", Refused),
    ] {
        check(&gateway, &upstream, head, (head.as_bytes(), fate)).await;
    }
}

/// A route of one host is found by that host alone, and no header makes another of it.
#[tokio::test]
async fn a_host_has_one_reading() {
    let upstream = Upstream::start().await;
    let free = "match = \"GET api.example.com/paid/b\"";
    let plan = Plan::to(upstream.address).route("match = \"GET /paid/{id}\"", PRICED);
    let gateway = plan.route(free, "price = \"free\"").start().await;
    for (hosts, statuses) in [
        ("Host: api.example.com\r\n", &[200][..]),
        ("Host: API.EXAMPLE.COM:80\r\n", &[200]),
        ("Host: a\r\n", &[402]),
        ("Host: a\r\nX-Forwarded-Host: api.example.com\r\n", &[402]),
        ("Host: a\r\nForwarded: host=api.example.com\r\n", &[402]),
        ("Host: a\r\nX-Host: api.example.com\r\n", &[402]),
        ("Host: api.example.com@a\r\n", &[400]),
        ("Host: a@api.example.com\r\n", &[400]),
        ("Host: api.example.com\r\nHost: a\r\n", &[400]),
        ("Host: a\r\nHost: api.example.com\r\n", &[400]),
        ("Host: api.example.com\r\nHost: api.example.com\r\n", &[400]),
        ("Host: api.example.com, a\r\n", &[402, 400]),
        ("Host: api.example.com a\r\n", &[402, 400]),
        ("Host: api.example.com/\r\n", &[402, 400]),
        ("Host: api.example.com#\r\n", &[402, 400]),
        ("Host: api.example.com\\a\r\n", &[402, 400]),
        ("Host: [api.example.com]\r\n", &[402, 400]),
        ("Host: api.example.com..\r\n", &[402, 400]),
        ("Host: \r\n", &[402, 400]),
        ("Host : api.example.com\r\n", &[400]),
        ("Host\t: api.example.com\r\n", &[400]),
        ("HOST_: api.example.com\r\n", &[400]),
        ("", &[400]),
    ] {
        let head = format!("GET /paid/b HTTP/1.1\r\nConnection: close\r\n{hosts}\r\n");
        let answers = answers(&gateway, head.as_bytes(), "").await;
        assert!(answers.iter().all(|status| statuses.contains(status)), "{hosts}: {answers:?}");
        let served = usize::from(statuses == [200]);
        assert_eq!(upstream.taken().len(), served, "{hosts}");
    }
}

/// Beyond a bound it is refused, and far beyond it is not even read.
#[tokio::test]
async fn a_head_has_a_bound_in_every_part() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let head = |line: &str, headers: &str| {
        format!("GET {line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n")
    };
    let long = |bytes: usize| "x".repeat(bytes);
    let many = |count: usize| (0..count).map(|at| format!("x-{at}: 1\r\n")).collect::<String>();
    for (name, request, statuses) in [
        ("a path", head(&format!("/free/{}", long(9_000)), ""), [400, 400]),
        ("a query", head(&format!("/free/a?{}", long(40_000)), ""), [431, 431]),
        ("a value", head("/free/a", &format!("x-a: {}\r\n", long(40_000))), [431, 431]),
        ("a name", head("/free/a", &format!("x-{}: a\r\n", long(40_000))), [400, 431]),
        ("headers", head("/free/a", &many(5_000)), [400, 431]),
        ("small headers", head("/free/a", &many(300)), [400, 431]),
    ] {
        let (status, text) = exchange(gateway.public, &request).await.unwrap_or((400, name.into()));
        assert!(statuses.contains(&status), "{name}: {text}");
        assert!(upstream.taken().is_empty(), "{name}");
    }
    let within = head("/free/a", &format!("x-a: {}\r\n{}", long(20_000), many(100)));
    assert_eq!(exchange(gateway.public, &within).await.unwrap().0, 200);
    upstream.taken();

    // What never ends is not kept: neither a line, nor a header, nor many of them.
    for (begin, piece) in [
        ("GET /free/", "x".repeat(10_000)),
        ("GET /free/a HTTP/1.1\r\nHost: a\r\nx-a: ", "x".repeat(10_000)),
        ("GET /free/a HTTP/1.1\r\nHost: a\r\n", many(1_000)),
        ("", "\r\n".repeat(5_000)),
    ] {
        let mut raw = Raw::open(gateway.public).await;
        raw.send(begin).await;
        for _ in 0..40 {
            raw.send(&piece).await;
        }
        let rest = raw.rest().await;
        assert!(!rest.contains("HTTP/1.1 2"), "{begin}: {rest}");
    }
    assert!(upstream.taken().is_empty());
    assert_eq!(gateway.ask("GET", "/free/a").send().await.status, 200);
}
