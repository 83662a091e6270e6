//! How many requests, refused payments and paid requests are let through, and for whom.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod buckets;
pub mod client;
pub mod header;
mod place;
pub mod rate;
pub mod shared;
mod store;
mod table;
mod ticks;

use buckets::{Buckets, Company};
pub use client::{ClientKey, client_address};
pub use header::{rate_limit_headers, whole_seconds};
pub use place::{StoreUrl, StoreUrlError};
pub use rate::{Per, Rate, RateError};
pub use shared::Shared;
pub use ticks::Ticks;

/// All buckets of the process. A new one starts with full buckets.
#[derive(Debug)]
pub struct Limiter {
    shared: Option<Arc<Shared>>,
    unpaid: Option<Buckets>,
    refused: Option<Buckets>,
    classes: BTreeMap<Box<str>, Class>,
    free: BTreeMap<Box<str>, Buckets>,
}

/// The limits, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Requests without payment, of one client; nothing: no limit.
    pub unpaid: Option<Rate>,
    /// Payments that were refused, of one client; nothing: no limit.
    pub refused: Option<Rate>,
    /// Paid requests, by the class of their route.
    pub classes: BTreeMap<Box<str>, ClassSettings>,
    /// Requests that need no payment, of one client, by the name of their route.
    pub free: BTreeMap<Box<str>, Rate>,
    /// Where buckets are that other gateways take from, too.
    pub store: Option<Store>,
}

/// Buckets that several gateways have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Where they are.
    pub url: StoreUrl,
    /// How long an answer of theirs may take.
    pub timeout: Duration,
    /// How many gateways there are, each of which takes its part while they cannot be asked.
    pub replicas: NonZeroU32,
}

/// The limit of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassSettings {
    /// How many.
    pub rate: Rate,
    /// Whose requests count together.
    pub by: By,
}

/// Whose requests count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// One client address.
    Ip,
    /// One payer, whose signature has been verified.
    Payer,
}

/// What is left in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What it holds when full.
    pub limit: u32,
    /// What it holds now.
    pub remaining: u32,
    /// In how long an empty one is full again.
    pub window: Duration,
    /// After how long, at most, it holds one more.
    pub reset: Duration,
}

/// The bucket is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// What is left: nothing.
    pub quota: Quota,
    /// After exactly how long it holds one again.
    pub retry_after: Duration,
}

/// How many buckets are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// For unpaid requests.
    pub unpaid: usize,
    /// For refused payments.
    pub refused: usize,
    /// For requests that need no payment.
    pub free: usize,
    /// For each class.
    pub classes: Vec<(Box<str>, usize)>,
}

#[derive(Clone, Debug)]
struct Class {
    by: By,
    buckets: Buckets,
}

impl Limiter {
    /// Full buckets for everyone, on the machine's steady clock; those of `shared` as they are.
    pub fn new(settings: &Settings, shared: Option<Arc<Shared>>) -> Self {
        Self::with((settings, shared), &Ticks::steady(), KEYS_MAX)
    }

    /// The same with another clock, and about `keys_max` buckets in each table.
    pub fn with(
        (settings, shared): (&Settings, Option<Arc<Shared>>),
        ticks: &Ticks,
        keys_max: usize,
    ) -> Self {
        let company = settings.store.as_ref().zip(shared.clone());
        let company = company.map(|(store, shared)| Company { shared, replicas: store.replicas });
        let buckets =
            |name: &str, rate| Buckets::new((name, rate), company.as_ref(), (ticks, keys_max));
        // Together they have room for as many as any other limit.
        let free_max = keys_max.div_ceil(settings.free.len().max(1));
        let free = settings.free.iter().map(|(name, rate)| {
            let limit = (&*format!("free:{name}"), *rate);
            (name.clone(), Buckets::new(limit, company.as_ref(), (ticks, free_max)))
        });
        let classes = settings.classes.iter().map(|(name, ClassSettings { rate, by })| {
            let buckets = buckets(&format!("class:{name}:{}", by.name()), *rate);
            (name.clone(), Class { by: *by, buckets })
        });
        Self {
            unpaid: settings.unpaid.map(|rate| buckets("unpaid", rate)),
            refused: settings.refused.map(|rate| buckets("refused", rate)),
            classes: classes.collect(),
            free: free.collect(),
            shared,
        }
    }

