//! Routes that Envoy forwards and tells of (`ext_proc`): held before, settled when the API has
//! answered, as anywhere.

use super::refusals::refused;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::{PRICED, Plan};
use crate::support::processor::{Body, Envoy, Of, PROCESS, Said, Telling, Trailers};
use crate::support::together;
use crate::support::upstream::Upstream;
use crate::support::wallet::{PRICE, Payment, Wallet};

const KIND: &str = "envoy-ext-proc";
const ASKED: (&str, &str) = ("POST", "/asked");

fn plan(upstream: &Upstream) -> Plan {
    Plan::to(upstream.address).asked_by(KIND)
}

/// A gateway, and an Envoy that is connected to it.
async fn asked() -> (Gateway, Envoy) {
    let gateway = plan(&Upstream::start().await).start().await;
    let envoy = Envoy::connect(&gateway).await;
    (gateway, envoy)
}

/// Nothing more is said.
async fn is_over(mut telling: Telling) {
    assert_eq!(telling.hears().await.over(), ("0".to_owned(), String::new()));
}

#[tokio::test]
async fn money_moves_when_the_api_hinto_answered() {
    let (gateway, envoy) = asked().await;
    let (telling, unpaid) = envoy.tells(("POST", "/asked?a=b"), &[]).await;
    let unpaid = unpaid.answer();
    refused(&unpaid, "payment_required");
    let terms = unpaid.object("payment-required");
    assert_eq!(terms["resource"]["url"], "https://api.example.com/asked");
    assert_eq!(terms["accepts"][0]["amount"], PRICE.to_string());
    is_over(telling).await;

    let (wallet, payment) = (Wallet::new(1), Wallet::new(1).pays());
    let claimed = [("x-tollgate-payer", "me"), ("x-a", "1"), ("x-http-method-override", "GET")];
    let proof = payment.v2();
    let headers = [&claimed[..], &[("payment-signature", &*proof)]].concat();
    let (mut telling, said) = envoy.tells(ASKED, &headers).await;
    let mut on = said.on();
    on.removed.sort();
    assert_eq!(on.removed, ["payment-signature", "x-http-method-override"]);
    assert_eq!(on.set["x-tollgate-payer"], wallet.address().to_string());
    assert_eq!(on.set["x-tollgate-amount"], PRICE.to_string());
    assert_eq!(on.set["x-tollgate-network"], "eip155:84532");
    assert_eq!((on.set["x-tollgate-exchange"].len(), on.set.len()), (32, 4));
    assert_eq!((gateway.state(&payment).await, gateway.transfers()), ("held".to_owned(), vec![]));

    let api = [("server-timing", "api;dur=1"), ("payment-response", "forged"), ("x-b", "2")];
    let answer = telling.answered(200, &api).await.on();
    assert_eq!(answer.removed, [""; 0]);
    let timings: Vec<_> = answer.set.get_all("server-timing").iter().collect();
    assert_eq!((timings.len(), timings[0].to_str().unwrap()), (2, "api;dur=1"));
    assert!(timings[1].to_str().unwrap().contains("settle"), "{timings:?}");
    let answer = answer.into_answer(200);
    assert_eq!(answer.object("payment-response")["success"], true);
    assert_eq!((answer.header("cache-control"), answer.header("x-b")), ("no-store", ""));
    is_over(telling).await;
    assert_eq!((gateway.state(&payment).await, gateway.transfers().len()), ("settled".into(), 1));
    let line = gateway.logged("it", |line| line["outcome"] == "paid").await;
    assert_eq!((&line["method"], &line["status"]), (&"POST".into(), &200.into()));
    assert_eq!((&line["route"], &line["path"]), (&"GET,POST /asked".into(), &"/asked".into()));
    let line = gateway.logged("it", |line| line["outcome"] == "payment_required").await;
    assert_eq!(line["status"], 402);

    let again = envoy.pays(("GET", "/asked"), &payment).await.1.answer();
    refused(&again, "payment_used");
}

