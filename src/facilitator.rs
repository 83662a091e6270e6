//! Who verifies and settles payments for us, and what they can answer.

pub mod chain;
pub mod health;
pub mod http;
pub mod pool;
#[cfg(test)]
pub(crate) mod scripted;
pub mod simulated;

use std::sync::Arc;

use ::http::HeaderValue;

use self::chain::Chain;
pub use self::health::{Asked, Question};
use self::http::Http;
pub use self::pool::{Away, Member, Pool};
use self::simulated::Simulated;
pub use crate::chain::Sought;
use crate::clock::UnixMillis;
use crate::fault::Fault;
use crate::x402::extensions::Catalogued;
use crate::x402::{Account, AtomicAmount, ErrorReason, Offer, PaymentIdentity, Signed, Version};

/// Whoever verifies and settles the payments of a network.
#[derive(Clone, Debug)]
pub enum Facilitator {
    /// A stand-in for a chain, in this process.
    Simulated(Arc<Simulated>),
    /// Somebody else's, spoken to over HTTP.
    Http(Arc<Http>),
    /// Our own signers.
    Chain(Arc<Chain>),
    /// One that breaks as dice tell it.
    #[cfg(test)]
    Scripted(Arc<scripted::Scripted>),
}

impl Facilitator {
    /// Asks whether a payment could be settled now.
    ///
    /// # Errors
    /// It could not be asked, or what it answered cannot be believed. Nothing moved.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn verify(&self, order: &Order, now: UnixMillis) -> Result<Verdict, Fault> {
        match self {
            Self::Simulated(simulated) => simulated.verify(order, now).await,
            // In a box: who asks nobody far away has no room for it.
            Self::Http(http) => Box::pin(http.verify(order)).await,
            Self::Chain(chain) => Box::pin(chain.verify(order)).await,
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.verify(order).await,
        }
    }

    /// The transaction by which it would settle this, where that is known before it is asked.
    pub fn will_be(&self, order: &Order) -> Option<Box<str>> {
        match self {
            Self::Chain(chain) => chain.will_be(order),
            Self::Simulated(_) | Self::Http(_) => None,
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// Asks to move the money, and waits for the word on what became of it.
    ///
    /// Sent at most once for each call; to call it twice for one payment is the caller's mistake.
    ///
    /// # Cancel safety
    /// Dropping it undoes nothing: the money may move, and only [`Facilitator::trace`] or the
    /// chain can tell. Settle in a task of its own.
    pub async fn settle(&self, order: &Order, now: UnixMillis) -> Outcome {
        match self {
            Self::Simulated(simulated) => simulated.settle(order, now).await,
            Self::Http(http) => http.settle(order).await,
            Self::Chain(chain) => chain.settle(order, now).await,
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.settle(order).await,
        }
    }

    /// Looks for a payment whose settlement was cut off. Never asks for it again.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn trace(&self, sought: &Sought) -> Trace {
        match self {
            Self::Simulated(simulated) => simulated.trace(&sought.identity).await,
            Self::Http(_) => Trace::CannotTell,
            Self::Chain(chain) => chain.trace(sought).await,
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.trace(&sought.identity).await,
        }
    }

    /// Whether its `verify` asks a payer's contract what it thinks of a signature.
    pub fn asks_contracts(&self) -> bool {
        match self {
            Self::Chain(_) => true,
            Self::Simulated(_) | Self::Http(_) => false,
            #[cfg(test)]
            Self::Scripted(_) => false,
        }
    }

    /// Who pays the fee of a payment for an offer that has to say so, as far as that is known: on
    /// Solana, and under `upto`.
    pub fn fee_payer(&self, offer: &Offer) -> Option<Account> {
        match self {
            Self::Simulated(_) => Some(Simulated::fee_payer_of(offer)),
            Self::Http(http) => http.fee_payer(offer),
            Self::Chain(chain) => chain.fee_payer(),
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// Whether it settles this offer, as far as it has said.
    pub fn settles(&self, offer: &Offer) -> bool {
        match self {
            Self::Simulated(simulated) => simulated.serves(&offer.requirements.network),
            Self::Http(http) => http.settles(offer),
            // It was checked against its networks before anything listened.
            Self::Chain(_) => true,
            #[cfg(test)]
            Self::Scripted(_) => true,
        }
    }

    /// Whether it can be expected to answer. Asks nobody.
    ///
    /// # Errors
    /// Why not, as [`Http::ready`] and [`Chain::ready`] say; a simulated one is always ready.
    pub fn ready(&self) -> Result<(), Fault> {
        match self {
            Self::Simulated(_) => Ok(()),
            Self::Http(http) => http.ready(),
            Self::Chain(chain) => chain.ready(),
            #[cfg(test)]
            Self::Scripted(_) => Ok(()),
        }
    }
}

/// A payment to verify or settle, and the offer it is for.
#[derive(Clone, Debug)]
pub struct Order {
    /// The version the client speaks; facilitators are asked in the same.
    pub version: Version,
    /// The offer of the route, never what the client echoed.
    pub offer: Arc<Offer>,
    /// What the client signed; its signature has been proven.
    pub payment: Signed,
    /// What whoever settles may tell a catalogue of it.
    pub catalogued: Option<Arc<Catalogued>>,
    /// What is to be moved, once it is known that it may be less than the offer's amount.
    pub actual: Option<AtomicAmount>,
    /// In which trace it is asked about, if in any.
    pub parents: Option<Arc<Parents>>,
}

/// The spans that ask a facilitator over HTTP, each as the `traceparent` of its question. Source:
/// W3C Trace Context.
#[derive(Debug)]
pub struct Parents {
    /// Of a verification.
    pub verify: HeaderValue,
    /// Of a settlement.
    pub settle: HeaderValue,
}

impl Order {
    /// Whose money it is.
    pub fn payer(&self) -> Account {
        self.payment.payer()
    }

    /// What is to be moved: the offer's amount, or less where that is known.
    pub fn amount(&self) -> AtomicAmount {
        let most = self.offer.requirements.amount;
        self.actual.map_or(most, |actual| actual.min(most))
    }

    /// What makes this payment itself.
    pub fn identity(&self) -> PaymentIdentity {
        self.offer.identity(&self.payment)
    }
}

/// What a facilitator says of a payment before it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It could be settled now.
    Good,
    /// It could not.
    Bad(ErrorReason),
}

/// What became of a settlement.
#[derive(Debug)]
pub enum Outcome {
    /// The money moved.
    Settled {
        /// `0x` and 64 hex digits, or a signature in base58.
        transaction: Box<str>,
    },
    /// It did not move and will not.
    Rejected(ErrorReason),
    /// It did not move, because nobody took the order: no connection was made, or it was turned
    /// away at the door. The same payment may be sent again.
    NotSent(Fault),
    /// Nobody knows: no answer, or none that can be believed. It may have moved.
    Unknown {
        /// When one was named.
        transaction: Option<Box<str>>,
        /// Why it says that nothing moved, where it would say the same of a payment that it has
        /// just moved itself: a look at the chain may find that it is right.
        said: Option<ErrorReason>,
        /// Why it is not known.
        fault: Fault,
    },
}

impl Outcome {
    /// Nobody knows, and nobody has said anything.
    pub(crate) fn unknown(fault: Fault) -> Self {
        Self::Unknown { transaction: None, said: None, fault }
    }
}

/// What a later look finds of a payment whose settlement was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trace {
    /// The money moved.
    Moved {
        /// `0x` and 64 hex digits.
        transaction: Box<str>,
    },
    /// It did not, and nothing that was sent is still under way.
    NotMoved,
    /// This facilitator cannot tell.
    CannotTell,
}

#[cfg(test)]
pub(crate) mod fixture;
