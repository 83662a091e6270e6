//! The nouns and bytes of x402, version 1 and version 2: no I/O, no async, no clock.

pub mod account;
pub mod amount;
#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "the tests from outside use it too")]
#[path = "../tests/support/dice.rs"]
pub(crate) mod dice;
pub mod encoding;
pub mod evm;
mod exact;
pub mod extensions;
pub mod identifier;
pub mod message;
pub mod network;
pub mod offer;
pub mod payload;
pub mod permit2;
pub mod reason;
pub mod requirements;
pub mod sign_in;
pub mod signed;
pub mod svm;

pub use account::{Account, AccountError, Pubkey};
pub use amount::{AmountError, AtomicAmount};
pub use evm::{Authorization, Eip712Domain, Form, SignatureError, SignedAuthorization};
pub use identifier::{Identified, Identifying, PaymentId};
pub use message::{SettleResponse, SupportedKind, SupportedResponse};
pub use network::{KnownNetwork, NETWORKS, Network, NetworkError};
pub use offer::{Domains, EvmDomains, Offer, PaymentIdentity};
pub use payload::{PayloadError, PaymentPayload, Version};
pub use reason::ErrorReason;
pub use requirements::{
    AssetTransferMethod, PaymentRequired, PaymentRequiredV1, PaymentRequirements,
    PaymentRequirementsV1, Resource,
};
pub use sign_in::{SignIn, SignInReason};
pub use signed::Signed;
pub use svm::SvmPayment;
