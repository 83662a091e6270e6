//! The choice among backends, step by step and with the time handed in.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::*;

fn place(at: usize) -> Arc<Place> {
    let authority = HeaderValue::from_static("api");
    Arc::new(Place { at, authority, server_name: None })
}

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 80))
}

/// Backends 1 to `count`, and a moment after they were found.
fn of(balance: Balance, count: u8) -> (Backends, Instant) {
    let backends = Backends::new(balance, 1);
    let addresses: Vec<_> = (1..=count).map(address).collect();
    assert!(backends.found(&place(0), &addresses));
    (backends, clock::steady())
}

/// The number of the backend that an exchange of its own is given to.
fn next(backends: &Backends, key: u64, now: Instant) -> Option<u8> {
    asked(&mut Tries::default(), backends, key, now)
}

fn asked(tries: &mut Tries, backends: &Backends, key: u64, now: Instant) -> Option<u8> {
    let address = tries.next(backends, key, now)?.address;
    (1..=u8::MAX).find(|number| super::tests::address(*number) == address)
}

fn many(backends: &Backends, times: u64, now: Instant) -> HashMap<u8, u64> {
    let mut counts = HashMap::new();
    for key in 0..times {
        *counts.entry(next(backends, hash_of(&key), now).unwrap()).or_default() += 1;
    }
    counts
}

fn later(now: Instant, millis: u64) -> Instant {
    now + Duration::from_millis(millis)
}

fn health(fails: usize, passes: usize) -> Health {
    let number = |number| NonZeroUsize::new(number).unwrap();
    let (every, timeout) = (Duration::ZERO, Duration::ZERO);
    Health { path: None, every, timeout, fails: number(fails), passes: number(passes) }
}

/// Takes a backend out by its check.
fn fails(backends: &Backends, number: u8) {
    let all = backends.all();
    let backend = all.iter().find(|backend| backend.address == address(number)).unwrap();
    assert_eq!(backend.checked(false, &health(1, 1)), Some(Turned::Out));
}

#[test]
fn nobody_is_chosen_from_none() {
    for balance in Balance::ALL {
        let backends = Backends::new(balance, 1);
        assert!(!backends.is_up());
        assert_eq!(next(&backends, 7, clock::steady()), None);
    }
}

#[test]
fn each_comes_in_turn() {
    let (backends, now) = of(Balance::RoundRobin, 3);
    let order: Vec<_> = (0..6).map(|_| next(&backends, 0, now).unwrap()).collect();
    assert_eq!(order, [1, 2, 3, 1, 2, 3]);
    // The share of one that is out is not its neighbour's.
    fails(&backends, 2);
    assert_eq!(many(&backends, 100, now), HashMap::from([(1, 50), (3, 50)]));
}

#[test]
fn the_fewest_under_way_come_first() {
    let (backends, now) = of(Balance::LeastConnections, 3);
    let mut held: Vec<Tries> = Vec::new();
    let mut hold = || {
        let mut tries = Tries::default();
        let number = asked(&mut tries, &backends, 0, now).unwrap();
        held.push(tries);
        number
    };
    let mut first = [hold(), hold(), hold()];
    first.sort_unstable();
    assert_eq!(first, [1, 2, 3]);
    held.retain(|tries| tries.backend().unwrap().address != address(2));
    for _ in 0..5 {
        assert_eq!(next(&backends, 0, now), Some(2), "the others have one each");
    }
    drop(held);
    assert!(many(&backends, 30, now).into_values().all(|count| count == 10), "equals take turns");
}

#[test]
fn a_key_stays_and_moves_only_with_its_backend() {
    for balance in [Balance::HashPayer, Balance::HashIp] {
        let (backends, now) = of(balance, 5);
        let keys = || (0..1_000_u64).map(|key| hash_of(&key));
        let before: Vec<_> = keys().map(|key| next(&backends, key, now).unwrap()).collect();
        let again: Vec<_> = keys().map(|key| next(&backends, key, now).unwrap()).collect();
        assert_eq!(before, again);
        for count in many(&backends, 1_000, now).into_values() {
            assert!((150..250).contains(&count), "{count}");
        }
        fails(&backends, 3);
        for (key, before) in keys().zip(before) {
            let after = next(&backends, key, now).unwrap();
            assert!(if before == 3 { after != 3 } else { after == before });
        }
    }
}

#[test]
fn who_could_not_be_connected_to_is_asked_by_nobody_then_by_one() {
    let (backends, now) = of(Balance::RoundRobin, 2);
    let mut tries = Tries::default();
    assert_eq!(asked(&mut tries, &backends, 0, now), Some(1));
    assert_eq!(tries.missed(now, &"refused"), More::Some);
    assert_eq!(asked(&mut tries, &backends, 0, now), Some(2), "the same exchange, the other one");
    assert_eq!(tries.missed(now, &"refused"), More::None);

    // Both rest. Somebody has to be asked: who has rested longest, and that changes nothing.
    assert_eq!(backends.counted(now), Counted { up: 0, resting: 2, failed: 0, empty: 0 });
    assert!(backends.is_up());
    assert_eq!(next(&backends, 0, later(now, 999)), Some(1));

    // The second is back.
    tries.reached(now);
    assert_eq!(many(&backends, 10, later(now, 999)), HashMap::from([(2, 10)]));

    // The first one's rest is over: one request tries it, and for the others it rests two seconds.
    let then = later(now, 1_000);
    assert_eq!(many(&backends, 10, then), HashMap::from([(1, 1), (2, 9)]));
    assert_eq!(many(&backends, 10, later(then, 1_999)), HashMap::from([(2, 10)]));
    // That one failed too: four seconds.
    let then = later(then, 2_000);
    assert_eq!(many(&backends, 10, then), HashMap::from([(1, 1), (2, 9)]));
    let mut trial = Tries::default();
    let then = later(then, 4_000);
    while asked(&mut trial, &backends, 0, then) != Some(1) {
        trial = Tries::default();
    }
    trial.reached(then);
    assert_eq!(trial.since(), Some(then));
    assert_eq!(many(&backends, 10, then), HashMap::from([(1, 5), (2, 5)]));
}

