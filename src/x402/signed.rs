//! What a payer has signed, on a network of either kind.

use super::{Account, SignedAuthorization, SvmPayment};

/// A payment's own part: what was signed, and the signature. Nothing is proven yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// An authorization, on an EVM network.
    Evm(SignedAuthorization),
    /// A transaction, on Solana.
    Svm(SvmPayment),
}

impl Signed {
    /// Who pays, if the signature proves it.
    pub fn payer(&self) -> Account {
        match self {
            Self::Evm(signed) => signed.authorization.from.into(),
            Self::Svm(signed) => signed.payer().into(),
        }
    }

    /// The first moment at which it is void, in Unix seconds, of a payment that was first seen at
    /// `seen`. A transaction names a block and no moment, so it is [`SVM_SECONDS_MAX`] later.
    pub fn ends(&self, seen: u64) -> u64 {
        match self {
            Self::Evm(signed) => signed.authorization.window().end.saturating_to(),
            Self::Svm(_) => seen.saturating_add(SVM_SECONDS_MAX),
        }
    }

    /// The authorization, on an EVM network.
    pub fn evm(&self) -> Option<&SignedAuthorization> {
        match self {
            Self::Evm(signed) => Some(signed),
            Self::Svm(_) => None,
        }
    }

    /// The transaction, on Solana.
    pub fn svm(&self) -> Option<&SvmPayment> {
        match self {
            Self::Evm(_) => None,
            Self::Svm(signed) => Some(signed),
        }
    }
}

impl From<SignedAuthorization> for Signed {
    fn from(signed: SignedAuthorization) -> Self {
        Self::Evm(signed)
    }
}

impl From<SvmPayment> for Signed {
    fn from(signed: SvmPayment) -> Self {
        Self::Svm(signed)
    }
}

/// How long a transaction may still be taken, in seconds: 150 blocks are a minute where each slot
/// has one and takes its 400 ms, and two minutes where half of that goes wrong. Only the chain
/// knows; nothing that moves money is decided by this number alone.
pub const SVM_SECONDS_MAX: u64 = 120;
