//! What the simulated chain executes, refuses and remembers.

use std::fs;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use alloy_primitives::{Address, B256};

use super::super::fixture::{NOW, PRICE, on_solana, order, order_with, permitted};
use super::settings::BALANCE_DEFAULT;
use super::*;

fn simulated(settings: Settings) -> Simulated {
    Simulated::new(settings).unwrap()
}

/// Polls once, as the request path does.
#[track_caller]
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("not ready at the first poll"),
    }
}

/// Both questions, each on a fresh chain, give this reason.
#[track_caller]
fn refused(order: &Order, now: UnixMillis, settings: &Settings, reason: ErrorReason) {
    let chain = simulated(settings.clone());
    assert_eq!(at_once(chain.verify(order, now)).unwrap(), Verdict::Bad(reason));
    match at_once(chain.settle(order, now)) {
        Outcome::Rejected(found) => assert_eq!(found, reason),
        other => panic!("{other:?}"),
    }
    assert_eq!(chain.transfers(), []);
}

fn journaled(path: &std::path::Path) -> Settings {
    Settings { journal: Some(path.to_owned()), ..Settings::default() }
}

#[track_caller]
fn settled(outcome: Outcome) -> Box<str> {
    match outcome {
        Outcome::Settled { transaction } => transaction,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_payment_moves_its_money_once() {
    let chain = simulated(Settings::default());
    let order = order(1);
    let (identity, asset) = (order.identity(), order.offer.requirements.asset);
    assert_eq!(at_once(chain.trace(&identity)), Trace::NotMoved);
    assert_eq!(at_once(chain.verify(&order, NOW)).unwrap(), Verdict::Good);
    let transaction = settled(at_once(chain.settle(&order, NOW)));
    assert!(transaction.len() == 66 && transaction.starts_with("0x"), "{transaction}");
    assert_eq!(at_once(chain.trace(&identity)), Trace::Moved { transaction });

    let held = |owner| chain.balance(&identity.network, asset, owner).units();
    assert_eq!(held(identity.payer), BALANCE_DEFAULT.units() - PRICE);
    assert_eq!(held(order.offer.requirements.pay_to), BALANCE_DEFAULT.units() + PRICE);

    let duplicate = Verdict::Bad(ErrorReason::DuplicateSettlement);
    assert_eq!(at_once(chain.verify(&order, NOW)).unwrap(), duplicate);
    let again = at_once(chain.settle(&order, NOW));
    assert!(matches!(again, Outcome::Rejected(ErrorReason::DuplicateSettlement)), "{again:?}");
    assert_eq!(chain.transfers().len(), 1);
}

#[tokio::test]
async fn a_permits_number_is_used_for_every_asset() {
    let dir = tempfile::tempdir().unwrap();
    let settings = journaled(&dir.path().join("chain.jsonl"));
    let (one, other) = (permitted(1, 0x11), permitted(1, 0x12));
    let (payer, network) = (one.identity().payer, one.identity().network);
    let chain = simulated(settings.clone());
    settled(chain.settle(&other, NOW).await);
    assert_eq!(chain.verify(&one, NOW).await.unwrap(), DUPLICATE);
    settled(chain.settle(&permitted(2, 0x11), NOW).await);
    // The asset of the same name keeps its own numbers.
    settled(chain.settle(&order(1), NOW).await);
    drop(chain);
    let chain = simulated(settings);
    assert_eq!(chain.verify(&one, NOW).await.unwrap(), DUPLICATE);
    let held = |asset| chain.balance(&network, Address::repeat_byte(asset).into(), payer).units();
    assert_eq!([held(0x11), held(0x12)], [2, 1].map(|n| BALANCE_DEFAULT.units() - n * PRICE));
}

const DUPLICATE: Verdict = Verdict::Bad(ErrorReason::DuplicateSettlement);

#[test]
fn a_permit_lasts_to_its_deadline() {
    let seconds = |seconds: i64| UnixMillis::new(seconds * 1_000);
    let any = Settings::default();
    let order = permitted(1, 0x11);
    refused(&order, seconds(1_699_999_999), &any, ErrorReason::ValidAfter);
    refused(&order, seconds(1_700_000_301), &any, ErrorReason::ValidBefore);
    for now in [1_700_000_000, 1_700_000_300] {
        let judged = at_once(simulated(any.clone()).verify(&order, seconds(now)));
        assert_eq!(judged.unwrap(), Verdict::Good);
    }
}

#[test]
fn what_a_chain_would_revert_is_refused() {
    let any = Settings::default();
    let seconds = |seconds: i64| UnixMillis::new(seconds * 1_000);
    refused(&order(1), seconds(1_700_000_000), &any, ErrorReason::ValidAfter);
    refused(&order(1), seconds(1_700_000_300), &any, ErrorReason::ValidBefore);

    let mut forged = order(1);
    let Signed::Evm(signed) = &mut forged.payment else { panic!("of an EVM network") };
    signed.authorization.nonce = B256::ZERO;
    refused(&forged, NOW, &any, ErrorReason::Signature);

    let poor = Settings { balance: AtomicAmount::new(PRICE - 1), ..any.clone() };
    refused(&order(1), NOW, &poor, ErrorReason::InsufficientFunds);
    let named = [(order(1).identity().payer, AtomicAmount::ZERO)].into();
    let named = Settings { balances: named, ..any.clone() };
    refused(&order(1), NOW, &named, ErrorReason::InsufficientFunds);

    let less = order_with(1, |_, authorization| authorization.value -= U256::ONE);
    refused(&less, NOW, &any, ErrorReason::ValueMismatch);
    let elsewhere = order_with(1, |_, authorization| authorization.to = Address::ZERO);
    refused(&elsewhere, NOW, &any, ErrorReason::RecipientMismatch);
    let real = order_with(1, |offer, _| offer.requirements.network = Network::eip155(8453));
    refused(&real, NOW, &any, ErrorReason::Network);
}

#[test]
fn the_window_is_open_at_both_ends() {
    for seconds in [1_700_000_001, 1_700_000_299] {
        let chain = simulated(Settings::default());
        settled(at_once(chain.settle(&order(1), UnixMillis::new(seconds * 1_000))));
    }
}

#[test]
fn trusted_signatures_are_not_looked_at() {
    let settings = Settings { signatures: Signatures::Trusted, ..Settings::default() };
    let mut forged = order(1);
    let Signed::Evm(signed) = &mut forged.payment else { panic!("of an EVM network") };
    signed.signature = Box::default();
    settled(at_once(simulated(settings).settle(&forged, NOW)));
}

#[test]
fn mainnets_are_refused_at_the_start() {
    for (chain_id, serves) in [(8453, false), (137, false), (84532, true), (31337, true)] {
        let network = Network::eip155(chain_id);
        assert_eq!(Play::Testnets.serves(&network), serves, "{network}");
        let settings = Settings { networks: vec![network], ..Settings::default() };
        assert_eq!(Simulated::new(settings).is_ok(), serves);
    }
}

#[test]
fn money_that_left_after_verification_is_missed_at_settlement() {
    let settings = Settings { balance: AtomicAmount::new(PRICE), ..Settings::default() };
    let chain = simulated(settings);
    assert_eq!(at_once(chain.verify(&order(1), NOW)).unwrap(), Verdict::Good);
    settled(at_once(chain.settle(&order(2), NOW)));
    let late = at_once(chain.settle(&order(1), NOW));
    assert!(matches!(late, Outcome::Rejected(ErrorReason::InsufficientFunds)), "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_settlements_at_once_one_moves_the_money() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain");
    let chain = Arc::new(simulated(journaled(&path)));
    let order = Arc::new(order(1));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (chain, order) = (Arc::clone(&chain), Arc::clone(&order));
            tokio::spawn(async move { chain.settle(&order, NOW).await })
        })
        .collect();
    let mut count = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Outcome::Settled { .. } => count.0 += 1,
            Outcome::Rejected(ErrorReason::DuplicateSettlement) => count.1 += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(count, (1, 49));
    assert_eq!(journal::read(&path).unwrap(), chain.transfers());
}

