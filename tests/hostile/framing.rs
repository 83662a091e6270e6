//! Requests that could end in two places: for us in one, for whoever stands behind us in another.

use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::raw::Raw;
use crate::support::upstream::Upstream;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// The upstream hears nothing of it.
    Refused,
    /// The upstream hears of it once: a request with this body, and of nothing else.
    Forwarded(&'static str),
}

use Fate::{Forwarded, Refused};

/// Where all go here and in what is hidden in them.
const OUTER: &str = "/free/outer";
const SMUGGLED: &str = "GET /free/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

pub async fn gateway(upstream: &Upstream) -> Gateway {
    let plan = Plan::to(upstream.address);
    plan.route("match = \"* /free/*\"", "price = \"free\"").start().await
}

/// Sends these bytes alone on a connection, and these when the first answer is there; says what was
/// answered.
pub async fn answers(gateway: &Gateway, bytes: &[u8], later: &str) -> Vec<u16> {
    let mut raw = Raw::open(gateway.public).await;
    raw.send(bytes).await;
    let Some(first) = raw.head().await else { return Vec::new() };
    raw.send(later).await;
    // Whoever waits for more is told that none comes.
    raw.finish().await;
    let rest = raw.rest().await;
    let others = rest.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok());
    [first.status].into_iter().chain(others).collect()
}

/// Sends a row and holds the upstream against its fate.
pub async fn check(gateway: &Gateway, upstream: &Upstream, name: &str, row: (&[u8], Fate)) {
    let (bytes, fate) = row;
    let later = if let Refused = fate { SMUGGLED } else { "" };
    let answers = answers(gateway, bytes, later).await;
    let seen = upstream.taken();
    match fate {
        Refused => {
            assert!(seen.is_empty(), "{name}: {seen:?}");
            let good = |status: &u16| *status < 300;
            assert!(!answers.iter().any(good), "{name}: {answers:?}");
        }
        Forwarded(body) => {
            let [one] = seen.as_slice() else { panic!("{name}: {answers:?} {seen:?}") };
            assert_eq!(String::from_utf8_lossy(&one.body), body, "{name}");
            let lengths = ["content-length", "transfer-encoding"].map(|name| one.all(name).len());
            assert!(matches!(lengths, [1, 0] | [0, 1] | [0, 0]), "{name}: {one:?}");
        }
    }
}

/// Headers that frame a body, and what follows the head.
const FRAMINGS: [(&str, &str, Fate); 41] = [
    ("Content-Length: 4\r\n", "body", Forwarded("body")),
    ("Content-Length: 04\r\n", "body", Forwarded("body")),
    ("Content-Length: 4\r\nContent-Length: 4\r\n", "body", Refused),
    ("Content-Length: 4\r\nContent-Length: 5\r\n", "body", Refused),
    ("Content-Length: 4, 4\r\n", "body", Refused),
    ("Content-Length: 4,5\r\n", "body", Refused),
    ("Content-Length: +4\r\n", "body", Refused),
    ("Content-Length: -4\r\n", "body", Refused),
    ("Content-Length: 0x4\r\n", "body", Refused),
    ("Content-Length: 4.0\r\n", "body", Refused),
    ("Content-Length: 4 4\r\n", "body", Refused),
    ("Content-Length: \r\n", "", Refused),
    ("Content-Length: ٤\r\n", "body", Refused),
    ("Content-Length: 18446744073709551620\r\n", "body", Refused),
    ("Content-Length : 4\r\n", "body", Refused),
    ("Content-Length\t: 4\r\n", "body", Refused),
    (" Content-Length: 4\r\n", "body", Refused),
    ("Content-Length:\r\n 4\r\n", "body", Refused),
    ("X-A: b\r\n\tContent-Length: 4\r\n", "body", Refused),
    ("Content-Length: 4\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\n", Refused),
    ("X-A: b\rContent-Length: 4\r\n", "body", Refused),
    ("X-A: b\0\r\n", "", Refused),
    ("X-A\0: b\r\n", "", Refused),
    ("X-A: \x01b\r\n", "", Refused),
    ("X-A: b\x7f\r\n", "", Refused),
    ("X A: b\r\n", "", Refused),
    (": b\r\n", "", Refused),
    ("X-A\r\n", "", Refused),
    ("Transfer-Encoding: chunked\r\n", "4\r\nbody\r\n0\r\n\r\n", Forwarded("body")),
    ("Transfer-Encoding: Chunked\r\n", "4\r\nbody\r\n0\r\n\r\n", Forwarded("body")),
    ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n", Refused),
    ("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n", Refused),
    ("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n", Refused),
    ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n", Refused),
    ("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n", Refused),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", Refused),
    ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", Refused),
    ("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n", Refused),
    ("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n", Refused),
    ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n", Refused),
    ("Transfer-Encoding: \r\n", "0\r\n\r\n", Refused),
];

