//! A refusal to settle that may be the effect of a settlement: what the chain says of it.

use super::Payments;
use crate::facilitator::{Order, Outcome};
use crate::x402::{AssetTransferMethod, ErrorReason};

impl Payments {
    /// Takes a facilitator at its word that nothing has moved, where that is so.
    ///
    /// Where the chain cannot be read, an empty account and a closed window are believed under
    /// EIP-3009: published facilitators look at the number of a payment before the account, and any
    /// payer could otherwise leave payments behind, free of charge, whose outcome nobody can ever
    /// know. With Permit2 they never look at the number.
    ///
    /// # Cancel safety
    /// Only reads.
    pub(super) async fn sure(&self, outcome: Outcome, order: &Order) -> Outcome {
        let Outcome::Unknown { said: Some(said), .. } = &outcome else { return outcome };
        let (poor, late) = (ErrorReason::InsufficientFunds, ErrorReason::ValidBefore);
        let method = order.offer.method();
        let by_asset = method == Some(AssetTransferMethod::Eip3009);
        let reader = self.reader(&order.offer.requirements.network);
        match (reader, *said) {
            // The chain tells soon, once and for all: the window has closed.
            (Some(_), said) if said == late => outcome,
            (Some(reader), _) if reader.is_poor(order, self.clock().now()).await => {
                Outcome::Rejected(poor)
            }
            // On Solana they know each message for as long as it could be taken twice, and say so
            // before they try it.
            (None, said) if method.is_none() && said == ErrorReason::SvmSimulation => {
                Outcome::Rejected(said)
            }
            (None, said) if by_asset && (said == poor || said == late) => Outcome::Rejected(said),
            (Some(_) | None, _) => outcome,
        }
    }
}
