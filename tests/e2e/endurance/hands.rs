//! An operator who reloads good files and bad ones, and whoever pulls the plugs.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use super::house::House;
use super::tally::Kind;
use crate::support::eventually;

/// The part that dies next.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Gateway,
    Worker,
    Postgres,
    Redis,
}

const ALL: [Victim; 4] = [Victim::Gateway, Victim::Worker, Victim::Postgres, Victim::Redis];
/// In the last half the gateway lives on, so that it can be seen whether it grows.
const OTHERS: [Victim; 3] = [Victim::Worker, Victim::Postgres, Victim::Redis];

/// Kills one after the other, each in the middle of its work, and has it come back.
pub(super) async fn kills(house: &House) {
    let every = (house.length / 16).min(Duration::from_secs(30));
    let (mut all, mut others) = (ALL.iter().cycle(), OTHERS.iter().cycle());
    // The last of them is over before the load is.
    while house.began.elapsed() + 2 * every < house.length {
        tokio::time::sleep(every).await;
        let victims = if house.gone() < 0.5 { &mut all } else { &mut others };
        let Some(victim) = victims.next() else { return };
        let begun = Instant::now();
        victim.dies(house).await;
        let name = victim.name();
        *house.tally.borrow_mut().kills.entry(name).or_default() += 1;
        let (at, took) = (house.began.elapsed().as_secs(), begun.elapsed().as_millis());
        eprintln!("[{at:5} s] killed: {name}; back after {took} ms");
    }
}

impl Victim {
    fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis",
        }
    }

    async fn dies(self, house: &House) {
        match self {
            Self::Gateway => house.gateway_dies().await,
            Self::Worker => worker_dies(house).await,
            Self::Postgres => house.postgres.lock().await.killed_and_restarted().await,
            Self::Redis => {
                let mut redis = house.redis.lock().await;
                let dead = redis.take().unwrap().killed();
                *redis = Some(dead.comes_back());
            }
        }
        is_ready(house).await;
    }
}

async fn worker_dies(house: &House) {
    let gateway = house.gateway.lock().await;
    let workers = gateway.as_ref().unwrap().children();
    for worker in &workers {
        kill(*worker, Signal::SIGKILL).unwrap();
    }
    eventually("another worker", async || {
        let now = gateway.as_ref().unwrap().children();
        (!now.is_empty() && now.iter().all(|worker| !workers.contains(worker))).then_some(())
    })
    .await;
}

async fn is_ready(house: &House) {
    house.gateway.lock().await.as_ref().unwrap().ready().await;
}

/// Reloads, each time another description of a route; every third file is bad and changes nothing.
pub(super) async fn reloads(house: &House) {
    let mut count = 0;
    while !house.is_over() {
        tokio::time::sleep(Duration::from_secs(2)).await;
        count += 1;
        // Nobody is killed meanwhile: it would not start with a bad file.
        let gateway = house.gateway.lock().await;
        let gateway = gateway.as_ref().unwrap();
        let (was, is) = (described(count - 1), described(count));
        let begun = Instant::now();
        let changes = |text: String| {
            assert!(text.contains(&was), "{text}");
            text.replace(&was, &is)
        };
        let (mut status, mut said) = gateway.reloaded(changes).await;
        assert_eq!(status, 200, "{said}");
        if count % 3 == 0 {
            (status, said) = gateway.reloaded(|text| text + BAD).await;
            assert_eq!(status, 409, "{said}");
            gateway.rewritten(|text| text.replace(BAD, ""));
        }
        house.tally.borrow_mut().count(Kind::Reload, status, Some(begun.elapsed()));
    }
}

fn described(count: usize) -> String {
    format!("description = \"{count}\"")
}

const BAD: &str = "\nunknown = 1\n";
