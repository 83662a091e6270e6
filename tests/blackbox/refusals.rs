//! Every way of saying no, provoked from outside: status, code, headers and body.

use tollgate::refusal::{Consumed, Retriable, every};

use crate::support::client::Answer;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::ledger::locked;
use crate::support::plan::{PRICED, Plan};
use crate::support::raw;
use crate::support::server::{Reply, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::Wallet;

/// What a client is told: code, status, `retriable`, `consumed`, and whether to retry when.
type Row = (&'static str, u16, bool, Option<bool>, bool);

/// The promises that clients rely on, written down a second time on purpose.
const ROWS: [Row; 33] = [
    ("bad_request", 400, false, Some(false), false),
    ("path_not_canonical", 400, false, Some(false), false),
    ("payment_malformed", 400, false, Some(false), false),
    ("payments_disagree", 400, false, Some(false), false),
    ("payment_id_malformed", 400, false, Some(false), false),
    ("payment_id_required", 400, false, Some(false), false),
    ("payment_required", 402, true, Some(false), false),
    ("payment_invalid", 402, false, Some(false), false),
    ("sign_in_invalid", 402, false, Some(false), false),
    ("settlement_rejected", 402, false, Some(false), false),
    ("not_trusted", 403, false, Some(false), false),
    ("address_blocked", 403, false, Some(false), false),
    ("payer_blocked", 403, false, Some(false), false),
    ("not_found", 404, false, Some(false), false),
    ("method_not_allowed", 405, false, Some(false), false),
    ("payment_in_use", 409, true, Some(false), true),
    ("payment_used", 409, false, Some(true), false),
    ("payment_id_used", 409, false, Some(false), false),
    ("answer_under_way", 409, true, Some(true), true),
    ("body_too_large", 413, false, Some(false), false),
    ("unsupported_media_type", 415, false, Some(false), false),
    ("rate_limit_exceeded", 429, true, Some(false), true),
    ("others_unsettled", 429, true, Some(false), true),
    ("headers_too_large", 431, false, Some(false), false),
    ("internal", 500, true, Some(false), false),
    ("upstream_unavailable", 502, true, Some(false), false),
    ("paid_not_served", 502, true, Some(true), true),
    ("upstream_away", 503, true, Some(false), true),
    ("outcome_unknown", 503, true, None, true),
    ("facilitator_unavailable", 503, true, Some(false), true),
    ("ledger_unavailable", 503, true, Some(false), true),
    ("answer_unavailable", 503, true, Some(true), true),
    ("upstream_timeout", 504, true, Some(false), false),
];

/// Codes that no test below provokes, and why.
const NOT_PROVOKED: [(&str, &str); 1] =
    [("internal", "a fault of our own that a test could cause would be mended instead")];

/// Checks everything that a refusal with this code promises, whatever caused it.
#[track_caller]
pub fn refused(answer: &Answer, code: &str) {
    let row = ROWS.iter().find(|row| row.0 == code).unwrap_or_else(|| panic!("{code}: no row"));
    assert!(NOT_PROVOKED.iter().all(|(other, _)| *other != code), "{code} can be provoked");
    let (code, status, retriable, consumed, retry_after) = *row;
    assert_eq!((answer.status, answer.header("content-type")), (status, "application/json"));
    let body = answer.json();
    assert_eq!(body["error"], code, "{body}");
    assert!(body["message"].as_str().is_some_and(|text| text.len() > 8), "{body}");
    assert_eq!((body["retriable"].as_bool(), body["retryable"].as_bool()), {
        let both = Some(retriable);
        (both, both)
    });
    assert_eq!(body["consumed"].as_bool(), consumed, "{body}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let seconds = answer.header("retry-after");
    assert_eq!(!seconds.is_empty(), retry_after, "Retry-After: {seconds}");
    assert!(seconds.is_empty() || seconds.parse::<u64>().is_ok_and(|seconds| seconds > 0));
    assert_eq!(answer.headers.contains_key("payment-required"), status == 402);
}

/// Sends a raw request and checks the code of its refusal.
async fn raw_refusal(gateway: &Gateway, request: &str, code: &str) {
    let answer = raw::exchange(gateway.public, request).await;
    let (status, text) = answer.unwrap_or_else(|| panic!("no answer to {request}"));
    let row = ROWS.iter().find(|row| row.0 == code).unwrap();
    assert_eq!(status, row.1, "{text}");
    assert!(text.contains(&format!("\"error\":\"{code}\"")), "{text}");
}

#[test]
fn every_refusal_has_a_row_that_tells_it_as_the_table_does() {
    let told = |row: tollgate::refusal::Row| {
        let consumed = match row.consumed {
            Consumed::Yes => Some(true),
            Consumed::No => Some(false),
            Consumed::Unknown => None,
        };
        (row.code, row.status, row.retriable == Retriable::Yes, consumed)
    };
    let mut theirs: Vec<_> = every()
        .iter()
        .map(|refusal| {
            let (code, status, retriable, consumed) = told(refusal.row());
            (code, status, retriable, consumed, refusal.retry_after().is_some())
        })
        .collect();
    let mut ours = ROWS.to_vec();
    theirs.sort_unstable();
    ours.sort_unstable();
    assert_eq!(ours, theirs);
}

#[test]
fn every_refusal_is_provoked_by_a_test_or_excused() {
    let sources = [
        include_str!("refusals.rs"),
        include_str!("again.rs"),
        include_str!("check.rs"),
        include_str!("blocked.rs"),
        include_str!("names.rs"),
        include_str!("prepaid.rs"),
        include_str!("sign_in.rs"),
        include_str!("usage.rs"),
    ];
    let source = sources.concat();
    for (code, ..) in ROWS {
        let excused = NOT_PROVOKED.iter().any(|(other, _)| *other == code);
        // Once in the table, and once in a row or an excuse.
        let named = source.matches(&format!("\"{code}\"")).count();
        assert!(named >= 2, "{code} has no test, excused: {excused}");
    }
}

#[tokio::test]
async fn bad_request() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let rest = "Host: a\r\nConnection: close\r\n\r\n";
    for request in [
        "GET /free HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
        format!("TRACE /free HTTP/1.1\r\n{rest}"),
        format!("BREW /free HTTP/1.1\r\n{rest}"),
        format!("GET http://a/free HTTP/1.1\r\n{rest}"),
        format!("GET /free HTTP/1.1\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n{rest}"),
    ] {
        raw_refusal(&gateway, &request, "bad_request").await;
    }
    let line = gateway.logged("it", |line| line["outcome"] == "bad_request").await;
    assert_eq!(line["client"], "127.0.0.1", "who sends such things is known");
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn path_not_canonical() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let request = "GET /./free HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    raw_refusal(&gateway, request, "path_not_canonical").await;
}

#[tokio::test]
async fn payment_malformed() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    for header in ["!", "e30=", "bm90IGpzb24="] {
        let ask = gateway.ask("POST", "/paid").header("PAYMENT-SIGNATURE", header);
        refused(&ask.send().await, "payment_malformed");
    }
}

#[tokio::test]
async fn payments_disagree() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let (one, other) = (Wallet::new(1).pays(), Wallet::new(1).pays());
    let ask = gateway.ask("POST", "/paid").pays(&one).pays_v1(&other);
    refused(&ask.send().await, "payments_disagree");
    let ask = gateway.ask("POST", "/paid").pays(&one).pays(&other);
    refused(&ask.send().await, "payments_disagree");
    assert!(gateway.ledger().await.is_empty());
}

