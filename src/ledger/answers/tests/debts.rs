//! Who is owed an answer gets one, from one gateway at a time, whoever dies.

use super::*;

const TIME: Duration = Duration::from_secs(900);

async fn owe(answers: &Answers, now: UnixMillis) -> Turn {
    let payment = identity(1);
    answers.owe((&payment, exchange(1)), digest("payment"), TIME, now).await.unwrap()
}

async fn collect(answers: &Answers, now: UnixMillis) -> Owed {
    answers.collect(&identity(1), exchange(1), TIME, now).await.unwrap()
}

async fn turn(answers: &Answers, now: UnixMillis) -> Turn {
    match collect(answers, now).await {
        Owed::Yours(turn) => turn,
        other => panic!("{other:?}"),
    }
}

async fn paid_off(answers: &Answers, turn: Turn) -> Giver {
    answers.paid_off(&identity(1), exchange(1), turn).await.unwrap()
}

fn gives_back(answers: &Answers, turn: Turn) {
    answers.still_owed(identity(1), exchange(1), turn);
}

#[tokio::test]
async fn a_debt_is_paid_once() {
    for place in everywhere().await {
        let answers = place.open(BOUNDS).await;
        assert!(matches!(collect(&answers, NOW).await, Owed::Nothing));
        let first = owe(&answers, NOW).await;
        assert!(matches!(collect(&answers, NOW).await, Owed::Busy));
        gives_back(&answers, first);
        let second = turn(&answers, NOW).await;
        assert!(second.payment.is(&digest("payment")));
        assert!(matches!(collect(&answers, NOW).await, Owed::Busy));
        let other = answers.collect(&identity(1), exchange(2), TIME, NOW).await.unwrap();
        assert!(matches!(other, Owed::Nothing), "of another exchange: {other:?}");
        assert_eq!(paid_off(&answers, second).await, Giver::You);
        assert!(matches!(collect(&answers, NOW).await, Owed::Nothing));
        gives_back(&answers, second);
        assert!(matches!(collect(&answers, NOW).await, Owed::Nothing));
    }
}

#[tokio::test]
async fn whoever_took_too_long_has_lost_its_turn() {
    for place in durable().await {
        let answers = place.open(Bounds { age: 4 * TIME, ..BOUNDS }).await;
        let slow = owe(&answers, NOW).await;
        place.passes(TIME - MOMENT).await;
        assert!(matches!(collect(&answers, place.now()).await, Owed::Busy));
        place.passes(MOMENT).await;
        let quick = turn(&answers, place.now()).await;
        gives_back(&answers, slow);
        assert!(matches!(collect(&answers, place.now()).await, Owed::Busy), "{:?}", place.url);
        assert_eq!(paid_off(&answers, slow).await, Giver::Another);
        assert_eq!(paid_off(&answers, quick).await, Giver::You);
        assert_eq!(paid_off(&answers, slow).await, Giver::Another);
    }
}

/// An upstream that takes longer than answers are kept has not worked for nothing.
#[tokio::test]
async fn a_debt_that_somebody_is_at_does_not_grow_too_old() {
    for place in durable().await {
        let answers = place.open(BOUNDS).await;
        let slow = owe(&answers, NOW).await;
        place.passes(BOUNDS.age).await;
        let _tidied = place.open(BOUNDS).await;
        assert_eq!(paid_off(&answers, slow).await, Giver::You);
    }
}

#[tokio::test]
async fn a_debt_is_tried_sixty_times_more() {
    for place in durable().await {
        let answers = place.open(BOUNDS).await;
        let first = owe(&answers, NOW).await;
        gives_back(&answers, first);
        for _ in 0..60 {
            let next = turn(&answers, NOW).await;
            gives_back(&answers, next);
        }
        assert!(matches!(collect(&answers, NOW).await, Owed::Nothing | Owed::Busy));
        answers.close().await;
        assert!(matches!(collect(&place.open(BOUNDS).await, NOW).await, Owed::Nothing));
    }
}

/// The process that was at it is gone: another one need not wait.
#[tokio::test]
async fn the_debt_of_a_gateway_that_is_gone_is_anybodys() {
    let place = Place::file().await;
    let answers = place.open(BOUNDS).await;
    owe(&answers, NOW).await;
    answers.close().await;
    turn(&place.open(BOUNDS).await, NOW).await;

    let place = Place::database().await;
    let (one, beside) = (place.open(BOUNDS).await, place.beside().await);
    let two = beside.open(BOUNDS).await;
    let first = owe(&one, NOW).await;
    assert!(matches!(collect(&two, NOW).await, Owed::Busy));
    place.ledger.close().await;
    let second = turn(&two, NOW).await;
    // It is not gone after all: its answer is not given beside the other's.
    assert_eq!(paid_off(&one, first).await, Giver::Another);
    assert_eq!(paid_off(&two, second).await, Giver::You);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_gateways_one_takes_it_up() {
    let place = Place::database().await;
    let beside = place.beside().await;
    let (one, two) = (place.open(BOUNDS).await, beside.open(BOUNDS).await);
    for round in 0..50 {
        let (payment, exchange) = (identity(round), exchange(round));
        let owing = one.owe((&payment, exchange), digest("payment"), TIME, NOW);
        one.still_owed(payment.clone(), exchange, owing.await.unwrap());
        one.queue_is_through().await;
        let (a, b) = tokio::join!(
            one.collect(&payment, exchange, TIME, NOW),
            two.collect(&payment, exchange, TIME, NOW)
        );
        let mine = [&a, &b].map(|owed| matches!(owed, Ok(Owed::Yours(_))));
        assert!(mine == [true, false] || mine == [false, true], "{a:?} {b:?}");
    }
}

/// Between the head and the last byte, whoever asks elsewhere hears that it is on its way.
#[tokio::test]
async fn an_answer_that_was_owed_is_under_way_for_all_until_it_is_kept() {
    let place = Place::database().await;
    let beside = place.beside().await;
    let (one, two) = (place.open(BOUNDS).await, beside.open(BOUNDS).await);
    let turn = owe(&one, NOW).await;
    let copying = copying(&one, 1);
    paid_off(&one, turn).await;
    let found = two.find(&identity(1), exchange(1), NOW).await.unwrap();
    assert!(matches!(found, Found::UnderWay), "{found:?}");
    drop(copying);
    keep(&one, 1, b"body");
    written(&one).await;
    assert_eq!(body(&two, 1).await.unwrap(), b"body");
    // What has been given leaves the store.
    let _tidied = beside.open(BOUNDS).await;
    let left = two.0.as_ref().unwrap().store.rows("SELECT tries FROM debts", vec![]).await;
    assert!(left.unwrap().is_empty());
}

impl Answers {
    async fn queue_is_through(&self) {
        self.0.as_ref().unwrap().queue_is_through().await.unwrap();
    }
}
