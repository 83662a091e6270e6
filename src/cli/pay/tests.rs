//! A payer against servers with a script: what is sent, how often, and what is said at the end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::clock::UnixMillis;
use crate::x402::{Eip712Domain, PaymentPayload, Version, encoding};

/// What the server does with one request.
enum Step {
    /// Answers: status, headers, body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// Reads the request and closes.
    HangUp,
    /// Answers with half of what it announces, and closes.
    BreakOff,
}

/// One request as the server saw it.
struct Seen {
    head: String,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn start(script: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/paid?q=1", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            let mut script = VecDeque::from(script);
            while let Some(step) = script.pop_front() {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream).await;
                log.lock().unwrap().push(request);
                act(step, &mut stream).await;
            }
        });
        Self { url, seen }
    }

    fn payments(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let header = |seen: &Seen| {
            seen.header("payment-signature").or(seen.header("x-payment")).map(str::to_owned)
        };
        seen.iter().filter_map(header).collect()
    }
}

async fn read(stream: &mut TcpStream) -> Seen {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
    };
    let body = bytes.split_off(end);
    let mut seen = Seen { head: String::from_utf8(bytes).unwrap(), body };
    let length = seen.header("content-length").map_or(0, |text| text.parse().unwrap());
    while seen.body.len() < length {
        assert_ne!(stream.read_buf(&mut seen.body).await.unwrap(), 0);
    }
    seen
}

