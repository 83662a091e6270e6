//! What the tests share: a gateway process, and fakes of everyone it talks to.

pub mod asker;
pub mod authority;
pub mod balancer;
pub mod certificate;
pub mod client;
pub mod collector;
pub mod dialect;
pub mod dice;
#[cfg(feature = "worker")]
pub mod example;
pub mod facilitator;
#[allow(dead_code, reason = "all kinds of frames have their names")]
pub mod frames;
pub mod gateway;
pub mod kept;
pub mod ledger;
pub mod lines;
pub mod load;
pub mod pebble;
pub mod plan;
#[allow(dead_code, reason = "the tests of the ledger use it too")]
pub mod postgres;
pub mod processor;
pub mod raw;
pub mod redis;
pub mod server;
pub mod sign_in;
pub mod solana;
pub mod upstream;
pub mod wallet;

use std::task::Poll;
use std::time::Duration;

/// How long anything may take on a busy machine before it counts as never.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// How often something is looked at that tells nobody when it changes.
const TICK: Duration = Duration::from_millis(20);

/// Looks until there is something, and gives it.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(TICK).await;
        }
    };
    in_time(what, looking).await
}

/// Waits for something that must come.
pub async fn in_time<T>(what: &str, coming: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, coming).await {
        Ok(came) => came,
        Err(_) => panic!("never: {what}"),
    }
}

/// Waits for all of them at once, and gives what they gave in their order.
pub async fn together<T>(all: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(|one| (Box::pin(one), None)).collect();
    let every = std::future::poll_fn(|context| {
        for (one, given) in &mut all {
            if given.is_none()
                && let Poll::Ready(gives) = one.as_mut().poll(context)
            {
                *given = Some(gives);
            }
        }
        if all.iter().all(|(_, given)| given.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    });
    every.await;
    all.into_iter().filter_map(|(_, given)| given).collect()
}
