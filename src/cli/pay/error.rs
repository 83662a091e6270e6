//! Why `tollgate pay` ends without an answer, and the exit code that says so to a script.

use std::io;

use super::approval::{Otherwise, Unapproved};
use super::choice::Unpayable;
use super::demand::DemandError;
use super::wallet::KeyError;
use crate::fault::{Fault, printable};
use crate::x402::PaymentIdentity;
use crate::x402::permit2::PERMIT2;

/// How the process ends. Source of the numbers: `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The answer is here.
    Done,
    /// No answer; nothing was paid, as far as the server says.
    Failed,
    /// A mistake on the command line.
    Usage,
    /// No answer, and money has moved or may have.
    Unknown,
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 64,
            Self::Unknown => 75,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// Not an absolute `http` or `https` URL.
    #[error("`{0}` is not an http or https URL")]
    Url(String),
    /// Not a method.
    #[error("`{0}` is not a request method")]
    Method(String),
    /// The request body cannot be read.
    #[error("the data cannot be read")]
    Data(#[source] io::Error),
    /// There is no key to sign with.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The HTTP client cannot be built, or no random bytes can be had.
    #[error("this machine cannot send requests")]
    Machine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The unpaid request got no answer.
    #[error("there is no answer")]
    Request(#[source] reqwest::Error),
    /// The answer is longer than is read.
    #[error("the answer is longer than {0} bytes")]
    AnswerTooLong(usize),
    /// The 402 cannot be read.
    #[error(transparent)]
    Demand(#[from] DemandError),
    /// No offer keeps to the terms.
    #[error("nothing was paid: {}", offers(.0))]
    NothingPayable(Vec<Unpayable>),
    /// The node that was named does not tell what Permit2 may take.
    #[error("nothing was paid: the node of --rpc does not answer")]
    Chain(#[source] Fault),
    /// Permit2 may not take what is paid.
    #[error("nothing was paid: {}", approve(.0))]
    NotApproved(Unapproved),
    /// No connection took the payment.
    #[error("nothing was paid: the server could not be reached again")]
    NotSent(#[source] reqwest::Error),
    /// The payment went out and nobody knows what became of it.
    #[error(
        "whether the money has moved is not known; do not pay again before it is\n  \
         payment      {identity}\n  transaction  {}\n  the payment cannot be taken after {} UTC",
        transaction.as_deref().unwrap_or("not named"),
        super::report::moment(*valid_before)
    )]
    OutcomeUnknown {
        /// What was signed.
        identity: Box<PaymentIdentity>,
        /// When the server named one.
        transaction: Option<String>,
        /// Unix seconds.
        valid_before: u64,
    },
    /// The payment was taken and the answer is lost.
    #[error(
        "the payment was taken and the answer is lost\n  payment      {identity}\n  \
         transaction  {}",
        transaction.as_deref().unwrap_or("not named")
    )]
    AnswerLost {
        /// What was signed.
        identity: Box<PaymentIdentity>,
        /// When the server named one.
        transaction: Option<String>,
    },
    /// The answer that was paid for is here and cannot be written.
    #[error("the answer was paid for and cannot be written")]
    Output(#[source] io::Error),
    /// There is no place for an answer. Nothing was paid.
    #[error("the answer cannot be written; nothing was paid")]
    NoPlace(#[source] io::Error),
}

impl PayError {
    /// How the process ends with this.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Url(_) | Self::Method(_) | Self::Data(_) | Self::Key(_) => Exit::Usage,
            Self::Machine(_)
            | Self::Request(_)
            | Self::AnswerTooLong(_)
            | Self::Demand(_)
            | Self::NothingPayable(_)
            | Self::Chain(_)
            | Self::NotApproved(_)
            | Self::NotSent(_)
            | Self::NoPlace(_) => Exit::Failed,
            Self::OutcomeUnknown { .. } | Self::AnswerLost { .. } | Self::Output(_) => {
                Exit::Unknown
            }
        }
    }
}

fn approve(unapproved: &Unapproved) -> String {
    let Unapproved { payer, asset, amount, otherwise } = *unapproved;
    let otherwise = match otherwise {
        Otherwise::Nothing => "",
        Otherwise::NameANode => {
            "\n  or name a node of the network with --rpc: this server takes an approval along \
             with the payment, and pays its gas"
        }
    };
    format!(
        "Permit2 may not take {amount} units of {asset} from {payer}\n  \
         approve it once, for gas: from {payer}, call approve({PERMIT2}, {amount}) at {asset}; \
         with a larger amount it is for later payments, too{otherwise}"
    )
}

/// An offer's own words stand in it.
fn told(why: &Unpayable) -> String {
    printable(&why.to_string())
}

fn offers(refused: &[Unpayable]) -> String {
    match refused {
        [] => "the 402 has no offer that can be read".to_owned(),
        [only] => format!("the one offer: {}", told(only)),
        many => many.iter().enumerate().fold("no offer will do".to_owned(), |text, (at, why)| {
            format!("{text}\n  offer {}: {}", at + 1, told(why))
        }),
    }
}
