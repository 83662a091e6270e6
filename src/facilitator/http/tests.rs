//! What is sent to a facilitator, and every way in which it can misbehave.

mod fuzz;

use ::http::StatusCode;
use alloy_primitives::U256;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::super::fixture::{order, permitted};
use super::answer::{outcome, verdict};
use super::ask::{ANSWER_BYTES_MAX, Answer};
use super::fake::{Act, Fake, http};
use super::*;
use crate::fault::Reach;
use crate::x402::permit2::{Approval, PERMIT2};
use crate::x402::{ErrorReason, Signed};

const HASH: &str = "0x00000000000000000000000000000000000000000000000000000000000000Ab";

fn facilitator(url: &str, timeout: Duration) -> Http {
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut settings = Settings::new(url);
    (settings.verify_timeout, settings.settle_timeout) = (timeout, timeout);
    Http::new(settings).unwrap()
}

/// `success: true` as it should be, with some fields changed or, by null, taken away.
fn success(change: Value) -> String {
    let payer = order(1).payer();
    changed(
        json!({"success": true, "transaction": HASH, "network": "eip155:84532", "payer": payer}),
        change,
    )
}

fn failure(change: Value) -> String {
    changed(json!({"success": false, "transaction": "", "network": "eip155:84532"}), change)
}

fn changed(mut answer: Value, change: Value) -> String {
    for (key, value) in change.as_object().unwrap() {
        answer[key] = value.clone();
    }
    answer.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    answer.to_string()
}

/// An outcome in one word.
fn word(outcome: Outcome) -> String {
    match outcome {
        Outcome::Settled { transaction } => {
            assert_eq!(*transaction, *HASH.to_lowercase());
            "settled".to_owned()
        }
        Outcome::Rejected(reason) => format!("rejected {}", reason.code()),
        Outcome::NotSent(_) => "not sent".to_owned(),
        Outcome::Unknown { transaction: None, said: None, .. } => "unknown".to_owned(),
        Outcome::Unknown { transaction: None, said: Some(reason), .. } => {
            format!("unknown, said {}", reason.code())
        }
        Outcome::Unknown { transaction: Some(named), .. } => {
            assert_eq!(*named, *HASH.to_lowercase());
            "unknown, named".to_owned()
        }
    }
}

#[track_caller]
fn settle(status: u16, body: &str, expected: &str) {
    let status = StatusCode::from_u16(status).unwrap();
    let answer = Answer { status, pause: None, body: body.as_bytes().to_vec() };
    assert_eq!(word(outcome(&answer, &order(1))), expected, "{status} {body}");
}

#[test]
fn a_success_is_believed_when_all_of_it_is_ours() {
    settle(200, &success(json!({})), "settled");
    settle(201, &success(json!({})), "settled");
    settle(200, &success(json!({"network": "base-sepolia"})), "settled");
    settle(200, &success(json!({"payer": null})), "settled");
    settle(200, &success(json!({"payer": ""})), "settled");
    settle(200, &success(json!({"amount": "50000"})), "settled");
    settle(200, &success(json!({"amount": 50_000})), "settled");
    settle(200, &success(json!({"errorReason": "", "extra": {"gas": 1}})), "settled");
}

#[test]
fn a_success_that_is_not_ours_is_unknown() {
    let other = "0x2222222222222222222222222222222222222222";
    settle(200, &success(json!({"payer": other})), "unknown, named");
    settle(200, &success(json!({"payer": "me"})), "unknown, named");
    settle(200, &success(json!({"network": "eip155:8453"})), "unknown, named");
    settle(200, &success(json!({"network": "base"})), "unknown, named");
    settle(200, &success(json!({"network": ""})), "unknown, named");
    settle(200, &success(json!({"network": null})), "unknown, named");
    settle(200, &success(json!({"amount": "49999"})), "unknown, named");
    settle(200, &success(json!({"amount": "0.05"})), "unknown, named");
    settle(200, &success(json!({"transaction": null})), "unknown");
    settle(200, &success(json!({"transaction": ""})), "unknown");
    settle(200, &success(json!({"transaction": &HASH[2..]})), "unknown");
    settle(200, &success(json!({"transaction": &HASH[..65]})), "unknown");
    settle(200, &success(json!({"transaction": format!("0x{}", "0".repeat(64))})), "unknown");
    settle(200, &success(json!({"transaction": format!("0x0x{}", "1".repeat(62))})), "unknown");
    for status in [302, 400, 401, 402, 408, 429, 500, 503] {
        settle(status, &success(json!({})), "unknown, named");
    }
}

