//! Where the buckets of one table are kept: a bounded number of them, and refunds.
//!
//! A bucket is one number, the moment at which it will be full again. Giving one request back
//! moves that moment one interval nearer; a moment in the past is a full bucket, so nothing can
//! be given back beyond the burst.
//!
//! Keys are kept as a hash with a secret key, 64 bits of it. Two clients among a million share a
//! bucket with a chance of one in ten million.
//!
//! When a shard is full, keys that are not in it share one bucket: strangers then have less, never
//! more, and those who are in the table notice nothing. `retain_recent` makes room again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;

/// A table of buckets; clones are the same table.
#[derive(Clone, Debug)]
pub(super) struct Store(Arc<Shards>);

#[derive(Debug)]
struct Shards {
    secret: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    shard_keys_max: usize,
}

#[derive(Debug, Default)]
struct Shard {
    full_at: HashMap<Fingerprint, Nanos, BuildHasherDefault<AsItIs>>,
    shared: Option<Nanos>,
}

/// What is kept of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(u64);

impl Store {
    /// Room for about `keys_max` buckets: as many for every shard.
    pub(super) fn new(keys_max: usize) -> Self {
        let shard_keys_max = keys_max.div_ceil(SHARDS).max(1);
        let shards = std::array::from_fn(|_| Mutex::default());
        Self(Arc::new(Shards { secret: RandomState::new(), shards, shard_keys_max }))
    }

    /// What this table keeps of a key.
    pub(super) fn fingerprint(&self, key: impl Hash) -> Fingerprint {
        Fingerprint(self.0.secret.hash_one(key))
    }

    /// Gives one request back: `interval` is what a request takes.
    pub(super) fn give_back(&self, key: Fingerprint, interval: Nanos) {
        let mut shard = self.shard(key);
        let is_full = shard.full_at.len() >= self.0.shard_keys_max;
        let bucket = match shard.full_at.get_mut(&key) {
            // Not in a shard with room: the bucket was full, and has been dropped for that.
            None if !is_full => None,
            None => shard.shared.as_mut(),
            found => found,
        };
        if let Some(full_at) = bucket {
            *full_at = full_at.saturating_sub(interval);
        }
    }

    fn shard(&self, key: Fingerprint) -> MutexGuard<'_, Shard> {
        // Neither the highest nor the lowest bits, which the map inside goes by.
        let [_, bits, ..] = key.0.to_be_bytes();
        #[expect(clippy::indexing_slicing, reason = "a remainder of SHARDS is less than SHARDS")]
        let shard = &self.0.shards[usize::from(bits) % SHARDS];
        locked(shard)
    }
}

impl StateStore for Store {
    type Key = Fingerprint;

    fn measure_and_replace<T, F, E>(&self, key: &Fingerprint, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut guard = self.shard(*key);
        let Shard { full_at, shared } = &mut *guard;
        let is_full = full_at.len() >= self.0.shard_keys_max;
        match full_at.entry(*key) {
            Entry::Occupied(mut bucket) => {
                let (outcome, next) = measure(Some(*bucket.get()))?;
                bucket.insert(next);
                Ok(outcome)
            }
            Entry::Vacant(_) if is_full => {
                let (outcome, next) = measure(*shared)?;
                *shared = Some(next);
                Ok(outcome)
            }
            Entry::Vacant(place) => {
                let (outcome, next) = measure(None)?;
                place.insert(next);
                Ok(outcome)
            }
        }
    }
}

impl ShrinkableKeyedStateStore<Fingerprint> for Store {
    fn retain_recent(&self, drop_below: Nanos) {
        for shard in &self.0.shards {
            locked(shard).full_at.retain(|_, full_at| *full_at > drop_below);
        }
    }

    /// Gives memory back where three quarters of it are empty.
    fn shrink_to_fit(&self) {
        for shard in &self.0.shards {
            let map = &mut locked(shard).full_at;
            if map.capacity() / 4 > map.len() {
                map.shrink_to(map.len() * 2);
            }
        }
    }

    fn len(&self) -> usize {
        self.0.shards.iter().map(|shard| locked(shard).full_at.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A panic under the lock leaves whole numbers behind, so a poisoned shard goes on.
fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes on a key that is a hash already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

const SHARDS: usize = 64;
