//! Traces: the spans of an exchange at a collector, the contexts that come and go on, and how
//! little a collector that is away matters.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::Value;

use crate::support::collector::{Collector, hex, named, rejects, says, section};
use crate::support::eventually;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::server::{Reply, Seen, Server};
use crate::support::upstream::Upstream;
use crate::support::wallet::{NETWORK, PRICE, Wallet};

/// Another's trace, and the span that asks.
const TRACE: &str = "12345678901234567890123456789012";
const PARENT: &str = "1234567890123456";

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// Trace, span and flags of a `traceparent`.
fn parts(seen: &Seen) -> (String, String, String) {
    let all = seen.all("traceparent");
    assert_eq!(all.len(), 1, "{seen:?}");
    let parts: Vec<_> = all[0].split('-').map(str::to_owned).collect();
    let [version, trace, span, flags] = &parts[..] else { panic!("{seen:?}") };
    assert_eq!((version.as_str(), trace.len(), span.len()), ("00", 32, 16), "{seen:?}");
    (trace.clone(), span.clone(), flags.clone())
}

/// Code and message of a span's status; nothing is well.
fn status(span: &Span) -> Option<&str> {
    let status = span.status.as_ref()?;
    assert_eq!(status.code, i32::from(StatusCode::Error));
    assert_eq!(says(&span.attributes, "error.type"), status.message);
    Some(&status.message)
}

async fn spans(gateway: &Gateway, outcome: &str) -> Option<u64> {
    let counted = gateway.metric(&format!("tollgate_spans_total{{outcome=\"{outcome}\"}}")).await;
    counted.map(|text| text.parse().unwrap())
}

async fn comes_to(gateway: &Gateway, outcome: &str, count: u64) {
    eventually("spans counted", async || {
        spans(gateway, outcome).await.filter(|counted| *counted >= count)
    })
    .await;
    assert_eq!(spans(gateway, outcome).await, Some(count));
}

async fn warned(gateway: &Gateway, text: &str) {
    eventually(text, async || gateway.said().contains(text).then_some(())).await;
}

