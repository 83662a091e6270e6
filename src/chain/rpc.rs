//! Questions to the nodes of one chain: several endpoints, the healthy ones first.

mod answer;
mod shared;
#[cfg(test)]
pub(crate) mod socket;
mod url;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, redirect, retry};
use serde_json::Value;

#[cfg(test)]
pub(super) use self::answer::{Node, Posted};
pub(super) use self::answer::{Reply, RpcError};
use self::shared::Shared;
pub use self::url::{RpcUrl, RpcUrlError};
use crate::clock::steady;
use crate::fault::{Fault, Retry, Side};

/// The nodes of one chain.
pub(in crate::chain) struct Rpc {
    endpoints: Box<[Endpoint]>,
    timeout: Duration,
    started: Instant,
}

struct Endpoint {
    node: Arc<Shared>,
    failures: AtomicU32,
    /// Milliseconds after the start until which it is asked only when no other is left.
    down_until: AtomicU64,
}

/// One question of a batch.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    method: &'static str,
    params: Arc<Value>,
}

/// What nodes said to a signed transaction.
#[derive(Debug)]
pub(super) enum Taken {
    /// One has it, or had it already.
    Yes,
    /// What makes it itself is spent on the chain: by this transaction, or by another.
    Spent,
    /// All that were asked refused it: it is nowhere.
    No(RpcError),
    /// One may have it.
    Perhaps(Fault),
}

/// What one node's error to a signed transaction means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It has this very transaction.
    Has,
    /// As [`Taken::Spent`].
    Spent,
    /// It has given up, and may have it all the same.
    Doubt,
    /// It does not have it.
    No,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// On this chain, so high.
    Here(u64),
    /// On another chain.
    Elsewhere,
}

impl Ask {
    pub(super) fn new(method: &'static str, params: Value) -> Self {
        Self { method, params: Arc::new(params) }
    }
}

impl Rpc {
    pub(super) fn new(urls: Vec<RpcUrl>, timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .retry(retry::never())
            .connect_timeout(CONNECT_TIMEOUT_MAX.min(timeout))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_keepalive(IDLE_TIMEOUT)
            .build()?;
        let endpoint = |url| Endpoint {
            node: Arc::new(Shared::new(client.clone(), url, timeout)),
            failures: AtomicU32::new(0),
            down_until: AtomicU64::new(0),
        };
        let endpoints = urls.into_iter().map(endpoint).collect();
        Ok(Self { endpoints, timeout, started: steady() })
    }

    /// Asks in one round trip. Each endpoint is tried at most once, until one answers everything.
    ///
    /// A node's own error to a question is handed on only when no endpoint does better.
    pub(super) async fn ask(&self, asks: &[Ask]) -> Result<Vec<Reply>, Fault> {
        let (mut second_best, mut last) = (None, None);
        for endpoint in self.in_order() {
            match self.ask_one(endpoint, asks).await {
                Ok(replies) if replies.iter().all(Result::is_ok) => {
                    endpoint.works();
                    return Ok(replies);
                }
                Ok(replies) => {
                    second_best.get_or_insert(replies);
                }
                Err(fault) => {
                    endpoint.fails(self.now());
                    last = Some(fault);
                }
            }
        }
        second_best.ok_or_else(|| last.unwrap_or_else(|| fault("there is no endpoint")))
    }

    /// Asks one question.
    pub(super) async fn ask_for(&self, ask: Ask) -> Result<Value, Fault> {
        let replies = self.ask(std::slice::from_ref(&ask)).await?;
        let reply = replies.into_iter().next().ok_or_else(|| fault("no answer"))?;
        reply.map_err(|error| fault("a node refused a question").caused_by(error))
    }

    /// Hands a signed transaction to the first endpoint that takes it. Sending the same bytes to
    /// several is harmless: it is one transaction.
    pub(super) async fn hand_in(&self, ask: Ask, means: fn(&RpcError) -> Said) -> Taken {
        let (mut refused, mut doubt) = (None, None);
        for endpoint in self.in_order() {
            let reply = match self.ask_one(endpoint, std::slice::from_ref(&ask)).await {
                Ok(mut replies) => replies.pop(),
                Err(fault) => {
                    endpoint.fails(self.now());
                    // Even a connection that was never made is counted as doubt: it costs only
                    // a second look at the chain.
                    doubt = Some(fault);
                    continue;
                }
            };
            let error = match reply {
                Some(Ok(_)) => return Taken::Yes,
                Some(Err(error)) => error,
                None => {
                    doubt = Some(fault("no answer"));
                    continue;
                }
            };
            match means(&error) {
                Said::Has => return Taken::Yes,
                // Whoever did not answer may have it, and it may be in a block by now.
                Said::Spent => return doubt.map_or(Taken::Spent, Taken::Perhaps),
                Said::Doubt => doubt = Some(fault("a node does not know").caused_by(error)),
                Said::No => refused = Some(error),
            }
        }
        match (doubt, refused) {
            (Some(fault), _) => Taken::Perhaps(fault),
            (None, Some(error)) => Taken::No(error),
            (None, None) => Taken::Perhaps(fault("there is no endpoint")),
        }
    }

