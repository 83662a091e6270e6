//! Which offer a request pays, and which requests pay none.

use alloy_primitives::Address;

use super::wallet::{CLIENT, NOW, header, headers, sign, terms};
use crate::payment::present;
use crate::x402::{AtomicAmount, ErrorReason, Offer, Version, encoding};

/// The number of the offer that was taken, or code and reason of the refusal.
type Taken = Result<usize, (&'static str, Option<ErrorReason>)>;

#[track_caller]
fn check(lines: &[(&'static str, &str)], expected: Taken) {
    let terms = terms();
    let taken = present(&headers(lines), &terms, CLIENT, NOW);
    let number = |offer: &Offer| terms.offers.iter().position(|by| *by.offer == *offer).unwrap();
    let taken = taken
        .map(|presented| number(presented.offer()))
        .map_err(|refusal| (refusal.row().code, refusal.reason()));
    assert_eq!(taken, expected);
}

/// A header that pays one of the offers, after the client has changed its echo of the terms.
fn paying(version: Version, number: usize, change: impl FnOnce(&mut Offer)) -> String {
    let mut offer = Offer::clone(&terms().offers[number].offer);
    let payment = sign(&offer, 1, |_| {});
    change(&mut offer);
    header(version, &offer, &payment)
}

fn invalid(reason: ErrorReason) -> Taken {
    Err(("payment_invalid", Some(reason)))
}

#[test]
fn version_2_takes_the_offer_whose_terms_it_echoes() {
    for number in 0..3 {
        let value = paying(Version::V2, number, |_| {});
        check(&[("payment-signature", &value)], Ok(number));
    }
}

#[test]
fn version_1_takes_the_first_offer_of_its_network() {
    for (number, taken) in [(0, 0), (1, 0), (2, 2)] {
        check(&[("x-payment", &paying(Version::V1, number, |_| {}))], Ok(taken));
    }
}

#[test]
fn the_version_is_in_the_payment_and_not_in_the_headers_name() {
    check(&[("x-payment", &paying(Version::V2, 1, |_| {}))], Ok(1));
    check(&[("x-payment-response", &paying(Version::V2, 1, |_| {}))], Ok(1));
    check(&[("payment-signature", &paying(Version::V1, 2, |_| {}))], Ok(2));
}

#[test]
fn no_header_is_no_payment() {
    check(&[], Err(("payment_required", None)));
    check(&[("authorization", "x")], Err(("payment_required", None)));
}

#[test]
fn what_cannot_be_read_is_malformed() {
    check(&[("payment-signature", "")], Err(("payment_malformed", None)));
    check(&[("payment-signature", "{}")], Err(("payment_malformed", None)));
    let good = paying(Version::V2, 0, |_| {});
    let lines = [("payment-signature", &*good), ("x-payment", "!")];
    check(&lines, Err(("payment_malformed", None)));
}

#[test]
fn one_payment_twice_is_one_payment() {
    let (v1, v2) = (paying(Version::V1, 0, |_| {}), paying(Version::V2, 0, |_| {}));
    check(&[("payment-signature", &v2), ("x-payment", &v1)], Ok(0));
    check(&[("payment-signature", &v2), ("payment-signature", &v2)], Ok(0));
}

#[test]
fn two_payments_disagree() {
    let (one, other) = (paying(Version::V2, 0, |_| {}), paying(Version::V2, 1, |_| {}));
    let expected = Err(("payments_disagree", None));
    check(&[("payment-signature", &one), ("x-payment", &other)], expected);
    check(&[("payment-signature", &one), ("payment-signature", &other)], expected);
}

#[test]
fn terms_that_are_not_offered_are_named() {
    let v1 = |change: fn(&mut Offer)| paying(Version::V1, 0, change);
    let v2 = |change: fn(&mut Offer)| paying(Version::V2, 0, change);
    let rows = [
        (v2(|offer| offer.requirements.scheme = "upto".into()), ErrorReason::Scheme),
        (v1(|offer| offer.v1.as_mut().unwrap().scheme = "upto".into()), ErrorReason::Scheme),
        (
            v2(|offer| offer.requirements.network = "eip155:1".parse().unwrap()),
            ErrorReason::Network,
        ),
        (v1(|offer| offer.v1.as_mut().unwrap().network = "ethereum".into()), ErrorReason::Network),
        (v1(|offer| offer.v1.as_mut().unwrap().network = "".into()), ErrorReason::Network),
        (v2(|offer| offer.requirements.amount = AtomicAmount::new(1)), ErrorReason::Requirements),
        (v2(|offer| offer.requirements.asset = Address::ZERO.into()), ErrorReason::Requirements),
        (v2(|offer| offer.requirements.pay_to = Address::ZERO.into()), ErrorReason::Requirements),
    ];
    for (value, reason) in rows {
        check(&[("payment-signature", &value)], invalid(reason));
    }
}

#[test]
fn a_version_that_is_not_spoken_is_named() {
    let json = encoding::decode(paying(Version::V2, 0, |_| {}).as_bytes()).unwrap();
    let json = String::from_utf8(json).unwrap().replace("\"x402Version\":2", "\"x402Version\":3");
    check(
        &[("payment-signature", &encoding::encode(json.as_bytes()))],
        invalid(ErrorReason::Version),
    );
}
