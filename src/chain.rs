//! Chains that we read and write ourselves.

pub mod evm;
mod rpc;

use crate::clock::UnixMillis;
use crate::x402::{AtomicAmount, PaymentIdentity};

/// A payment whose outcome is looked for: what is known of it without its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// The payment.
    pub identity: PaymentIdentity,
    /// Contract of the asset it pays with.
    pub asset: alloy_primitives::Address,
    /// What it pays.
    pub amount: AtomicAmount,
    /// Whom it pays.
    pub pay_to: alloy_primitives::Address,
    /// Unix seconds; it is taken only before this moment.
    pub valid_before: u64,
    /// When it was first seen; it did not move before.
    pub since: UnixMillis,
    /// The last transaction that was named for it.
    pub transaction: Option<Box<str>>,
}
