//! Questions to the nodes of one chain: several endpoints, the healthy ones first.

mod answer;
mod shared;
#[cfg(test)]
pub(crate) mod socket;
mod url;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

#[cfg(test)]
pub(super) use self::answer::{Node, Posted};
pub(super) use self::answer::{Reply, RpcError};
use self::shared::Shared;
pub use self::url::{RpcUrl, RpcUrlError};
use crate::chain::fault;
use crate::clock::steady;
use crate::fault::{Fault, Retry, Side};
use crate::outgoing;

/// The nodes of one chain. None is asked anything before it has said that it is on that chain:
/// where the same contracts stand at the same places, another chain's word would be believed.
pub(in crate::chain) struct Rpc {
    endpoints: Box<[Endpoint]>,
    home: Home,
    timeout: Duration,
    started: Instant,
}

struct Endpoint {
    node: Arc<Shared>,
    failures: AtomicU32,
    /// Milliseconds after the start until which it is asked only when no other is left.
    down_until: AtomicU64,
    /// It has said that it is on this chain.
    is_home: AtomicBool,
    /// Milliseconds after the start until which it is not asked: it is on another chain.
    elsewhere_until: AtomicU64,
}

/// How a node tells that it is on this chain.
pub(super) struct Home {
    pub(super) ask: Ask,
    pub(super) is_told: Box<dyn Fn(&Value) -> bool + Send + Sync>,
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

impl Ask {
    pub(super) fn new(method: &'static str, params: Value) -> Self {
        Self { method, params: Arc::new(params) }
    }
}

impl Rpc {
    pub(super) fn new(
        urls: Vec<RpcUrl>,
        timeout: Duration,
        home: Home,
    ) -> Result<Self, reqwest::Error> {
        let client = outgoing::client()
            .connect_timeout(CONNECT_TIMEOUT_MAX.min(timeout))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_keepalive(IDLE_TIMEOUT)
            .build()?;
        let endpoint = |url| Endpoint {
            node: Arc::new(Shared::new(client.clone(), url, timeout)),
            failures: AtomicU32::new(0),
            down_until: AtomicU64::new(0),
            is_home: AtomicBool::new(false),
            elsewhere_until: AtomicU64::new(0),
        };
        let endpoints = urls.into_iter().map(endpoint).collect();
        Ok(Self { endpoints, home, timeout, started: steady() })
    }

    /// Nodes that are believed to be on the chain, for tests of what comes after.
    #[cfg(test)]
    pub(super) fn unchecked(urls: Vec<RpcUrl>, timeout: Duration) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let home = Home { ask: Ask::new("home", Value::Null), is_told: Box::new(|_| true) };
        let rpc = Self::new(urls, timeout, home).unwrap();
        rpc.endpoints.iter().for_each(|endpoint| endpoint.is_home.store(true, Ordering::Relaxed));
        rpc
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
        second_best.ok_or_else(|| last.unwrap_or_else(no_node))
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
            (None, None) => Taken::Perhaps(no_node()),
        }
    }

    /// Asks every endpoint for its chain and its height, and puts those aside that are on another
    /// chain or more than `behind_max` below the highest: they tell stale balances.
    pub(super) async fn look_at_each(
        &self,
        height: Ask,
        read: fn(&Value) -> Result<u64, Fault>,
        behind_max: u64,
    ) -> Result<(), Fault> {
        let asks = [self.home.ask.clone(), height];
        let mut found = Vec::new();
        let mut last = None;
        for endpoint in &self.endpoints {
            let stands = self.exchange(endpoint, &asks).await.and_then(|replies| {
                self.judge(endpoint, replies.first())?;
                let height = replies.get(1).and_then(|reply| reply.as_ref().ok());
                read(height.ok_or_else(|| fault("a node does not say where it stands"))?)
            });
            match stands {
                Ok(height) => found.push((endpoint, height)),
                Err(fault) => {
                    endpoint.fails(self.now());
                    last = Some(fault);
                }
            }
        }
        let Some(best) = found.iter().map(|(_, height)| *height).max() else {
            return Err(last.unwrap_or_else(no_node));
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

    /// In the operator's order, those that are down behind the others, without those that are on
    /// another chain.
    fn in_order(&self) -> Vec<&Endpoint> {
        let now = self.now();
        let here = self.endpoints.iter().filter(|endpoint| !endpoint.is_elsewhere(now));
        let (mut up, down): (Vec<_>, Vec<_>) = here.partition(|endpoint| endpoint.is_up(now));
        up.extend(down);
        up
    }

    fn now(&self) -> Duration {
        steady().saturating_duration_since(self.started)
    }

    /// Asks an endpoint, which must be on this chain.
    async fn ask_one(&self, endpoint: &Endpoint, asks: &[Ask]) -> Result<Vec<Reply>, Fault> {
        if !endpoint.is_home.load(Ordering::Relaxed) {
            let told = self.exchange(endpoint, std::slice::from_ref(&self.home.ask)).await?;
            self.judge(endpoint, told.first())?;
        }
        self.exchange(endpoint, asks).await
    }

    /// Whether an endpoint is on this chain, by what it has just told.
    fn judge(&self, endpoint: &Endpoint, told: Option<&Reply>) -> Result<(), Fault> {
        let Some(Ok(told)) = told else {
            return Err(fault("a node does not say which chain it is on"));
        };
        let is_home = (self.home.is_told)(told);
        endpoint.is_home.store(is_home, Ordering::Relaxed);
        let now = self.now();
        let until = if is_home { Duration::ZERO } else { now.saturating_add(WRONG_CHAIN_PAUSE) };
        let before = endpoint.elsewhere_until.swap(millis(until), Ordering::Relaxed);
        if is_home {
            return Ok(());
        }
        let node = endpoint.node.url().shown();
        if millis(now) >= before {
            tracing::warn!(node, "a node is on another chain: it is not asked");
        }
        Err(Fault::new(Side::Chain, Retry::Never, "a node is on another chain").caused_by(node))
    }

    async fn exchange(&self, endpoint: &Endpoint, asks: &[Ask]) -> Result<Vec<Reply>, Fault> {
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
        !self.is_elsewhere(now) && millis(now) >= self.down_until.load(Ordering::Relaxed)
    }

    fn is_elsewhere(&self, now: Duration) -> bool {
        millis(now) < self.elsewhere_until.load(Ordering::Relaxed)
    }

    fn works(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.down_until.store(0, Ordering::Relaxed);
    }

    /// Puts it aside, for longer each time.
    fn fails(&self, now: Duration) {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        let pause = PAUSE_FIRST.saturating_mul(1 << before.min(PAUSE_DOUBLINGS_MAX));
        self.down_until.store(millis(now.saturating_add(pause)), Ordering::Relaxed);
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

fn no_node() -> Fault {
    fault("no node is on this chain")
}

const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(2);
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// One second, two, four … sixteen.
const PAUSE_DOUBLINGS_MAX: u32 = 4;
const WRONG_CHAIN_PAUSE: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests;