#[tokio::test]
async fn an_api_that_fails_is_not_paid() {
    let (gateway, envoy) = asked().await;
    let payment = Wallet::new(1).pays();
    for (status, more) in
        [(404, &[][..]), (500, &[]), (302, &[]), (200, &[("grpc-status", "13")]), (504, &[])]
    {
        let (mut telling, said) = envoy.pays(ASKED, &payment).await;
        said.on();
        let answer = telling.answered(status, more).await.on().into_answer(status);
        assert_eq!((answer.header("payment-response"), answer.header("cache-control")), {
            ("", "no-store")
        });
        is_over(telling).await;
        gateway.comes_to(&payment, "released").await;
    }
    let (mut telling, said) = envoy.pays(ASKED, &payment).await;
    said.on();
    telling.answered(201, &[]).await.on();
    assert_eq!((gateway.state(&payment).await, gateway.transfers().len()), ("settled".into(), 1));
}

/// Whichever way the exchange ends, a payment whose answer nobody has told of has not moved.
#[tokio::test]
async fn who_leaves_before_the_answer_has_not_paid() {
    let (gateway, envoy) = asked().await;
    let leaves: [fn(Telling, Envoy); 3] = [
        |telling, _| telling.resets(),
        |mut telling, envoy| {
            telling.ends();
            tokio::spawn(async move { (telling.hears().await, envoy) });
        },
        |_, envoy| drop(envoy),
    ];
    let mut envoy = Some(envoy);
    for leave in leaves {
        let payment = Wallet::new(1).pays();
        let with = match envoy.take() {
            Some(envoy) => envoy,
            None => Envoy::connect(&gateway).await,
        };
        let (telling, said) = with.pays(ASKED, &payment).await;
        said.on();
        leave(telling, with);
        gateway.comes_to(&payment, "released").await;
    }
    let line = gateway.logged("it", |line| line["outcome"] == "client_gone").await;
    assert_eq!(line["status"], 0);
    assert_eq!(gateway.transfers(), []);
}

#[tokio::test]
async fn a_settlement_that_fails_takes_the_place_of_the_answer() {
    let facilitator = Facilitator::start().await;
    let gateway = plan(&Upstream::start().await).settled_by(&facilitator).start().await;
    let envoy = Envoy::connect(&gateway).await;
    let no =
        r#"{"success":false,"errorReason":"insufficient_funds","transaction":"","network":""}"#;
    for (habit, code) in [
        (Habit::Says(200, no.to_owned()), "settlement_rejected"),
        (Habit::MovesAndSays(500, "broken".to_owned()), "outcome_unknown"),
    ] {
        facilitator.on_settle(habit);
        let (mut telling, said) = envoy.pays(ASKED, &Wallet::new(1).pays()).await;
        said.on();
        refused(&telling.answered(200, &[]).await.answer(), code);
        is_over(telling).await;
        gateway.logged("it", |line| line["outcome"] == code).await;
    }
}

#[tokio::test]
async fn of_many_at_once_one_passes() {
    let (gateway, envoy) = asked().await;
    let payment = Wallet::new(1).pays();
    let one = async || {
        let (mut telling, said) = envoy.pays(ASKED, &payment).await;
        match said {
            Said::On(_) => telling.answered(200, &[]).await.on().into_answer(200),
            said => said.answer(),
        }
    };
    let answers = together((0..30).map(|_| Box::pin(one()))).await;
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409 | 503)), "{answers:?}");
    assert_eq!((passed, gateway.transfers().len()), (1, 1));
}