#[tokio::test]
async fn payment_required() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    refused(&gateway.ask("POST", "/paid").send().await, "payment_required");
}

#[tokio::test]
async fn payment_invalid() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let forged = Wallet::new(1).pays().then(|payment| payment.signed.signature[5] ^= 1);
    let answer = gateway.ask("POST", "/paid").pays(&forged).send().await;
    refused(&answer, "payment_invalid");
    let reason = "invalid_exact_evm_payload_signature";
    assert_eq!(answer.json()["reason"], reason);
    let told = answer.object("payment-response");
    assert_eq!((&told["success"], &told["errorReason"]), (&false.into(), &reason.into()));
}

#[tokio::test]
async fn settlement_rejected() {
    let upstream = Upstream::start().await;
    let facilitator = Facilitator::start().await;
    let poor = r#"{"success":false,"errorReason":"insufficient_funds","transaction":""}"#;
    facilitator.on_settle(Habit::Says(200, poor.to_owned()));
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    let payment = Wallet::new(1).pays();
    let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
    refused(&answer, "settlement_rejected");
    assert_eq!(answer.json()["reason"], "insufficient_funds");
    assert_eq!(answer.object("payment-response")["success"], false);
}

#[tokio::test]
async fn not_found() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    refused(&gateway.ask("GET", "/nothing").send().await, "not_found");
}

#[tokio::test]
async fn method_not_allowed() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let answer = gateway.ask("DELETE", "/paid").send().await;
    refused(&answer, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET, HEAD, POST, OPTIONS");
}

#[tokio::test]
async fn payment_in_use_then_payment_used() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let first = gateway.ask("POST", "/paid").pays(&payment).send();
    let second = async {
        let call = upstream.call().await;
        let second = gateway.ask("POST", "/paid").pays(&payment).send().await;
        call.answer(Reply::new(200)).await;
        second
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.status, 200);
    refused(&second, "payment_in_use");

    let third = gateway.ask("POST", "/paid?other").pays(&payment).send().await;
    refused(&third, "payment_used");
    let transaction = &first.object("payment-response")["transaction"];
    assert_eq!(&third.json()["transaction"], transaction);
}

