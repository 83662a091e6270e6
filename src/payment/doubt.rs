//! A refusal to settle that may be the effect of a settlement: what the chain says of it.

use super::Payments;
use crate::facilitator::{Order, Outcome};
use crate::x402::{AssetTransferMethod, ErrorReason};

impl Payments {
    /// Takes a facilitator at its word that nothing has moved, where that is so.
    ///
    /// Where the chain cannot be read, an empty account is believed under EIP-3009: published
    /// facilitators look at the number of a payment before the account, and any payer could
    /// otherwise leave payments behind, free of charge, whose outcome nobody can ever know. With
    /// Permit2 they never look at the number.
    ///
    /// # Cancel safety
    /// Only reads.
    pub(super) async fn sure(&self, outcome: Outcome, order: &Order) -> Outcome {
        let Outcome::Unknown { said: Some(said), .. } = &outcome else { return outcome };
        let (poor, method) = (ErrorReason::InsufficientFunds, order.offer.method());
        let believed = match self.inner.readers.get(&order.offer.requirements.network) {
            Some(reader) => reader.is_poor(order, self.clock().now()).await,
            // On Solana they know each message for as long as it could be taken twice, and say so
            // before they try it.
            None if method.is_none() && *said == ErrorReason::SvmSimulation => {
                return Outcome::Rejected(*said);
            }
            None => *said == poor && method == Some(AssetTransferMethod::Eip3009),
        };
        if believed { Outcome::Rejected(poor) } else { outcome }
    }
}
