//! Payments that only the signer they name can have moved: each goes alone, and from that one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::job::Job;
use super::{Inner, Outcome};
use crate::fault::{Fault, Retry, Side};
use crate::x402::ErrorReason;

impl Inner {
    /// Sends a payment that only one signer can have moved, once that one has room.
    pub(super) fn run_by_settler(
        self: Arc<Self>,
        job: Job,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let settler = job.payment.settler();
            let lane = self.lanes.iter().find(|lane| Some(lane.address()) == settler);
            let Some(lane) = lane.map(Arc::clone) else {
                return job.end(Outcome::Rejected(ErrorReason::Facilitator));
            };
            match lane.next_place().await {
                Some(place) => self.run(vec![job], lane, place).await,
                None => job.end(Outcome::NotSent(stopping())),
            }
        })
    }
}

fn stopping() -> Fault {
    Fault::new(Side::Chain, Retry::Later, "the gateway is stopping")
}
