//! Who settles after a reload: hosted facilitators and readers of chains come and go, whoever signs
//! by itself stays.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::assemble::{hosted, readers};
use super::{ServeError, monies, watch};
use crate::config::{Config, FacilitatorSettings};
use crate::dashboard::Money;
use crate::facilitator::chain::Reader;
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
    /// Those of `next`: hosted ones that are told the same stay, with all that is known of them;
    /// others are asked what they settle, for [`ASK_MAX`] at most. Whoever signs by itself is the
    /// same in both.
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
                (FacilitatorSettings::Chain(_) | FacilitatorSettings::Simulated(_), _) => {
                    stay.push(&**name);
                }
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
            tokio::spawn(watch::watch(self.payments.clone(), Arc::clone(member)));
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

/// Asks them what they settle. One that does not answer is asked again once it is watched.
async fn ask(fresh: &HashMap<Arc<str>, Facilitator>) {
    let mut asked = JoinSet::new();
    for (name, facilitator) in fresh {
        let Facilitator::Http(http) = facilitator else { continue };
        let (name, http) = (Arc::clone(name), Arc::clone(http));
        asked.spawn(async move {
            if let Err(fault) = http.refresh().await {
                tracing::warn!(facilitator = &*name, %fault, "it does not say what it can");
            }
        });
    }
    // Whoever is slower than this is dropped here, and watched soon.
    let _ = timeout(ASK_MAX, asked.join_all()).await;
}

const ASK_MAX: Duration = Duration::from_secs(5);