#[tokio::test]
async fn a_paid_request_is_a_tree_of_spans() {
    let (upstream, collector) = (Upstream::start().await, Collector::start().await);
    let traces = collector.section("service = \"shop\"");
    let named_route = format!("name = \"images\"\n{PRICED}");
    let plan = Plan::to(upstream.address).section(&traces);
    let gateway = plan.route("match = \"POST /v1/images/{id}\"", &named_route).start().await;
    let wallet = Wallet::new(1);
    let ask = gateway.ask("POST", "/v1/images/7?secret=x").pays(&wallet.pays());
    let answer = ask.header("tracestate", "a=b").send().await;
    assert_eq!(answer.status, 200);
    let spans = collector.gets(5).await;
    let [server, verify, reserve, call, settle] =
        ["POST images", "verify", "reserve", "POST api", "settle"].map(|name| named(&spans, name));
    let parents = [(verify, server), (reserve, verify), (call, server), (settle, server)];
    for (child, parent) in parents {
        assert_eq!(child.parent_span_id, parent.span_id, "{}", child.name);
        assert_eq!(child.trace_id, server.trace_id);
        assert!(child.start_time_unix_nano >= parent.start_time_unix_nano, "{}", child.name);
        assert!(child.end_time_unix_nano <= parent.end_time_unix_nano, "{}", child.name);
        assert!(child.start_time_unix_nano <= child.end_time_unix_nano, "{}", child.name);
    }
    let order = [verify, call, settle].map(|span| span.start_time_unix_nano);
    assert!(order.is_sorted(), "{order:?}");
    assert!(server.parent_span_id.is_empty());
    assert!(spans.iter().all(|span| status(span).is_none()), "{spans:?}");
    let kinds = [server, call, settle].map(|span| span.kind());
    assert_eq!(kinds, [SpanKind::Server, SpanKind::Client, SpanKind::Internal]);

    // A state without a parent is nobody's.
    let seen = upstream.seen().remove(0);
    let trace = hex(&server.trace_id);
    assert_eq!(parts(&seen), (trace.clone(), hex(&call.span_id), "01".to_owned()));
    assert_eq!(seen.header("tracestate"), "");
    let line = gateway.logged("the line", |line| line["trace_id"] == *trace).await;
    assert_eq!(says(&server.attributes, "tollgate.exchange"), line["exchange"].as_str().unwrap());

    let transaction = answer.object("payment-response")["transaction"].as_str().unwrap().to_owned();
    let (price, port) = (PRICE.to_string(), upstream.address.port().to_string());
    let url = format!("http://{}/v1/images/7", upstream.address);
    for (span, key, expected) in [
        (server, "http.request.method", "POST"),
        (server, "http.route", "/v1/images/{id}"),
        (server, "http.response.status_code", "200"),
        (server, "url.path", "/v1/images/7"),
        (server, "url.scheme", "https"),
        (server, "server.address", "api.example.com"),
        (server, "server.port", "443"),
        (server, "network.protocol.version", "1.1"),
        (server, "tollgate.outcome", "paid"),
        (server, "tollgate.payment.network", NETWORK),
        (server, "tollgate.payment.amount", &price),
        (server, "tollgate.payment.transaction", &transaction),
        (settle, "tollgate.payment.transaction", &transaction),
        (call, "http.request.method", "POST"),
        (call, "http.response.status_code", "200"),
        (call, "tollgate.upstream", "api"),
        (call, "server.address", "127.0.0.1"),
        (call, "server.port", &port),
        (call, "url.full", &url),
    ] {
        assert_eq!(says(&span.attributes, key), expected, "{key}");
    }
    let of = collector.resources().remove(0).resource.unwrap().attributes;
    assert_eq!(says(&of, "service.name"), "shop");
    // Who pays is in the log, which stays here; a query may hold anything.
    let told = format!("{:?}", collector.resources()).to_lowercase();
    for hidden in [&wallet.address().to_string().to_lowercase(), "secret=x"] {
        assert!(!told.contains(hidden), "{told}");
    }
    comes_to(&gateway, "exported", 5).await;
    assert_eq!(self::spans(&gateway, "dropped").await, Some(0));
}

#[tokio::test]
async fn a_free_request_and_one_without_payment_have_what_they_came_to() {
    let (upstream, collector) = (Upstream::start().await, Collector::start().await);
    let gateway = Plan::to(upstream.address).section(&collector.section("")).start().await;
    assert_eq!(gateway.ask("GET", "/free").send().await.status, 200);
    assert_eq!(gateway.ask("POST", "/paid").send().await.status, 402);
    assert_eq!(gateway.ask("GET", "/nowhere/7").send().await.status, 404);
    let spans = collector.gets(4).await;
    let (free, unpaid) = (named(&spans, "GET /free"), named(&spans, "POST /paid"));
    let (call, nowhere) = (named(&spans, "GET api"), named(&spans, "GET"));
    assert_eq!(call.parent_span_id, free.span_id);
    for (span, code, outcome) in
        [(free, "200", "free"), (unpaid, "402", "payment_required"), (nowhere, "404", "not_found")]
    {
        assert_eq!(says(&span.attributes, "http.response.status_code"), code);
        assert_eq!(says(&span.attributes, "tollgate.outcome"), outcome);
        assert_eq!(status(span), None, "what a client does wrong is no error here");
    }
    let mut traces: Vec<_> = spans.iter().map(|span| &span.trace_id).collect();
    traces.sort();
    traces.dedup();
    assert_eq!(traces.len(), 3);
}

