//! A facilitator over HTTP that counts what it is asked, and misbehaves as the test says.

use std::collections::BTreeMap;
use std::iter;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::keccak256;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tollgate::x402::svm::signature_text;

use super::in_time;
use super::server::{Call, Reply, Seen, Server};
use super::solana::{FEE_PAYER, SOLANA};
use super::wallet::{NETWORK, NETWORK_V1};

/// A facilitator that is honest until told otherwise. Dropped, nobody listens there any more.
pub struct Facilitator {
    url: String,
    books: Arc<Mutex<Books>>,
    waiting: mpsc::UnboundedReceiver<Call>,
    task: AbortHandle,
}

/// What to do with a question.
#[derive(Clone, Debug)]
pub enum Habit {
    /// Says yes; a settlement moves the money.
    Honest,
    /// The same, so long after the money has moved.
    Slow(Duration),
    /// Says this and moves nothing.
    Says(u16, String),
    /// Moves the money and says this.
    MovesAndSays(u16, String),
    /// Moves the money and lets the question wait for [`Facilitator::waiting`].
    MovesAndWaits,
    /// Lets the question wait for [`Facilitator::waiting`].
    Waits,
    /// Says this with a `Location`, after the money has moved if a settlement was asked for.
    Redirects(u16, String),
    /// The same with what nobody should read to its end.
    Pours(Pour),
}

/// Answers that are too much, or too little.
#[derive(Clone, Copy, Debug)]
pub enum Pour {
    /// A byte now and then, for as long as it is taken.
    Drip,
    /// A body of 40 MB.
    Flood,
    /// Headers of 40 MB.
    Headers,
    /// Half of the body that was announced.
    Half,
    /// Nothing: the connection is closed.
    Nothing,
}

/// From where it settles under `upto`.
pub const SETTLER: &str = "0xFAC11174700123456789012345678901234aBCDe";

/// What becomes of a question.
enum Deed {
    Reply(Reply),
    Late(Reply, Duration),
    Wait,
    Pour(Pour),
}

/// What it was asked and has done.
struct Books {
    on_verify: Habit,
    on_settle: Habit,
    on_supported: Habit,
    verifications: usize,
    settlements: usize,
    /// Transactions by nonce.
    moved: BTreeMap<String, String>,
    /// How often each nonce was sent to be settled.
    sent: BTreeMap<String, usize>,
    /// The last questions about a verification and about a settlement.
    last: [Option<Seen>; 2],
}

