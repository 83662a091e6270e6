//! The limiter as its callers see it, on a clock that the tests move.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};

use governor::clock::FakeRelativeClock;

use super::*;

/// A limiter of one gateway, which never waits.
struct Own(Limiter);

impl Own {
    fn take_unpaid(&self, client: ClientKey) -> Result<Option<Quota>, TooMany> {
        at_once(self.0.take_unpaid(client))
    }

    fn earn_unpaid(&self, client: ClientKey) {
        at_once(self.0.earn_unpaid(client));
    }

    fn take_refused(&self, client: ClientKey) -> Result<Option<Quota>, TooMany> {
        at_once(self.0.take_refused(client))
    }

    fn give_back_refused(&self, client: ClientKey) {
        at_once(self.0.give_back_refused(client));
    }

    fn take_class(
        &self,
        class: &str,
        payer: u8,
        client: ClientKey,
    ) -> Result<Option<Quota>, TooMany> {
        at_once(self.0.take_class(class, payer, client))
    }
}

impl Deref for Own {
    type Target = Limiter;

    fn deref(&self) -> &Limiter {
        &self.0
    }
}

fn at_once<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("nothing of its own has to be waited for"),
    }
}

fn limiter(settings: &Settings, keys_max: usize) -> (Own, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    (Own(Limiter::with((settings, None), &Ticks::Set(clock.clone()), keys_max)), clock)
}

fn client(address: &str) -> ClientKey {
    address.parse::<IpAddr>().unwrap().into()
}

fn nth_client(n: u32) -> ClientKey {
    IpAddr::V4(Ipv4Addr::from_bits(n)).into()
}

fn passing(limiter: &Own, key: ClientKey) -> usize {
    std::iter::repeat_with(|| limiter.take_unpaid(key)).take_while(Result::is_ok).count()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_31st_unpaid_request_is_refused_and_told_when_to_come_back() {
    let (limiter, clock) = limiter(&Settings::default(), 1000);
    let one = client("198.51.100.1");
    for remaining in (0..30).rev() {
        let quota = limiter.take_unpaid(one).unwrap().unwrap();
        let expected = Quota { limit: 30, remaining, window: SECOND * 60, reset: SECOND * 2 };
        assert_eq!(quota, expected);
    }
    let refused = limiter.take_unpaid(one).unwrap_err();
    assert_eq!(refused.retry_after, SECOND * 2);
    assert_eq!((refused.quota.remaining, refused.quota.reset), (0, SECOND * 2));
    assert!(limiter.take_unpaid(client("198.51.100.2")).is_ok(), "another client has its own");

    clock.advance(SECOND);
    assert_eq!(limiter.take_unpaid(one).unwrap_err().retry_after, SECOND);
    clock.advance(SECOND - Duration::from_nanos(1));
    assert_eq!(limiter.take_unpaid(one).unwrap_err().retry_after, Duration::from_nanos(1));
    clock.advance(Duration::from_nanos(1));
    assert_eq!(passing(&limiter, one), 1);
    clock.advance(SECOND * 60);
    assert_eq!(passing(&limiter, one), 30);
    clock.advance(SECOND * 6000);
    assert_eq!(passing(&limiter, one), 30, "what is not used is not saved up");
}

#[test]
fn a_network_of_64_bits_shares_one_bucket() {
    let (limiter, _clock) = limiter(&Settings::default(), 1000);
    for host in 0..30 {
        assert!(limiter.take_unpaid(client(&format!("2001:db8:1:2::{host:x}"))).is_ok());
    }
    assert!(limiter.take_unpaid(client("2001:db8:1:2:ffff::1")).is_err());
    assert!(limiter.take_unpaid(client("2001:db8:1:3::1")).is_ok());
}

#[test]
fn a_settled_payment_earns_one_request_and_no_more_than_the_burst() {
    let (limiter, clock) = limiter(&Settings::default(), 1000);
    let one = client("198.51.100.1");
    for _ in 0..100 {
        limiter.earn_unpaid(one);
    }
    assert_eq!(passing(&limiter, one), 30);
    limiter.earn_unpaid(one);
    assert_eq!(passing(&limiter, one), 1);
    for _ in 0..100 {
        limiter.earn_unpaid(one);
        assert_eq!(passing(&limiter, one), 1, "who pays for every probe may always probe");
    }
    for _ in 0..100 {
        limiter.earn_unpaid(one);
    }
    assert_eq!(passing(&limiter, one), 30);
    clock.advance(SECOND * 3600);
    limiter.earn_unpaid(one);
    assert_eq!(passing(&limiter, one), 30);
}

#[test]
fn what_is_given_back_is_exact_when_many_do_it_at_once() {
    let settings = Settings { refused: "50/min".parse().ok(), ..Settings::default() };
    let (limiter, _clock) = limiter(&settings, 1000);
    let one = client("198.51.100.1");
    let start = Barrier::new(50);
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..200 {
                    assert!(limiter.take_refused(one).is_ok(), "never more than 50 are out");
                    limiter.give_back_refused(one);
                }
                assert!(limiter.take_refused(one).is_ok());
            });
        }
    });
    assert!(limiter.take_refused(one).is_err(), "50 were kept");
    limiter.give_back_refused(one);
    assert!(limiter.take_refused(one).is_ok());
    assert!(limiter.take_refused(one).is_err());
}