#[test]
fn a_refusal_is_believed_when_it_was_found_before_sending() {
    let reason = "invalid_exact_evm_payload_signature";
    for status in [200, 400, 402, 409, 412, 422] {
        let bad = failure(json!({"errorReason": reason}));
        settle(status, &bad, &format!("rejected {reason}"));
    }
    let absent = failure(json!({"errorReason": reason, "transaction": null}));
    settle(200, &absent, &format!("rejected {reason}"));
}

/// The published facilitator says these of a permit that it has settled when it is asked again.
#[test]
fn a_refusal_that_a_settlement_brings_about_is_looked_into() {
    for (reason, said) in [
        ("insufficient_funds", "insufficient_funds"),
        ("invalid_exact_evm_insufficient_balance", "insufficient_funds"),
        ("permit2_insufficient_balance", "insufficient_funds"),
        ("permit2_allowance_required", "permit2_allowance_required"),
        ("permit2_simulation_failed", "invalid_transaction_state"),
        ("invalid_exact_evm_transaction_simulation_failed", "invalid_transaction_state"),
    ] {
        for status in [200, 400, 402, 409, 412, 422] {
            let refusal = failure(json!({"errorReason": reason}));
            settle(status, &refusal, &format!("unknown, said {said}"));
        }
    }
}

#[test]
fn a_refusal_that_may_come_after_sending_is_unknown() {
    for reason in [
        json!("transaction_failed"),
        json!("settlement_pending"),
        json!("invalid_transaction_state"),
        json!("unexpected_settle_error"),
        json!("Timed out while waiting for transaction with hash \"0x12\" to be confirmed."),
        json!(""),
        json!(null),
    ] {
        settle(200, &failure(json!({"errorReason": reason})), "unknown");
        settle(400, &failure(json!({"errorReason": reason})), "unknown");
    }
    let poor = json!({"errorReason": "insufficient_funds"});
    for status in [302, 408, 500, 502, 503, 504] {
        settle(status, &failure(poor.clone()), "unknown");
    }
    for status in [200, 402, 404, 429, 500] {
        settle(status, &failure(json!({"transaction": HASH})), "unknown, named");
        settle(status, &failure(json!({"transaction": "pending"})), "unknown");
    }
}

/// A proxy that repeats a question gets this for an order whose first answer was lost.
#[test]
fn a_payment_that_was_used_before_may_have_been_used_for_us() {
    for reason in [
        "duplicate_settlement",
        "invalid_exact_evm_nonce_already_used",
        "execution reverted: FiatTokenV2: authorization is used or canceled",
    ] {
        let used = json!({"errorReason": reason});
        for status in [200, 400, 402, 409, 422, 500] {
            settle(status, &failure(used.clone()), "unknown");
        }
        let refused = json!({"isValid": false, "invalidReason": reason});
        verify(200, &refused, Ok(Verdict::Bad(ErrorReason::DuplicateSettlement)));
    }
}

#[track_caller]
fn reach(status: u16, change: Value, expected: Reach) {
    let status = StatusCode::from_u16(status).unwrap();
    let answer = Answer { status, pause: None, body: failure(change.clone()).into_bytes() };
    match outcome(&answer, &order(1)) {
        Outcome::Unknown { fault, .. } => assert_eq!(fault.reach(), expected, "{status} {change}"),
        known => panic!("{known:?}"),
    }
}