#[tokio::test]
async fn the_journal_is_the_chain_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain");
    let before = simulated(journaled(&path));
    let transaction = settled(before.settle(&order(1), NOW).await);
    settled(before.settle(&order(2), NOW).await);
    assert_eq!(journal::read(&path).unwrap(), before.transfers(), "on disk before the answer");
    let transfers = before.transfers();
    drop(before);

    let after = simulated(journaled(&path));
    assert_eq!(after.transfers(), transfers);
    let identity = order(1).identity();
    assert_eq!(after.trace(&identity).await, Trace::Moved { transaction });
    let again = after.settle(&order(1), NOW).await;
    assert!(matches!(again, Outcome::Rejected(ErrorReason::DuplicateSettlement)), "{again:?}");
    let held = after.balance(&identity.network, identity.contract, identity.payer).units();
    assert_eq!(held, BALANCE_DEFAULT.units() - 2 * PRICE);
}

#[tokio::test]
async fn a_settlement_dropped_after_its_first_poll_still_reaches_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain");
    let chain = simulated(journaled(&path));
    {
        let order = order(1);
        let mut settling = pin!(chain.settle(&order, NOW));
        let _ = settling.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    let transfers = chain.transfers();
    assert_eq!(transfers.len(), 1);
    assert!(matches!(chain.trace(&order(1).identity()).await, Trace::Moved { .. }));
    assert_eq!(journal::read(&path).unwrap(), transfers);
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain");
    let chain = simulated(journaled(&path));
    settled(chain.settle(&order(1), NOW).await);
    settled(chain.settle(&order(2), NOW).await);
    drop(chain);
    let whole = fs::read(&path).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;

    for cut in [first + 1, first + 40, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(journal::read(&path).unwrap().len(), 1, "cut at {cut}");
        let chain = simulated(journaled(&path));
        assert_eq!(chain.trace(&order(2).identity()).await, Trace::NotMoved);
        settled(chain.settle(&order(3), NOW).await);
        drop(chain);
        assert_eq!(journal::read(&path).unwrap().len(), 2, "nothing is glued to the torn line");
    }
}

