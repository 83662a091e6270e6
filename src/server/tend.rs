//! What goes on beside the requests: addresses, recovery, the limiter's housekeeping, readiness.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::assemble::House;
use super::resolve;
use crate::facilitator::Facilitator;
use crate::facilitator::chain::{Chain, Purse};
use crate::facilitator::http::Http;
use crate::limit::Limiter;
use crate::observe::Metrics;
use crate::payment::Payments;
use crate::payment::recover::Scope;
use crate::proxy::admin::Readiness;

/// The tasks beside the requests. Dropping them ends them.
pub(super) struct Tending(JoinSet<()>);

impl Tending {
    pub(super) fn abort(mut self) {
        self.0.abort_all();
    }
}

/// Starts them.
pub(super) fn tend(
    house: &House,
    readiness: watch::Sender<Readiness>,
    stopped: watch::Receiver<bool>,
) -> Tending {
    let mut tasks = JoinSet::new();
    for named in &house.named {
        let (host, port) = (named.host.clone(), named.port);
        tasks.spawn(resolve::keep_resolved(host, port, Arc::clone(&named.address)));
    }
    for (supervisor, address) in &house.workers.0 {
        tasks.spawn(follow(supervisor.address(), Arc::clone(address)));
    }
    for (name, facilitator) in house.payments.facilitators() {
        match facilitator {
            Facilitator::Http(http) => {
                tasks.spawn(keep_asking(name.to_owned(), Arc::clone(http)));
            }
            Facilitator::Chain(chain) => {
                let (name, chain) = (name.to_owned(), Arc::clone(chain));
                tasks.spawn(watch_chain(name, chain, Arc::clone(&house.metrics)));
            }
            Facilitator::Simulated(_) => {}
            #[cfg(test)]
            Facilitator::Scripted(_) => {}
        }
    }
    tasks.spawn(keep_house(Arc::clone(&house.limiter), Arc::clone(&house.metrics)));
    tasks.spawn(recover(house.payments.clone(), Arc::clone(&house.metrics)));
    let look = Look {
        payments: house.payments.clone(),
        metrics: Arc::clone(&house.metrics),
        addresses: house.addresses.clone(),
    };
    tasks.spawn(look.keep_looking(readiness, stopped));
    Tending(tasks)
}

/// Asks a facilitator what it can, now and then.
async fn keep_asking(name: String, http: Arc<Http>) {
    let mut every = tokio::time::interval(REFRESH_EVERY);
    loop {
        every.tick().await;
        if let Err(fault) = http.refresh().await {
            tracing::warn!(facilitator = name, %fault, "it does not say what it can");
        }
    }
}

/// Looks at a chain's nodes and at the signers' purses, now and then.
async fn watch_chain(name: String, chain: Arc<Chain>, metrics: Arc<Metrics>) {
    let mut every = tokio::time::interval(CHAIN_EVERY);
    loop {
        every.tick().await;
        if let Err(fault) = chain.refresh().await {
            tracing::warn!(facilitator = name, %fault, "the chain does not answer");
        }
        let (nodes, up) = chain.nodes();
        metrics.set_nodes(&name, nodes, up);
        for Purse { signer, balance_gwei } in chain.purses() {
            if let Some(gwei) = balance_gwei {
                metrics.set_purse(&name, &signer.to_checksum(None), gwei);
            }
        }
    }
}

/// Copies a worker's address to where requests look for it.
async fn follow(mut from: watch::Receiver<Option<SocketAddr>>, to: Arc<ArcSwapOption<SocketAddr>>) {
    loop {
        let address = *from.borrow_and_update();
        to.store(address.map(Arc::new));
        if from.changed().await.is_err() {
            to.store(None);
            return;
        }
    }
}

async fn keep_house(limiter: Arc<Limiter>, metrics: Arc<Metrics>) {
    let mut every = tokio::time::interval(TEND_EVERY);
    loop {
        every.tick().await;
        limiter.tend();
        let sizes = limiter.sizes();
        let classes = sizes.classes.iter().map(|(name, keys)| (&**name, *keys));
        for (table, keys) in
            [("unpaid", sizes.unpaid), ("refused", sizes.refused)].into_iter().chain(classes)
        {
            metrics.set_limiter_keys(table, i64::try_from(keys).unwrap_or(i64::MAX));
        }
    }
}

async fn recover(payments: Payments, metrics: Arc<Metrics>) {
    let mut every = tokio::time::interval(RECOVER_EVERY);
    loop {
        every.tick().await;
        match payments.recover(Scope::WhileServing).await {
            Ok(found) => {
                metrics.set_unknown(i64::try_from(found.unknown).unwrap_or(i64::MAX));
                if found.settled + found.released > 0 {
                    tracing::info!(?found, "payments of unknown outcome were resolved");
                }
            }
            Err(fault) => tracing::error!(%fault, "the ledger could not be read for recovery"),
        }
    }
}

/// What readiness depends on.
struct Look {
    payments: Payments,
    metrics: Arc<Metrics>,
    addresses: Vec<(Box<str>, Arc<ArcSwapOption<SocketAddr>>)>,
}

impl Look {
    async fn keep_looking(
        self,
        readiness: watch::Sender<Readiness>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                _ = stopped.changed() => {
                    readiness.send_replace(Readiness::Not(vec!["stopping".to_owned()]));
                    return;
                }
            }
            readiness.send_replace(self.look().await);
        }
    }

    async fn look(&self) -> Readiness {
        let mut reasons = Vec::new();
        for (name, address) in &self.addresses {
            let up = address.load().is_some();
            self.metrics.set_upstream_up(name, up);
            if !up {
                reasons.push(format!("upstream {name} has no address"));
            }
        }
        for (name, facilitator) in self.payments.facilitators() {
            if let Err(fault) = facilitator.ready().await {
                reasons.push(format!("facilitator {name}: {fault}"));
            }
        }
        if reasons.is_empty() { Readiness::Ready } else { Readiness::Not(reasons) }
    }
}

const REFRESH_EVERY: Duration = Duration::from_secs(60);
const CHAIN_EVERY: Duration = Duration::from_secs(10);
const TEND_EVERY: Duration = Duration::from_secs(10);
const RECOVER_EVERY: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(250);
