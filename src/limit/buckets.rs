//! The buckets of one limit: those of all gateways, or of this one while nobody else can be asked.

use std::fmt::Display;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::shared::Shared;
use super::table::Table;
use super::{Quota, Rate, Ticks, TooMany};

/// A bucket for each key of one limit.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    here: Arc<Table>,
    everywhere: Option<Everywhere>,
}

/// The same buckets, in common with other gateways.
#[derive(Clone, Debug)]
struct Everywhere {
    shared: Arc<Shared>,
    rate: Rate,
    /// What the name of each bucket begins with.
    prefix: Box<str>,
}

/// How many gateways there are, and what they have in common.
#[derive(Clone, Debug)]
pub(super) struct Company {
    pub(super) shared: Arc<Shared>,
    pub(super) replicas: NonZeroU32,
}

impl Buckets {
    /// Full buckets; `name` tells this limit from all others.
    pub(super) fn new(
        (name, rate): (&str, Rate),
        company: Option<&Company>,
        (ticks, keys_max): (&Ticks, usize),
    ) -> Self {
        let own = company.map_or(rate.measure(), |company| rate.measure().share(company.replicas));
        let everywhere = company.map(|Company { shared, .. }| Everywhere {
            shared: Arc::clone(shared),
            rate,
            // With another rate it is another bucket, here and there.
            prefix: format!("tollgate:{name}:{rate}:").into(),
        });
        Self { here: Arc::new(Table::new(own, ticks.clone(), keys_max)), everywhere }
    }

    /// Puts the buckets of `old` in the place of these, if they are of the same rate.
    pub(super) fn keep(&mut self, old: &Self) {
        Table::keep(&mut self.here, &old.here);
    }

    /// Takes one from the key's bucket.
    pub(super) async fn take(
        &self,
        key: impl Hash + Display + Send + Sync,
    ) -> Result<Quota, TooMany> {
        if let Some(Everywhere { shared, rate, prefix }) = &self.everywhere {
            let (bucket, measure) = (format!("{prefix}{key}"), rate.measure());
            // In a box: without company no request has room for it.
            let taken = Box::pin(shared.take(&bucket, &measure)).await;
            if let Some(taken) = taken {
                return taken;
            }
        }
        self.here.take(key)
    }

    /// Puts one back into the key's bucket, which holds no more than its burst.
    pub(super) async fn give_back(&self, key: impl Hash + Display + Send + Sync) {
        if let Some(Everywhere { shared, rate, prefix }) = &self.everywhere {
            let (bucket, measure) = (format!("{prefix}{key}"), rate.measure());
            if Box::pin(shared.give_back(&bucket, &measure)).await.is_some() {
                return;
            }
        }
        self.here.give_back(key);
    }

    /// Drops the full ones of this gateway.
    pub(super) fn tend(&self) {
        self.here.tend();
    }

    /// How many this gateway keeps.
    pub(super) fn len(&self) -> usize {
        self.here.len()
    }
}