    /// Asks every endpoint where it stands, and puts those aside that are on another chain or more
    /// than `behind_max` below the highest: they tell stale balances.
    pub(super) async fn look_at_each(
        &self,
        asks: &[Ask],
        stands: impl Fn(&[Reply]) -> Result<Stands, Fault>,
        behind_max: u64,
    ) -> Result<(), Fault> {
        let mut found = Vec::new();
        let mut last = None;
        for endpoint in &self.endpoints {
            match self.ask_one(endpoint, asks).await.and_then(|replies| stands(&replies)) {
                Ok(Stands::Here(height)) => found.push((endpoint, height)),
                Ok(Stands::Elsewhere) => {
                    endpoint.fails_for(self.now(), WRONG_CHAIN_PAUSE);
                    let wrong = Fault::new(Side::Chain, Retry::Never, "a node is on another chain");
                    last = Some(wrong.caused_by(endpoint.node.url().shown()));
                }
                Err(fault) => {
                    endpoint.fails(self.now());
                    last = Some(fault);
                }
            }
        }
        let Some(best) = found.iter().map(|(_, height)| *height).max() else {
            return Err(last.unwrap_or_else(|| fault("there is no endpoint")));
        };
        for (endpoint, height) in found {
            match best - height > behind_max {
                true => endpoint.fails(self.now()),
                false => endpoint.works(),
            }
        }
        Ok(())
    }

    /// How many endpoints there are, and how many of them are up.
    pub(super) fn up(&self) -> (usize, usize) {
        let now = self.now();
        (self.endpoints.len(), self.endpoints.iter().filter(|one| one.is_up(now)).count())
    }

    /// In the operator's order, those that are down behind the others.
    fn in_order(&self) -> Vec<&Endpoint> {
        let now = self.now();
        let (mut up, down): (Vec<_>, Vec<_>) =
            self.endpoints.iter().partition(|endpoint| endpoint.is_up(now));
        up.extend(down);
        up
    }

    fn now(&self) -> Duration {
        steady().saturating_duration_since(self.started)
    }

    async fn ask_one(&self, endpoint: &Endpoint, asks: &[Ask]) -> Result<Vec<Reply>, Fault> {
        let late = |late| fault("no answer in time").caused_by(late);
        let asking = endpoint.node.ask(asks);
        let asked = tokio::time::timeout(self.timeout, asking).await.map_err(late);
        asked.and_then(|answered| answered).map_err(|cause| {
            fault("a node does not answer")
                .caused_by(NoAnswer { endpoint: endpoint.node.url().shown().into(), cause })
        })
    }
}

/// Which node it was.
#[derive(Debug, thiserror::Error)]
#[error("{endpoint}")]
struct NoAnswer {
    endpoint: Box<str>,
    #[source]
    cause: Fault,
}

impl Endpoint {
    fn is_up(&self, now: Duration) -> bool {
        millis(now) >= self.down_until.load(Ordering::Relaxed)
    }

    fn works(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.down_until.store(0, Ordering::Relaxed);
    }

    /// Puts it aside, for longer each time.
    fn fails(&self, now: Duration) {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        let pause = PAUSE_FIRST.saturating_mul(1 << before.min(PAUSE_DOUBLINGS_MAX));
        self.fails_for(now, pause);
    }

    fn fails_for(&self, now: Duration, pause: Duration) {
        self.down_until.store(millis(now.saturating_add(pause)), Ordering::Relaxed);
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

fn fault(context: &'static str) -> Fault {
    Fault::new(Side::Chain, Retry::Later, context)
}

const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(2);
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// One second, two, four … sixteen.
const PAUSE_DOUBLINGS_MAX: u32 = 4;
const WRONG_CHAIN_PAUSE: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests;
