//! Payments on Solana, from the offer in the 402 to the receipt.

use serde_json::{Value, json};
use tollgate::x402::svm::signature_of;

use super::refusals::refused;
use crate::support::client::Answer;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::solana::{DEVNET, DEVNET_V1, Payer, SECTION, Transfer};
use crate::support::upstream::Upstream;
use crate::support::wallet::{AMOY, PAY_TO, PRICE, Wallet};
use crate::support::{eventually, together};

/// `/three` can be paid on three networks, `/solana` on one.
fn plan(upstream: &Upstream) -> Plan {
    let amoy = format!("[networks.polygon-amoy]\npay_to = \"{PAY_TO}\"\nfacilitator = \"peer\"");
    let three = "price = \"$0.05\"\nnetworks = [\"base-sepolia\", \"polygon-amoy\", \
                 \"solana-devnet\"]";
    Plan::to(upstream.address)
        .section(SECTION)
        .section(&amoy)
        .route("match = \"POST /three\"", three)
        .route("match = \"POST /solana\"", "price = \"$0.05\"\nnetworks = [\"solana-devnet\"]")
}

/// What a 402 in version 2 offers on Solana devnet, if it does.
async fn offered(gateway: &Gateway, path: &str) -> Option<Value> {
    let answer = gateway.ask("POST", path).send().await;
    if answer.status != 402 {
        refused(&answer, "facilitator_unavailable");
        return None;
    }
    let accepts = answer.object("payment-required")["accepts"].clone();
    accepts.as_array().unwrap().iter().find(|offer| offer["network"] == DEVNET).cloned()
}

async fn pay(gateway: &Gateway, path: &str, transfer: &Transfer) -> Answer {
    gateway.ask("POST", path).header("PAYMENT-SIGNATURE", &transfer.v2()).send().await
}

#[tokio::test]
async fn one_402_names_three_networks_and_each_of_them_pays() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let asked = gateway.ask("POST", "/three").send().await;
    let accepts = asked.object("payment-required")["accepts"].clone();
    let networks = accepts.as_array().unwrap().iter().map(|offer| &offer["network"]);
    let networks: Vec<&Value> = networks.collect();
    assert_eq!(networks, ["eip155:84532", "eip155:80002", DEVNET]);

    let offer = &accepts[2];
    assert_eq!(offer["asset"], "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU");
    let payer = Payer::new(1);
    let transfer = payer.pays(offer);
    let answer = pay(&gateway, "/three", &transfer).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "served"));
    let receipt = answer.object("payment-response");
    assert_eq!((&receipt["network"], &receipt["payer"]), (&DEVNET.into(), &payer.address().into()));
    assert!(signature_of(receipt["transaction"].as_str().unwrap()).is_some(), "{receipt}");

    let on_base = Wallet::new(1).pays();
    let on_amoy = Wallet::new(1).pays_at(AMOY, PRICE);
    for payment in [on_base, on_amoy] {
        assert_eq!(gateway.ask("POST", "/three").pays(&payment).send().await.status, 200);
    }
    // Whoever was not told asks again.
    let again = pay(&gateway, "/three", &transfer).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    assert_eq!(again.object("payment-response"), receipt);
    assert_eq!(gateway.transfers().len(), 3);
}

#[tokio::test]
async fn version_1_names_and_pays_it_too() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let asked = gateway.ask("POST", "/solana").send().await;
    let offer = &asked.json()["accepts"][0];
    assert_eq!(offer["network"], DEVNET_V1);
    assert_eq!(offer["maxAmountRequired"], "50000");
    let offered = offered(&gateway, "/solana").await.unwrap();
    assert_eq!(offer["extra"], offered["extra"]);
    let transfer = Payer::new(1).pays(&offered);
    let answer = gateway.ask("POST", "/solana").header("X-PAYMENT", &transfer.v1()).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.object("x-payment-response")["network"], DEVNET_V1);
}