impl Facilitator {
    pub async fn start() -> Self {
        let mut server = Server::start().await;
        let url = format!("http://{}", server.address);
        let books = Arc::new(Mutex::new(Books {
            on_verify: Habit::Honest,
            on_settle: Habit::Honest,
            on_supported: Habit::Honest,
            verifications: 0,
            settlements: 0,
            moved: BTreeMap::new(),
            sent: BTreeMap::new(),
            last: [None, None],
        }));
        let (to_wait, waiting) = mpsc::unbounded_channel();
        let shared = Arc::clone(&books);
        let answering = async move {
            while let Some(call) = server.next().await {
                match shared.lock().unwrap().deed(&call.seen) {
                    Deed::Reply(reply) => drop(tokio::spawn(call.answer(reply))),
                    Deed::Late(reply, pause) => drop(tokio::spawn(async move {
                        tokio::time::sleep(pause).await;
                        call.answer(reply).await;
                    })),
                    // Nobody waits for it when the test is over.
                    Deed::Wait => drop(to_wait.send(call)),
                    Deed::Pour(pour) => drop(tokio::spawn(poured(call, pour))),
                }
            }
        };
        Self { url, books, waiting, task: tokio::spawn(answering).abort_handle() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it does with verifications from now on.
    pub fn on_verify(&self, habit: Habit) {
        self.books.lock().unwrap().on_verify = habit;
    }

    /// What it does with settlements from now on.
    pub fn on_settle(&self, habit: Habit) {
        self.books.lock().unwrap().on_settle = habit;
    }

    /// What it does when it is asked what it supports from now on.
    pub fn on_supported(&self, habit: Habit) {
        self.books.lock().unwrap().on_supported = habit;
    }

    /// The next question that waits.
    pub async fn waiting(&mut self) -> Call {
        in_time("a question", self.waiting.recv()).await.expect("the facilitator runs")
    }

    /// Gives a question that has waited the answer of an honest facilitator.
    pub async fn answers_honestly(&self, call: Call) {
        let reply = self.books.lock().unwrap().honestly(&call.seen);
        call.answer(reply).await;
    }

    /// How many verifications and settlements it was asked for.
    pub fn asked(&self) -> (usize, usize) {
        let books = self.books.lock().unwrap();
        (books.verifications, books.settlements)
    }

    /// How often each payment was sent to be settled, by nonce.
    pub fn sent(&self) -> BTreeMap<String, usize> {
        self.books.lock().unwrap().sent.clone()
    }

    /// What it was asked last about a verification and about a settlement.
    pub fn questions(&self) -> [Value; 2] {
        let last = self.books.lock().unwrap().last.clone();
        last.map(|seen| seen.as_ref().map_or(Value::Null, question))
    }

    /// The same as it came. It was asked both.
    pub fn seen(&self) -> [Seen; 2] {
        self.books.lock().unwrap().last.clone().map(Option::unwrap)
    }

    /// The transaction of each payment whose money has moved, by nonce.
    pub fn moved(&self) -> BTreeMap<String, String> {
        self.books.lock().unwrap().moved.clone()
    }
}

impl Drop for Facilitator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Books {
    fn deed(&mut self, seen: &Seen) -> Deed {
        let habit = match seen.target.as_str() {
            "/supported" => self.on_supported.clone(),
            "/verify" => {
                self.verifications += 1;
                self.last[0] = Some(seen.clone());
                self.on_verify.clone()
            }
            "/settle" => {
                self.settlements += 1;
                self.last[1] = Some(seen.clone());
                self.on_settle.clone()
            }
            other => panic!("a facilitator has no {other}"),
        };
        match habit {
            Habit::Honest => Deed::Reply(self.honestly(seen)),
            Habit::Slow(pause) => Deed::Late(self.honestly(seen), pause),
            Habit::Says(status, text) => Deed::Reply(reply(status, &text)),
            Habit::MovesAndSays(status, text) => {
                self.moves(&question(seen));
                Deed::Reply(reply(status, &text))
            }
            Habit::MovesAndWaits => {
                self.moves(&question(seen));
                Deed::Wait
            }
            Habit::Waits => Deed::Wait,
            Habit::Redirects(status, to) => {
                self.moves_if_asked(seen);
                Deed::Reply(Reply::new(status).header("location", &to))
            }
            Habit::Pours(pour) => {
                self.moves_if_asked(seen);
                Deed::Pour(pour)
            }
        }
    }

    fn moves_if_asked(&mut self, seen: &Seen) {
        if seen.target == "/settle" {
            self.moves(&question(seen));
        }
    }

    fn honestly(&mut self, seen: &Seen) -> Reply {
        if seen.target == "/supported" {
            return reply(200, &supported().to_string());
        }
        let question = question(seen);
        let answer = match seen.target.as_str() {
            "/settle" => self.moves(&question),
            _ => agreed(&question),
        };
        reply(200, &answer.to_string())
    }

    /// Moves the money of a payment, once.
    fn moves(&mut self, question: &Value) -> Value {
        let payload = &question["paymentPayload"]["payload"];
        if let Some(transaction) = payload["transaction"].as_str() {
            let (payer, network) = (Value::Null, &question["paymentRequirements"]["network"]);
            let half = keccak256(transaction);
            let name = signature_text(&[half.0, half.0].concat().try_into().unwrap());
            return self.takes(transaction, (name, network, &payer));
        }
        let either = ["authorization", "permit2Authorization"].map(|key| &payload[key]);
        let authorization = either.into_iter().find(|it| it.is_object()).unwrap();
        let nonce = authorization["nonce"].as_str().unwrap();
        let network = &question["paymentRequirements"]["network"];
        self.takes(nonce, (keccak256(nonce).to_string(), network, &authorization["from"]))
    }

    fn takes(&mut self, nonce: &str, (name, network, payer): (String, &Value, &Value)) -> Value {
        *self.sent.entry(nonce.to_owned()).or_default() += 1;
        if self.moved.contains_key(nonce) {
            return json!({ "success": false, "errorReason": "duplicate_settlement" });
        }
        self.moved.insert(nonce.to_owned(), name.clone());
        json!({ "success": true, "transaction": name, "network": network, "payer": payer })
    }
}

async fn poured(call: Call, pour: Pour) {
    let head = b"HTTP/1.1 200 OK\r\n".to_vec();
    let body = b"content-length: 40000000\r\n\r\n".to_vec();
    let (piece, pause) = match pour {
        Pour::Drip => (vec![b' '], Duration::from_millis(50)),
        Pour::Flood => (vec![b' '; 100_000], Duration::ZERO),
        Pour::Headers => {
            (format!("x-{}: y\r\n", "a".repeat(100)).repeat(1_000).into(), Duration::ZERO)
        }
        Pour::Half => return call.say_and_close(&[head, body, vec![b'{'; 1_000]].concat()).await,
        Pour::Nothing => return,
    };
    let begin = if let Pour::Headers = pour { head } else { [head, body].concat() };
    call.pour(iter::once(begin).chain(iter::repeat_n(piece, 400)), pause).await;
}

fn question(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap()
}

fn agreed(question: &Value) -> Value {
    let authorization = &question["paymentPayload"]["payload"]["authorization"];
    json!({ "isValid": true, "payer": authorization["from"] })
}

fn reply(status: u16, text: &str) -> Reply {
    Reply::new(status).header("content-type", "application/json").body(text)
}

fn supported() -> Value {
    let kind = |v: u8, network| json!({ "x402Version": v, "scheme": "exact", "network": network });
    let solana = json!({
        "x402Version": 2, "scheme": "exact", "network": SOLANA, "extra": { "feePayer": FEE_PAYER },
    });
    let upto = json!({
        "x402Version": 2, "scheme": "upto", "network": NETWORK,
        "extra": { "facilitatorAddress": SETTLER },
    });
    let kinds = [kind(1, NETWORK_V1), kind(2, NETWORK), solana, upto];
    json!({ "kinds": kinds, "extensions": [], "signers": {} })
}
