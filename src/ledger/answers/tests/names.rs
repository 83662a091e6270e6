//! A name stands for one payment at a time, whoever binds it.

use super::*;
use crate::x402::PaymentId;

const TIME: Duration = Duration::from_secs(900);

fn id() -> PaymentId {
    "abcdefghijklmnop".parse().unwrap()
}

fn named(payment: u64, exchange: u128) -> Named {
    Named { identity: identity(payment), exchange: ExchangeId::new(exchange) }
}

async fn bind(answers: &Answers, to: &Named, now: UnixMillis) -> Bound {
    answers.bind(&id(), to, TIME, now).await.unwrap()
}

async fn rebind(answers: &Answers, from: &Named, to: &Named) -> Bound {
    answers.rebind(&id(), (from, to), TIME, NOW).await.unwrap()
}

#[tokio::test]
async fn a_name_stands_for_what_it_was_bound_to_first() {
    for place in durable().await {
        let answers = place.open(BOUNDS).await;
        let [one, two, three] = [(1, 1), (2, 2), (3, 3)].map(|(p, e)| named(p, e));
        assert_eq!(bind(&answers, &one, NOW).await, Bound::Here);
        assert_eq!(bind(&answers, &one, NOW).await, Bound::Here);
        assert_eq!(bind(&answers, &two, NOW).await, Bound::To(one.clone()));
        // The same payment in another exchange is not what it stands for either.
        assert_eq!(bind(&answers, &named(1, 9), NOW).await, Bound::To(one.clone()));
        assert_eq!(rebind(&answers, &one, &two).await, Bound::Here);
        assert_eq!(rebind(&answers, &one, &three).await, Bound::To(two.clone()));
        answers.close().await;
        assert_eq!(bind(&place.open(BOUNDS).await, &three, NOW).await, Bound::To(two));
    }
}

#[tokio::test]
async fn a_name_grows_old_after_its_answer() {
    for place in durable().await {
        let answers = place.open(BOUNDS).await;
        let [one, two] = [(1, 1), (2, 2)].map(|(payment, exchange)| named(payment, exchange));
        bind(&answers, &one, NOW).await;
        place.passes(BOUNDS.age + TIME - MOMENT).await;
        assert_eq!(bind(&answers, &two, place.now()).await, Bound::To(one));
        place.passes(MOMENT).await;
        assert_eq!(bind(&answers, &two, place.now()).await, Bound::Here);
        place.passes(BOUNDS.age + TIME).await;
        let tidied = place.open(BOUNDS).await;
        let left = tidied.0.as_ref().unwrap().store.rows("SELECT id FROM names", vec![]).await;
        assert!(left.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_gateways_one_binds_it() {
    let place = Place::database().await;
    let beside = place.beside().await;
    let (a, b) = (place.open(BOUNDS).await, beside.open(BOUNDS).await);
    let mut last = named(0, 1);
    bind(&a, &last, NOW).await;
    for round in 1..50_u64 {
        let (one, two) = (named(2 * round, 1), named(2 * round + 1, 1));
        let bound = tokio::join!(rebind(&a, &last, &one), rebind(&b, &last, &two));
        last = match bound {
            (Bound::Here, Bound::To(first)) if first == one => one,
            (Bound::To(first), Bound::Here) if first == two => two,
            other => panic!("{other:?}"),
        };
    }
}
