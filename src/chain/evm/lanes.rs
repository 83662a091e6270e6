//! The lanes of a process: a signer has one on each chain, whoever settles with it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::Address;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::lane::Lane;

/// Every lane that somebody holds. Whoever settles with a signer of before goes on with its
/// numbers, while transactions of before are still on their way.
#[derive(Clone, Debug, Default)]
pub struct Lanes(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    lanes: Mutex<HashMap<(u64, Address), Weak<Lane>>>,
    freed: Notify,
}

impl Lanes {
    /// The lane of a signer on a chain. One that somebody holds has room for as many transactions
    /// as it was made for.
    pub(super) fn of(
        &self,
        signer: PrivateKeySigner,
        chain_id: u64,
        in_flight_max: usize,
    ) -> Arc<Lane> {
        let mut lanes = self.0.lanes.lock();
        lanes.retain(|_, lane| lane.strong_count() > 0);
        let key = (chain_id, signer.address());
        if let Some(lane) = lanes.get(&key).and_then(Weak::upgrade) {
            return lane;
        }
        let lane = Arc::new(Lane::new(signer, chain_id, in_flight_max));
        lanes.insert(key, Arc::downgrade(&lane));
        lane
    }

    /// Tells whoever waits for room that some lane may have it.
    pub(super) fn freed(&self) {
        self.0.freed.notify_waiters();
    }

    /// Is told so.
    pub(super) fn room(&self) -> &Notify {
        &self.0.freed
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;

    use super::*;

    #[test]
    fn a_signer_has_one_lane_on_a_chain_while_somebody_holds_it() {
        let lanes = Lanes::default();
        let signer = |byte| PrivateKeySigner::from_bytes(&B256::repeat_byte(byte)).unwrap();
        let first = lanes.of(signer(1), 8453, 1);
        let _place = first.place().unwrap();
        let again = lanes.of(signer(1), 8453, 16);
        assert!(Arc::ptr_eq(&first, &again) && again.place().is_none());
        assert!(lanes.of(signer(2), 8453, 1).place().is_some(), "another signer");
        assert!(lanes.of(signer(1), 137, 1).place().is_some(), "another chain");
        drop((first, again));
        assert_eq!(lanes.of(signer(1), 8453, 16).places_left(), 16);
    }
}
