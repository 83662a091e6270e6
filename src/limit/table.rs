//! One rate for many keys.

use std::hash::Hash;
use std::sync::Arc;

use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;

use super::rate::Measure;
use super::store::{Fingerprint, Store};
use super::{Quota, Ticks, TooMany};

/// A bucket for each key, all of the same rate.
#[derive(Debug)]
pub(super) struct Table {
    measure: Measure,
    store: Store,
    buckets: RateLimiter<Fingerprint, Store, Ticks, StateInformationMiddleware>,
}

impl Table {
    pub(super) fn new(measure: Measure, ticks: Ticks, keys_max: usize) -> Self {
        let store = Store::new(keys_max);
        let buckets = RateLimiter::new(measure.quota(), store.clone(), ticks);
        Self { measure, store, buckets }
    }

    /// Puts the buckets of `old` in the place of new ones, if they are of the same rate.
    pub(super) fn keep(new: &mut Arc<Self>, old: &Arc<Self>) {
        if new.measure == old.measure {
            *new = Arc::clone(old);
        }
    }

    /// Takes one from the key's bucket.
    pub(super) fn take(&self, key: impl Hash) -> Result<Quota, TooMany> {
        match self.buckets.check_key(&self.store.fingerprint(key)) {
            Ok(left) => Ok(self.measure.left(left.remaining_burst_capacity())),
            Err(until) => Err(self.measure.empty(until.wait_time_from(self.buckets.clock().now()))),
        }
    }

    /// Puts one back into the key's bucket, which holds no more than its burst.
    pub(super) fn give_back(&self, key: impl Hash) {
        self.store.give_back(self.store.fingerprint(key), Nanos::from(self.measure.interval()));
    }

    /// Drops the buckets that are full, which is what a missing bucket is.
    pub(super) fn tend(&self) {
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
    }

    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }
}
