//! One payment from header to receipt. Each stage is a type that only the stage before it makes:
//! `Presented → Proven → Reserved → Verified → Settled → Receipt`.

pub mod again;
mod doubt;
mod identify;
mod outlive;
pub mod prepaid;
pub mod present;
pub mod prove;
pub mod receipt;
pub mod reconcile;
pub mod recover;
pub mod reserve;
pub mod risk;
mod sender;
pub mod settle;
mod used;
pub mod verify;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::clock::Clock;
use crate::facilitator::chain::Reader;
use crate::facilitator::{Facilitator, Pool};
use crate::ledger::Ledger;
use crate::ledger::answers::Answers;
use crate::x402::Network;

pub use again::{Bought, Given, Returning, Withheld};
pub use prepaid::{Prepaid, Unprepaid};
pub use present::{PAYMENT_HEADERS, Presented, is_brought, present};
pub use prove::{ContractWallets, Proven, SignedBy};
pub use receipt::Receipt;
pub use reserve::{Reserved, Standing};
pub use risk::Risk;
use risk::Risks;
pub use sender::ClientTag;
use sender::Sender;
pub use settle::{Settled, Unsettled};
pub use used::Taken;
pub use verify::{Unverified, Verified};

/// What the stages share: the ledger, who settles, and the clock.
#[derive(Clone)]
pub struct Payments {
    inner: Arc<Inner>,
    answers: Answers,
}

struct Inner {
    ledger: Ledger,
    pool: Pool,
    readers: HashMap<Network, Reader>,
    clock: Clock,
    under_way: AtomicUsize,
    risks: Arc<Risks>,
}

impl Payments {
    /// Payments recorded in `ledger` and settled by `facilitators`.
    pub fn new(ledger: Ledger, facilitators: HashMap<Arc<str>, Facilitator>, clock: Clock) -> Self {
        Self::with_readers(ledger, (facilitators, HashMap::new()), clock)
    }

    /// The same, with `readers` of chains that look up what a facilitator cannot tell.
    pub fn with_readers(
        ledger: Ledger,
        (facilitators, readers): (HashMap<Arc<str>, Facilitator>, HashMap<Network, Reader>),
        clock: Clock,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                ledger,
                pool: Pool::new(facilitators),
                readers,
                clock,
                under_way: AtomicUsize::new(0),
                risks: Arc::default(),
            }),
            answers: Answers::off(),
        }
    }

    /// The same, whose answers are kept here for payers who come back.
    pub fn keeping(self, answers: Answers) -> Self {
        Self { answers, ..self }
    }

    /// Where answers are kept.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// The ledger that these payments are recorded in.
    pub fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// Everyone who settles, with their health.
    pub fn pool(&self) -> &Pool {
        &self.inner.pool
    }

    /// The time, as these payments read it.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Settlements that have begun and whose outcome is not written down yet.
    pub fn under_way(&self) -> usize {
        self.inner.under_way.load(Ordering::Acquire)
    }

    /// Whether everyone who may settle this payment can ask the payer's contract for its signature.
    pub fn contract_wallets(&self, presented: &Presented) -> ContractWallets {
        let asks = |name: &Arc<str>| {
            self.pool().member(name).is_ok_and(|member| member.facilitator().asks_contracts())
        };
        if presented.offered.facilitators.iter().all(asks) {
            ContractWallets::LeftToTheChain
        } else {
            ContractWallets::Refused
        }
    }
}

#[cfg(test)]
mod tests;