#[tokio::test]
async fn of_fifty_at_once_one_is_served() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let offer = offered(&gateway, "/solana").await.unwrap();
    let transfer = Payer::new(1).pays(&offer);
    let (v1, v2) = (transfer.v1(), transfer.v2());
    let asks = (0..50).map(|at| match at % 2 {
        0 => gateway.ask_alone("POST", "/solana").header("X-PAYMENT", &v1).send(),
        _ => gateway.ask_alone("POST", "/solana").header("PAYMENT-SIGNATURE", &v2).send(),
    });
    let answers = together(asks).await;
    let first =
        |answer: &&Answer| answer.status == 200 && answer.header("idempotent-replayed").is_empty();
    assert_eq!(answers.iter().filter(first).count(), 1);
    assert!(answers.iter().all(|answer| [200, 409].contains(&answer.status)), "{answers:?}");
    assert_eq!((upstream.seen().len(), gateway.transfers().len()), (1, 1));
}

#[tokio::test]
async fn what_is_no_payment_is_refused_by_its_name() {
    let upstream = Upstream::start().await;
    let gateway = plan(&upstream).start().await;
    let offer = offered(&gateway, "/solana").await.unwrap();
    let payer = Payer::new(1);
    let mut forged = payer.pays(&offer);
    forged.transaction = forged.transaction.replacen(&forged.transaction[100..104], "AAAA", 1);
    let mut torn = payer.pays(&offer);
    torn.transaction.truncate(400);
    let rows = [
        (payer.signs(&offer, |m| m.instructions[2].data[1] -= 1), "payload_amount_mismatch"),
        (payer.signs(&offer, |m| m.accounts[0].as_mut()[0] ^= 1), "fee_payer_mismatch"),
        (payer.signs(&offer, |m| m.accounts[4].as_mut()[0] ^= 1), "payload_mint_mismatch"),
        (payer.signs(&offer, |m| m.accounts[3].as_mut()[0] ^= 1), "payload_recipient_mismatch"),
        (forged, "payload_signature_invalid"),
        (torn, "payload_transaction_could_not_be_decoded"),
    ];
    for (transfer, reason) in rows {
        let answer = pay(&gateway, "/solana", &transfer).await;
        assert_eq!(answer.status, 402, "{reason}");
        assert_eq!(answer.json()["reason"], format!("invalid_exact_svm_{reason}"));
        assert_eq!(answer.object("payment-required")["accepts"][0], offer);
    }
    assert_eq!((upstream.seen().len(), gateway.transfers().len()), (0, 0));
}

fn kinds(fee_payer: Option<&str>) -> Habit {
    let extra = fee_payer.map(|key| json!({ "feePayer": key }));
    let kinds = [
        json!({ "x402Version": 2, "scheme": "exact", "network": DEVNET, "extra": extra }),
        json!({ "x402Version": 2, "scheme": "exact", "network": "eip155:84532" }),
        json!({ "x402Version": 2, "scheme": "exact", "network": "eip155:80002" }),
    ];
    Habit::Says(200, json!({ "kinds": kinds }).to_string())
}

#[tokio::test]
async fn nothing_is_offered_there_before_it_is_known_who_pays_the_fee() {
    let (upstream, facilitator) = (Upstream::start().await, Facilitator::start().await);
    facilitator.on_supported(Habit::Says(502, String::new()));
    let gateway = plan(&upstream).settled_by(&facilitator).start().await;
    assert_eq!(offered(&gateway, "/solana").await, None);
    let asked = gateway.ask("POST", "/three").send().await;
    assert_eq!(asked.object("payment-required")["accepts"].as_array().unwrap().len(), 2);

    let key = Payer::new(9).address();
    facilitator.on_supported(kinds(Some(&key)));
    let offer = eventually("an offer", async || offered(&gateway, "/solana").await).await;
    assert_eq!(offer["extra"]["feePayer"], key);
    let three = offered(&gateway, "/three").await;
    assert_eq!(three.unwrap(), offer);

    let transfer = Payer::new(1).pays(&offer);
    let answer = pay(&gateway, "/three", &transfer).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let moved = facilitator.moved();
    assert_eq!(moved[&transfer.transaction], answer.object("payment-response")["transaction"]);
    assert_eq!(facilitator.asked(), (1, 1));
}

