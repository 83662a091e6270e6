//! What a payment is judged by before it is served, and again before it is sent.

use serde_json::{Value, json};

use super::cluster::{State, account};
use super::*;
use crate::x402::svm::programs::{TOKEN, TOKEN_2022};

/// What the change makes of a good payment: a reason, or a fault that says this.
async fn check(change: impl FnOnce(&mut State), expected: Result<Result<(), ErrorReason>, &str>) {
    let place = Place::new();
    place.cluster.set(change);
    let said = place.svm.verify(&fixture::payment(1)).await;
    match (said, expected) {
        (Ok(said), Ok(expected)) => assert_eq!(said, expected),
        (Err(fault), Err(expected)) => assert!(fault.to_string().contains(expected), "{fault}"),
        (said, expected) => panic!("{said:?} and not {expected:?}"),
    }
}

fn trial(err: Value) -> impl FnOnce(&mut State) {
    move |state| state.trial = err
}

#[tokio::test(start_paused = true)]
async fn a_good_payment_is_good_and_shown_without_our_signature() {
    check(|_| (), Ok(Ok(()))).await;
    let place = Place::new();
    place.svm.verify(&fixture::payment(1)).await.unwrap().unwrap();
    place.cluster.set(|state| {
        assert_eq!(state.tried, [fixture::payment(1).wire().to_vec()]);
        assert_eq!(state.tried[0][1..65], [0; 64]);
    });
}

#[tokio::test(start_paused = true)]
async fn the_payer_must_have_it() {
    let poor = Ok(Err(ErrorReason::InsufficientFunds));
    check(|state| state.accounts[0] = Value::Null, poor).await;
    let mut data = vec![0; 165];
    data[64..72].copy_from_slice(&49_999_u64.to_le_bytes());
    check(|state| state.accounts[0] = account(&TOKEN.to_string(), &data), poor).await;
    check(trial(json!({ "InstructionError": [2, { "Custom": 1 }] })), poor).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_paid_must_be_able_to_get_it() {
    check(|state| state.accounts[1] = Value::Null, Err("no token account")).await;
    check(|state| state.accounts[2] = Value::Null, Err("no mint")).await;
    let other = account(&TOKEN.to_string(), &[0; 165]);
    check(|state| state.accounts[2] = other, Err("is no mint")).await;
    let mut mint = vec![0; 165];
    mint[45] = 1;
    let other = account(&TOKEN_2022.to_string(), &mint[..82]);
    check(|state| state.accounts[2] = other, Ok(Err(ErrorReason::SvmMint))).await;
    mint.extend([1, 1, 0, 2, 0, 9, 9]);
    let fee = account(&TOKEN_2022.to_string(), &mint);
    check(|state| state.accounts[2] = fee, Err("keeps a part")).await;
}

#[tokio::test(start_paused = true)]
async fn what_fails_when_it_is_tried_is_refused() {
    for (err, reason) in [
        (json!("AlreadyProcessed"), ErrorReason::DuplicateSettlement),
        (json!("BlockhashNotFound"), ErrorReason::SvmSimulation),
        (json!({ "InstructionError": [2, { "Custom": 17 }] }), ErrorReason::SvmSimulation),
        (json!({ "InstructionError": [3, "GenericError"] }), ErrorReason::SvmSimulation),
    ] {
        check(trial(err), Ok(Err(reason))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_fee_payer_that_cannot_pay_is_our_fault() {
    for err in [
        json!("InsufficientFundsForFee"),
        json!("AccountNotFound"),
        json!({ "InsufficientFundsForRent": { "account_index": 0 } }),
    ] {
        check(trial(err), Err("cannot pay the fee")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_fee_beyond_the_bound_is_not_paid() {
    check(|state| state.fee = json!(100_000), Ok(Ok(()))).await;
    let dear = Ok(Err(ErrorReason::SvmComputePriceTooHigh));
    check(|state| state.fee = json!(100_001), dear).await;
}

#[tokio::test(start_paused = true)]
async fn what_fails_when_it_is_tried_again_is_not_sent() {
    let place = Place::new();
    place.cluster.set(trial(json!("BlockhashNotFound")));
    let outcome = place.settle(1).await;
    assert!(matches!(outcome, Outcome::Rejected(ErrorReason::SvmSimulation)), "{outcome:?}");
    assert!(place.cluster.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_is_nobodys_to_claim() {
    let place = Place::new();
    assert!(matches!(place.settle(1).await, Outcome::Settled { .. }));
    for err in ["AlreadyProcessed", "BlockhashNotFound"] {
        place.cluster.set(trial(json!(err)));
        let Outcome::Unknown { transaction, .. } = place.settle(1).await else { panic!("known") };
        assert_eq!(transaction, place.name(1));
    }
    assert_eq!(place.cluster.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_low_purse_and_another_cluster_are_seen() {
    let place = Place::new();
    assert!(place.svm.ready().unwrap_err().to_string().contains("yet"));
    place.svm.refresh().await.unwrap();
    place.svm.ready().unwrap();
    assert_eq!((place.svm.balance(), place.svm.nodes()), (Some(1_000_000_000), (1, 1)));
    place.cluster.set(|state| state.balance = 9_999_999);
    place.svm.refresh().await.unwrap();
    assert!(place.svm.ready().unwrap_err().to_string().contains("low"));
    place.cluster.set(|state| state.genesis = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d");
    let fault = place.svm.refresh().await.unwrap_err();
    assert!(fault.to_string().contains("another chain"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_could_be_paid_without_is_told_before() {
    let lack = async |change: fn(&mut State)| {
        let place = Place::new();
        place.cluster.set(change);
        let extra = fixture::extra();
        let due = fixture::due(&extra);
        place.svm.0.reader.lack(due.asset, due.pay_to).await.unwrap()
    };
    assert_eq!(lack(|_| ()).await, None);
    assert_eq!(lack(|state| state.accounts[2] = Value::Null).await, Some(Lack::Mint));
    let account = fixture::payment(1).transfer().destination;
    let missing = lack(|state| state.accounts[1] = Value::Null).await;
    assert_eq!(missing, Some(Lack::TokenAccount(account)));
    let other = |state: &mut State| state.accounts[1]["owner"] = json!(TOKEN_2022.to_string());
    assert_eq!(lack(other).await, Some(Lack::TokenAccount(account)));
}
