//! What is found of a payment later.

use super::*;

/// A payment that was seen when the cluster began, and what is found of it.
struct Seen {
    place: Place,
    sought: Sought,
}

impl Seen {
    fn new() -> Self {
        let place = Place::new();
        let sought = sought(&fixture::payment(1), place.cluster.now());
        Self { place, sought }
    }

    fn named(mut self, name: &str) -> Self {
        self.sought.transaction = Some(name.into());
        self
    }

    /// The payment with the signature of a fee payer.
    fn wire(number: u64) -> Vec<u8> {
        fixture::payment(number).with_fee_payer(&[u8::try_from(number).unwrap(); 64])
    }

    async fn check(&self, after: u64, expected: Traced) {
        tokio::time::sleep(Duration::from_secs(after)).await;
        assert_eq!(self.place.svm.trace(&self.sought).await.unwrap(), expected);
    }

    async fn fails(&self, after: u64, because: &str) {
        tokio::time::sleep(Duration::from_secs(after)).await;
        let fault = self.place.svm.trace(&self.sought).await.unwrap_err().to_string();
        assert!(fault.contains(because), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_is_found_by_its_name() {
    let seen = Seen::new();
    let name = seen.place.cluster.lands(&Seen::wire(1));
    let seen = seen.named(&name);
    seen.check(2, Traced::Moved { transaction: name.clone().into() }).await;
    // And much later, whatever else there was.
    seen.check(100_000, Traced::Moved { transaction: name.into() }).await;
}

#[tokio::test(start_paused = true)]
async fn a_payment_without_a_name_is_found_among_its_payers() {
    let seen = Seen::new();
    for other in 2..9 {
        seen.place.cluster.lands(&Seen::wire(other));
    }
    let name = seen.place.cluster.lands(&Seen::wire(1));
    seen.check(2, Traced::Moved { transaction: name.into() }).await;
}

#[tokio::test(start_paused = true)]
async fn another_payments_name_proves_nothing() {
    let seen = Seen::new();
    let other = seen.place.cluster.lands(&Seen::wire(2));
    let seen = seen.named(&other);
    seen.check(10, Traced::Open).await;
    seen.check(300, Traced::NotMoved).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_nowhere_has_not_moved_once_it_is_too_old() {
    let seen = Seen::new();
    seen.check(1, Traced::Open).await;
    // The last block that could take it is made after 60 s, and stays after 73 s.
    seen.check(74, Traced::Open).await;
    // A minute between the clocks, 160 blocks and the 32 that make them stay: 137 s.
    seen.check(60, Traced::Open).await;
    seen.check(5, Traced::NotMoved).await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_stands_still_may_take_it_yet() {
    let seen = Seen::new();
    seen.place.cluster.set(|state| state.stands_still = Some(cluster::FIRST_SLOT + 149));
    seen.check(100_000, Traced::Open).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_forgotten_proves_nothing() {
    let seen = Seen::new();
    seen.place.cluster.lands(&Seen::wire(1));
    seen.place.cluster.set(|state| state.first_block = cluster::FIRST_SLOT + 50);
    seen.fails(300, "forgotten").await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_payment_has_not_moved() {
    let seen = Seen::new();
    seen.place.cluster.moods(&[Mood::Fails]);
    let outcome = seen.place.settle(1).await;
    assert!(matches!(outcome, Outcome::Rejected(_)), "{outcome:?}");
    let name = seen.place.name(1);
    seen.named(&name).check(0, Traced::NotMoved).await;
}

#[tokio::test(start_paused = true)]
async fn what_may_go_away_is_open_where_it_must_stay() {
    let place = Place::with(Bounds { depth: Depth::Finalized, ..BOUNDS });
    let sought = sought(&fixture::payment(1), place.cluster.now());
    let name = place.cluster.lands(&Seen::wire(1));
    let seen = Seen { place, sought }.named(&name);
    seen.check(3, Traced::Open).await;
    seen.check(12, Traced::Moved { transaction: name.into() }).await;
}
