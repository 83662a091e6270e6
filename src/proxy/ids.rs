//! Ids of exchanges.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ledger::ExchangeId;

/// A source of exchange ids: a random half for the process, a counted half for the exchange.
#[derive(Debug)]
pub struct Ids {
    process: u64,
    next: AtomicU64,
}

impl Ids {
    /// Ids whose first half is `process`.
    pub fn new(process: u64) -> Self {
        Self { process, next: AtomicU64::new(1) }
    }

    pub(super) fn next(&self) -> ExchangeId {
        let counted = self.next.fetch_add(1, Ordering::Relaxed);
        ExchangeId::new((u128::from(self.process) << 64) | u128::from(counted))
    }
}
