//! Chains that we read and write ourselves.

pub mod evm;
mod rpc;
pub mod svm;

use alloy_primitives::Address;

use crate::clock::UnixMillis;
use crate::fault::{Fault, Retry, Side};
use crate::x402::{Account, AtomicAmount, PaymentIdentity};

/// A payment whose outcome is looked for: what is known of it without its signature. Where a
/// chain's own code has it, accounts are that chain's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought<A = Account> {
    /// The payment.
    pub identity: PaymentIdentity<A>,
    /// Contract or mint of the asset it pays with.
    pub asset: A,
    /// What it pays.
    pub amount: AtomicAmount,
    /// Whom it pays.
    pub pay_to: A,
    /// Unix seconds; it is taken only before this moment.
    pub valid_before: u64,
    /// When it was first seen; it did not move before.
    pub since: UnixMillis,
    /// The last transaction that was named for it.
    pub transaction: Option<Box<str>>,
}

impl Sought {
    /// The same on an EVM network; nothing on another.
    pub fn evm(&self) -> Option<Sought<Address>> {
        Some(Sought {
            identity: self.identity.evm()?,
            asset: self.asset.evm()?,
            amount: self.amount,
            pay_to: self.pay_to.evm()?,
            valid_before: self.valid_before,
            since: self.since,
            transaction: self.transaction.clone(),
        })
    }
}

/// A chain, or its nodes, cannot do what was asked, and may later.
fn fault(context: &'static str) -> Fault {
    Fault::new(Side::Chain, Retry::Later, context)
}
