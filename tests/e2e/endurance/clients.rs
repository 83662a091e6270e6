//! Who means well: asks for what is free, for a price, or pays, and comes back until there is an
//! answer. Every fifth buyer leaves in the middle and comes back, too.

use std::time::{Duration, Instant};

use super::super::own::transaction;
use super::house::{BUYERS, EVENT, EVENTS, House, LISTENERS, SERVED, Visitor, wallet};
use super::tally::Kind;
use crate::support::client::{Answer, Ask};
use crate::support::dice::Dice;
use crate::support::eventually;
use crate::support::wallet::Payment;

/// What is bought: the request, and how its answer begins and ends.
struct Ware {
    kind: Kind,
    request: fn(&Visitor<'_>) -> Ask,
    is_whole: fn(&Answer) -> bool,
}

const ANSWER: Ware = Ware {
    kind: Kind::Paid,
    request: |visitor| visitor.ask("POST", "/paid").body("a question"),
    is_whole: |answer| answer.text() == SERVED,
};

const STREAM: Ware = Ware {
    kind: Kind::Stream,
    request: |visitor| visitor.ask("POST", "/stream").body("a question"),
    is_whole: |answer| answer.text() == EVENT.repeat(EVENTS),
};

const CUT_OUT: Ware = Ware {
    kind: Kind::Photo,
    request: |visitor| {
        let ask = visitor.ask("POST", "/v1/remove-background");
        ask.header("content-type", "image/png").body(photo())
    },
    is_whole: |answer| {
        answer.body.starts_with(b"\x89PNG") && answer.body.ends_with(b"IEND\xaeB`\x82")
    },
};

pub(super) async fn buys(house: &House, number: u8) {
    buys_on(house, number, &ANSWER, Duration::from_millis(20)).await;
}

pub(super) async fn listens(house: &House, number: u8) {
    buys_on(house, BUYERS + number, &STREAM, Duration::from_millis(100)).await;
}

pub(super) async fn sends_photos(house: &House) {
    buys_on(house, BUYERS + LISTENERS, &CUT_OUT, Duration::from_millis(500)).await;
}

/// Buys one thing after the other, each with a payment of its own.
async fn buys_on(house: &House, number: u8, ware: &Ware, pause: Duration) {
    let (visitor, wallet) = (Visitor::of(house), wallet(number));
    let mut dice = Dice::of(u64::from(number));
    while !house.is_over() {
        let payment = wallet.pays();
        if dice.below(5) == 0 {
            let patience = Duration::from_millis(dice.below(1_500) as u64);
            let ask = (ware.request)(&visitor).pays(&payment).try_send();
            // Whoever has left has heard nothing, or all of it: it comes back anyway.
            drop(tokio::time::timeout(patience, ask).await);
        }
        let paid = is_served(house, &visitor, ware, &payment).await;
        if paid && dice.below(4) == 0 {
            asks_again(house, &visitor, ware, &payment).await;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Sends a payment until there is an answer; says whether it has paid for one.
///
/// A payment that was about to be sent to the chain when its gateway died may be on its way, until
/// its window has closed: it is left for the end.
async fn is_served(house: &House, visitor: &Visitor<'_>, ware: &Ware, payment: &Payment) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match heard(house, visitor, ware, payment).await {
            Some(paid) => return paid,
            None => tokio::time::sleep(RETRY).await,
        }
    }
    let mut tally = house.tally.borrow_mut();
    tally.left.push((ware.kind, payment.clone()));
    false
}

/// Asks once; says whether it was answered for the payment, or refused, if either.
async fn heard(
    house: &House,
    visitor: &Visitor<'_>,
    ware: &Ware,
    payment: &Payment,
) -> Option<bool> {
    let asked = Instant::now();
    let Ok(answer) = (ware.request)(visitor).pays(payment).try_send().await else {
        house.tally.borrow_mut().count(ware.kind, 0, None);
        return None;
    };
    let mut tally = house.tally.borrow_mut();
    let good = answer.status == 200;
    tally.count(ware.kind, answer.status, good.then(|| asked.elapsed()));
    match answer.status {
        200 => {
            assert!((ware.is_whole)(&answer), "{answer:?}");
            tally.paid.insert(payment.nonce(), transaction(&answer));
            Some(true)
        }
        402 => {
            tally.not_taken.push(payment.nonce());
            Some(false)
        }
        409 if answer.json()["error"] == "payment_used" => {
            let transaction = answer.json()["transaction"].as_str().unwrap().to_owned();
            tally.paid.insert(payment.nonce(), transaction);
            tally.lost += 1;
            Some(false)
        }
        409 | 429 | 502..=504 => None,
        status => panic!("{status} for a payment that is good: {}", answer.text()),
    }
}

/// Whoever was left without an answer comes back until there is one.
pub(super) async fn come_back(house: &House) {
    let (visitor, left) = (Visitor::of(house), std::mem::take(&mut house.tally.borrow_mut().left));
    house.tally.borrow_mut().left_for_the_end = left.len();
    for (kind, payment) in left {
        let ware = [&ANSWER, &STREAM, &CUT_OUT].into_iter().find(|ware| ware.kind == kind).unwrap();
        eventually("an answer", async || heard(house, &visitor, ware, &payment).await).await;
    }
}

/// Sends once more what has been paid for: it is given once more, or nothing is taken.
async fn asks_again(house: &House, visitor: &Visitor<'_>, ware: &Ware, payment: &Payment) {
    let asked = Instant::now();
    let Ok(answer) = (ware.request)(visitor).pays(payment).try_send().await else { return };
    let mut tally = house.tally.borrow_mut();
    let good = answer.status == 200;
    tally.count(Kind::Again, answer.status, good.then(|| asked.elapsed()));
    match answer.status {
        200 => assert_eq!(transaction(&answer), tally.paid[&payment.nonce()]),
        409 | 429 | 502..=504 => {}
        status => panic!("{status} for what has been paid for: {}", answer.text()),
    }
}

/// Asks without a payment, for what is free or for a price.
pub(super) async fn asks_for_nothing(house: &House, kind: Kind) {
    let visitor = Visitor::of(house);
    let (path, wanted): (_, &[u16]) =
        if kind == Kind::Free { ("/free", &[200]) } else { ("/paid", &[402, 429]) };
    while !house.is_over() {
        let asked = Instant::now();
        match visitor.ask("GET", path).try_send().await {
            Err(_) => house.tally.borrow_mut().count(kind, 0, None),
            // Whoever is dead besides: this needs the gateway alone.
            Ok(answer) => {
                assert!(wanted.contains(&answer.status), "{path}: {answer:?}");
                house.tally.borrow_mut().count(kind, answer.status, Some(asked.elapsed()));
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A small picture with something in it.
fn photo() -> Vec<u8> {
    static PHOTO: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let draw = || {
        let photo = image::open(SAMPLE).unwrap().thumbnail(160, 160);
        let mut file = std::io::Cursor::new(Vec::new());
        photo.write_to(&mut file, image::ImageFormat::Png).unwrap();
        file.into_inner()
    };
    PHOTO.get_or_init(draw).clone()
}

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/photos/sample.jpg");
/// How long anybody comes back for one answer before it goes on with the next.
const PATIENCE: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(200);
