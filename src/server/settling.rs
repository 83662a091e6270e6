//! Who settles after a reload: facilitators, our own signers and readers of chains come and go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::assemble::{hosted, own, readers};
use super::{ServeError, monies, tend, watch};
use crate::config::{Config, FacilitatorSettings};
use crate::dashboard::Money;
use crate::facilitator::chain::{Lanes, Reader, Settings as Own};
use crate::facilitator::{Facilitator, Pool, Question};
use crate::observe::Metrics;
use crate::payment::Payments;
use crate::x402::Network;

/// What a reload tells of those who settle.
pub(super) struct Settling {
    pub(super) payments: Payments,
    /// What the dashboard shows.
    pub(super) monies: Arc<ArcSwap<Vec<Money>>>,
    pub(super) metrics: Arc<Metrics>,
    /// Of our own signers.
    pub(super) lanes: Lanes,
}

/// Who settles by another configuration.
pub(super) struct Settlers {
    pool: Pool,
    readers: HashMap<Network, Reader>,
    fresh: Vec<Arc<str>>,
}

impl Settlers {
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl Settling {
    /// Those of `next`: who is told the same stays, with all that is known of it; others are asked
    /// what they settle, for [`ASK_MAX`] at most. A signer of before goes on with its numbers,
    /// whoever settles with it. Simulated chains are the same in both.
    ///
    /// # Errors
    /// One cannot be set up.
    pub(super) async fn next(&self, now: &Config, next: &Config) -> Result<Settlers, ServeError> {
        let (mut stay, mut fresh) = (Vec::new(), HashMap::new());
        for (name, told) in &next.facilitators {
            match (told, now.facilitators.get(name)) {
                (FacilitatorSettings::Http(told), Some(FacilitatorSettings::Http(before)))
                    if told.are(before) =>
                {
                    stay.push(&**name);
                }
                (FacilitatorSettings::Http(told), _) => {
                    fresh.insert(Arc::from(&**name), hosted(told.clone())?);
                }
                (FacilitatorSettings::Chain(told), Some(FacilitatorSettings::Chain(before)))
                    if told.are(before) =>
                {
                    stay.push(&**name);
                }
                (FacilitatorSettings::Chain(told), _) => {
                    places_stay(told, now)?;
                    fresh.insert(Arc::from(&**name), own(told.clone(), &self.lanes)?);
                }
                (FacilitatorSettings::Simulated(_), _) => stay.push(&**name),
            }
        }
        ask(&fresh).await;
        let names = fresh.keys().cloned().collect();
        let pool = self.payments.pool().reloaded(|name| stay.contains(&name), fresh);
        Ok(Settlers { pool, readers: readers(next)?, fresh: names })
    }

    /// Takes them over, and what is paid in.
    pub(super) fn reload(&self, settlers: Settlers, next: &Config) {
        let before = self.payments.pool();
        self.payments.reload(settlers.pool, settlers.readers);
        let pool = self.payments.pool();
        for member in settlers.fresh.iter().filter_map(|name| pool.member(name).ok()) {
            let (payments, metrics) = (self.payments.clone(), Arc::clone(&self.metrics));
            tokio::spawn(watch::watch(payments.clone(), Arc::clone(member)));
            tokio::spawn(tend::watch_chain(payments, Arc::clone(member), metrics));
        }
        for gone in before.members().filter(|member| !pool.has(member)) {
            let Facilitator::Chain(chain) = gone.facilitator() else { continue };
            self.metrics.forget_nodes(gone.name());
            for purse in chain.purses() {
                self.metrics.forget_purse(gone.name(), &purse.signer.to_string());
            }
        }
        for gone in
            before.members().filter(|member| !next.facilitators.contains_key(&**member.name()))
        {
            for question in Question::ALL {
                self.metrics.forget_circuit(gone.name(), question.name());
            }
        }
        self.monies.store(Arc::new(monies(next)));
    }
}

/// A signer keeps its number of places for as long as it has transactions on their way.
fn places_stay(told: &Own, now: &Config) -> Result<(), ServeError> {
    let Own::Evm(told) = told else { return Ok(()) };
    let moves = now.facilitators.values().any(|before| match before {
        FacilitatorSettings::Chain(Own::Evm(before)) => told.move_places(before),
        _ => false,
    });
    let why = "`in_flight_max` of a signer changed: run `tollgate upgrade`, or restart";
    if moves { Err(ServeError::Setting(why.into(), None)) } else { Ok(()) }
}

/// Asks them what they settle, and nodes whether they are there. Who does not answer is asked again
/// once it is watched.
async fn ask(fresh: &HashMap<Arc<str>, Facilitator>) {
    let mut asked = JoinSet::new();
    for (name, facilitator) in fresh {
        let (name, facilitator) = (Arc::clone(name), facilitator.clone());
        asked.spawn(async move {
            let answered = match facilitator {
                Facilitator::Http(http) => http.refresh().await,
                Facilitator::Chain(chain) => chain.refresh().await,
                Facilitator::Simulated(_) => Ok(()),
                #[cfg(test)]
                Facilitator::Scripted(_) => Ok(()),
            };
            if let Err(fault) = answered {
                tracing::warn!(facilitator = &*name, %fault, "it does not say what it can");
            }
        });
    }
    // Whoever is slower than this is dropped here, and watched soon.
    let _ = timeout(ASK_MAX, asked.join_all()).await;
}

const ASK_MAX: Duration = Duration::from_secs(5);