#[tokio::test]
async fn a_body_has_one_end_for_all_who_read_it() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for (framing, rest, fate) in FRAMINGS {
        let close = "Connection: close\r\n";
        let head = format!("POST {OUTER} HTTP/1.1\r\nHost: a\r\n{close}{framing}\r\n");
        for hidden in ["", SMUGGLED] {
            let bytes = [&head, rest, hidden].concat();
            check(&gateway, &upstream, framing, (bytes.as_bytes(), fate)).await;
        }
    }
}

/// The same before a price: whatever frames it, what is not paid for is not served.
#[tokio::test]
async fn no_framing_opens_a_priced_route() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for (framing, rest, _) in FRAMINGS {
        let head = format!("POST /paid HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{framing}\r\n");
        let hidden = "POST /paid HTTP/1.1\r\nHost: a\r\n\r\n";
        let bytes = [&head, rest, hidden].concat();
        let answers = answers(&gateway, bytes.as_bytes(), hidden).await;
        assert!(answers.iter().all(|status| *status >= 400), "{framing}: {answers:?}");
        assert!(upstream.taken().is_empty(), "{framing}");
    }
}

/// RFC 9112 §6.1: the encoding goes before the length, which is not forwarded, and the connection
/// ends behind it.
#[tokio::test]
async fn of_a_length_and_an_encoding_one_is_read_and_one_is_forwarded() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let (length, encoding) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    for framing in [[length, encoding], [encoding, length]].map(|both| both.concat()) {
        for (body, forwarded) in [("0\r\n\r\n", ""), ("4\r\nbody\r\n0\r\n\r\n", "body")] {
            let head = format!("POST {OUTER} HTTP/1.1\r\nHost: a\r\n{framing}\r\n");
            let bytes = [&head, body, SMUGGLED].concat();
            check(&gateway, &upstream, &framing, (bytes.as_bytes(), Forwarded(forwarded))).await;
        }
    }
}

/// What is wrong in the middle of a body is found when the head has gone on; the upstream never
/// gets to the body's end, and what follows is no request.
#[tokio::test]
async fn a_chunk_that_is_none_ends_the_exchange() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for chunks in [
        "0x4\r\nbody\r\n0\r\n\r\n",
        "+4\r\nbody\r\n0\r\n\r\n",
        "-4\r\nbody\r\n0\r\n\r\n",
        " 4\r\nbody\r\n0\r\n\r\n",
        "4\r\nbody0\r\n\r\n",
        "4\r\nbod\r\n0\r\n\r\n",
        "4\r\nbodyX\r\n0\r\n\r\n",
        "g\r\nbody\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nbody\r\n0\r\n\r\n",
        "10000000000000004\r\nbody\r\n0\r\n\r\n",
        "4\nbody\r\n0\r\n\r\n",
        "4\r\rbody\r\n0\r\n\r\n",
    ] {
        let head = "POST /free/outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answers =
            answers(&gateway, [head, chunks, SMUGGLED].concat().as_bytes(), SMUGGLED).await;
        let seen = upstream.taken();
        let whole = seen.iter().filter(|seen| seen.target == OUTER);
        assert!(whole.count() == 0 && seen.is_empty(), "{chunks:?}: {answers:?} {seen:?}");
        assert!(!answers.contains(&200), "{chunks:?}: {answers:?}");
    }
}

