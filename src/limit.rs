//! How many requests, refused payments and paid requests are let through, and for whom.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub mod client;
pub mod header;
pub mod rate;
mod store;
mod table;
mod ticks;

pub use client::{ClientKey, client_address};
pub use header::{rate_limit_headers, whole_seconds};
pub use rate::{Per, Rate, RateError};
use table::Table;
pub use ticks::Ticks;

/// All buckets of the process. A new one starts with full buckets.
#[derive(Debug)]
pub struct Limiter {
    unpaid: Option<Arc<Table>>,
    refused: Option<Arc<Table>>,
    classes: BTreeMap<Box<str>, Class>,
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
    /// For each class.
    pub classes: Vec<(Box<str>, usize)>,
}

#[derive(Clone, Debug)]
struct Class {
    by: By,
    table: Arc<Table>,
}

impl Limiter {
    /// Full buckets for everyone, on the machine's steady clock.
    pub fn new(settings: &Settings) -> Self {
        Self::with(settings, &Ticks::steady(), KEYS_MAX)
    }

    /// The same with another clock, and about `keys_max` buckets in each table.
    pub fn with(settings: &Settings, ticks: &Ticks, keys_max: usize) -> Self {
        let table = |rate| Arc::new(Table::new(rate, ticks.clone(), keys_max));
        let class =
            |ClassSettings { rate, by }: &ClassSettings| Class { by: *by, table: table(*rate) };
        Self {
            unpaid: settings.unpaid.map(table),
            refused: settings.refused.map(table),
            classes: settings.classes.iter().map(|(name, it)| (name.clone(), class(it))).collect(),
        }
    }

    /// Other limits, with the buckets of these where the rate is the same: a reload refills none.
    pub fn changed(&self, settings: &Settings) -> Self {
        let mut next = Self::new(settings);
        for (new, old) in [(&mut next.unpaid, &self.unpaid), (&mut next.refused, &self.refused)] {
            if let (Some(new), Some(old)) = (new, old) {
                Table::keep(new, old);
            }
        }
        for (name, class) in &mut next.classes {
            if let Some(old) = self.classes.get(name).filter(|old| old.by == class.by) {
                Table::keep(&mut class.table, &old.table);
            }
        }
        next
    }

    /// Takes one unpaid request. Nothing where they are not limited.
    ///
    /// # Errors
    /// This client has none left.
    pub fn take_unpaid(&self, client: ClientKey) -> Result<Option<Quota>, TooMany> {
        self.unpaid.as_ref().map(|table| table.take(client)).transpose()
    }

    /// A settled payment earns its client one unpaid request back: every SDK asks before it pays.
    /// A full bucket stays full.
    pub fn earn_unpaid(&self, client: ClientKey) {
        if let Some(table) = &self.unpaid {
            table.give_back(client);
        }
    }

    /// Takes one refused payment, before a signature is checked. Nothing where they are not
    /// limited.
    ///
    /// # Errors
    /// This client has none left.
    pub fn take_refused(&self, client: ClientKey) -> Result<Option<Quota>, TooMany> {
        self.refused.as_ref().map(|table| table.take(client)).transpose()
    }

    /// Undoes one [`Limiter::take_refused`]: the payment was good.
    pub fn give_back_refused(&self, client: ClientKey) {
        if let Some(table) = &self.refused {
            table.give_back(client);
        }
    }

    /// Takes one paid request of a class. Nothing where the class has no limit.
    ///
    /// # Errors
    /// This payer, or this client, has none left.
    pub fn take_class(
        &self,
        class: &str,
        payer: impl Hash,
        client: ClientKey,
    ) -> Result<Option<Quota>, TooMany> {
        let Some(Class { by, table }) = self.classes.get(class) else {
            return Ok(None);
        };
        match by {
            By::Ip => table.take(client).map(Some),
            By::Payer => table.take(payer).map(Some),
        }
    }

    /// Undoes one [`Limiter::take_class`]: the payment bought nothing.
    pub fn give_back_class(&self, class: &str, payer: impl Hash, client: ClientKey) {
        match self.classes.get(class) {
            Some(Class { by: By::Ip, table }) => table.give_back(client),
            Some(Class { by: By::Payer, table }) => table.give_back(payer),
            None => {}
        }
    }

    /// Drops full buckets and gives their memory back. To be called every few seconds.
    pub fn tend(&self) {
        let classes = self.classes.values().map(|class| &class.table);
        for table in self.unpaid.iter().chain(&self.refused).chain(classes) {
            table.tend();
        }
    }

    /// How many buckets are kept now.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            unpaid: self.unpaid.as_ref().map_or(0, |table| table.len()),
            refused: self.refused.as_ref().map_or(0, |table| table.len()),
            classes: self.classes.iter().map(|(name, it)| (name.clone(), it.table.len())).collect(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let rate = Some(Rate::thirty_per_minute());
        Self { unpaid: rate, refused: rate, classes: BTreeMap::new() }
    }
}

/// Buckets of one table, at most 18 MB of them. When there are more clients at once, the new ones
/// share buckets: a shared bucket gives less, never more.
pub const KEYS_MAX: usize = 900_000;

#[cfg(test)]
mod tests;