#[test]
fn what_a_payer_can_bring_about_says_nothing_of_the_facilitator() {
    for status in [200, 400, 500, 503] {
        reach(status, json!({"errorReason": "duplicate_settlement"}), Reach::OnePayment);
        reach(status, json!({"transaction": HASH}), Reach::OnePayment);
    }
    reach(200, json!({"errorReason": "transaction_failed"}), Reach::OnePayment);
    reach(200, json!({"errorReason": "permit2_simulation_failed"}), Reach::OnePayment);
    reach(500, json!({"errorReason": "insufficient_funds"}), Reach::OnePayment);
}

#[test]
fn what_a_payer_might_bring_about_says_little() {
    reach(500, json!({"errorReason": "unexpected_settle_error"}), Reach::OnePayer);
    reach(503, json!({}), Reach::OnePayer);
    for (status, reach) in [
        (401, Reach::Everyone),
        (404, Reach::Everyone),
        (413, Reach::OnePayer),
        (415, Reach::Everyone),
        (429, Reach::Everyone),
        (500, Reach::OnePayer),
        (502, Reach::OnePayer),
        (200, Reach::OnePayer),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, pause: None, body: b"<html>".to_vec() };
        assert_eq!(verdict(&answer, &order(1)).unwrap_err().reach(), reach, "{status}");
    }
}

#[test]
fn what_is_turned_away_at_the_door_was_not_sent() {
    for status in [401, 403, 404, 405, 413, 415, 429] {
        for body in ["", "<html>", r#"{"error":"no"}"#, &failure(json!({}))] {
            settle(status, body, "not sent");
        }
    }
}