/// pingora takes a size without digits for the last one: nothing behind it is a request.
#[tokio::test]
async fn behind_a_chunk_without_a_size_nothing_is_read() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for chunks in ["\r\n4\r\nbody\r\n0\r\n\r\n", "\r\n\r\n", "\r\n"] {
        let head = "POST /free/outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let row = [head, chunks, SMUGGLED].concat();
        let answers = answers(&gateway, row.as_bytes(), "").await;
        for seen in upstream.taken() {
            let (target, body) = (seen.target.as_str(), seen.body.as_slice());
            assert_eq!((target, body), (OUTER, &b""[..]), "{chunks:?}: {answers:?}");
        }
    }
}

/// Trailers and what is said of chunks go no further.
#[tokio::test]
async fn what_stands_between_and_behind_chunks_is_not_forwarded() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for chunks in [
        "4;a=b\r\nbody\r\n0\r\n\r\n",
        "4;a\nb\r\nbody\r\n0\r\n\r\n",
        "0004\r\nbody\r\n000\r\n\r\n",
        "2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
        "4\r\nbody\r\n0\r\nX-Tollgate-Payer: 0x1\r\n\r\n",
    ] {
        let head = "POST /free/outer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
        let row = [head, chunks].concat();
        let answers = answers(&gateway, row.as_bytes(), "").await;
        for seen in upstream.taken() {
            assert_eq!(seen.body, b"body", "{chunks:?}: {answers:?}");
            assert_eq!(seen.header("x-tollgate-payer"), "", "{chunks:?}");
        }
    }
}

/// Some servers read `_` as `-`, PHP reads `.` so too: nothing stands beside what was judged, or
/// what we say ourselves.
#[tokio::test]
async fn a_second_spelling_of_a_header_goes_no_further() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let twins = [
        "Content_Length",
        "Transfer_Encoding",
        "Content_Type",
        "X_Forwarded_For",
        "X-Forwarded_For",
        "X_Forwarded_Host",
        "X_Tollgate_Payer",
        "X_Original_URL",
        "X_HTTP_Method_Override",
        "X.Forwarded.For",
        "X-Tollgate.Payer",
        "Content.Length",
    ];
    let lines: String = twins.iter().map(|name| format!("{name}: 1\r\n")).collect();
    let head = format!("GET {OUTER} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n");
    check(&gateway, &upstream, "one", (head.as_bytes(), Forwarded(""))).await;
    answers(&gateway, head.as_bytes(), "").await;
    for seen in upstream.taken() {
        for name in twins {
            assert!(seen.all(name).is_empty(), "{name}: {seen:?}");
        }
        assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
    }
}

/// `Connection` names what the next server takes off: nothing by which the body was judged, and
/// nothing that only we say.
#[tokio::test]
async fn a_client_takes_no_header_off_that_was_judged() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let rows = [
        ("Content-Type", Refused),
        ("close, content-type", Refused),
        ("Content-Length", Refused),
        ("Content-Encoding", Refused),
        ("Host", Refused),
        ("X-Forwarded-For", Refused),
        (":path", Refused),
        ("\"X-Model\"", Refused),
        ("close, X-Tollgate-Exchange, Cookie", Forwarded("body")),
        ("close, Keep-Alive, TE, Trailer", Forwarded("body")),
        ("close, X-Model", Forwarded("body")),
    ];
    for (options, fate) in rows {
        let head = format!(
            "POST {OUTER} HTTP/1.1\r\nHost: a\r\nX-Model: small\r\nContent-Length: 4\r\n\
             Connection: {options}\r\n\r\nbody"
        );
        check(&gateway, &upstream, options, (head.as_bytes(), fate)).await;
    }
    let head = "POST /free/outer HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\
                Connection: close, X-Tollgate-Exchange\r\n\r\n";
    answers(&gateway, head.as_bytes(), "").await;
    let seen = upstream.taken();
    assert_eq!(seen[0].all("x-tollgate-exchange").len(), 1, "{seen:?}");
}
