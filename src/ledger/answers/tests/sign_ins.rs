//! A sign-in is used up once, wherever it is sent.

use super::*;

const LASTS: Duration = Duration::from_secs(900);

fn id(number: u8) -> Digest {
    Digest::of(&[number])
}

async fn uses(answers: &Answers, number: u8, now: UnixMillis) -> Seen {
    answers.use_up(&id(number), LASTS, now).await.unwrap()
}

#[tokio::test]
async fn a_sign_in_is_used_once_until_it_is_forgotten() {
    for place in durable().await {
        let answers = place.open(BOUNDS).await;
        assert_eq!(uses(&answers, 1, NOW).await, Seen::First);
        assert_eq!(uses(&answers, 1, NOW).await, Seen::Before);
        assert_eq!(uses(&answers, 2, NOW).await, Seen::First);
        answers.close().await;
        let answers = place.open(BOUNDS).await;
        place.passes(LASTS - MOMENT).await;
        assert_eq!(uses(&answers, 1, place.now()).await, Seen::Before);
        place.passes(MOMENT).await;
        assert_eq!(uses(&answers, 1, place.now()).await, Seen::First);
        answers.close().await;
        place.passes(LASTS).await;
        let tidied = place.open(BOUNDS).await;
        let left = tidied.0.as_ref().unwrap().store.rows("SELECT id FROM sign_ins", vec![]).await;
        assert!(left.unwrap().is_empty());
    }
    let memory = Place::memory().await;
    let answers = memory.open(BOUNDS).await;
    assert_eq!(uses(&answers, 1, NOW).await, Seen::First);
    assert_eq!(uses(&answers, 1, NOW).await, Seen::Before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_gateways_one_sees_it_first() {
    let place = Place::database().await;
    let beside = place.beside().await;
    let (a, b) = (place.open(BOUNDS).await, beside.open(BOUNDS).await);
    for number in 0..50 {
        let (one, two) = tokio::join!(uses(&a, number, NOW), uses(&b, number, NOW));
        assert_ne!(one, two, "{number}");
    }
}

#[tokio::test]
async fn where_nothing_is_remembered_nobody_is_let_in() {
    assert!(Answers::off().use_up(&id(1), LASTS, NOW).await.is_err());
}
