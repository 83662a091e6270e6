//! One gateway: its signers on the chain, its handle of the ledger, what goes on beside requests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::B256;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::wallet::FACILITATORS;
use crate::chain::evm::tests::{Chance, Line, Power, Shared, url};
use crate::clock::{Clock, steady};
use crate::facilitator::Facilitator;
use crate::facilitator::chain::evm::{Bounds, FeeCaps, Settings};
use crate::facilitator::chain::{Chain, Lanes, Settings as OfAnyKind};
use crate::ledger::Holder;
use crate::ledger::tests::simulated::Books;
use crate::payment::Payments;
use crate::payment::recover::Recovery;

/// What all gateways of a world share.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) ground: Shared,
    pub(super) books: Arc<Books>,
    pub(super) chance: Arc<Chance>,
    pub(super) nodes: usize,
    pub(super) facilitators: usize,
    pub(super) confirmations: u64,
    /// Of a thousand questions to a node, so many go wrong.
    pub(super) faults: u64,
    pub(super) clock: Clock,
}

/// One life of a gateway.
pub(super) struct Gateway {
    pub(super) payments: Payments,
    pub(super) power: Arc<Power>,
    pub(super) instance: usize,
    number: usize,
    tending: Vec<AbortHandle>,
}

impl Gateway {
    pub(super) fn start(number: usize, site: &Site) -> Self {
        let power = Arc::new(Power::on());
        let (ledger, instance) = site.books.open(&power);
        let chains: Vec<Arc<Chain>> = (0..site.facilitators)
            .map(|facilitator| Arc::new(chain((number, facilitator), site, &power)))
            .collect();
        let named = FACILITATORS.iter().zip(&chains);
        let named =
            named.map(|(name, chain)| (Arc::from(*name), Facilitator::Chain(Arc::clone(chain))));
        let payments = Payments::new(ledger, named.collect::<HashMap<_, _>>(), site.clock.clone());
        let mut tending = vec![tokio::spawn(recover(payments.clone())).abort_handle()];
        for chain in chains {
            tending.push(tokio::spawn(refresh(chain)).abort_handle());
        }
        Self { payments, power, instance, number, tending }
    }

    pub(super) fn door(&self) -> (Payments, Arc<Power>) {
        (self.payments.clone(), Arc::clone(&self.power))
    }

    /// Another life on the same ledger, once this one has ended.
    pub(super) fn restart(&mut self, site: &Site) {
        self.power.ends(0, false);
        site.books.set_lease(self.instance, Holder::Gone);
        self.tending.iter().for_each(AbortHandle::abort);
        *self = Self::start(self.number, site);
    }
}

fn chain((number, facilitator): (usize, usize), site: &Site, power: &Arc<Power>) -> Chain {
    let line = |at: usize| Line {
        ground: Arc::clone(&site.ground),
        // Each gateway prefers another node.
        at: (at + number) % site.nodes,
        chance: Arc::clone(&site.chance),
        power: Arc::clone(power),
        faults: site.faults,
    };
    let key = u8::try_from(0x50 + number * 4 + facilitator).unwrap();
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(key)).unwrap();
    let settings = Settings {
        chain_id: CHAIN_ID,
        rpc: (0..site.nodes).map(line).map(url).collect(),
        signers: vec![signer],
        bounds: Bounds { confirmations: site.confirmations, ..BOUNDS },
    };
    Chain::start(OfAnyKind::Evm(settings), &Lanes::default()).unwrap()
}

async fn recover(payments: Payments) {
    let mut recovery = Recovery::default();
    loop {
        // A ledger that cannot be read now is read the next time.
        let _found = payments.recover(&mut recovery).await;
        sleep(Duration::from_secs(5)).await;
    }
}

async fn refresh(chain: Arc<Chain>) {
    loop {
        // Nodes that are away are looked at again.
        let _looked = chain.refresh().await;
        sleep(Duration::from_secs(10)).await;
    }
}

/// A clock that goes with the simulation, `ahead` of the chain's.
pub(super) fn clock(ahead: Duration) -> Clock {
    Clock::Steady(super::wallet::NOW.plus(ahead), steady())
}

pub(super) const CHAIN_ID: u64 = 84_532;

const GWEI: u128 = 1_000_000_000;

const BOUNDS: Bounds = Bounds {
    confirmations: 1,
    batch_window: Duration::from_millis(5),
    batch_max: 4,
    in_flight_max: 2,
    gas_max: 500_000,
    caps: FeeCaps { fee_max: 100 * GWEI, tip_max: 20 * GWEI },
    balance_low: 1,
    rpc_timeout: Duration::from_secs(2),
    settle_timeout: Duration::from_secs(30),
    replace_after: Duration::from_secs(6),
    poll: Duration::from_millis(500),
};
