//! Two gateways with signers of their own on one PostgreSQL and one chain, of which now one and now
//! the other is killed each second: what has moved on the chain, what the ledger calls settled and
//! what clients were told of are the same payments, each once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use alloy_primitives::{Address, U256};
use serde_json::json;
use tokio::process::Command;
use tokio::time::interval;

use super::chain::{Chain, FACILITATOR_KEY, SIGNER_KEY};
use super::own::{KEY_FILE, settles_itself};
use crate::support::client::{Answer, Ask, client};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{PAY_TO, PRICE, Payment, Wallet};
use crate::support::{eventually, in_time, postgres, together};

/// One each second.
const KILLS: usize = 20;
const CLIENTS: u8 = 24;
/// How often a client asks again before it leaves a payment for the end.
const TRIES: usize = 4;

/// What a client has heard last of its payment.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    /// An answer with a receipt, or that it has been paid for, with this transaction.
    Paid(String),
    /// That nothing was taken.
    NotTaken,
    /// Nothing, or that it shall come back.
    NotYet,
}

/// Where the gateways are now, and whether clients go on.
struct Place {
    addresses: RefCell<[SocketAddr; 2]>,
    over: Cell<bool>,
}

#[tokio::test]
async fn each_second_one_of_two_gateways_dies_and_the_books_agree_with_the_chain_and_the_clients() {
    let wallets: Vec<Wallet> = (1..=CLIENTS).map(Wallet::new).collect();
    let payers: Vec<Address> = wallets.iter().map(Wallet::address).collect();
    let chain = Chain::start_alone(&payers).await;
    let (upstream, url) = (Upstream::start().await, postgres::database().await);
    chain.mine_by_hand().await;
    chain.ask("evm_setIntervalMining", json!([1])).await;
    let start = async |key: &str| {
        let plan = Plan::to(upstream.address).ledger(&url);
        let plan = plan.facilitator(&settles_itself(&[chain.url()], ""));
        plan.start_after(|dir| fs::write(dir.join(KEY_FILE), key).unwrap()).await
    };
    let gateways = [start(SIGNER_KEY).await, start(FACILITATOR_KEY).await];
    let place = Place {
        addresses: RefCell::new([gateways[0].public, gateways[1].public]),
        over: Cell::new(false),
    };
    let clients = together(wallets.into_iter().map(|wallet| pays_on(wallet, &place)));
    // A busy machine may take longer for the kills than anything else may take.
    let (told, gateways) = tokio::join!(clients, kills(gateways, &place));
    let told: Vec<(Payment, Heard)> = told.into_iter().flatten().collect();
    // What was never sent is let go when its window has closed in a block that stays.
    eventually("leases are over", async || no_state(&gateways[0], &["held", "settling"]).await)
        .await;
    chain.ask("evm_increaseTime", json!([3600])).await;
    chain.mine(100).await;
    eventually("an end of every payment", async || no_state(&gateways[0], &["unknown"]).await)
        .await;
    let told = together(told.into_iter().map(|(payment, heard)| come_back(payment, heard, &place)));
    agree(&told.await, &gateways, &chain).await;
}

/// The sums: transfers, settled entries, receipts.
async fn agree(told: &[(Payment, Heard)], gateways: &[Gateway; 2], chain: &Chain) {
    let moved = chain.uses().await;
    assert_eq!(chain.balance(PAY_TO).await, U256::from(PRICE * moved.len() as u64));
    let ledger = gateways[0].ledger().await;
    let mut settled = BTreeMap::new();
    for (nonce, line) in &ledger {
        match line.state() {
            "settled" => drop(settled.insert(nonce.clone(), line.transaction().to_owned())),
            "released" | "refused" => {}
            other => panic!("a payment is {other}"),
        }
    }
    let paid = told.iter().filter_map(|(payment, heard)| match heard {
        Heard::Paid(transaction) => Some((payment.nonce(), transaction.clone())),
        Heard::NotTaken => None,
        Heard::NotYet => panic!("nobody knows what became of {}", payment.nonce()),
    });
    let paid: BTreeMap<_, _> = paid.collect();
    assert_eq!(settled, moved, "ledger and chain");
    assert_eq!(settled, paid, "ledger and clients");
    eprintln!("{} payments, {} paid", told.len(), paid.len());
    assert!(paid.len() >= KILLS * usize::from(CLIENTS) / 4, "too few to mean anything");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let reconcile = command.args(["ledger", "reconcile"]).arg(gateways[1].file()).output();
    let said = in_time("the comparison", reconcile).await.unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
}

/// Whether no payment is in one of these states.
async fn no_state(gateway: &Gateway, states: &[&str]) -> Option<()> {
    let ledger = gateway.ledger().await;
    (!ledger.values().any(|line| states.contains(&line.state()))).then_some(())
}

/// Sends payment after payment, each to one gateway and then to the other until it has an answer.
async fn pays_on(wallet: Wallet, place: &Place) -> Vec<(Payment, Heard)> {
    let (client, mut told) = (client(), Vec::new());
    while !place.over.get() {
        let payment = wallet.pays();
        let mut heard = Heard::NotYet;
        for attempt in 0..TRIES {
            heard = ask(&client, &payment, place, told.len() + attempt).await;
            if heard != Heard::NotYet {
                break;
            }
            // A gateway that is not there refuses at once: others are let in between.
            tokio::task::yield_now().await;
        }
        told.push((payment, heard));
    }
    told
}

/// A client that has no answer yet asks until it has one.
async fn come_back(payment: Payment, heard: Heard, place: &Place) -> (Payment, Heard) {
    if heard != Heard::NotYet {
        return (payment, heard);
    }
    let (client, mut attempt) = (client(), 0);
    let heard = eventually("an answer", async || {
        attempt += 1;
        let heard = ask(&client, &payment, place, attempt).await;
        (heard != Heard::NotYet).then_some(heard)
    })
    .await;
    (payment, heard)
}

async fn ask(client: &reqwest::Client, payment: &Payment, place: &Place, to: usize) -> Heard {
    let address = place.addresses.borrow()[to % 2];
    let ask = Ask::new(client, "POST", &format!("http://{address}/paid"));
    let Ok(answer) = ask.pays(payment).try_send().await else { return Heard::NotYet };
    heard(&answer)
}

fn heard(answer: &Answer) -> Heard {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    match answer.status {
        200 => Heard::Paid(text(&answer.object("payment-response")["transaction"])),
        402 => Heard::NotTaken,
        409 if answer.json()["error"] == "payment_used" => {
            Heard::Paid(text(&answer.json()["transaction"]))
        }
        409 | 503 => Heard::NotYet,
        status => panic!("{status} for a payment that is good: {}", answer.text()),
    }
}

/// Kills one gateway after the other in the middle of its work, and starts it again.
async fn kills(gateways: [Gateway; 2], place: &Place) -> [Gateway; 2] {
    let (mut gateways, mut seconds) = (gateways.map(Some), interval(Duration::from_secs(1)));
    seconds.tick().await;
    for kill in 0..KILLS {
        seconds.tick().await;
        let slot = &mut gateways[kill % 2];
        let gateway = slot.take().unwrap().killed_and_restarted().await;
        place.addresses.borrow_mut()[kill % 2] = gateway.public;
        *slot = Some(gateway);
    }
    place.over.set(true);
    gateways.map(Option::unwrap)
}
