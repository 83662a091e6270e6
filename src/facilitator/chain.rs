//! Our own signers on a chain, as a facilitator.

pub use crate::chain::evm::{Lack, Lanes, RpcUrl, RpcUrlError};
pub use crate::chain::{evm, svm};

use crate::chain::Sought;
use crate::chain::evm::{Evm, Payment};
use crate::chain::svm::Svm;
use crate::clock::UnixMillis;
use crate::fault::Fault;
use crate::x402::SvmPayment;
use crate::x402::sign_in::ByContract;
use crate::x402::{Account, ErrorReason, Network};

use super::{Order, Outcome, Trace, Verdict};

/// A chain that we settle on ourselves.
#[derive(Debug)]
pub enum Chain {
    /// By signers of our own, who send transactions.
    Evm(Evm),
    /// By a fee payer of our own, who signs the payers' transactions as well.
    Svm(Svm),
}

/// A chain and who settles on it.
#[derive(Clone, Debug)]
pub enum Settings {
    /// An EVM chain.
    Evm(evm::Settings),
    /// A Solana cluster.
    Svm(svm::Settings),
}

/// What is left to a signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purse {
    /// Whose.
    pub signer: Account,
    /// In 10⁻⁹ of the chain's coin, which are gwei or lamports; nothing until it was looked at.
    pub billionths: Option<u64>,
}

impl Settings {
    /// Its name.
    pub fn network(&self) -> Network {
        match self {
            Self::Evm(evm) => Network::eip155(evm.chain_id),
            Self::Svm(svm) => svm.network.clone(),
        }
    }

    /// Whether they say the same.
    pub fn are(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Evm(one), Self::Evm(other)) => one.are(other),
            (Self::Svm(one), Self::Svm(other)) => one.are(other),
            (Self::Evm(_), Self::Svm(_)) | (Self::Svm(_), Self::Evm(_)) => false,
        }
    }

    /// The nodes, the preferred first.
    pub fn rpc(&self) -> &[RpcUrl] {
        match self {
            Self::Evm(evm) => &evm.rpc,
            Self::Svm(svm) => &svm.rpc,
        }
    }
}

impl Chain {
    /// Starts to settle on the current tokio runtime, with lanes of this process for its signers.
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn start(settings: Settings, lanes: &Lanes) -> Result<Self, reqwest::Error> {
        Ok(match settings {
            Settings::Evm(settings) => Self::Evm(Evm::start(settings, lanes)?),
            Settings::Svm(settings) => Self::Svm(Svm::start(settings)?),
        })
    }

    /// Who pays the fees of payments, where an offer has to say so.
    pub fn fee_payer(&self) -> Option<Account> {
        match self {
            Self::Evm(evm) => evm.first_signer().map(Account::from),
            Self::Svm(svm) => Some(svm.fee_payer().into()),
        }
    }

    /// The transaction by which a payment would be settled, where that is known before it is sent.
    pub fn will_be(&self, order: &Order) -> Option<Box<str>> {
        match self {
            Self::Evm(_) => None,
            Self::Svm(svm) => svm.name_of(order.payment.svm()?),
        }
    }

    /// Judges a payment by the chain's last block, without changing it.
    ///
    /// # Errors
    /// No node answers, or no signer can pay for gas.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn verify(&self, order: &Order) -> Result<Verdict, Fault> {
        let judged = match (self, evm_payment(order), svm_payment(order)) {
            (Self::Evm(evm), Some(payment), _) => evm.verify(&payment).await?,
            (Self::Svm(svm), _, Some(payment)) => svm.verify(payment).await?,
            (Self::Evm(_), None, _) | (Self::Svm(_), _, None) => Err(ErrorReason::Payload),
        };
        Ok(judged.map_or_else(Verdict::Bad, |()| Verdict::Good))
    }

    /// Moves the money of a payment and waits until it is as deep in the chain as is configured.
    ///
    /// # Cancel safety
    /// The settlement goes on when this future is dropped.
    pub async fn settle(&self, order: &Order, now: UnixMillis) -> Outcome {
        match self {
            Self::Evm(evm) => {
                let both = evm_payment(order).zip(sought(order, now).evm());
                // Nothing of it stays here while it is waited for.
                let settling = both.map(|(payment, sought)| evm.settle(payment, sought));
                match settling {
                    Some(settling) => of_evm(settling.await),
                    None => Outcome::Rejected(ErrorReason::Payload),
                }
            }
            Self::Svm(svm) => match svm_payment(order) {
                Some(payment) => of_svm(svm.settle(payment.clone(), sought(order, now)).await),
                None => Outcome::Rejected(ErrorReason::Payload),
            },
        }
    }

    /// Looks on the chain for what became of a payment.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn trace(&self, sought: &Sought) -> Trace {
        match (self, sought.evm()) {
            (Self::Evm(evm), Some(sought)) => told_by_evm(evm.trace(&sought).await),
            (Self::Svm(svm), None) => told_by_svm(svm.trace(sought).await),
            (Self::Evm(_), None) | (Self::Svm(_), Some(_)) => Trace::CannotTell,
        }
    }

    /// Whether a contract takes a signature for its own. None does on Solana.
    ///
    /// # Errors
    /// No node answers.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn is_signed(&self, asked: &ByContract) -> Result<bool, Fault> {
        match self {
            Self::Evm(evm) => evm.is_signed(asked).await,
            Self::Svm(_) => Ok(false),
        }
    }

    /// Looks at every node and every signer's purse. To be called now and then.
    ///
    /// # Errors
    /// No node of this chain answers.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn refresh(&self) -> Result<(), Fault> {
        match self {
            Self::Evm(evm) => evm.refresh().await,
            Self::Svm(svm) => svm.refresh().await,
        }
    }

    /// Whether nodes answer and a signer has gas, as [`Self::refresh`] has found.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), Fault> {
        match self {
            Self::Evm(evm) => evm.ready(),
            Self::Svm(svm) => svm.ready(),
        }
    }

    /// What is left to each signer.
    pub fn purses(&self) -> Vec<Purse> {
        match self {
            Self::Evm(evm) => evm.purses().into_iter().map(Purse::from).collect(),
            Self::Svm(svm) => {
                vec![Purse { signer: svm.fee_payer().into(), billionths: svm.balance() }]
            }
        }
    }

    /// How many nodes there are, and how many of them answer.
    pub fn nodes(&self) -> (usize, usize) {
        match self {
            Self::Evm(evm) => evm.nodes(),
            Self::Svm(svm) => svm.nodes(),
        }
    }
}

