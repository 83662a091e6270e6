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
pub mod sign_in;
mod used;
pub mod verify;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;

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
pub use sign_in::{Entrance, NotLetIn, SIGN_IN_HEADER, Said, SignedIn, signs_in};
pub use used::Taken;
pub use verify::{Unverified, Verified};

/// What the stages share: the ledger, who settles, and the clock.
#[derive(Clone)]
pub struct Payments {
    inner: Arc<Inner>,
    answers: Answers,
}

/// Who looks up what a facilitator cannot tell.
type Readers = HashMap<Network, Arc<Reader>>;

struct Inner {
    ledger: Ledger,
    pool: ArcSwap<Pool>,
    readers: ArcSwap<Readers>,
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
                pool: ArcSwap::from_pointee(Pool::new(facilitators)),
                readers: ArcSwap::from_pointee(shared(readers)),
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

    /// Everyone who settles now, with their health.
    pub fn pool(&self) -> Arc<Pool> {
        self.inner.pool.load_full()
    }

    /// From now on these settle, and these read chains; chains that nobody reads any more are read
    /// as before, for payments of before.
    pub fn reload(&self, pool: Pool, readers: HashMap<Network, Reader>) {
        let mut all = Readers::clone(&self.inner.readers.load());
        all.extend(shared(readers));
        self.inner.readers.store(Arc::new(all));
        self.inner.pool.store(Arc::new(pool));
    }

    fn reader(&self, network: &Network) -> Option<Arc<Reader>> {
        self.inner.readers.load().get(network).cloned()
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
        let pool = self.pool();
        let asks = |name: &Arc<str>| {
            pool.member(name).is_ok_and(|member| member.facilitator().asks_contracts())
        };
        if presented.offered.facilitators.iter().all(asks) {
            ContractWallets::LeftToTheChain
        } else {
            ContractWallets::Refused
        }
    }
}

fn shared(readers: HashMap<Network, Reader>) -> Readers {
    readers.into_iter().map(|(network, reader)| (network, Arc::new(reader))).collect()
}

#[cfg(test)]
mod tests;
