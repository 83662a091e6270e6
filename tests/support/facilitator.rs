//! A facilitator over HTTP that counts what it is asked, and misbehaves as the test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use alloy_primitives::keccak256;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::in_time;
use super::server::{Call, Reply, Seen, Server};
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
    /// Says this and moves nothing.
    Says(u16, String),
    /// Moves the money and says this.
    MovesAndSays(u16, String),
    /// Moves the money and lets the question wait for [`Facilitator::waiting`].
    MovesAndWaits,
    /// Lets the question wait for [`Facilitator::waiting`].
    Waits,
}

/// What it was asked and has done.
struct Books {
    on_verify: Habit,
    on_settle: Habit,
    verifications: usize,
    settlements: usize,
    /// Transactions by nonce.
    moved: BTreeMap<String, String>,
    /// How often each nonce was sent to be settled.
    sent: BTreeMap<String, usize>,
}

impl Facilitator {
    pub async fn start() -> Self {
        let mut server = Server::start().await;
        let url = format!("http://{}", server.address);
        let books = Arc::new(Mutex::new(Books {
            on_verify: Habit::Honest,
            on_settle: Habit::Honest,
            verifications: 0,
            settlements: 0,
            moved: BTreeMap::new(),
            sent: BTreeMap::new(),
        }));
        let (to_wait, waiting) = mpsc::unbounded_channel();
        let shared = Arc::clone(&books);
        let answering = async move {
            while let Some(call) = server.next().await {
                match shared.lock().unwrap().reply(&call.seen) {
                    Some(reply) => drop(tokio::spawn(call.answer(reply))),
                    // Nobody waits for it when the test is over.
                    None => drop(to_wait.send(call)),
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
    /// The answer; nothing when the question must wait.
    fn reply(&mut self, seen: &Seen) -> Option<Reply> {
        let habit = match seen.target.as_str() {
            "/supported" => return Some(reply(200, &supported().to_string())),
            "/verify" => {
                self.verifications += 1;
                self.on_verify.clone()
            }
            "/settle" => {
                self.settlements += 1;
                self.on_settle.clone()
            }
            other => panic!("a facilitator has no {other}"),
        };
        match habit {
            Habit::Honest => Some(self.honestly(seen)),
            Habit::Says(status, text) => Some(reply(status, &text)),
            Habit::MovesAndSays(status, text) => {
                self.moves(&question(seen));
                Some(reply(status, &text))
            }
            Habit::MovesAndWaits => {
                self.moves(&question(seen));
                None
            }
            Habit::Waits => None,
        }
    }

    fn honestly(&mut self, seen: &Seen) -> Reply {
        let question = question(seen);
        let answer = match seen.target.as_str() {
            "/settle" => self.moves(&question),
            _ => agreed(&question),
        };
        reply(200, &answer.to_string())
    }

    /// Moves the money of a payment, once.
    fn moves(&mut self, question: &Value) -> Value {
        let authorization = &question["paymentPayload"]["payload"]["authorization"];
        let nonce = authorization["nonce"].as_str().unwrap();
        *self.sent.entry(nonce.to_owned()).or_default() += 1;
        if self.moved.contains_key(nonce) {
            return json!({ "success": false, "errorReason": "duplicate_settlement" });
        }
        let transaction = keccak256(nonce).to_string();
        self.moved.insert(nonce.to_owned(), transaction.clone());
        json!({
            "success": true,
            "transaction": transaction,
            "network": question["paymentRequirements"]["network"],
            "payer": authorization["from"],
        })
    }
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
    json!({ "kinds": [kind(1, NETWORK_V1), kind(2, NETWORK)], "extensions": [], "signers": {} })
}
