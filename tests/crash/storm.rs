//! Any point: thirty paid requests at once, and a `kill -9` that a random number chooses.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::support::client::Answer;
use crate::support::dice::Dice;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{Payment, Wallet};
use crate::support::{in_time, together};

const ROUNDS: usize = 10;
const PAYMENTS: usize = 30;

#[tokio::test]
async fn after_a_kill_at_any_point_nobody_has_paid_twice() {
    let mut dice = Dice::new();
    let upstream = Upstream::start().await;
    // Slow enough that payments are in every state at the same time.
    let delay = "delay = { verify = \"3ms\", settle = \"5ms\" }";
    let chain = format!("simulated = {{ journal = \"JOURNAL\", {delay} }}");
    let mut gateway = Plan::to(upstream.address).facilitator(&chain).start().await;
    for _ in 0..ROUNDS {
        let payments: Vec<_> = (0..PAYMENTS).map(|_| Wallet::new(1).pays()).collect();
        let end = end(&mut dice);
        eprintln!("the end comes with {end:?}");
        let answers = storm(&gateway, &payments, end, &upstream).await;
        gateway = gateway.killed_and_restarted().await;
        agrees(&gateway).await;
        receipts_hold(&gateway, &payments, &answers).await;
        replay(&gateway, &payments).await;
        agrees(&gateway).await;
    }
}

/// What the gateway is killed on: so many more of these.
#[derive(Clone, Copy, Debug)]
enum End {
    Calls(usize),
    Transfers(usize),
    Answers(usize),
}

/// Sends all payments at once and kills the gateway in between.
async fn storm(
    gateway: &Gateway,
    payments: &[Payment],
    end: End,
    upstream: &Upstream,
) -> Vec<Option<Answer>> {
    let answered = Cell::new(0);
    let asks = together(payments.iter().map(async |payment| {
        let answer = gateway.ask_alone("POST", "/paid").pays(payment).try_send().await.ok();
        answered.set(answered.get() + 1);
        answer
    }));
    let (calls, transfers) = (upstream.seen().len(), gateway.transfers().len());
    let comes = || match end {
        End::Calls(count) => upstream.seen().len() >= calls + count,
        End::Transfers(count) => gateway.transfers().len() >= transfers + count,
        End::Answers(count) => answered.get() >= count,
    };
    let kill = async {
        // Looked at as often as can be: a pause would always meet the same moments.
        while !comes() {
            tokio::task::yield_now().await;
        }
        gateway.kill();
    };
    in_time("the end of the storm", async { tokio::join!(asks, kill).0 }).await
}

/// The ledger has settled what the chain has moved, with the same transactions, and nothing is
/// left in between.
async fn agrees(gateway: &Gateway) {
    let ledger = gateway.ledger().await;
    let states = ledger.values().map(|line| line.state());
    for state in states {
        assert!(matches!(state, "settled" | "released"), "a payment is {state}");
    }
    let settled: BTreeMap<_, _> = ledger
        .into_iter()
        .filter(|(_, line)| line.state() == "settled")
        .map(|(nonce, line)| (nonce, line.transaction().to_owned()))
        .collect();
    let transfers = gateway.transfers();
    let moved: BTreeMap<_, _> = transfers.iter().cloned().collect();
    assert_eq!(moved.len(), transfers.len(), "a payment has moved twice");
    assert_eq!(settled, moved);
}

/// Who has read a receipt has paid with just that transaction.
async fn receipts_hold(gateway: &Gateway, payments: &[Payment], answers: &[Option<Answer>]) {
    let ledger = gateway.ledger().await;
    for (payment, answer) in payments.iter().zip(answers) {
        let Some(answer) = answer else { continue };
        assert_eq!(answer.status, 200, "{answer:?}");
        let line = &ledger[&payment.nonce()];
        assert_eq!((line.state(), answer.text().as_str()), ("settled", "served"));
        assert_eq!(answer.object("payment-response")["transaction"], line.transaction());
    }
}

/// Every client tries again, and every one is served: who has paid with what it has paid with.
async fn replay(gateway: &Gateway, payments: &[Payment]) {
    let before = gateway.ledger().await;
    let asks = payments.iter().map(|payment| gateway.ask("POST", "/paid").pays(payment).send());
    for (payment, answer) in payments.iter().zip(together(asks).await) {
        assert_eq!((answer.status, answer.text().as_str()), (200, "served"), "{answer:?}");
        let line = before.get(&payment.nonce());
        if let Some(("settled", transaction)) = line.map(|line| (line.state(), line.transaction()))
        {
            assert_eq!(answer.object("payment-response")["transaction"], transaction);
        }
    }
}

/// After one to all of the payments.
fn end(dice: &mut Dice) -> End {
    let count = 1 + dice.below(PAYMENTS);
    match dice.below(3) {
        0 => End::Calls(count),
        1 => End::Transfers(count),
        _ => End::Answers(count),
    }
}
