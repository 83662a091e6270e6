//! What becomes of a settlement.

use super::*;
use crate::clock::steady;

#[tokio::test(start_paused = true)]
async fn a_payment_is_sent_once_with_our_signature_and_confirmed() {
    let place = Place::new();
    let began = steady();
    let Outcome::Settled { transaction } = place.settle(1).await else { panic!("not settled") };
    assert_eq!(transaction, place.name(1));
    let sent = place.cluster.sent();
    let signed = fixture::key(fixture::FEE_PAYER).to_keypair_bytes();
    let signature = FeePayer::parse(&signature_text(&signed)).unwrap();
    let signature = signature.sign(fixture::payment(1).message()).signature;
    assert_eq!(sent, [fixture::payment(1).with_fee_payer(&signature)]);
    assert!(steady() - began < Duration::from_secs(2), "confirmed, not finalized");
}

#[tokio::test(start_paused = true)]
async fn what_must_stay_is_waited_for() {
    let place = Place::with(Bounds { depth: Depth::Finalized, ..BOUNDS });
    let began = steady();
    assert!(matches!(place.settle(1).await, Outcome::Settled { .. }));
    assert!(steady() - began > Duration::from_secs(12));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_no_lost_payment() {
    let place = Place::new();
    place.cluster.moods(&[Mood::LosesAnswer]);
    let Outcome::Settled { transaction } = place.settle(1).await else { panic!("not settled") };
    assert_eq!(transaction, place.name(1));
}

#[tokio::test(start_paused = true)]
async fn what_nodes_forget_is_sent_again_as_it_was() {
    let place = Place::new();
    place.cluster.moods(&[Mood::Drops, Mood::Drops, Mood::Takes]);
    assert!(matches!(place.settle(1).await, Outcome::Settled { .. }));
    let sent = place.cluster.sent();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|wire| *wire == sent[0]));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_for_any_block_has_not_moved() {
    let place = Place::new();
    place.cluster.moods(&[Mood::Drops]);
    let outcome = place.settle(1).await;
    assert!(matches!(outcome, Outcome::Rejected(ErrorReason::SvmFailed)), "{outcome:?}");
    // 160 blocks that stay, all of them made a minute after it was seen.
    assert!(place.cluster.slot() >= cluster::FIRST_SLOT + 150 + 160 + 32);
    // Nothing is sent that cannot be taken.
    assert!(place.cluster.sent().len() <= 31, "{}", place.cluster.sent().len());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_in_time_is_unknown_and_named() {
    let place = Place::with(Bounds { settle_timeout: Duration::from_secs(10), ..BOUNDS });
    place.cluster.moods(&[Mood::Drops]);
    let Outcome::Unknown { transaction, .. } = place.settle(1).await else { panic!("known") };
    assert_eq!(transaction, place.name(1));
}

#[tokio::test(start_paused = true)]
async fn it_is_sent_on_when_nobody_waits_for_it() {
    let place = Place::with(Bounds { settle_timeout: Duration::from_secs(3), ..BOUNDS });
    place.cluster.moods(&[Mood::Drops, Mood::Drops, Mood::Drops, Mood::Takes]);
    let payment = fixture::payment(1);
    let sought = sought(&payment, place.cluster.now());
    assert!(matches!(place.settle(1).await, Outcome::Unknown { .. }));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let traced = place.svm.trace(&sought).await.unwrap();
    assert_eq!(traced, Traced::Moved { transaction: place.name(1) });
}

#[tokio::test(start_paused = true)]
async fn what_every_node_refuses_was_not_sent() {
    let place = Place::new();
    place.cluster.moods(&[Mood::Refuses]);
    assert!(matches!(place.settle(1).await, Outcome::NotSent(_)));
}

#[tokio::test(start_paused = true)]
async fn a_failed_transaction_is_refused_once_its_block_stays() {
    let place = Place::new();
    place.cluster.moods(&[Mood::Fails]);
    let began = steady();
    let outcome = place.settle(1).await;
    assert!(matches!(outcome, Outcome::Rejected(ErrorReason::SvmFailed)), "{outcome:?}");
    assert!(steady() - began > Duration::from_secs(12), "a block that may go away is no end");
}

#[tokio::test(start_paused = true)]
async fn what_is_called_off_is_never_sent() {
    let bounds = Bounds { settle_timeout: Duration::from_secs(1), ..BOUNDS };
    let place = Place::with(bounds);
    place.cluster.set(|state| state.trial_takes = Duration::from_millis(1_500));
    assert!(matches!(place.settle(1).await, Outcome::NotSent(_)));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(place.cluster.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_payment_of_another_fee_payer_is_not_ours_to_sign() {
    let place = Place::new();
    let mut extra = fixture::extra();
    extra.fee_payer = fixture::pubkey(7);
    let wire = fixture::transaction(fixture::draft(&extra, 1)).encode();
    let payment = SvmPayment::decode(&wire).unwrap();
    let sought = sought(&payment, place.cluster.now());
    let outcome = place.svm.settle(payment, sought).await;
    assert!(matches!(outcome, Outcome::Rejected(ErrorReason::SvmFeePayer)), "{outcome:?}");
}