#[tokio::test]
async fn what_costs_nothing_passes_and_what_the_gateway_knows_it_answers() {
    let (gateway, envoy) = asked().await;
    let (mut telling, said) = envoy.tells(("GET", "/open"), &[("x-payment", "a")]).await;
    let on = said.on();
    assert_eq!((on.removed, on.set.len()), (vec!["x-payment".to_owned()], 1));
    let claims = [("payment-response", "a"), ("x-tollgate-a", "b"), ("x-c", "d")];
    let mut on = telling.answered(200, &claims).await.on();
    on.removed.sort();
    assert_eq!(
        (on.removed, on.set.len()),
        (vec!["payment-response".into(), "x-tollgate-a".into()], 0)
    );
    is_over(telling).await;

    let said = async |method, target| envoy.tells((method, target), &[]).await.1.answer();
    let preflight = said("OPTIONS", "/asked").await;
    assert_eq!((preflight.status, preflight.header("allow")), (204, "GET, HEAD, POST, OPTIONS"));
    let document = said("GET", "/openapi.json").await;
    assert!(document.json()["paths"]["/asked"]["post"].is_object(), "{document:?}");
    for (method, target, code) in [
        ("GET", "/nothing", "not_found"),
        ("GET", "/free", "not_found"),
        ("DELETE", "/open", "method_not_allowed"),
        ("GET", "//open", "path_not_canonical"),
        ("GET", "/%6fpen", "path_not_canonical"),
        ("GET", "/a/../open", "path_not_canonical"),
        ("GET", "/open#a", "path_not_canonical"),
        ("TRACE", "/open", "bad_request"),
    ] {
        refused(&said(method, target).await, code);
    }
    let page = envoy.tells(("GET", "/asked"), &[("accept", "text/html")]).await.1.answer();
    assert_eq!((page.status, page.header("content-type")), (402, "text/html; charset=utf-8"));
    assert_eq!(gateway.transfers(), []);
}

/// Who may not ask hears so, and is nobody's client.
#[tokio::test]
async fn strangers_and_other_calls_are_refused() {
    let upstream = Upstream::start().await;
    let plan = Plan::to(upstream.address).asked_from("10.0.0.0/8", KIND);
    let strange = plan.start().await;
    let (trusting, trusted) = asked().await;
    let stranger = Envoy::connect(&strange).await;
    for (envoy, path, kind, status) in [
        (&stranger, PROCESS, "application/grpc", 403),
        (&trusted, "/envoy.service.ext_proc.v3.ExternalProcessor/Other", "application/grpc", 404),
        (&trusted, "/asked", "application/grpc", 404),
        (&trusted, PROCESS, "application/json", 404),
    ] {
        let mut telling = envoy.call(path, kind).await;
        telling.ends();
        assert_eq!(telling.status().await, status, "{path} {kind}");
    }
    strange.logged("it", |line| line["outcome"] == "not_trusted").await;
    trusting.logged("it", |line| line["outcome"] == "not_found").await;
}

/// Whatever else is told ends the stream with an error, so that Envoy lets nothing pass, and lets a
/// payment go that is held.
#[tokio::test]
async fn what_is_not_told_in_order_ends_the_exchange() {
    let (gateway, envoy) = asked().await;
    let body = || Body { body: b"{}".to_vec() };
    for (of, code) in [
        (Of::RequestBody(body()), "9"),
        (Of::ResponseBody(body()), "9"),
        (Of::RequestTrailers(Trailers::default()), "9"),
        (Of::ResponseTrailers(Trailers::default()), "9"),
    ] {
        let first = envoy.stream().await.says(of.clone()).await.over();
        assert_eq!(first.0, code);
        assert!(first.1.contains("processing_mode"), "{first:?}");
        let payment = Wallet::new(1).pays();
        let (mut telling, said) = envoy.pays(ASKED, &payment).await;
        said.on();
        assert_eq!(telling.says(of).await.over().0, code);
        gateway.comes_to(&payment, "released").await;
    }
    let (mut telling, said) = envoy.pays(ASKED, &Wallet::new(1).pays()).await;
    said.on();
    assert_eq!(telling.request(&[]).await.over().0, "9");
    assert_eq!(envoy.stream().await.answered(200, &[]).await.over().0, "9");
    assert_eq!(envoy.stream().await.observes().await.over().0, "9");
    refused(&envoy.stream().await.request(&[]).await.answer(), "bad_request");
    let sends = async |bytes: &[u8]| {
        let mut telling = envoy.stream().await;
        telling.send_raw(bytes);
        telling.hears().await.over().0
    };
    assert_eq!(sends(&[1, 0, 0, 0, 0]).await, "12", "compressed");
    assert_eq!(sends(&[0, 255, 255, 255, 255]).await, "8", "too long");
    assert_eq!(sends(&[0, 0, 0, 0, 2, 0xff, 0xff]).await, "3", "no message");
    // With 0 Envoy would go on: to what is not understood nobody says yes.
    assert_eq!(sends(&[0, 0, 0, 0, 0]).await, "9", "one that tells of nothing");
    assert_eq!(sends(&[0, 0, 0, 0, 3, 0x62, 1, 0]).await, "9", "one that nobody knows yet");
    let mut silent = envoy.stream().await;
    silent.ends();
    assert_eq!(silent.hears().await.over().0, "1");
    let line = gateway.logged("it", |line| line["outcome"] == "bad_request").await;
    assert_eq!((&line["status"], &line["client"]), (&0.into(), &"127.0.0.1".into()));
    let (mut telling, said) = envoy.pays(ASKED, &Wallet::new(1).pays()).await;
    said.on();
    assert_eq!(telling.answered(99, &[]).await.over().0, "3", "no status");
    // Behind it the real answer would go past.
    let (mut telling, said) = envoy.pays(ASKED, &Wallet::new(1).pays()).await;
    said.on();
    assert_eq!(telling.answered(103, &[]).await.over().0, "3", "not the answer yet");
    assert_eq!(gateway.transfers(), []);
}