#[test]
fn what_is_no_answer_is_unknown() {
    let whole = success(json!({}));
    let twice = whole.replace(r#"{"#, r#"{"success":false,"#);
    for status in [200, 204, 302, 400, 402, 408, 422, 500, 503] {
        for body in ["", "null", "[]", "<html>", &whole[..whole.len() - 1], &twice, "{}", "[true]"]
        {
            settle(status, body, "unknown");
        }
    }
    settle(200, &whole.replace("true", r#""true""#), "unknown");
}

#[track_caller]
fn verify(status: u16, body: &Value, expected: Result<Verdict, ()>) {
    let status = StatusCode::from_u16(status).unwrap();
    let answer = Answer { status, pause: None, body: body.to_string().into_bytes() };
    assert_eq!(verdict(&answer, &order(1)).map_err(drop), expected, "{status} {body}");
}

#[test]
fn a_payment_is_good_when_a_2xx_says_so_of_our_payer() {
    let payer = order(1).payer();
    let lower = format!("{payer:#x}");
    verify(200, &json!({"isValid": true}), Ok(Verdict::Good));
    verify(200, &json!({"isValid": true, "payer": payer}), Ok(Verdict::Good));
    verify(200, &json!({"isValid": true, "payer": lower}), Ok(Verdict::Good));
    verify(200, &json!({"isValid": true, "payer": null}), Ok(Verdict::Good));
    let other = "0x2222222222222222222222222222222222222222";
    verify(200, &json!({"isValid": true, "payer": other}), Err(()));
    for status in [302, 400, 402, 404, 429, 500, 503] {
        verify(status, &json!({"isValid": true}), Err(()));
    }
}

#[test]
fn a_payment_is_bad_when_the_facilitator_says_why_or_not() {
    let bad = |reason| Ok(Verdict::Bad(reason));
    for status in [200, 400, 402, 412, 422, 500] {
        let poor = json!({"isValid": false, "invalidReason": "insufficient_funds"});
        verify(status, &poor, bad(ErrorReason::InsufficientFunds));
    }
    let own_words = json!({"isValid": false, "invalidReason": "because"});
    verify(200, &own_words, bad(ErrorReason::UnexpectedVerify));
    verify(200, &json!({"isValid": false}), bad(ErrorReason::UnexpectedVerify));
    let details = json!({"isValid": false, "invalidReason": "unexpected_error",
        "invalidReasonDetails": "execution reverted: FiatTokenV2: authorization is expired"});
    verify(500, &details, bad(ErrorReason::ValidBefore));
    for status in [301, 401, 403, 404, 429, 502, 503] {
        verify(status, &json!({"isValid": false}), Err(()));
    }
    for nothing in [json!(null), json!({}), json!({"isValid": "true"}), json!([true])] {
        verify(200, &nothing, Err(()));
    }
}

/// One settlement against one act; the client waits `millis` for it.
async fn settle_with(act: Act, millis: u64) -> (String, Duration) {
    let fake = Fake::start([act]).await;
    let start = tokio::time::Instant::now();
    let facilitator = facilitator(&fake.url, Duration::from_millis(millis));
    let outcome = word(facilitator.settle(&order(1)).await);
    assert_eq!(fake.requests().len(), 1, "asked exactly once");
    (outcome, start.elapsed())
}

const LONG: u64 = 20_000;

#[tokio::test]
async fn an_answer_that_never_comes_is_unknown_after_the_timeout() {
    let (outcome, waited) = settle_with(Act::Hang, 100).await;
    assert_eq!(outcome, "unknown");
    assert!(waited >= Duration::from_millis(100), "{waited:?}");
}

#[tokio::test]
async fn the_timeout_holds_for_the_whole_answer() {
    let text = http(200, &success(json!({})));
    assert_eq!(settle_with(Act::Drip(text), 200).await.0, "unknown");
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n".to_owned();
    assert_eq!(settle_with(Act::Say(head), 100).await.0, "unknown");
}

#[tokio::test]
async fn a_connection_lost_after_the_question_is_unknown() {
    assert_eq!(settle_with(Act::Close, LONG).await.0, "unknown");
    let text = http(200, &success(json!({})));
    let cut = text[..text.len() - 5].to_owned();
    assert_eq!(settle_with(Act::SayAndClose(cut), LONG).await.0, "unknown");
    let garbage = "SSH-2.0-OpenSSH\r\n".to_owned();
    assert_eq!(settle_with(Act::SayAndClose(garbage), LONG).await.0, "unknown");
}

#[tokio::test]
async fn a_body_is_read_to_its_bound_and_no_further() {
    let said = "HTTP/1.1 200 OK\r\ncontent-length: 10485760\r\n\r\n".to_owned();
    assert_eq!(settle_with(Act::Flood(said), LONG).await.0, "unknown");
    let unsaid = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_owned();
    assert_eq!(settle_with(Act::Flood(unsaid), LONG).await.0, "unknown");
    let whole = success(json!({}));
    let padded = format!("{whole}{}", " ".repeat(ANSWER_BYTES_MAX - whole.len()));
    assert_eq!(settle_with(Act::Say(http(200, &padded)), LONG).await.0, "settled");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Fake::start([Act::Say(http(200, &success(json!({}))))]).await;
    for status in [301, 302, 303, 307, 308] {
        let moved = format!(
            "HTTP/1.1 {status} Moved\r\nlocation: {}/settle\r\ncontent-length: 0\r\n\r\n",
            elsewhere.url
        );
        assert_eq!(settle_with(Act::Say(moved), LONG).await.0, "unknown");
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn money_that_moved_behind_a_500_is_unknown() {
    assert_eq!(settle_with(Act::Say(http(500, "")), LONG).await.0, "unknown");
    let body = success(json!({}));
    assert_eq!(settle_with(Act::Say(http(500, &body)), LONG).await.0, "unknown, named");
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let facilitator = facilitator(&url, Duration::from_secs(20));
    assert_eq!(word(facilitator.settle(&order(1)).await), "not sent");
    let fault = facilitator.verify(&order(1)).await.unwrap_err().to_string();
    assert!(fault.contains("no connection") && !fault.contains(&url), "{fault}");
}

#[tokio::test]
async fn nothing_is_sent_twice_on_a_connection_that_dies() {
    let text = http(200, &success(json!({})));
    let script = [Act::Say(text.clone()), Act::Close, Act::Say(text)];
    let fake = Fake::start(script).await;
    let facilitator = facilitator(&fake.url, Duration::from_secs(20));
    assert_eq!(word(facilitator.settle(&order(1)).await), "settled");
    assert_eq!(word(facilitator.settle(&order(1)).await), "unknown");
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn each_version_is_asked_in_its_own_words() {
    let yes = || Act::Say(http(200, r#"{"isValid":true}"#));
    let fake = Fake::start([yes(), yes()]).await;
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut settings = Settings::new(format!("{}/base/", fake.url));
    let key = HeaderValue::from_static("Bearer key-1");
    settings.headers = vec![(header::AUTHORIZATION, key)];
    assert!(!format!("{settings:?}").contains("key-1"));
    let facilitator = Http::new(settings).unwrap();

    let v2 = order(1);
    let v1 = Order { version: Version::V1, ..v2.clone() };
    for (order, network) in [(&v1, "base-sepolia"), (&v2, "eip155:84532")] {
        assert_eq!(facilitator.verify(order).await.unwrap(), Verdict::Good);
        let request = fake.requests().pop().unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /base/verify HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("authorization: Bearer key-1"), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        let version = u8::from(order.version);
        assert_eq!(body["x402Version"], version);
        assert_eq!(body["paymentPayload"]["x402Version"], version);
        assert_eq!(body["paymentRequirements"]["network"], network);
        let authorization = &body["paymentPayload"]["payload"]["authorization"];
        assert_eq!(authorization["validBefore"], "1700000300");
    }
}

#[tokio::test]
async fn a_permit_is_handed_through_with_its_approval_in_version_2() {
    let fake = Fake::start([
        kinds(&[(1, "base-sepolia")]),
        kinds(&[(2, "eip155:84532")]),
        Act::Say(http(200, r#"{"isValid":false,"invalidReason":"permit2_allowance_required"}"#)),
    ])
    .await;
    let facilitator = facilitator(&fake.url, Duration::from_secs(20));
    let mut order = permitted(1, 0x11);
    let (owner, token) = (order.payer().evm().unwrap(), order.offer.requirements.asset);
    let Signed::Evm(signed) = &mut order.payment else { panic!("of an EVM network") };
    signed.approval = Some(Box::new(Approval {
        owner,
        token: token.evm().unwrap(),
        spender: PERMIT2,
        value: U256::from(50_000),
        nonce: U256::from(3),
        deadline: U256::from(1_700_000_300),
        signature: vec![7; 65].into(),
    }));
    facilitator.refresh().await.unwrap();
    assert!(!facilitator.settles(&order.offer), "version 1 has no words for it");
    facilitator.refresh().await.unwrap();
    assert!(facilitator.settles(&order.offer));
    let verdict = facilitator.verify(&order).await.unwrap();
    assert_eq!(verdict, Verdict::Bad(ErrorReason::AllowanceRequired));

    let request = fake.requests().pop().unwrap();
    let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    let payload = &body["paymentPayload"];
    assert_eq!((&body["x402Version"], &payload["x402Version"]), (&json!(2), &json!(2)));
    assert_eq!(body["paymentRequirements"]["extra"], json!({"assetTransferMethod": "permit2"}));
    assert_eq!(payload["accepted"], body["paymentRequirements"]);
    let permit = &payload["payload"]["permit2Authorization"];
    assert_eq!(permit["deadline"], "1700000300");
    assert_eq!(permit["permitted"]["amount"], "50000");
    let info = &payload["extensions"]["eip2612GasSponsoring"]["info"];
    assert_eq!((&info["amount"], &info["version"]), (&json!("50000"), &json!("1")));
}

fn kinds(kinds: &[(u8, &str)]) -> Act {
    let kinds: Vec<Value> = kinds
        .iter()
        .map(|(v, network)| json!({"x402Version": v, "scheme": "exact", "network": network}))
        .collect();
    Act::Say(http(200, &json!({"kinds": kinds, "extensions": [], "signers": {}}).to_string()))
}

#[tokio::test]
async fn a_facilitator_that_lists_one_version_is_asked_in_that_one() {
    let yes = Act::Say(http(200, r#"{"isValid":true}"#));
    let fake = Fake::start([kinds(&[(2, "eip155:84532")]), yes]).await;
    let facilitator = facilitator(&fake.url, Duration::from_secs(20));
    facilitator.refresh().await.unwrap();
    let v1 = Order { version: Version::V1, ..order(1) };
    assert!(facilitator.supports(&v1.offer, Version::V2));
    assert!(!facilitator.supports(&v1.offer, Version::V1));
    assert_eq!(facilitator.verify(&v1).await.unwrap(), Verdict::Good);
    assert!(fake.requests().pop().unwrap().contains(r#""x402Version":2"#));
}

/// The other way round: a client of version 2 at a facilitator of the first days.
#[tokio::test]
async fn a_facilitator_of_version_1_alone_is_asked_in_version_1() {
    let fake = Fake::start([
        kinds(&[(1, "base-sepolia")]),
        Act::Say(http(200, r#"{"isValid":true}"#)),
        Act::Say(http(200, &success(json!({"network": "base-sepolia"})))),
    ])
    .await;
    let facilitator = facilitator(&fake.url, Duration::from_secs(20));
    facilitator.refresh().await.unwrap();
    assert!(facilitator.settles(&order(1).offer));
    assert_eq!(facilitator.verify(&order(1)).await.unwrap(), Verdict::Good);
    assert_eq!(word(facilitator.settle(&order(1)).await), "settled");
    for request in &fake.requests()[1..] {
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&body["x402Version"], &body["paymentPayload"]["x402Version"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(body["paymentRequirements"]["network"], "base-sepolia");
        assert_eq!(body["paymentPayload"]["network"], "base-sepolia");
    }
}

#[tokio::test]
async fn another_networks_list_speaks_against_an_offer_and_no_list_does_not() {
    let fake = Fake::start([kinds(&[(2, "eip155:1"), (1, "base")])]).await;
    let facilitator = facilitator(&fake.url, Duration::from_secs(20));
    assert!(facilitator.settles(&order(1).offer));
    facilitator.refresh().await.unwrap();
    assert!(!facilitator.settles(&order(1).offer));
}

#[tokio::test]
async fn every_request_carries_its_own_signature_or_the_one_token() {
    use base64::Engine as _;
    let yes = || Act::Say(http(200, r#"{"isValid":true}"#));
    let fake = Fake::start([yes(), yes(), kinds(&[])]).await;
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut settings = Settings::new(format!("{}/platform/v2/x402", fake.url));
    settings.auth = Auth::Cdp(cdp::CdpKey::new("key-1", cdp::tests::ED25519_KEY).unwrap());
    assert!(format!("{settings:?}").contains("Ed25519"));
    let facilitator = Http::new(settings).unwrap();
    facilitator.verify(&order(1)).await.unwrap();
    facilitator.verify(&order(1)).await.unwrap();
    facilitator.refresh().await.unwrap();
    let host = fake.url.strip_prefix("http://").unwrap();
    let token = |request: &String| {
        let (_, rest) = request.split_once("authorization: Bearer ").unwrap();
        rest.lines().next().unwrap().to_owned()
    };
    let tokens: Vec<String> = fake.requests().iter().map(token).collect();
    for (token, uri) in tokens.iter().zip(["POST verify", "POST verify", "GET supported"]) {
        let claims = token.split('.').nth(1).unwrap();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let uri = uri.replace(' ', &format!(" {host}/platform/v2/x402/"));
        assert_eq!(claims["uris"], json!([uri]));
    }
    assert_ne!(tokens[0], tokens[1]);

    let fake = Fake::start([yes()]).await;
    let mut settings = Settings::new(&fake.url);
    settings.auth = Auth::bearer("hunter2").unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
    Http::new(settings).unwrap().verify(&order(1)).await.unwrap();
    assert!(fake.requests()[0].contains("authorization: Bearer hunter2\r\n"));
}

fn wanted() -> Wanted {
    Wanted {
        scheme: "exact".into(),
        network: "eip155:84532".into(),
        v1_network: Some("base-sepolia".into()),
    }
}

#[tokio::test]
async fn ready_is_a_list_with_our_kinds_answered_lately() {
    let broken = || Act::Say(http(200, r#"{"kinds":{}}"#));
    let ours = || kinds(&[(1, "base-sepolia"), (2, "eip155:84532")]);
    let v1 = || kinds(&[(1, "base-sepolia")]);
    let script = [broken(), kinds(&[]), v1(), broken(), broken(), broken(), ours()];
    let fake = Fake::start(script).await;
    let mut settings = Settings::new(&fake.url);
    settings.wanted = vec![wanted()];
    rustls::crypto::ring::default_provider().install_default().ok();
    let facilitator = Http::new(settings).unwrap();
    assert!(facilitator.ready().is_err(), "not asked yet");
    assert!(facilitator.refresh().await.is_err());
    assert!(facilitator.ready().is_err(), "broken");
    facilitator.refresh().await.unwrap();
    assert!(facilitator.ready().is_err(), "not listed");
    facilitator.refresh().await.unwrap();
    assert!(facilitator.ready().is_ok(), "in the words of version 1 alone");
    for still in [true, true, false] {
        assert!(facilitator.refresh().await.is_err());
        assert_eq!(facilitator.ready().is_ok(), still);
    }
    facilitator.refresh().await.unwrap();
    assert!(facilitator.ready().is_ok());
}

#[test]
fn a_base_url_is_one_that_paths_can_follow() {
    rustls::crypto::ring::default_provider().install_default().ok();
    for (url, good) in [
        ("https://facilitator.example", true),
        ("http://127.0.0.1:4020/x402/", true),
        ("facilitator.example", false),
        ("ftp://facilitator.example", false),
        ("https://key@facilitator.example", false),
        ("https://facilitator.example/?key=1", false),
        ("https://facilitator.example/#x", false),
        ("", false),
    ] {
        assert_eq!(Http::new(Settings::new(url)).is_ok(), good, "{url}");
    }
}

#[tokio::test]
async fn a_pause_that_it_asks_for_is_told_with_the_fault() {
    let said = |status: u16, pause: &str| {
        let head = format!("HTTP/1.1 {status} Said\r\nretry-after: {pause}\r\n");
        Act::Say(format!("{head}content-length: 0\r\n\r\n"))
    };
    let asked = [(429, "7"), (503, "120"), (500, "7"), (429, "tomorrow")];
    let fake = Fake::start(asked.map(|(status, pause)| said(status, pause))).await;
    let http = facilitator(&fake.url, Duration::from_secs(5));
    let seconds = |fault: &Fault| fault.pause().map(|pause| pause.as_secs());
    assert_eq!(seconds(&http.verify(&order(1)).await.unwrap_err()), Some(7));
    let Outcome::Unknown { fault, .. } = http.settle(&order(1)).await else { panic!("503") };
    assert_eq!(seconds(&fault), Some(120));
    for _ in 0..2 {
        assert_eq!(seconds(&http.verify(&order(1)).await.unwrap_err()), None);
    }
}