impl From<evm::Purse> for Purse {
    fn from(evm::Purse { signer, balance_gwei }: evm::Purse) -> Self {
        Self { signer: signer.into(), billionths: balance_gwei }
    }
}

/// Reads payments on a chain that others settle on.
#[derive(Debug)]
pub enum Reader {
    /// An EVM chain.
    Evm(evm::Reader),
    /// A Solana cluster.
    Svm(svm::Reader),
}

impl Reader {
    /// Whether a payment that another facilitator was to settle has not moved, and its payer has
    /// not enough of the asset. Where the chain does not tell, nobody says so.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn is_poor(&self, order: &Order, now: UnixMillis) -> bool {
        let (Self::Evm(reader), Some(sought)) = (self, sought(order, now).evm()) else {
            return false;
        };
        reader.is_poor(&sought).await.unwrap_or_else(|fault| {
            tracing::warn!(%fault, "the chain does not tell whether a payer has enough");
            false
        })
    }

    /// As [`Chain::is_signed`].
    ///
    /// # Errors
    /// No node answers.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn is_signed(&self, asked: &ByContract) -> Result<bool, Fault> {
        match self {
            Self::Evm(reader) => reader.is_signed(asked).await,
            Self::Svm(_) => Ok(false),
        }
    }

    /// What is found of a payment that another facilitator settles.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn read(&self, sought: &Sought) -> Trace {
        match (self, sought.evm()) {
            (Self::Evm(reader), Some(sought)) => told_by_evm(reader.trace(&sought).await),
            (Self::Svm(reader), None) => told_by_svm(reader.trace(sought).await),
            (Self::Evm(_), None) | (Self::Svm(_), Some(_)) => Trace::CannotTell,
        }
    }
}

fn told_by_evm(traced: Result<evm::Traced, Fault>) -> Trace {
    match traced {
        Ok(evm::Traced::Moved { transaction }) => Trace::Moved { transaction: text(transaction) },
        Ok(evm::Traced::NotMoved) => Trace::NotMoved,
        Ok(evm::Traced::Open) => Trace::CannotTell,
        Err(fault) => not_told(&fault),
    }
}

fn told_by_svm(traced: Result<svm::Traced, Fault>) -> Trace {
    match traced {
        Ok(svm::Traced::Moved { transaction }) => Trace::Moved { transaction },
        Ok(svm::Traced::NotMoved) => Trace::NotMoved,
        Ok(svm::Traced::Open) => Trace::CannotTell,
        Err(fault) => not_told(&fault),
    }
}

fn not_told(fault: &Fault) -> Trace {
    tracing::warn!(%fault, "the chain does not tell what became of a payment");
    Trace::CannotTell
}

fn of_evm(outcome: evm::Outcome) -> Outcome {
    match outcome {
        evm::Outcome::Settled { transaction } => {
            Outcome::Settled { transaction: text(transaction) }
        }
        evm::Outcome::Rejected(reason) => Outcome::Rejected(reason),
        evm::Outcome::NotSent(fault) => Outcome::NotSent(fault),
        evm::Outcome::Unknown { transaction, fault } => {
            Outcome::Unknown { transaction: transaction.map(text), said: None, fault }
        }
    }
}

fn of_svm(outcome: svm::Outcome) -> Outcome {
    match outcome {
        svm::Outcome::Settled { transaction } => Outcome::Settled { transaction },
        svm::Outcome::Rejected(reason) => Outcome::Rejected(reason),
        svm::Outcome::NotSent(fault) => Outcome::NotSent(fault),
        svm::Outcome::Unknown { transaction, fault } => {
            Outcome::Unknown { transaction: Some(transaction), said: None, fault }
        }
    }
}

/// The payment as an EVM chain knows it; nothing where it is for another.
fn evm_payment(order: &Order) -> Option<Payment> {
    let offer = &order.offer;
    let asset = offer.requirements.asset.evm()?;
    let payment = Payment::new(asset, &offer.evm()?.payments, order.payment.evm()?);
    Some(payment.moving(order.amount()))
}

/// The payment as Solana knows it; nothing where it is for another.
fn svm_payment(order: &Order) -> Option<&SvmPayment> {
    order.payment.svm()
}

fn sought(order: &Order, now: UnixMillis) -> Sought {
    let requirements = &order.offer.requirements;
    Sought {
        identity: order.identity(),
        asset: requirements.asset,
        amount: order.amount(),
        pay_to: requirements.pay_to,
        valid_before: order.payment.ends(now.seconds()),
        since: now,
        transaction: None,
    }
}

fn text(transaction: alloy_primitives::B256) -> Box<str> {
    format!("{transaction:#x}").into()
}