async fn act(step: Step, stream: &mut TcpStream) {
    let text = match step {
        Step::HangUp => return,
        Step::BreakOff => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_owned(),
        Step::Say(status, headers, body) => {
            let mut text = format!("HTTP/1.1 {status} -\r\nconnection: close\r\n");
            for (name, value) in headers {
                text += &format!("{name}: {value}\r\n");
            }
            text + &format!("content-length: {}\r\n\r\n{body}", body.len())
        }
    };
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

fn offer() -> serde_json::Value {
    serde_json::json!({
        "scheme": "exact", "network": "eip155:84532", "amount": "50000",
        "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        "payTo": "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
        "maxTimeoutSeconds": 300, "extra": {"name": "USDC", "version": "2", "more": [1]}
    })
}

fn solana() -> serde_json::Value {
    serde_json::json!({
        "scheme": "exact", "network": "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
        "amount": "50000", "asset": "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
        "payTo": "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
        "maxTimeoutSeconds": 300, "extra": {"feePayer": "x"}
    })
}

fn demand_v2(accepts: &[serde_json::Value]) -> Step {
    let object = serde_json::json!({
        "x402Version": 2, "error": "Payment required", "accepts": accepts,
        "resource": {"url": "http://elsewhere/paid", "description": "d", "mimeType": "m"},
        "extensions": {"bazaar": {"info": 1}}
    });
    let header = encoding::encode_json(&object).unwrap();
    Step::Say(402, vec![("PAYMENT-REQUIRED", header)], "{}".to_owned())
}

fn demand_v1() -> Step {
    let body = serde_json::json!({"x402Version": 1, "error": "X-PAYMENT header is required",
    "accepts": [{
        "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "1000",
        "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        "payTo": "0x90F79bf6EB2c4f870365E785982E1f101E93b906", "resource": "http://x/paid",
        "description": "", "mimeType": "application/json", "maxTimeoutSeconds": 60,
        "extra": {"name": "USDC", "version": "2"}
    }]});
    Step::Say(402, vec![], body.to_string())
}

fn served() -> Step {
    let settled = serde_json::json!({"success": true, "transaction": hash(),
        "network": "eip155:84532", "payer": "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"});
    let header = encoding::encode_json(&settled).unwrap();
    Step::Say(200, vec![("PAYMENT-RESPONSE", header)], "content".to_owned())
}

fn open_outcome() -> Step {
    let body = serde_json::json!({"error": "outcome_unknown", "consumed": null,
        "retriable": true, "transaction": hash()});
    Step::Say(503, vec![("Retry-After", "5".to_owned())], body.to_string())
}

fn hash() -> String {
    format!("0x{}", "c7".repeat(32))
}

/// Asks, and pays what is asked for, as `tollgate pay` does.
async fn buy(server: &Server, price_max: &str) -> Result<Paid, PayError> {
    let (clock, _) = Clock::set_to(UnixMillis::new(NOW * 1000));
    let moments = Duration::from_millis(2);
    let patience = Patience {
        sends_max: 4,
        wait: moments,
        wait_max: moments,
        answer_timeout: Duration::from_secs(20),
        ..Patience::default()
    };
    let request = Request::new(&server.url, Bytes::from_static(b"{\"a\":1}"))?;
    let client = Client::new(clock, patience, &request.url)?;
    let Asked::Payment(_, demand) = client.ask(&request).await? else { panic!("no 402") };
    let terms = Terms { price_max: price_max.parse().unwrap(), network: None };
    let payable = terms.choose(&demand).map_err(PayError::NothingPayable)?;
    let wallet = Wallet::from_hex(KEY).unwrap();
    let payment = wallet.pay(&payable, &demand, client.now())?;
    client.pay(&request, &payment).await
}

const NOW: i64 = 1_800_000_000;
/// The first account of every local test node.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

#[tokio::test]
async fn version_2_is_paid_in_the_header_it_asks_for() {
    let server = Server::start(vec![demand_v2(&[solana(), offer()]), served()]).await;
    let paid = buy(&server, "$0.05").await.unwrap();
    assert_eq!(paid.answer.body, "content");
    assert_eq!(paid.receipt.unwrap().transaction(), Some(hash().as_str()));

    let seen = server.seen.lock().unwrap();
    assert_eq!((&seen[0].body, seen[0].header("payment-signature")), (&seen[1].body, None));
    assert_eq!(seen[1].body, b"{\"a\":1}");
    let header = seen[1].header("payment-signature").unwrap();
    let json = encoding::decode(header.as_bytes()).unwrap();
    let echoed: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(echoed["accepted"], offer());
    assert_eq!(echoed["resource"]["url"], "http://elsewhere/paid");
    assert_eq!(echoed["extensions"]["bazaar"]["info"], 1);
}

#[tokio::test]
async fn what_is_signed_is_the_offer_and_proves() {
    let server = Server::start(vec![demand_v2(&[offer()]), served()]).await;
    buy(&server, "$0.05").await.unwrap();
    let payment = PaymentPayload::decode(server.payments()[0].as_bytes()).unwrap();
    let signed = &payment.payment.evm().unwrap().authorization;
    assert_eq!(signed.value.to_string(), "50000");
    assert_eq!(signed.valid_after.to_string(), "0");
    assert_eq!(signed.valid_before.to_string(), (NOW + 300).to_string());
    let usdc = "0x036CbD53842c5426634e7929541eC2318f3dCF7e".parse().unwrap();
    let domain = Eip712Domain::new("USDC", "2", 84532, usdc);
    payment.payment.evm().unwrap().prove(&domain).unwrap();
}

#[tokio::test]
async fn version_1_is_paid_where_there_is_no_header() {
    let server = Server::start(vec![demand_v1(), served()]).await;
    let paid = buy(&server, "$0.05").await.unwrap();
    assert_eq!(paid.answer.status, 200);
    let payment = PaymentPayload::decode(server.payments()[0].as_bytes()).unwrap();
    assert_eq!(payment.version(), Version::V1);
    assert!(server.seen.lock().unwrap()[1].header("x-payment").is_some());
}

#[tokio::test]
async fn what_is_too_dear_or_not_known_is_not_paid() {
    for accepts in [vec![offer()], vec![solana()], vec![]] {
        let server = Server::start(vec![demand_v2(&accepts), served()]).await;
        let refused = buy(&server, "$0.049999").await.unwrap_err();
        assert!(matches!(refused, PayError::NothingPayable(_)), "{refused}");
        assert_eq!((refused.exit(), server.payments().len()), (Exit::Failed, 0));
    }
}

#[tokio::test]
async fn a_second_402_is_not_paid_again() {
    let dearer = || demand_v2(&[offer()]);
    let server = Server::start(vec![dearer(), dearer(), served()]).await;
    let paid = buy(&server, "$1").await.unwrap();
    assert_eq!(paid.answer.status, 402);
    assert_eq!(server.payments().len(), 1);
}

/// However it ends, every payment that was sent is the first one.
#[track_caller]
fn one_payment(server: &Server, times: usize) {
    let mut payments = server.payments();
    assert_eq!(payments.len(), times);
    payments.dedup();
    assert_eq!(payments.len(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_payment() {
    let script =
        vec![demand_v2(&[offer()]), Step::HangUp, Step::BreakOff, open_outcome(), served()];
    let server = Server::start(script).await;
    assert_eq!(buy(&server, "$0.05").await.unwrap().answer.body, "content");
    one_payment(&server, 4);
}

#[tokio::test]
async fn an_outcome_that_stays_open_is_told_with_its_identity() {
    let mut script = vec![demand_v2(&[offer()])];
    script.extend((0..4).map(|_| open_outcome()));
    let server = Server::start(script).await;
    let unknown = buy(&server, "$0.05").await.unwrap_err();
    assert_eq!(unknown.exit(), Exit::Unknown);
    let told = unknown.to_string();
    for part in ["do not pay again", "eip155:84532/0x036c", &hash(), "2027-01-15 08:05:00"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    one_payment(&server, 4);
}

#[tokio::test]
async fn a_402_after_a_lost_answer_does_not_say_that_nothing_was_taken() {
    let again = demand_v2(&[offer()]);
    let server = Server::start(vec![demand_v2(&[offer()]), Step::HangUp, again]).await;
    let unknown = buy(&server, "$0.05").await.unwrap_err();
    assert!(matches!(unknown, PayError::OutcomeUnknown { .. }), "{unknown}");
    one_payment(&server, 2);
}

#[tokio::test]
async fn a_payment_that_was_used_is_an_answer_lost() {
    let body = serde_json::json!({"error": "payment_used", "consumed": true,
        "retriable": false, "transaction": hash()});
    let used = Step::Say(409, vec![], body.to_string());
    let server = Server::start(vec![demand_v2(&[offer()]), Step::BreakOff, used]).await;
    let lost = buy(&server, "$0.05").await.unwrap_err();
    assert!(matches!(lost, PayError::AnswerLost { .. }), "{lost}");
    assert_eq!((lost.exit(), lost.to_string().contains(&hash())), (Exit::Unknown, true));
}

#[tokio::test]
async fn a_busy_server_gets_the_same_payment_again() {
    let busy = || Step::Say(503, vec![], r#"{"consumed":false,"retriable":true}"#.to_owned());
    let mut script = vec![demand_v2(&[offer()])];
    script.extend((0..4).map(|_| busy()));
    let server = Server::start(script).await;
    let paid = buy(&server, "$0.05").await.unwrap();
    assert_eq!(paid.answer.status, 503);
    one_payment(&server, 4);
}

#[tokio::test]
async fn a_server_that_breaks_without_a_word_leaves_the_outcome_open() {
    let broken = Step::Say(500, vec![], "oops".to_owned());
    let server = Server::start(vec![demand_v2(&[offer()]), broken]).await;
    let unknown = buy(&server, "$0.05").await.unwrap_err();
    assert!(matches!(unknown, PayError::OutcomeUnknown { .. }), "{unknown}");
    one_payment(&server, 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_a_payment() {
    let moved = Step::Say(307, vec![("Location", "http://127.0.0.1:9/".to_owned())], String::new());
    let server = Server::start(vec![demand_v2(&[offer()]), moved]).await;
    assert_eq!(buy(&server, "$0.05").await.unwrap().answer.status, 307);
}

#[test]
fn no_key_is_told_without_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, "0xsecret").unwrap();
    let told = Wallet::load("X", Some(&path)).unwrap_err().to_string();
    assert!(told.contains("64 hex digits") && !told.contains("secret"), "{told}");
    std::fs::write(&path, format!("{KEY}\n")).unwrap();
    let wallet = Wallet::load("X", Some(&path)).unwrap();
    let debug = format!("{wallet:?}");
    assert!(debug.contains("0xf39fd6") && !debug.contains("ac0974"), "{debug}");
}
