//! One rate for many keys.

use std::hash::Hash;
use std::sync::Arc;

use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;

use super::store::{Fingerprint, Store};
use super::{Quota, Rate, Ticks, TooMany};

/// A bucket for each key, all of the same rate.
#[derive(Debug)]
pub(super) struct Table {
    rate: Rate,
    store: Store,
    buckets: RateLimiter<Fingerprint, Store, Ticks, StateInformationMiddleware>,
}

impl Table {
    pub(super) fn new(rate: Rate, ticks: Ticks, keys_max: usize) -> Self {
        let store = Store::new(keys_max);
        let buckets = RateLimiter::new(rate.quota(), store.clone(), ticks);
        Self { rate, store, buckets }
    }

    /// Puts the buckets of `old` in the place of new ones, if they are of the same rate.
    pub(super) fn keep(new: &mut Arc<Self>, old: &Arc<Self>) {
        if new.rate == old.rate {
            *new = Arc::clone(old);
        }
    }

    /// Takes one from the key's bucket.
    pub(super) fn take(&self, key: impl Hash) -> Result<Quota, TooMany> {
        let quota = |remaining, reset| Quota {
            limit: self.rate.count().get(),
            remaining,
            window: self.rate.window(),
            reset,
        };
        match self.buckets.check_key(&self.store.fingerprint(key)) {
            Ok(left) => Ok(quota(left.remaining_burst_capacity(), self.rate.interval())),
            Err(until) => {
                let retry_after = until.wait_time_from(self.buckets.clock().now());
                Err(TooMany { quota: quota(0, retry_after), retry_after })
            }
        }
    }

    /// Puts one back into the key's bucket, which holds no more than its burst.
    pub(super) fn give_back(&self, key: impl Hash) {
        self.store.give_back(self.store.fingerprint(key), Nanos::from(self.rate.interval()));
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