#[test]
fn the_buckets_of_one_client_are_apart() {
    let (limiter, _clock) = limiter(&Settings::default(), 1000);
    let one = client("198.51.100.1");
    assert_eq!(passing(&limiter, one), 30);
    for _ in 0..30 {
        assert!(limiter.take_refused(one).is_ok());
    }
    assert!(limiter.take_refused(one).is_err());
}

#[test]
fn a_class_counts_by_payer_or_by_address() {
    let class = |by| ClassSettings { rate: "2/min".parse().unwrap(), by };
    let classes = [("ai".into(), class(By::Payer)), ("trading".into(), class(By::Ip))];
    let settings = Settings { classes: classes.into(), ..Settings::default() };
    let (limiter, _clock) = limiter(&settings, 1000);
    let (here, there) = (client("198.51.100.1"), client("198.51.100.2"));
    let taken = |class, payer, client| limiter.take_class(class, payer, client);

    assert_eq!(taken("ai", 1, here).unwrap().unwrap().remaining, 1);
    assert_eq!(taken("ai", 1, there).unwrap().unwrap().remaining, 0);
    assert_eq!(taken("ai", 1, there).unwrap_err().retry_after, SECOND * 30);
    assert!(taken("ai", 2, here).is_ok());

    assert!(taken("trading", 1, here).is_ok() && taken("trading", 2, here).is_ok());
    assert!(taken("trading", 3, here).is_err());
    assert!(taken("trading", 3, there).is_ok());

    assert_eq!(taken("unlimited", 1, here), Ok(None));
}

#[test]
fn so_much_is_free_of_each_route_for_each_client() {
    let free = [("a".into(), "2/day".parse().unwrap()), ("b".into(), "1/h".parse().unwrap())];
    let settings = Settings { free: free.into(), ..Settings::default() };
    let (limiter, clock) = limiter(&settings, 1000);
    let (one, two) = (client("198.51.100.1"), client("198.51.100.2"));
    let free = |route, client| at_once(limiter.take_free(route, client));
    assert!(free("a", one) && free("a", one) && !free("a", one));
    assert!(free("a", two) && free("b", one) && !free("b", one));
    assert!(!free("none", one), "what is free of nothing is nothing");
    clock.advance(SECOND * 12 * 3600);
    assert!(free("a", one) && !free("a", one), "half a day brings half of it back");
    let reloaded = Own(limiter.changed(&settings));
    assert!(!at_once(reloaded.take_free("a", one)), "a reload refills nothing");
    assert_eq!(limiter.sizes().free, 3);
}

#[test]
fn without_a_limit_everything_passes() {
    let none = Settings { unpaid: None, refused: None, ..Settings::default() };
    let (limiter, _clock) = limiter(&none, 1000);
    let one = client("198.51.100.1");
    for _ in 0..1000 {
        assert_eq!(limiter.take_unpaid(one), Ok(None));
        assert_eq!(limiter.take_refused(one), Ok(None));
    }
    limiter.earn_unpaid(one);
    limiter.give_back_refused(one);
}

#[test]
fn a_full_table_stays_bounded_and_fails_closed() {
    let (limiter, clock) = limiter(&Settings::default(), 6400);
    let early = nth_client(0);
    assert_eq!(passing(&limiter, early), 30);
    let passed = (1..200_000).filter(|n| limiter.take_unpaid(nth_client(*n)).is_ok()).count();
    assert_eq!(limiter.sizes().unpaid, 6400);
    // Everyone in the table, and the burst of each shard's shared bucket.
    assert_eq!(passed, 6399 + 64 * 30);
    assert!(limiter.take_unpaid(early).is_err(), "those in the table keep their own bucket");

    let late = nth_client(200_000);
    assert!(limiter.take_unpaid(late).is_err());
    limiter.earn_unpaid(late);
    assert!(limiter.take_unpaid(late).is_ok(), "what was taken in common is given back in common");

    limiter.tend();
    assert_eq!(limiter.sizes().unpaid, 6400, "no bucket is full yet");
    clock.advance(SECOND * 5);
    limiter.tend();
    assert_eq!(limiter.sizes().unpaid, 1, "all are full again but the one that took 30");
    assert_eq!(passing(&limiter, nth_client(300_000)), 30);
    clock.advance(SECOND * 120);
    limiter.tend();
    assert_eq!(limiter.sizes(), Sizes { unpaid: 0, refused: 0, free: 0, classes: Vec::new() });
}

#[test]
fn giving_back_to_a_full_bucket_makes_no_bucket() {
    let (limiter, _clock) = limiter(&Settings::default(), 64);
    limiter.earn_unpaid(nth_client(1));
    limiter.give_back_refused(nth_client(1));
    assert_eq!(limiter.sizes(), Sizes { unpaid: 0, refused: 0, free: 0, classes: Vec::new() });
}

#[test]
fn buckets_keep_filling_beside_a_tended_table() {
    let (limiter, clock) = limiter(&Settings::default(), 1000);
    let one = client("198.51.100.1");
    assert_eq!(passing(&limiter, one), 30);
    for _ in 0..10 {
        clock.advance(SECOND * 2);
        limiter.tend();
        assert_eq!(passing(&limiter, one), 1);
    }
}
