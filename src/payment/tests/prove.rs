//! Each reason for which a payment is refused without asking anyone, and their order.

use std::time::Duration;

use alloy_primitives::{Address, U256};

use super::wallet::{CLIENT, NOW, VALID_AFTER, VALID_BEFORE, header, headers, sign, terms};
use crate::clock::UnixMillis;
use crate::payment::prove::{SETTLE_MARGIN, SKEW_MAX, Window};
use crate::payment::{ContractWallets, present};
use crate::x402::{Authorization, ErrorReason, Version};

/// Whether the payer has signed what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signature {
    Good,
    Broken,
}

#[track_caller]
fn check(
    change: impl FnOnce(&mut Authorization),
    signature: Signature,
    now: UnixMillis,
    expected: Result<Window, ErrorReason>,
) {
    let terms = terms();
    let offer = &terms.offers[0].offer;
    let mut payment = sign(offer, 1, change);
    if signature == Signature::Broken {
        payment.signature[3] ^= 1;
    }
    let value = header(Version::V2, offer, &payment);
    let presented =
        present(&headers(&[("payment-signature", &value)]), &terms, CLIENT, NOW).unwrap();
    let proven = presented.prove(now, ANSWER_TIMEOUT, ContractWallets::Refused);
    let found = proven.map(|proven| proven.into_parts().1).map_err(|refusal| {
        assert_eq!(refusal.row().code, "payment_invalid");
        refusal.reason().unwrap()
    });
    assert_eq!(found, expected);
}

const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

fn second(seconds: u64) -> UnixMillis {
    UnixMillis::new(i64::try_from(seconds).unwrap() * 1000)
}

type Mistake = fn(&mut Authorization);

#[test]
fn a_payment_as_it_should_be_is_proven() {
    check(|_| {}, Signature::Good, NOW, Ok(Window::Open));
}

#[test]
fn another_payee_is_refused() {
    let change = |signed: &mut Authorization| signed.to = Address::ZERO;
    check(change, Signature::Good, NOW, Err(ErrorReason::RecipientMismatch));
}

#[test]
fn less_is_refused_and_so_is_more() {
    for value in [U256::ZERO, U256::from(49_999), U256::from(50_001), U256::MAX] {
        let change = |signed: &mut Authorization| signed.value = value;
        check(change, Signature::Good, NOW, Err(ErrorReason::ValueMismatch));
    }
}

#[test]
fn a_window_that_has_not_opened_is_refused_but_for_a_fast_clock() {
    let opens = VALID_AFTER - SKEW_MAX.as_secs();
    check(|_| {}, Signature::Good, second(opens), Ok(Window::Open));
    check(|_| {}, Signature::Good, second(opens - 1), Err(ErrorReason::ValidAfter));
    let never = |signed: &mut Authorization| signed.valid_after = U256::MAX;
    check(never, Signature::Good, NOW, Err(ErrorReason::ValidAfter));
}

#[test]
fn a_window_that_ends_before_settlement_is_closing() {
    let last = VALID_BEFORE - ANSWER_TIMEOUT.as_secs() - SETTLE_MARGIN.as_secs();
    check(|_| {}, Signature::Good, second(last), Ok(Window::Open));
    check(|_| {}, Signature::Good, second(last + 1), Ok(Window::Closing));
    check(|_| {}, Signature::Good, second(VALID_BEFORE * 2), Ok(Window::Closing));
}

#[test]
fn what_nobody_signed_is_refused() {
    check(|_| {}, Signature::Broken, NOW, Err(ErrorReason::Signature));
    check(|_| {}, Signature::Broken, second(VALID_BEFORE), Err(ErrorReason::Signature));
    let other = |signed: &mut Authorization| signed.from = Address::repeat_byte(9);
    check(other, Signature::Good, NOW, Err(ErrorReason::Signature));
}

/// Each row mends one mistake more than the row before.
#[test]
fn the_cheapest_reason_comes_first_and_the_signature_last() {
    let mistakes: [(Mistake, ErrorReason); 4] = [
        (|signed| signed.to = Address::ZERO, ErrorReason::RecipientMismatch),
        (|signed| signed.value = U256::ZERO, ErrorReason::ValueMismatch),
        (|signed| signed.valid_after = U256::MAX, ErrorReason::ValidAfter),
        (|signed| signed.valid_before = U256::ZERO, ErrorReason::Signature),
    ];
    for (mended, (_, reason)) in mistakes.iter().enumerate() {
        let change = |signed: &mut Authorization| {
            mistakes[mended..].iter().for_each(|(mistake, _)| mistake(signed));
        };
        check(change, Signature::Broken, NOW, Err(*reason));
    }
}
