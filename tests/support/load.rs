//! Clients that ask without a pause while something happens, and what they were told: each answer
//! must be a good one.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Client;

use super::client::{Ask, client};
use super::facilitator::{Facilitator, Habit};
use super::gateway::Gateway;
use super::wallet::{Payment, Wallet};
use super::{eventually, together};

/// Clients of one address.
pub struct Load {
    to: SocketAddr,
    over: Cell<bool>,
    asked: Cell<usize>,
    /// Transactions of receipts, by nonce.
    paid: RefCell<BTreeMap<String, String>>,
}

/// How a client connects.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// By HTTP/1.1, over connections that are kept.
    Kept,
    /// By HTTP/1.1, over a new connection each time.
    Fresh,
    /// By HTTP/2.
    Http2,
}

/// A facilitator whose settlements take long enough for something to happen meanwhile.
pub async fn settles_slowly() -> Facilitator {
    let facilitator = Facilitator::start().await;
    facilitator.on_settle(Habit::Slow(Duration::from_millis(30)));
    facilitator
}

impl Load {
    pub fn on(to: SocketAddr) -> Self {
        Self { to, over: Cell::default(), asked: Cell::default(), paid: RefCell::default() }
    }

    /// Asks and pays until [`Load::ends`].
    pub async fn runs(&self) {
        let ways = [Way::Kept, Way::Kept, Way::Fresh, Way::Http2, Way::Http2];
        together((1..).zip(ways).map(|(wallet, way)| self.asks_on(way, Wallet::new(wallet)))).await;
    }

    /// Waits until so many more requests were answered well.
    pub async fn goes_on_for(&self, requests: usize) {
        let all = self.asked.get() + requests;
        eventually("more answers", async || (self.asked.get() >= all).then_some(())).await;
    }

    pub fn ends(&self) {
        self.over.set(true);
    }

    async fn asks_on(&self, way: Way, wallet: Wallet) {
        let mut client = way.client();
        while !self.over.get() {
            if let Way::Fresh = way {
                client = way.client();
            }
            let payment = wallet.pays();
            let ask = self.ask(&client, "POST", "/paid").pays(&payment).try_send().await;
            let answer = ask.unwrap_or_else(|error| panic!("{way:?}, paid: {error:?}"));
            assert_eq!((answer.status, &*answer.text()), (200, "served"), "{way:?}");
            let receipt = answer.object("payment-response");
            let transaction = receipt["transaction"].as_str().unwrap().to_owned();
            self.paid.borrow_mut().insert(payment.nonce(), transaction);
            let ask = self.ask(&client, "GET", "/free").try_send().await;
            let answer = ask.unwrap_or_else(|error| panic!("{way:?}, free: {error:?}"));
            assert_eq!((answer.status, &*answer.text()), (200, "served"), "{way:?}");
            self.asked.set(self.asked.get() + 2);
        }
    }

    fn ask(&self, client: &Client, method: &str, path: &str) -> Ask {
        Ask::new(client, method, &format!("http://{}{path}", self.to))
    }

    /// One payment more, which somebody else has sent.
    pub fn knows(&self, payment: &Payment, facilitator: &Facilitator) {
        let transaction = facilitator.moved()[&payment.nonce()].clone();
        self.paid.borrow_mut().insert(payment.nonce(), transaction);
    }

    /// Every receipt is a transfer, every transfer a receipt, each was sent once, and the ledger
    /// says the same. How many there are.
    pub async fn agrees(&self, facilitator: &Facilitator, gateway: &Gateway) -> usize {
        let paid = self.paid.borrow().clone();
        assert_eq!(paid, facilitator.moved());
        assert!(facilitator.sent().values().all(|times| *times == 1), "a payment was sent twice");
        let ledger = gateway.ledger().await;
        assert!(ledger.values().all(|line| line.state() == "settled"), "{ledger:?}");
        let settled = ledger.iter().map(|(nonce, line)| (nonce.clone(), line.transaction().into()));
        assert_eq!(paid, settled.collect());
        paid.len()
    }
}

impl Way {
    fn client(self) -> Client {
        match self {
            Self::Kept | Self::Fresh => client(),
            Self::Http2 => super::client::client_of_http2(),
        }
    }
}