#[tokio::test]
async fn clients_are_counted_and_not_envoy() {
    let few = "unpaid = { rate = \"2/min\", by = \"ip\" }";
    let gateway = plan(&Upstream::start().await).limits(few).start().await;
    let envoy = Envoy::connect(&gateway).await;
    let from = async |client| envoy.tells(ASKED, &[("x-forwarded-for", client)]).await.1.answer();
    for _ in 0..2 {
        refused(&from("192.0.2.1").await, "payment_required");
    }
    refused(&from("192.0.2.1").await, "rate_limit_exceeded");
    refused(&from("192.0.2.2").await, "payment_required");
}

/// Where money moves first, an API that fails owes an answer.
#[tokio::test]
async fn what_is_settled_before_is_owed_until_it_is_answered() {
    let early = format!("{PRICED}\nsettle = \"before-upstream\"");
    let plan = plan(&Upstream::start().await).asked("match = \"POST /early\"", &early);
    let gateway = plan.start().await;
    let envoy = Envoy::connect(&gateway).await;
    let payment = Wallet::new(1).pays();
    let early = async || {
        let (telling, said) = envoy.pays(("POST", "/early"), &payment).await;
        said.on();
        telling
    };
    let mut telling = early().await;
    assert_eq!((gateway.state(&payment).await, gateway.transfers().len()), ("settled".into(), 1));
    refused(&telling.answered(503, &[]).await.answer(), "paid_not_served");
    is_over(telling).await;
    early().await.resets();
    let given = crate::support::eventually("it is given", async || {
        let (mut telling, said) = envoy.pays(("POST", "/early"), &payment).await;
        let Said::On(_) = said else { return None };
        Some(telling.answered(200, &[]).await.on().into_answer(200))
    });
    assert_eq!(given.await.object("payment-response")["success"], true);
    refused(&envoy.pays(("POST", "/early"), &payment).await.1.answer(), "payment_used");
    assert_eq!(gateway.transfers().len(), 1);
}

/// An exchange keeps what it began with.
#[tokio::test]
async fn a_reload_changes_what_the_next_exchange_is_told() {
    let (gateway, envoy) = asked().await;
    let payment: Payment = Wallet::new(1).pays();
    let (mut telling, said) = envoy.pays(ASKED, &payment).await;
    said.on();
    let (status, _) = gateway.reloaded(|text| text.replace("\"$0.05\"", "\"$0.07\"")).await;
    assert_eq!(status, 200);
    telling.answered(200, &[]).await.on();
    let unpaid = envoy.tells(ASKED, &[]).await.1.answer();
    assert_eq!(unpaid.object("payment-required")["accepts"][0]["amount"], "70000");
    assert_eq!(gateway.state(&payment).await, "settled");
}