#[tokio::test]
async fn the_trace_of_a_caller_goes_on() {
    let (upstream, collector) = (Upstream::start().await, Collector::start().await);
    let gateway = Plan::to(upstream.address).section(&collector.section("")).start().await;
    let ask = gateway.ask("GET", "/free").header("traceparent", &parent("01"));
    let ask = ask.header("tracestate", "a=1,b=2").header("tracestate", "c=3");
    assert_eq!(ask.send().await.status, 200);
    let spans = collector.gets(2).await;
    let (server, call) = (named(&spans, "GET /free"), named(&spans, "GET api"));
    assert_eq!((hex(&server.trace_id), hex(&server.parent_span_id)), (TRACE.into(), PARENT.into()));
    assert_eq!(
        (&server.trace_state, &call.trace_state),
        (&"a=1,b=2,c=3".into(), &"a=1,b=2,c=3".into())
    );
    // Its parent is somebody else's, and that of the call is not.
    assert_eq!((server.flags, call.flags), (0x301, 0x101));
    let seen = upstream.seen().remove(0);
    assert_eq!(parts(&seen), (TRACE.to_owned(), hex(&call.span_id), "01".to_owned()));
    assert_eq!(seen.all("tracestate"), ["a=1,b=2,c=3"]);
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_begins_a_trace_anew() {
    let (upstream, collector) = (Upstream::start().await, Collector::start().await);
    let gateway = Plan::to(upstream.address).section(&collector.section("")).start().await;
    let good = parent("01");
    let bad = [
        vec![good.replacen("00", "ff", 1)],
        vec![good.replace(TRACE, &"0".repeat(32))],
        vec![good.replace(PARENT, &"0".repeat(16))],
        vec![good.replace(TRACE, &TRACE.replacen("12", "AB", 1))],
        vec![format!("{good}0")],
        vec![format!("{good}-more")],
        vec![good[..54].to_owned()],
        vec![good.clone(), good.clone()],
        vec![good.clone(), good.replace(PARENT, "6543210987654321")],
        vec![String::new()],
    ];
    for values in &bad {
        let ask = gateway.ask("GET", "/free").header("tracestate", "a=b");
        let ask = values.iter().fold(ask, |ask, value| ask.header("traceparent", value));
        assert_eq!(ask.send().await.status, 200);
        let seen = upstream.taken().remove(0);
        let (trace, span, _) = parts(&seen);
        assert!(trace != TRACE && span != PARENT, "{values:?}: {seen:?}");
        assert_eq!(seen.header("tracestate"), "", "{values:?}");
    }
    let spans = collector.gets(2 * bad.len()).await;
    let roots = spans.iter().filter(|span| span.parent_span_id.is_empty());
    assert_eq!(roots.count(), bad.len());
}

/// Anyone can send the flag: only who is named decides with it what the collector gets.
#[tokio::test]
async fn a_flag_is_believed_of_whom_is_named_and_of_nobody_else() {
    for (lines, flags, kept) in [
        ("sample = \"0%\"", "01", false),
        ("sample = \"100%\"", "00", true),
        ("sample = \"0%\"\ntrusted_parents = [\"192.0.2.0/24\"]", "01", false),
        ("sample = \"0%\"\ntrusted_parents = [\"127.0.0.0/8\"]", "01", true),
        ("sample = \"100%\"\ntrusted_parents = [\"127.0.0.0/8\"]", "00", false),
    ] {
        let (upstream, collector) = (Upstream::start().await, Collector::start().await);
        let plan = Plan::to(upstream.address).section(&collector.section(lines));
        let mut gateway = plan.start().await;
        let ask = gateway.ask("GET", "/free").header("traceparent", &parent(flags));
        assert_eq!(ask.send().await.status, 200);
        let (trace, span, on) = parts(&upstream.seen()[0]);
        assert_eq!(
            (trace.as_str(), on.as_str()),
            (TRACE, if kept { "01" } else { "00" }),
            "{lines}"
        );
        assert_ne!(span, PARENT);
        gateway.terminate();
        gateway.ended().await;
        assert_eq!(collector.spans().len(), if kept { 2 } else { 0 }, "{lines}");
    }
}

#[tokio::test]
async fn without_traces_contexts_pass_as_they_came() {
    let upstream = Upstream::start().await;
    let gateway = Plan::to(upstream.address).start().await;
    for value in [parent("01"), "nonsense".to_owned()] {
        let ask = gateway.ask("GET", "/free").header("traceparent", &value);
        assert_eq!(ask.header("tracestate", "a=b").send().await.status, 200);
        let seen = upstream.taken().remove(0);
        assert_eq!((seen.all("traceparent"), seen.all("tracestate")), (vec![&*value], vec!["a=b"]));
    }
    assert_eq!(gateway.ask("GET", "/free").send().await.status, 200);
    assert_eq!(upstream.taken().remove(0).header("traceparent"), "");
    let line = gateway.logged("a line", |line| line["outcome"] == "free").await;
    assert_eq!(line["trace_id"], Value::Null);
}

#[tokio::test]
async fn a_settlement_behind_its_answer_is_in_the_same_trace() {
    let (upstream, collector) = (Upstream::start().await, Collector::start().await);
    let mut facilitator = Facilitator::start().await;
    facilitator.on_settle(Habit::Waits);
    let risky = format!("name = \"fast\"\n{PRICED}\nrisk = \"$0.10\"");
    let plan = Plan::to(upstream.address).settled_by(&facilitator).section(&collector.section(""));
    let gateway = plan.route("match = \"POST /fast\"", &risky).start().await;
    let answer = gateway.ask("POST", "/fast").pays(&Wallet::new(1).pays()).send().await;
    assert_eq!(answer.status, 200);
    let question = facilitator.waiting().await;
    let (_, asks, _) = parts(&question.seen);
    collector.gets(4).await;
    facilitator.answers_honestly(question).await;
    let spans = collector.gets(5).await;
    let (server, settle) = (named(&spans, "POST fast"), named(&spans, "settle"));
    assert_eq!(settle.parent_span_id, server.span_id);
    assert_eq!(hex(&settle.span_id), asks);
    assert!(settle.end_time_unix_nano > server.end_time_unix_nano);
    assert!(says(&settle.attributes, "tollgate.payment.transaction").starts_with("0x"));
    assert_eq!(says(&server.attributes, "tollgate.outcome"), "at_risk");
}

#[tokio::test]
async fn a_facilitator_is_told_which_span_asks_where_there_are_any() {
    let (upstream, collector) = (Upstream::start().await, Collector::start().await);
    let facilitator = Facilitator::start().await;
    let plan = || Plan::to(upstream.address).settled_by(&facilitator);
    let pays = async |gateway: &Gateway| {
        let ask = gateway.ask("POST", "/paid").pays(&Wallet::new(1).pays());
        let ask = ask.header("traceparent", &parent("01")).header("tracestate", "a=b").send();
        assert_eq!(ask.await.status, 200);
        facilitator.seen()
    };
    let gateway = plan().section(&collector.section("")).start().await;
    let asked = pays(&gateway).await;
    let spans = collector.gets(5).await;
    for (seen, name) in asked.iter().zip(["verify", "settle"]) {
        let span = hex(&named(&spans, name).span_id);
        assert_eq!(parts(seen), (TRACE.to_owned(), span, "01".to_owned()));
    }
    assert!(asked.iter().all(|seen| seen.header("tracestate").is_empty()), "{asked:?}");
    let asked = pays(&plan().start().await).await;
    assert!(asked.iter().all(|seen| seen.header("traceparent").is_empty()), "{asked:?}");
}

#[tokio::test]
async fn a_step_that_fails_says_why() {
    let (upstream, collector) = (Upstream::start().await, Collector::start().await);
    let facilitator = Facilitator::start().await;
    let plan = Plan::to(upstream.address).settled_by(&facilitator).section(&collector.section(""));
    let gateway = plan.start().await;
    let refusal = r#"{"success":false,"errorReason":"insufficient_funds","transaction":""}"#;
    facilitator.on_settle(Habit::Says(200, refusal.into()));
    assert_eq!(gateway.ask("POST", "/paid").pays(&Wallet::new(1).pays()).send().await.status, 402);
    let spans = collector.gets(5).await;
    assert_eq!(status(named(&spans, "settle")), Some("settlement_rejected"));
    let server = named(&spans, "POST /paid");
    assert_eq!(status(server), None);
    assert_eq!(says(&server.attributes, "tollgate.refusal"), "settlement_rejected");
    assert_eq!(says(&server.attributes, "tollgate.reason"), "insufficient_funds");
    upstream.dies().await;
    assert_eq!(gateway.ask("GET", "/free").send().await.status, 502);
    let spans = collector.gets(7).await;
    for name in ["GET api", "GET /free"] {
        assert_eq!(status(named(&spans, name)), Some("upstream_unavailable"));
    }
}

#[tokio::test]
async fn what_is_left_is_sent_before_the_end() {
    let (upstream, collector) = (Upstream::start().await, Collector::start().await);
    let mut gateway = Plan::to(upstream.address).section(&collector.section("")).start().await;
    for _ in 0..3 {
        assert_eq!(gateway.ask("GET", "/free").send().await.status, 200);
    }
    gateway.terminate();
    assert_eq!(gateway.ended().await.code(), Some(0));
    assert_eq!(collector.spans().len(), 6);
}

/// It hangs: requests are answered, and so is the wish to end.
#[tokio::test]
async fn a_collector_that_hangs_is_waited_for_by_nobody() {
    let (upstream, mut collector) = (Upstream::start().await, Server::start().await);
    let plan = Plan::to(upstream.address).section(&section(collector.address, ""));
    let mut gateway = plan.start().await;
    assert_eq!(gateway.ask("GET", "/free").send().await.status, 200);
    let hangs = collector.call().await;
    for _ in 0..100 {
        assert_eq!(gateway.ask("GET", "/free").send().await.status, 200);
    }
    assert_eq!(collector.count(), 1, "one batch after the other");
    gateway.terminate();
    assert_eq!(gateway.ended().await.code(), Some(0));
    warned(&gateway, "the last spans of traces are lost").await;
    drop(hangs);
}

#[tokio::test]
async fn what_a_collector_does_not_take_is_counted() {
    let upstream = Upstream::start().await;
    let collector = Collector::answering(|_| Reply::new(400)).await;
    let gateway = Plan::to(upstream.address).section(&collector.section("")).start().await;
    assert_eq!(gateway.ask("GET", "/free").send().await.status, 200);
    comes_to(&gateway, "dropped", 2).await;
    assert_eq!(collector.posts().len(), 1, "it would say the same again");
    warned(&gateway, "spans of traces are not taken").await;

    let collector = Collector::answering(|_| rejects(1)).await;
    let gateway = Plan::to(upstream.address).section(&collector.section("")).start().await;
    assert_eq!(gateway.ask("GET", "/free").send().await.status, 200);
    comes_to(&gateway, "dropped", 1).await;
    comes_to(&gateway, "exported", 1).await;
}

#[tokio::test]
async fn a_collector_that_comes_back_gets_what_it_missed() {
    let (upstream, mut collector) = (Upstream::start().await, Server::start().await);
    let plan = Plan::to(upstream.address).section(&section(collector.address, ""));
    let gateway = plan.start().await;
    assert_eq!(gateway.ask("GET", "/free").send().await.status, 200);
    let first = collector.call().await;
    let body = first.seen.body.clone();
    first.answer(Reply::new(503).header("retry-after", "0")).await;
    let second = collector.call().await;
    assert_eq!(second.seen.body, body);
    second.answer(Reply::new(200)).await;
    comes_to(&gateway, "exported", 2).await;
    assert_eq!(spans(&gateway, "dropped").await, Some(0));
    warned(&gateway, "spans of traces are taken again").await;
}

#[tokio::test]
async fn the_key_of_a_collector_is_sent_and_never_shown() {
    const KEY: &str = "Bearer hunter2-of-the-collector";
    let (upstream, collector) = (Upstream::start().await, Collector::start().await);
    let traces = collector.section("headers = { authorization = { file = \"key\" } }");
    let plan = Plan::to(upstream.address).section(&traces);
    let write = |dir: &std::path::Path| std::fs::write(dir.join("key"), KEY).unwrap();
    let gateway = plan.start_after(write).await;
    assert_eq!(gateway.ask("GET", "/free").send().await.status, 200);
    collector.gets(2).await;
    assert_eq!(collector.posts()[0].header("authorization"), KEY);
    assert!(!gateway.said().contains("hunter2"), "{}", gateway.said());
}
