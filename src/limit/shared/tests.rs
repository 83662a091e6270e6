//! Shared buckets against those of one gateway, in a real Redis, and what is done without it.

#[path = "../../../tests/support/kept.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests from outside use it too")]
mod kept;
#[path = "../../../tests/support/redis.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests from outside use it too")]
mod server;

use governor::clock::FakeRelativeClock;
use redis::Commands as _;

use self::server::Redis;
use super::*;
use crate::limit::table::Table;
use crate::limit::{Limiter, Rate, Settings, Store, Ticks};
use crate::x402::dice::{Dice, rounds};

/// The script on a clock that is handed in; its keys outlive the test.
fn by_hand() -> Script {
    Script::new(&format!("local now, spare = tonumber(ARGV[4]), 3600000\n{BUCKET}"))
}

/// One and the same sequence of requests and refunds, at random moments.
#[test]
fn the_script_decides_as_the_buckets_of_one_gateway() {
    let redis = Redis::start();
    let mut link = Client::open(redis.url()).unwrap().get_connection().unwrap();
    let (script, mut dice) = (by_hand(), Dice::new());
    let mut refused = 0;
    for round in 0..rounds(60) {
        let rate = ["30/min", "7/min", "3/h", "10/day", "5/s", "700000/s", "1/day"][round % 7];
        let rate: Rate = rate.parse().unwrap();
        let measure = rate.measure();
        let clock = FakeRelativeClock::default();
        let table = Table::new(measure, Ticks::Set(clock.clone()), 1000);
        // Redis counts from 1970, to the microsecond.
        let mut now: u64 = 1_795_000_000_000_000;
        let limit = usize::try_from(measure.limit().get()).unwrap();
        for step in 0..(limit * 3).min(120) {
            if dice.below(3) == 0 {
                let micros = usize::try_from(measure.interval().as_micros()).unwrap();
                let passed = u64::try_from(dice.below(micros * 2 + 1)).unwrap();
                now += passed;
                clock.advance(Duration::from_micros(passed));
            }
            let act = if dice.below(5) == 0 { "give" } else { "take" };
            let mut call = script.key(format!("bucket {round}"));
            call.arg(measure.interval_nanos()).arg(measure.limit().get()).arg(act).arg(now);
            let shared: (u64, u64) = call.invoke(&mut link).unwrap();
            if act == "give" {
                table.give_back(round);
                continue;
            }
            let said = match shared {
                (0, nanos) => Err(measure.empty(Duration::from_nanos(nanos))),
                (_, left) => Ok(measure.left(u32::try_from(left).unwrap())),
            };
            refused += usize::from(said.is_err());
            assert_eq!(said, table.take(round), "{rate}, round {round}, step {step}");
        }
    }
    assert!(refused > 20, "hardly anything was refused: {refused}");
}

fn settings(url: &str, replicas: u32) -> Settings {
    let store = Store {
        url: url.parse().unwrap(),
        timeout: Duration::from_secs(10),
        replicas: replicas.try_into().unwrap(),
    };
    Settings { unpaid: "30/h".parse().ok(), store: Some(store), ..Settings::default() }
}

async fn limiter(url: &str, replicas: u32) -> (Arc<Shared>, Arc<Limiter>) {
    let settings = settings(url, replicas);
    let store = settings.store.as_ref().unwrap();
    let shared = Arc::new(Shared::new(&store.url, store.timeout).unwrap());
    let _ = shared.connect().await;
    let limiter = Arc::new(Limiter::new(&settings, Some(Arc::clone(&shared))));
    (shared, limiter)
}

/// How many of so many at once are let through by these limiters together.
async fn passing(limiters: &[&Arc<Limiter>], requests: usize) -> usize {
    let client = std::net::IpAddr::from([203, 0, 113, 9]).into();
    let mut asked = tokio::task::JoinSet::new();
    for limiter in limiters.iter().cycle().take(requests) {
        let limiter = Arc::clone(limiter);
        asked.spawn(async move { limiter.take_unpaid(client).await.is_ok() });
    }
    asked.join_all().await.into_iter().filter(|passed| *passed).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shared_is_counted_once_and_does_not_stay() {
    let redis = Redis::start();
    let ((_, one), (_, two)) = (limiter(&redis.url(), 2).await, limiter(&redis.url(), 2).await);
    assert_eq!(passing(&[&one, &two], 200).await, 30);
    let client = std::net::IpAddr::from([203, 0, 113, 9]).into();
    one.earn_unpaid(client).await;
    assert_eq!(passing(&[&two], 9).await, 1, "what one has earned the other gives");
    let mut link = Client::open(redis.url()).unwrap().get_connection().unwrap();
    let name = "tollgate:unpaid:30/h:203.0.113.9";
    let life: u64 = link.pttl(name).unwrap();
    assert!((3_500_000..=3_600_001).contains(&life), "{life}");
    // A Redis that has forgotten its scripts is told them again.
    let _: () = redis::cmd("SCRIPT").arg("FLUSH").query(&mut link).unwrap();
    let _: () = link.del(name).unwrap();
    assert_eq!(passing(&[&two], 50).await, 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_redis_each_gateway_lets_its_part_through() {
    let redis = Redis::start();
    let (url, place) = (redis.url(), redis.place());
    let dead = redis.killed();
    let (shared, alone) = limiter(&url, 3).await;
    assert_eq!(passing(&[&alone], 60).await, 10);
    let redis = dead.comes_back();
    assert_eq!(redis.place(), place);
    shared.connect().await.unwrap();
    assert_eq!(passing(&[&alone], 60).await, 30);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_never_shown() {
    let redis = Redis::with_password("hunter2");
    let wrong = redis.url().replace("hunter2", "swordfish");
    for (url, good) in [(redis.url(), true), (wrong, false), (redis.place(), false)] {
        let shared = Shared::new(&url.parse().unwrap(), Duration::from_secs(10)).unwrap();
        let said = shared.connect().await;
        assert_eq!(said.is_ok(), good, "{said:?}");
        let why = said.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let said = format!("{said:?} {shared:?} {why}");
        assert!(!said.contains("hunter2") && !said.contains("swordfish"), "{said}");
    }
}

#[tokio::test]
async fn nobody_waits_once_somebody_has_waited_in_vain() {
    let redis = Redis::start();
    let url = redis.url().parse().unwrap();
    let shared = Shared::new(&url, Duration::from_millis(300)).unwrap();
    shared.connect().await.unwrap();
    redis.hangs();
    let measure = "3/h".parse::<Rate>().unwrap().measure();
    let began = clock::steady();
    let (shared, mut all) = (Arc::new(shared), tokio::task::JoinSet::new());
    for _ in 0..20 {
        let shared = Arc::clone(&shared);
        all.spawn(async move { shared.take("bucket", &measure).await });
    }
    assert!(all.join_all().await.iter().all(Option::is_none));
    let once = began.elapsed();
    assert!(once >= Duration::from_millis(300), "{once:?}");
    for _ in 0..1000 {
        assert_eq!(shared.take("bucket", &measure).await, None);
    }
    assert!(began.elapsed() < once + Duration::from_millis(250), "somebody has waited again");
    assert!(shared.connect().await.is_err(), "it is not trusted before it answers");
    redis.goes_on();
    shared.connect().await.unwrap();
    assert!(shared.take("bucket", &measure).await.is_some());
}