    /// Other limits, with the buckets of these where the rate is the same: a reload refills none.
    pub fn changed(&self, settings: &Settings) -> Self {
        let mut next = Self::new(settings, self.shared.clone());
        for (new, old) in [(&mut next.unpaid, &self.unpaid), (&mut next.refused, &self.refused)] {
            if let (Some(new), Some(old)) = (new, old) {
                new.keep(old);
            }
        }
        for (name, class) in &mut next.classes {
            if let Some(old) = self.classes.get(name).filter(|old| old.by == class.by) {
                class.buckets.keep(&old.buckets);
            }
        }
        for (name, buckets) in &mut next.free {
            if let Some(old) = self.free.get(name) {
                buckets.keep(old);
            }
        }
        next
    }

    /// Whether this request of a route need not be paid for: takes one of those that are free.
    pub async fn take_free(&self, route: &str, client: ClientKey) -> bool {
        matches!(take(self.free.get(route), client).await, Ok(Some(_)))
    }

    /// Takes one unpaid request. Nothing where they are not limited.
    ///
    /// # Errors
    /// This client has none left.
    pub async fn take_unpaid(&self, client: ClientKey) -> Result<Option<Quota>, TooMany> {
        take(self.unpaid.as_ref(), client).await
    }

    /// A settled payment earns its client one unpaid request back: every SDK asks before it pays.
    /// A full bucket stays full.
    pub async fn earn_unpaid(&self, client: ClientKey) {
        if let Some(buckets) = &self.unpaid {
            buckets.give_back(client).await;
        }
    }

    /// Takes one refused payment, before a signature is checked. Nothing where they are not
    /// limited.
    ///
    /// # Errors
    /// This client has none left.
    pub async fn take_refused(&self, client: ClientKey) -> Result<Option<Quota>, TooMany> {
        take(self.refused.as_ref(), client).await
    }

    /// Undoes one [`Limiter::take_refused`]: the payment was good.
    pub async fn give_back_refused(&self, client: ClientKey) {
        if let Some(buckets) = &self.refused {
            buckets.give_back(client).await;
        }
    }

    /// Takes one paid request of a class. Nothing where the class has no limit.
    ///
    /// # Errors
    /// This payer, or this client, has none left.
    pub async fn take_class(
        &self,
        class: &str,
        payer: impl Hash + Display + Send + Sync,
        client: ClientKey,
    ) -> Result<Option<Quota>, TooMany> {
        match self.classes.get(class) {
            Some(Class { by: By::Ip, buckets }) => take(Some(buckets), client).await,
            Some(Class { by: By::Payer, buckets }) => take(Some(buckets), payer).await,
            None => Ok(None),
        }
    }

    /// Undoes one [`Limiter::take_class`]: the payment bought nothing.
    pub async fn give_back_class(
        &self,
        class: &str,
        payer: impl Hash + Display + Send + Sync,
        client: ClientKey,
    ) {
        match self.classes.get(class) {
            Some(Class { by: By::Ip, buckets }) => buckets.give_back(client).await,
            Some(Class { by: By::Payer, buckets }) => buckets.give_back(payer).await,
            None => {}
        }
    }

    /// Drops full buckets and gives their memory back. To be called every few seconds.
    pub fn tend(&self) {
        let classes = self.classes.values().map(|class| &class.buckets);
        let clients = self.unpaid.iter().chain(&self.refused).chain(self.free.values());
        for buckets in clients.chain(classes) {
            buckets.tend();
        }
    }

    /// How many buckets are kept now.
    pub fn sizes(&self) -> Sizes {
        let classes = self.classes.iter();
        Sizes {
            unpaid: self.unpaid.as_ref().map_or(0, Buckets::len),
            refused: self.refused.as_ref().map_or(0, Buckets::len),
            free: self.free.values().map(Buckets::len).sum(),
            classes: classes.map(|(name, it)| (name.clone(), it.buckets.len())).collect(),
        }
    }
}

async fn take(
    buckets: Option<&Buckets>,
    key: impl Hash + Display + Send + Sync,
) -> Result<Option<Quota>, TooMany> {
    match buckets {
        Some(buckets) => buckets.take(key).await.map(Some),
        None => Ok(None),
    }
}

impl By {
    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Payer => "payer",
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let rate = Some(Rate::thirty_per_minute());
        let (classes, free) = (BTreeMap::new(), BTreeMap::new());
        Self { unpaid: rate, refused: rate, classes, free, store: None }
    }
}

/// Buckets of one table, at most 18 MB of them. When there are more clients at once, the new ones
/// share buckets: a shared bucket gives less, never more.
pub const KEYS_MAX: usize = 900_000;

#[cfg(test)]
mod tests;
