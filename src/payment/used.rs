//! Payments whose answer says at its end what it costs.

use std::future::Future;
use std::sync::Arc;

use super::risk::{PATIENCE, Risk};
use super::settle::{Settled, Settlement, Unsettled};
use super::{Payments, Receipt, Verified, receipt};
use crate::clock::UnixMillis;
use crate::payment::prove::SETTLE_MARGIN;
use crate::route::Usage;
use crate::x402::AtomicAmount;

/// A payment that was taken for what was used.
#[derive(Debug)]
pub enum Taken {
    /// So much of it has moved.
    Some(Box<Settled>),
    /// Nothing was used: it was let go, and its payer may use it again.
    Nothing(Vec<Receipt>),
}

impl Payments {
    /// Moves so much of a verified payment as was used, and waits for the word that it has moved.
    /// Of nothing, nothing is moved and nobody is asked.
    ///
    /// # Errors
    /// See [`Unsettled`].
    ///
    /// # Cancel safety
    /// As [`Payments::settle`].
    pub async fn settle_used(
        &self,
        verified: Verified,
        used: AtomicAmount,
    ) -> Result<Taken, Unsettled> {
        if used == AtomicAmount::ZERO {
            return Ok(Taken::Nothing(verified.let_go()));
        }
        let settled = Settlement::of(self, verified).moving(used).outliving().await?;
        Ok(Taken::Some(Box::new(settled)))
    }

    /// The same behind an answer that was given, at this risk. Where nobody takes the order, it is
    /// tried again while the payment is good, for [`PATIENCE`] at most. Nothing where nothing was
    /// used: the payment is let go.
    ///
    /// It counts as under way from this call on, whenever the future is first polled.
    ///
    /// # Errors
    /// See [`Unsettled`]. The risk then counts as lost for [`LOST_FOR`](super::risk::LOST_FOR).
    ///
    /// # Cancel safety
    /// Dropping this future leaves the outcome to recovery, and the risk lost.
    pub fn settle_used_behind(
        &self,
        (verified, risk): (Verified, Risk),
        used: AtomicAmount,
    ) -> Option<impl Future<Output = Result<Settled, Unsettled>> + Send + 'static> {
        if used == AtomicAmount::ZERO {
            risk.repaid();
            return None;
        }
        let until = self.clock().now().plus(PATIENCE);
        let settlement = Settlement::of(self, verified).moving(used).patient(until);
        Some(risk.until(settlement))
    }
}

impl Verified {
    /// How what it comes to is found, where its answer says it.
    pub fn usage(&self) -> Option<&Arc<Usage>> {
        self.reserved.usage.as_ref()
    }

    /// The most that it pays.
    pub fn amount(&self) -> AtomicAmount {
        self.reserved.order.offer.requirements.amount
    }

    /// Decimals of its asset.
    pub fn decimals(&self) -> u8 {
        self.reserved.decimals
    }

    /// The moment by which its answer must have ended, so that it can still be settled.
    pub fn answer_until(&self, now: UnixMillis) -> UnixMillis {
        let ends = self.reserved.order.payment.ends(now.seconds());
        let ends = i64::try_from(ends).unwrap_or(i64::MAX).saturating_mul(1_000);
        let margin = i64::try_from(SETTLE_MARGIN.as_millis()).unwrap_or(i64::MAX);
        UnixMillis::new(ends.saturating_sub(margin))
    }

    /// Lets it go, and says that it was taken for nothing.
    fn let_go(self) -> Vec<Receipt> {
        let order = &self.reserved.order;
        let paid = receipt::Paid {
            version: order.version,
            network: order.offer.network_in(order.version),
            payer: order.payer().to_string(),
            transaction: "",
            amount: AtomicAmount::ZERO,
        };
        paid.receipts().unwrap_or_default()
    }
}