/// An open circuit brings the gateway to ask again what the facilitator can, before its minute.
#[tokio::test]
async fn whoever_saw_the_fee_payer_of_before_may_still_pay() {
    let (upstream, facilitator) = (Upstream::start().await, Facilitator::start().await);
    let keys = [58, 59].map(|number| Payer::new(number).address());
    facilitator.on_supported(kinds(Some(&keys[0])));
    let gateway = plan(&upstream).settled_by(&facilitator).start().await;
    let before = eventually("an offer", async || offered(&gateway, "/solana").await).await;
    assert_eq!(before["extra"]["feePayer"], keys[0]);

    facilitator.on_supported(kinds(Some(&keys[1])));
    facilitator.on_verify(Habit::Says(502, String::new()));
    for payer in 1..=8 {
        let answer = pay(&gateway, "/solana", &Payer::new(payer).pays(&before)).await;
        assert_eq!(answer.status, 503, "{payer}: {answer:?}");
        refused(&answer, "facilitator_unavailable");
    }
    facilitator.on_verify(Habit::Honest);
    let after = eventually("another fee payer", async || {
        offered(&gateway, "/solana").await.filter(|offer| *offer != before)
    })
    .await;
    assert_eq!(after["extra"]["feePayer"], keys[1]);
    for offer in [&before, &after] {
        eventually("an answer", async || {
            let answer = pay(&gateway, "/solana", &Payer::new(1).pays(offer)).await;
            (answer.status == 200).then_some(())
        })
        .await;
    }
    let stranger = Payer::new(7).address();
    let mut other = after.clone();
    other["extra"]["feePayer"] = stranger.into();
    let answer = pay(&gateway, "/solana", &Payer::new(1).pays(&other)).await;
    assert_eq!(answer.json()["reason"], "invalid_exact_svm_fee_payer_mismatch");
}

#[tokio::test]
async fn a_receipt_that_names_no_signature_leaves_the_outcome_open() {
    let (upstream, facilitator) = (Upstream::start().await, Facilitator::start().await);
    let key = Payer::new(9).address();
    facilitator.on_supported(kinds(Some(&key)));
    let gateway = plan(&upstream).settled_by(&facilitator).start().await;
    let offer = eventually("an offer", async || offered(&gateway, "/solana").await).await;
    let other = Payer::new(3).address();
    for said in [
        json!({ "success": true, "transaction": "0x12", "network": DEVNET }),
        json!({ "success": true, "transaction": &key, "network": DEVNET }),
        json!({ "success": true, "transaction": "", "network": DEVNET }),
        json!({ "success": false, "transaction": "", "network": DEVNET,
            "errorReason": "invalid_exact_svm_transaction_failed" }),
        json!({ "success": true, "network": DEVNET, "payer": other,
            "transaction": tollgate::x402::svm::signature_text(&[7; 64]) }),
    ] {
        facilitator.on_settle(Habit::Says(200, said.to_string()));
        let transfer = Payer::new(1).pays(&offer);
        refused(&pay(&gateway, "/solana", &transfer).await, "outcome_unknown");
        refused(&pay(&gateway, "/solana", &transfer).await, "outcome_unknown");
    }
    facilitator.on_settle(Habit::Says(
        200,
        json!({ "success": false, "transaction": "", "network": DEVNET,
            "errorReason": "invalid_exact_svm_transaction_simulation_failed" })
        .to_string(),
    ));
    let answer = pay(&gateway, "/solana", &Payer::new(1).pays(&offer)).await;
    assert_eq!(answer.json()["reason"], "invalid_exact_svm_transaction_simulation_failed");
}
