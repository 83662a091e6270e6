//! What goes on beside the requests: addresses, recovery, the limiter's housekeeping.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch as channel;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::assemble::House;
use super::look::Look;
use super::watch;
use crate::clock::Clock;
use crate::facilitator::chain::Purse;
use crate::facilitator::{Facilitator, Member};
use crate::ledger::{Forgetting, Round};
use crate::limit::Sizes;
use crate::observe::Metrics;
use crate::payment::Payments;
use crate::payment::recover::Recovery;
use crate::proxy::Snapshot;
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
    recovery: Recovery,
    readiness: channel::Sender<Readiness>,
    stopped: channel::Receiver<bool>,
) -> Tending {
    let mut tasks = JoinSet::new();
    for member in house.payments.pool().members() {
        tasks.spawn(watch::watch(house.payments.clone(), Arc::clone(member)));
        let (payments, metrics) = (house.payments.clone(), Arc::clone(&house.metrics));
        tasks.spawn(watch_chain(payments, Arc::clone(member), metrics));
    }
    tasks.spawn(keep_house(Arc::clone(&house.now), Arc::clone(&house.metrics)));
    if let Some(shared) = house.shared.clone() {
        let metrics = Arc::clone(&house.metrics);
        tasks.spawn(async move { shared.keep(|counting| metrics.set_limits(counting)).await });
    }
    tasks.spawn(forget(house.payments.ledger().forgetting(house.keep)));
    tasks.spawn(recover(house.payments.clone(), recovery, Arc::clone(&house.metrics)));
    let (certified, metrics) = (house.certified.clone(), Arc::clone(&house.metrics));
    tasks.spawn(certified.keep(Clock::System, metrics));
    tasks.spawn(Look::at(house).keep_looking(readiness, stopped));
    Tending(tasks)
}

/// Looks at a chain's nodes and at the signers' purses, now and then, for as long as it is one of
/// the configuration's.
pub(super) async fn watch_chain(payments: Payments, member: Arc<Member>, metrics: Arc<Metrics>) {
    let Facilitator::Chain(chain) = member.facilitator() else { return };
    let name = &**member.name();
    let mut wait = CHAIN_FIRST;
    loop {
        match chain.refresh().await {
            Ok(()) => wait = CHAIN_EVERY,
            Err(fault) => {
                tracing::warn!(facilitator = name, %fault, "the chain does not answer");
            }
        }
        if !payments.pool().has(&member) {
            return;
        }
        let (nodes, up) = chain.nodes();
        metrics.set_nodes(name, nodes, up);
        for Purse { signer, billionths } in chain.purses() {
            if let Some(billionths) = billionths {
                metrics.set_purse(name, &signer.to_string(), billionths);
            }
        }
        sleep(wait).await;
        wait = wait.saturating_mul(2).min(CHAIN_EVERY);
    }
}

async fn keep_house(now: Arc<ArcSwap<Snapshot>>, metrics: Arc<Metrics>) {
    let mut every = tokio::time::interval(TEND_EVERY);
    let mut told: HashSet<Box<str>> = HashSet::new();
    loop {
        every.tick().await;
        let limiter = Arc::clone(&now.load().limiter);
        limiter.tend();
        let Sizes { unpaid, refused, free, classes } = limiter.sizes();
        let fixed = [("unpaid", unpaid), ("refused", refused), ("free", free)];
        let fixed = fixed.map(|(table, keys)| (table.into(), keys));
        let tables: HashMap<Box<str>, usize> = fixed.into_iter().chain(classes).collect();
        for (table, keys) in &tables {
            metrics.set_limiter_keys(table, i64::try_from(*keys).unwrap_or(i64::MAX));
        }
        // Classes that a reload took away.
        for gone in told.iter().filter(|table| !tables.contains_key(*table)) {
            metrics.forget_limiter(gone);
        }
        told = tables.into_keys().collect();
    }
}

/// Deletes what is long over: a pass after a pass while there is more, then a pause.
async fn forget(mut forgetting: Forgetting) {
    loop {
        let mut payments: u64 = 0;
        let passed = loop {
            match forgetting.pass(Clock::System.now()).await {
                Ok(forgotten) => {
                    payments = payments.saturating_add(forgotten.payments);
                    if forgotten.round == Round::Over {
                        break Ok(());
                    }
                }
                Err(fault) => break Err(fault),
            }
        };
        match passed {
            Ok(()) if payments == 0 => {}
            Ok(()) => tracing::info!(payments, "payments that were long over were deleted"),
            Err(fault) => tracing::warn!(%fault, payments, "the ledger keeps more than it should"),
        }
        sleep(FORGET_EVERY).await;
    }
}

/// Round after round over the unfinished payments; between two rounds there is a pause, however
/// long they take: nodes that are slow are not asked more for it. Between the passes of one there
/// is none.
async fn recover(payments: Payments, mut recovery: Recovery, metrics: Arc<Metrics>) {
    loop {
        let pause = match payments.recover(&mut recovery).await {
            Ok(found) => {
                if let Some(unknown) = recovery.unknown() {
                    metrics.set_unknown(i64::try_from(unknown).unwrap_or(i64::MAX));
                }
                if found.settled + found.released > 0 {
                    tracing::info!(?found, "payments of unknown outcome were resolved");
                }
                !recovery.is_half_way()
            }
            Err(fault) => {
                tracing::error!(%fault, "the ledger could not be read for recovery");
                true
            }
        };
        if pause {
            sleep(RECOVER_EVERY).await;
        }
    }
}

const FORGET_EVERY: Duration = Duration::from_secs(10 * 60);
const CHAIN_EVERY: Duration = Duration::from_secs(10);
/// The first wait while no node has answered yet; doubled up to [`CHAIN_EVERY`].
const CHAIN_FIRST: Duration = Duration::from_millis(250);
const TEND_EVERY: Duration = Duration::from_secs(10);
const RECOVER_EVERY: Duration = Duration::from_secs(5);