#[test]
fn requests_that_fail_together_count_once_and_a_rest_has_an_end() {
    let (backends, now) = of(Balance::RoundRobin, 1);
    let mut held: Vec<_> = (0..50).map(|_| Tries::default()).collect();
    for tries in &mut held {
        assert_eq!(asked(tries, &backends, 0, now), Some(1), "there is no other");
    }
    for tries in &held {
        assert_eq!(tries.missed(now, &"refused"), More::None);
    }
    assert_eq!(backends.counted(later(now, 999)).resting, 1);
    assert_eq!(backends.counted(later(now, 1_000)).resting, 0);
    let mut then = now;
    for seconds in [1, 2, 4, 8, 16, 30, 30, 30] {
        let over = later(then, seconds * 1_000);
        assert_eq!(backends.counted(later(over, 0) - Duration::from_millis(1)).resting, 1);
        assert_eq!(backends.counted(over).resting, 0, "{seconds}");
        then = over;
        assert_eq!(next(&backends, 0, then), Some(1));
    }
}

#[test]
fn an_exchange_is_not_given_to_one_twice_before_all_others() {
    let (backends, now) = of(Balance::HashIp, 4);
    let mut tries = Tries::default();
    let mut order: Vec<_> =
        (0..4).map(|_| asked(&mut tries, &backends, 99, now).unwrap()).collect();
    // It broke off on the way, and no other is left: the best one again.
    assert_eq!(asked(&mut tries, &backends, 99, now), Some(order[0]));
    order.sort_unstable();
    assert_eq!(order, [1, 2, 3, 4]);
}

#[test]
fn what_a_check_says_is_believed() {
    let (backends, now) = of(Balance::RoundRobin, 1);
    let all = backends.all();
    let backend = all.iter().next().unwrap();
    let sees = |passed| backend.checked(passed, &health(3, 2));
    // The first look of all decides alone; later it takes three.
    assert_eq!(sees(false), Some(Turned::Out));
    assert_eq!(backends.counted(now), Counted { up: 0, resting: 0, failed: 1, empty: 0 });
    assert!(!backends.is_up());
    assert_eq!(next(&backends, 0, now), None, "it is not asked even as the last");
    for (passed, turned) in [
        (true, None),
        (false, None),
        (true, None),
        (true, Some(Turned::In)),
        (false, None),
        (false, None),
        (true, None),
        (false, None),
        (false, None),
        (false, Some(Turned::Out)),
    ] {
        assert_eq!(sees(passed), turned);
    }
}

#[test]
fn a_look_that_passes_ends_a_rest() {
    let (backends, now) = of(Balance::RoundRobin, 2);
    let mut tries = Tries::default();
    assert_eq!(asked(&mut tries, &backends, 0, now), Some(1));
    tries.missed(now, &"refused");
    assert_eq!(backends.counted(now).resting, 1);
    assert_eq!(tries.backend().unwrap().checked(true, &health(1, 1)), None);
    assert_eq!(backends.counted(now).resting, 0);
}

#[test]
fn who_stays_keeps_its_health_and_who_is_new_is_asked() {
    let backends = Backends::new(Balance::RoundRobin, 2);
    let (one, two) = (place(0), place(1));
    assert!(backends.found(&two, &[address(9)]));
    assert!(backends.found(&one, &[address(2), address(1), address(2)]));
    let numbers = |backends: &Backends| {
        let all = backends.all();
        all.iter().map(|backend| backend.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&backends), ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.9:80"]);
    assert!(!backends.found(&one, &[address(2), address(1)]), "the same in another order");
    fails(&backends, 2);
    let before = backends.all();
    assert!(backends.found(&one, &[address(2), address(3)]));
    assert_eq!(numbers(&backends), ["10.0.0.2:80", "10.0.0.3:80", "10.0.0.9:80"]);
    assert_eq!(
        backends.counted(clock::steady()),
        Counted { up: 2, resting: 0, failed: 1, empty: 0 }
    );
    assert_eq!(before.iter().count(), 3, "who began before goes on with what there was");
    assert!(backends.found(&one, &[]));
    assert_eq!(numbers(&backends), ["10.0.0.9:80"]);
    assert_eq!(backends.counted(clock::steady()).empty, 1);
}

#[test]
fn there_are_never_more_than_there_are_bits() {
    let (backends, now) = of(Balance::RoundRobin, 200);
    assert_eq!(backends.counted(now).all(), BACKENDS_MAX);
    let mut tries = Tries::default();
    for _ in 0..BACKENDS_MAX {
        assert!(asked(&mut tries, &backends, 0, now).is_some());
    }
    assert_eq!(tries.missed(now, &"refused"), More::None);
}