#[test]
fn a_file_that_is_no_journal_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain");
    for text in ["[server]", "[server]\nlisten = 1\n", "{\"transaction\":\"0x1\"}\n", "\n"] {
        fs::write(&path, text).unwrap();
        let refused = Simulated::new(journaled(&path));
        assert!(
            matches!(refused, Err(SettingsError::Journal(JournalError::Line { line: 1, .. }))),
            "{text:?}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_journal_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain");
    let _first = simulated(journaled(&path));
    let second = Simulated::new(journaled(&path));
    assert!(matches!(second, Err(SettingsError::Journal(JournalError::InUse { .. }))));
}

#[tokio::test(start_paused = true)]
async fn delays_are_waited_for_and_the_money_moves_before_them() {
    let second = Some(Duration::from_secs(1));
    let delay = Delay { verify: second, settle: second };
    let chain = simulated(Settings { delay, ..Settings::default() });
    let start = tokio::time::Instant::now();
    assert_eq!(chain.verify(&order(1), NOW).await.unwrap(), Verdict::Good);
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    tokio::time::timeout(Duration::ZERO, chain.settle(&order(1), NOW)).await.unwrap_err();
    assert!(matches!(chain.trace(&order(1).identity()).await, Trace::Moved { .. }));
}

#[tokio::test]
async fn a_transaction_of_solana_moves_its_money_once_and_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let settings = journaled(&dir.path().join("chain.jsonl"));
    let order = on_solana(1);
    let identity = order.identity();
    let chain = simulated(settings.clone());
    assert_eq!(chain.verify(&order, NOW).await.unwrap(), Verdict::Good);
    assert_eq!(chain.trace(&identity).await, Trace::NotMoved);
    let transaction = settled(chain.settle(&order, NOW).await);
    assert!(crate::x402::svm::signature_of(&transaction).is_some(), "{transaction}");
    assert_eq!(chain.verify(&order, NOW).await.unwrap(), DUPLICATE);
    let other = settled(chain.settle(&on_solana(2), NOW).await);
    assert_ne!(other, transaction);
    drop(chain);

    let chain = simulated(settings);
    assert_eq!(chain.verify(&order, NOW).await.unwrap(), DUPLICATE);
    assert_eq!(chain.trace(&identity).await, Trace::Moved { transaction });
    let due = &order.offer.requirements;
    let held = |owner| chain.balance(&due.network, due.asset, owner).units();
    assert_eq!(held(identity.payer), BALANCE_DEFAULT.units() - 2 * PRICE);
    assert_eq!(held(due.pay_to), BALANCE_DEFAULT.units() + 2 * PRICE);
}

#[test]
fn a_transaction_that_somebody_else_would_pay_for_is_refused() {
    let mut order = on_solana(1);
    let offer = Arc::make_mut(&mut order.offer);
    *offer = offer.paid_by(Pubkey::new_from_array([8; 32]).into());
    refused(&order, NOW, &Settings::default(), ErrorReason::SvmFeePayer);
    let Signed::Svm(signed) = on_solana(1).payment else { panic!("of Solana") };
    let mut bytes = signed.wire().to_vec();
    bytes[70] ^= 1;
    let payment = SvmPayment::decode(&bytes).unwrap().into();
    let forged = Order { payment, ..on_solana(1) };
    refused(&forged, NOW, &Settings::default(), ErrorReason::SvmSignature);
}
