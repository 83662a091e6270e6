//! Two gateways on one PostgreSQL, of which now one and now the other is killed: a payment that is
//! sent to both at once is accepted by one, and is sent to the facilitator once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::support::client::{Answer, Ask, client};
use crate::support::facilitator::Facilitator;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};
use crate::support::{eventually, in_time, postgres, together};

/// Kills, one after so many transfers more.
const KILLS: usize = 10;
const TRANSFERS_BETWEEN: usize = 40;
const CLIENTS: u8 = 16;

/// What the clients of one payment were told.
struct Told {
    payment: Payment,
    answers: Vec<Option<Answer>>,
}

/// Where the gateways are now, and whether clients go on.
struct Place {
    addresses: RefCell<[SocketAddr; 2]>,
    over: Cell<bool>,
}

#[tokio::test]
async fn two_gateways_on_one_database_accept_a_payment_once_whoever_dies() {
    let (upstream, facilitator) = (Upstream::start().await, Facilitator::start().await);
    let url = postgres::database().await;
    let plan = || Plan::to(upstream.address).settled_by(&facilitator).ledger(&url);
    let gateways = [plan().start().await, plan().start().await];
    let place = Place {
        addresses: RefCell::new([gateways[0].public, gateways[1].public]),
        over: Cell::new(false),
    };
    let clients = together((1..=CLIENTS).map(|number| pays_on(Wallet::new(number), &place)));
    let killed = kills(gateways, &place, &facilitator);
    let (told, gateways) = in_time("the end of the storm", async {
        let (told, gateways) = tokio::join!(clients, killed);
        (told.into_iter().flatten().collect::<Vec<_>>(), gateways)
    })
    .await;
    let ledger = eventually("every payment has come to its end", async || {
        let ledger = gateways[0].ledger().await;
        let under_way = |state: &str| matches!(state, "held" | "settling");
        (!ledger.values().any(|line| under_way(line.state()))).then_some(ledger)
    })
    .await;
    assert_eq!(ledger, gateways[1].ledger().await, "both see the same");
    let (sent, moved) = (facilitator.sent(), facilitator.moved());
    assert!(sent.values().all(|times| *times == 1), "a payment was sent twice");
    assert!(moved.len() >= KILLS * TRANSFERS_BETWEEN);
    let mut states = BTreeMap::new();
    for (nonce, line) in &ledger {
        *states.entry(line.state().to_owned()).or_insert(0) += 1;
        match line.state() {
            "settled" => assert_eq!(Some(line.transaction()), moved.get(nonce).map(|t| &**t)),
            // Of a facilitator over HTTP nobody can ask: the money may have moved or not.
            "unknown" => {}
            "released" => assert!(!sent.contains_key(nonce), "let go after it was sent"),
            other => panic!("a payment is {other}"),
        }
    }
    assert!(moved.keys().all(|nonce| ledger.contains_key(nonce)), "a transfer without a line");
    receipts_hold(&told, &ledger);
    eprintln!("{} payments, {} transfers: {states:?}", told.len(), moved.len());
}

/// Who has a receipt has the one for the transaction in the ledger. The same payment may be given
/// its kept answer again; that one has the same receipt, and costs nothing.
fn receipts_hold(told: &[Told], ledger: &BTreeMap<String, crate::support::ledger::Line>) {
    for Told { payment, answers } in told {
        for answer in answers.iter().flatten() {
            match answer.status {
                200 => {
                    let line = &ledger[&payment.nonce()];
                    assert_eq!(line.state(), "settled");
                    let receipt = answer.object("payment-response");
                    assert_eq!(receipt["transaction"], line.transaction());
                }
                409 | 503 => {}
                status => panic!("{status} for a payment that is good: {}", answer.text()),
            }
        }
    }
}

/// Sends payment after payment to both gateways at once, and then again to one of them.
async fn pays_on(wallet: Wallet, place: &Place) -> Vec<Told> {
    let (client, mut told) = (client(), Vec::new());
    while !place.over.get() {
        let payment = wallet.pays();
        let send = async |to: usize| {
            let address = place.addresses.borrow()[to];
            let ask = Ask::new(&client, "POST", &format!("http://{address}/paid"));
            ask.pays(&payment).try_send().await.ok()
        };
        let (one, two) = tokio::join!(send(0), send(1));
        let again = send(told.len() % 2).await;
        told.push(Told { payment, answers: vec![one, two, again] });
        // A gateway that is not there refuses at once: others are let in between.
        tokio::task::yield_now().await;
    }
    told
}

/// Kills one gateway after the other in the middle of its work, and starts it again.
async fn kills(gateways: [Gateway; 2], place: &Place, facilitator: &Facilitator) -> [Gateway; 2] {
    let mut gateways = gateways.map(Some);
    for kill in 0..KILLS {
        let transfers = facilitator.moved().len() + TRANSFERS_BETWEEN;
        eventually("more transfers", async || {
            (facilitator.moved().len() >= transfers).then_some(())
        })
        .await;
        let slot = &mut gateways[kill % 2];
        let gateway = slot.take().unwrap().killed_and_restarted().await;
        place.addresses.borrow_mut()[kill % 2] = gateway.public;
        *slot = Some(gateway);
    }
    place.over.set(true);
    gateways.map(Option::unwrap)
}
