//! Where a payment stands, and the steps from there.

use std::str::FromStr;

use super::ExchangeId;
use crate::fault::{Fault, Retry, Side};
use crate::x402::{AtomicAmount, ErrorReason};

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Claimed; nothing was sent to settle it.
    Held,
    /// Its settlement may be under way.
    Settling,
    /// The money moved.
    Settled,
    /// Its settlement was refused and nothing moved; it may be claimed again.
    Refused,
    /// Let go before anything moved; it may be claimed again.
    Released,
    /// Its settlement ended without an answer; recovery finds out.
    Unknown,
}

/// What an exchange reports of its payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is about to be settled by this one. Said again by the same exchange when that one has
    /// not taken the order and another is about to be asked.
    Settling {
        /// Name of the facilitator, which must be asked about it later.
        facilitator: Box<str>,
        /// The transaction that it will be, where that is known before it is sent: then it can be
        /// looked for even if nothing more is ever written.
        transaction: Option<Box<str>>,
        /// What is to be moved, where that may be less than what is reserved.
        amount: Option<AtomicAmount>,
    },
    /// The money moved.
    Settled {
        /// `0x` and 64 hex digits on EVM. At most [`TRANSACTION_LEN_MAX`] bytes.
        transaction: Box<str>,
    },
    /// The settlement was refused, and nothing moved.
    Refused(ErrorReason),
    /// Nothing moved and nothing will. From settling or unknown this is recovery's word only, after
    /// the chain has shown it.
    Released,
    /// Its exchange is gone, and nothing was sent. Recovery's word, and from held only: an exchange
    /// that lives after all keeps the settlement that it has begun.
    Orphaned,
    /// Nobody knows whether the money moved.
    Unknown {
        /// When one was named. At most [`TRANSACTION_LEN_MAX`] bytes.
        transaction: Option<Box<str>>,
    },
}

/// Why a step was not taken; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misstep {
    /// The ledger has no such payment.
    #[error("there is no such payment")]
    NoEntry,
    /// The payment is another exchange's by now.
    #[error("the payment is held by exchange {0}")]
    OtherExchange(ExchangeId),
    /// The payment stands where this step does not start.
    #[error("the payment is {}, which does not become {}", .from.name(), .to.name())]
    Illegal {
        /// Where it stands.
        from: State,
        /// Where the step leads.
        to: State,
    },
    /// A transaction longer than [`TRANSACTION_LEN_MAX`].
    #[error("the transaction's name is too long")]
    Transaction,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Held, Self::Settling, Self::Settled, Self::Refused, Self::Released, Self::Unknown];

    /// The word in the ledger, in logs and in metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Settling => "settling",
            Self::Settled => "settled",
            Self::Refused => "refused",
            Self::Released => "released",
            Self::Unknown => "unknown",
        }
    }

    /// Whether another exchange may claim the payment: nothing moved, nothing will.
    pub const fn is_free(self) -> bool {
        match self {
            Self::Refused | Self::Released => true,
            Self::Held | Self::Settling | Self::Settled | Self::Unknown => false,
        }
    }

    /// Whether something must still become of the payment.
    pub const fn is_unfinished(self) -> bool {
        match self {
            Self::Held | Self::Settling | Self::Unknown => true,
            Self::Settled | Self::Refused | Self::Released => false,
        }
    }
}

/// A text that is not the name of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a state of a payment")]
pub struct StateError;

impl FromStr for State {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, StateError> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or(StateError)
    }
}

impl Step {
    /// Where it leads.
    pub const fn state(&self) -> State {
        match self {
            Self::Settling { .. } => State::Settling,
            Self::Settled { .. } => State::Settled,
            Self::Refused(_) => State::Refused,
            Self::Released | Self::Orphaned => State::Released,
            Self::Unknown { .. } => State::Unknown,
        }
    }

    /// Where it may start; a state may be named twice. The one table of legal transitions.
    pub const fn sources(&self) -> [State; 3] {
        use State::{Held, Settling, Unknown};
        match self {
            Self::Settling { .. } => [Held, Settling, Settling],
            Self::Orphaned => [Held, Held, Held],
            Self::Settled { .. } | Self::Refused(_) => [Settling, Unknown, Unknown],
            Self::Released => [Held, Settling, Unknown],
            Self::Unknown { .. } => [Settling, Settling, Settling],
        }
    }

    /// The transaction it names.
    pub fn transaction(&self) -> Option<&str> {
        match self {
            Self::Settled { transaction } => Some(transaction),
            Self::Settling { transaction, .. } | Self::Unknown { transaction } => {
                transaction.as_deref()
            }
            Self::Refused(_) | Self::Released | Self::Orphaned => None,
        }
    }

    /// The facilitator it names.
    pub fn facilitator(&self) -> Option<&str> {
        match self {
            Self::Settling { facilitator, .. } => Some(facilitator),
            Self::Settled { .. }
            | Self::Refused(_)
            | Self::Released
            | Self::Orphaned
            | Self::Unknown { .. } => None,
        }
    }

    /// What it says is to be moved.
    pub fn amount(&self) -> Option<AtomicAmount> {
        match self {
            Self::Settling { amount, .. } => *amount,
            Self::Settled { .. }
            | Self::Refused(_)
            | Self::Released
            | Self::Orphaned
            | Self::Unknown { .. } => None,
        }
    }

    /// The code of the reason it gives.
    pub const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Refused(reason) => Some(reason.code()),
            Self::Settling { .. }
            | Self::Settled { .. }
            | Self::Released
            | Self::Orphaned
            | Self::Unknown { .. } => None,
        }
    }
}

impl From<Misstep> for Fault {
    fn from(misstep: Misstep) -> Self {
        Self::new(Side::Ledger, Retry::Never, "the ledger refuses a step").caused_by(misstep)
    }
}

/// Bytes of the longest transaction name that is kept: an EVM hash has 66, a Solana signature 88.
pub const TRANSACTION_LEN_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_as_it_is_written() {
        for state in State::ALL {
            assert_eq!(state.name().parse(), Ok(state));
        }
        assert_eq!("Held".parse::<State>(), Err(StateError));
    }
}