#[tokio::test]
async fn body_too_large() {
    let upstream = Upstream::start().await;
    let small = format!("{PRICED}\nbody = {{ max = \"10B\" }}");
    let gateway = Plan::to(upstream.address).route("match = \"POST /small\"", &small);
    let gateway = gateway.start().await;
    let payment = Wallet::new(1).pays();
    let ask = gateway.ask("POST", "/small").pays(&payment);
    refused(&ask.body("0123456789-").send().await, "body_too_large");
    // Nothing was reserved, so the same payment buys what fits.
    let ask = gateway.ask("POST", "/small").pays(&payment);
    assert_eq!(ask.body("0123456789").send().await.status, 200);
}

#[tokio::test]
async fn unsupported_media_type() {
    let upstream = Upstream::start().await;
    let png = format!("{PRICED}\nbody = {{ types = [\"image/png\"] }}");
    let gateway = Plan::to(upstream.address).route("match = \"POST /png\"", &png).start().await;
    let payment = Wallet::new(1).pays();
    let ask = gateway.ask("POST", "/png").pays(&payment).header("content-type", "text/plain");
    refused(&ask.body("x").send().await, "unsupported_media_type");
    let ask = gateway.ask("POST", "/png").pays(&payment).header("content-type", "Image/PNG; a=b");
    assert_eq!(ask.body("x").send().await.status, 200);
}

#[tokio::test]
async fn rate_limit_exceeded() {
    let upstream = Upstream::start().await;
    let limits = "unpaid = { rate = \"1/min\", by = \"ip\" }";
    let gateway = Plan::to(upstream.address).limits(limits).start().await;
    assert_eq!(gateway.ask("POST", "/paid").send().await.status, 402);
    let answer = gateway.ask("POST", "/paid").send().await;
    refused(&answer, "rate_limit_exceeded");
    assert!(answer.header("ratelimit").starts_with("\"unpaid\";r=0;t="), "{answer:?}");
    assert_eq!(answer.header("ratelimit-policy"), "\"unpaid\";q=1;w=60");
}

#[tokio::test]
async fn headers_too_large() {
    let upstream = Upstream::start().await;
    let plan = Plan::to(upstream.address).server("header_bytes_max = \"2KiB\"");
    let gateway = plan.start().await;
    let long = "x".repeat(1_000);
    let fits = gateway.ask("GET", "/free").header("x-long", &long).send().await;
    assert_eq!(fits.status, 200);
    let ask = gateway.ask("GET", "/free").header("x-long", &long).header("x-more", &long);
    refused(&ask.send().await, "headers_too_large");
}

#[tokio::test]
async fn upstream_unavailable() {
    let address = Upstream::start().await.address;
    // Its listener is gone with it.
    let gateway = Plan::to(address).start().await;
    let payment = Wallet::new(1).pays();
    let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
    refused(&answer, "upstream_unavailable");
    gateway.comes_to(&payment, "released").await;
}

#[tokio::test]
async fn upstream_away() {
    // A label this long is no name anywhere, which is known without asking the network.
    let nowhere = format!("url = \"http://{}.example:80\"", "a".repeat(70));
    let gateway = Plan::to_upstream(&nowhere).start().await;
    let payment = Wallet::new(1).pays();
    let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
    refused(&answer, "upstream_away");
    refused(&gateway.ask("GET", "/free").send().await, "upstream_away");
    assert!(gateway.ledger().await.is_empty(), "nothing is taken for an upstream that is away");
    let (status, reasons) = gateway.admin("/readyz").await;
    assert_eq!(status, 503);
    assert!(reasons.contains("upstream api"), "{reasons}");
}

#[tokio::test]
async fn outcome_unknown() {
    let upstream = Upstream::start().await;
    let facilitator = Facilitator::start().await;
    facilitator.on_settle(Habit::MovesAndSays(500, String::new()));
    let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
    let payment = Wallet::new(1).pays();
    let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
    refused(&answer, "outcome_unknown");
}

#[tokio::test]
async fn facilitator_unavailable() {
    let upstream = Upstream::start().await;
    let facilitator = Facilitator::start().await;
    let plan = Plan::to(upstream.address).settled_by(&facilitator);
    drop(facilitator);
    let gateway = plan.start().await;
    let payment = Wallet::new(1).pays();
    let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
    refused(&answer, "facilitator_unavailable");
    gateway.comes_to(&payment, "released").await;
}

#[tokio::test]
async fn ledger_unavailable() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    let payment = Wallet::new(1).pays();
    let lock = locked(&gateway).await;
    let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
    refused(&answer, "ledger_unavailable");
    assert!(upstream.seen().is_empty(), "what cannot be written down is not served");
    lock.release().await;
    let answer = gateway.ask("POST", "/paid").pays(&payment).send().await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn upstream_timeout() {
    let mut upstream = Server::start().await;
    let gateway = Plan::to(upstream.address).upstream("answer_timeout = \"200ms\"").start().await;
    let payment = Wallet::new(1).pays();
    let ask = gateway.ask("POST", "/paid").pays(&payment).send();
    let (answer, _call) = tokio::join!(ask, upstream.call());
    refused(&answer, "upstream_timeout");
    gateway.comes_to(&payment, "released").await;
}
