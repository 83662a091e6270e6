//! A stand-in for a chain, in this process: test balances, windows, nonces, signatures.

mod book;
pub mod journal;
mod settings;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_primitives::{Address, Keccak256, U256, address, keccak256};
use ed25519_dalek::{Signer as _, SigningKey};

use self::book::Book;
pub use self::book::{TRANSFERS_KEPT_MAX, Transfer, TransferId, USED_NONCES_MAX};
use self::journal::{Ack, Journal, JournalError};
pub use self::settings::{Delay, Play, Settings, Signatures};
use super::{Order, Outcome, Trace, Verdict};
use crate::clock::UnixMillis;
use crate::fault::{Fault, Retry, Side};
use crate::x402::permit2::Permit;
use crate::x402::{
    Account, AtomicAmount, ErrorReason, Form, Network, Offer, PaymentIdentity, Pubkey, Signed,
    SignedAuthorization, SvmPayment,
};

/// Why a simulated chain cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Its money would be taken for real.
    #[error("{0} is a mainnet; a simulated facilitator serves test networks only")]
    Mainnet(Network),
    /// The file of its transfers cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A simulated chain.
///
/// Without a journal and without delays, `verify` and `settle` are ready at the first poll.
pub struct Simulated {
    play: Play,
    signatures: Signatures,
    delay: Delay,
    chain: Mutex<Chain>,
}

/// What one transfer changes together, under one lock.
struct Chain {
    book: Book,
    journal: Option<Journal>,
}

impl Simulated {
    /// Starts the chain, with the transfers of its journal if it has one.
    ///
    /// # Errors
    /// `Mainnet` for a network whose money is real, `Journal` for a file that cannot be read,
    /// is not a journal, or is in use by another process.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let refused = |network: &&Network| !settings.play.serves(network);
        if let Some(network) = settings.networks.iter().find(refused) {
            return Err(SettingsError::Mainnet(network.clone()));
        }
        let mut book = Book::new(settings.balance, settings.balances);
        let journal = match &settings.journal {
            Some(path) => {
                let (journal, transfers) = Journal::open(path)?;
                transfers.into_iter().for_each(|transfer| book.enter(transfer));
                Some(journal)
            }
            None => None,
        };
        let chain = Mutex::new(Chain { book, journal });
        let Settings { play, signatures, delay, .. } = settings;
        Ok(Self { play, signatures, delay, chain })
    }

    /// The chain of a journal that another process may be writing: its payments can be looked up as
    /// they are now. What it is asked to settle moves nowhere else.
    ///
    /// # Errors
    /// As [`Simulated::new`]; never because the journal is in use.
    pub fn to_read(settings: Settings) -> Result<Self, SettingsError> {
        let journal = settings.journal.filter(|path| path.exists());
        let simulated = Self::new(Settings { journal: None, ..settings })?;
        if let Some(path) = journal {
            let transfers = journal::read(&path)?;
            let mut chain = simulated.chain();
            transfers.into_iter().for_each(|transfer| chain.book.enter(transfer));
        }
        Ok(simulated)
    }

    /// Whether it stands in for this network.
    pub fn serves(&self, network: &Network) -> bool {
        self.play.serves(network)
    }

    /// Whoever pays the fee on a simulated Solana.
    pub fn fee_payer() -> Pubkey {
        Pubkey::new_from_array(fee_payer().verifying_key().to_bytes())
    }

    /// Whoever pays the fee of a payment for an offer that has to say so.
    pub fn fee_payer_of(offer: &Offer) -> Account {
        match offer.svm() {
            Some(_) => Self::fee_payer().into(),
            None => SETTLER.into(),
        }
    }

    /// Judges a payment as the asset's contract would now, and changes nothing.
    ///
    /// # Errors
    /// None today; a facilitator's `verify` has them.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn verify(&self, order: &Order, now: UnixMillis) -> Result<Verdict, Fault> {
        pause(self.delay.verify).await;
        let judged = self
            .screen(order, now)
            .and_then(|()| self.chain().book.judge(&order.identity(), asset(order), due(order)));
        Ok(match judged {
            Ok(()) => Verdict::Good,
            Err(reason) => Verdict::Bad(reason),
        })
    }

    /// Judges a payment and moves its money, in one step.
    ///
    /// The answer waits until the journal has the transfer on disk. `Unknown` only when it could
    /// not be written; `NotSent` when the chain has no room or its journal is lost.
    ///
    /// # Cancel safety
    /// Dropped after its first poll, the money has moved, or is refused, all the same.
    pub async fn settle(&self, order: &Order, now: UnixMillis) -> Outcome {
        let (transaction, ack) = match self.transfer(order, now) {
            Ok(done) => done,
            Err(outcome) => return outcome,
        };
        let transaction: Box<str> = transaction.to_string().into();
        if let Some(ack) = ack
            && ack.await.is_err()
        {
            let fault = journal_lost();
            return Outcome::Unknown { transaction: Some(transaction), said: None, fault };
        }
        pause(self.delay.settle).await;
        Outcome::Settled { transaction }
    }

    /// Looks a payment up; what it finds is on disk before it says so.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn trace(&self, identity: &PaymentIdentity) -> Trace {
        let (trace, barrier) = {
            let chain = self.chain();
            (chain.book.trace(identity), chain.journal.as_ref().map(Journal::barrier))
        };
        let written = match barrier {
            None => true,
            Some(Ok(ack)) => ack.await.is_ok(),
            Some(Err(_)) => false,
        };
        if written { trace } else { Trace::CannotTell }
    }

    /// The latest transfers, oldest first; at most [`TRANSFERS_KEPT_MAX`].
    pub fn transfers(&self) -> Vec<Transfer> {
        self.chain().book.transfers()
    }

    /// What an account holds of an asset, in atomic units.
    pub fn balance(&self, network: &Network, asset: Account, owner: Account) -> AtomicAmount {
        self.chain().book.balance(network, asset, owner)
    }

    /// What can be judged without the state of the chain.
    fn screen(&self, order: &Order, now: UnixMillis) -> Result<(), ErrorReason> {
        let requirements = &order.offer.requirements;
        if !self.serves(&requirements.network) {
            return Err(ErrorReason::Network);
        }
        match &order.payment {
            Signed::Evm(signed) => self.screen_evm(order, signed, now),
            Signed::Svm(signed) => self.screen_svm(order, signed),
        }
    }

    fn screen_evm(
        &self,
        Order { offer, .. }: &Order,
        signed: &SignedAuthorization,
        now: UnixMillis,
    ) -> Result<(), ErrorReason> {
        let (requirements, authorization) = (&offer.requirements, &signed.authorization);
        let now = U256::from(now.seconds());
        if requirements.pay_to != authorization.to {
            return Err(ErrorReason::RecipientMismatch);
        }
        if authorization.value != U256::from(requirements.amount.units()) {
            return Err(ErrorReason::ValueMismatch);
        }
        if let Form::Permit2(Permit { facilitator: Some(named), .. }) = authorization.form
            && named != SETTLER
        {
            return Err(ErrorReason::Facilitator);
        }
        let window = authorization.window();
        if now < window.start {
            return Err(ErrorReason::ValidAfter);
        }
        if now >= window.end {
            return Err(ErrorReason::ValidBefore);
        }
        match self.signatures {
            Signatures::Trusted => Ok(()),
            Signatures::Checked => {
                let domains = offer.evm().ok_or(ErrorReason::Payload)?;
                signed.prove(&domains.payments).map_err(|_| ErrorReason::Signature)
            }
        }
    }

    /// A transaction for which its own fee payer would stand.
    fn screen_svm(&self, order: &Order, signed: &SvmPayment) -> Result<(), ErrorReason> {
        signed.judge(&order.offer.svm().ok_or(ErrorReason::Payload)?)?;
        if signed.fee_payer() != Self::fee_payer() {
            return Err(ErrorReason::SvmFeePayer);
        }
        match self.signatures {
            Signatures::Trusted => Ok(()),
            Signatures::Checked => signed.prove(),
        }
    }

    /// Moves the money and hands the transfer to the journal. Either both happen, or neither.
    fn transfer(
        &self,
        order: &Order,
        now: UnixMillis,
    ) -> Result<(TransferId, Option<Ack>), Outcome> {
        self.screen(order, now).map_err(Outcome::Rejected)?;
        let identity = order.identity();
        let mut chain = self.chain();
        let Chain { book, journal } = &mut *chain;
        book.judge(&identity, asset(order), due(order)).map_err(Outcome::Rejected)?;
        book.make_room(now.seconds()).map_err(|full| {
            let fault = Fault::new(Side::Facilitator, Retry::Later, "the simulated chain is full");
            Outcome::NotSent(fault.caused_by(full))
        })?;
        let transfer = executed(order, identity, book.count(), now);
        let transaction = transfer.transaction;
        let ack = match journal {
            Some(journal) => {
                let queued = journal.append(&transfer);
                Some(queued.map_err(|lost| Outcome::NotSent(journal_lost().caused_by(lost)))?)
            }
            None => None,
        };
        book.enter(transfer);
        Ok((transaction, ack))
    }

    fn chain(&self) -> MutexGuard<'_, Chain> {
        // Nothing under the lock panics half way; a poisoned lock guards a whole chain.
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Simulated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulated").field("delay", &self.delay).finish_non_exhaustive()
    }
}

fn asset(order: &Order) -> Account {
    order.offer.requirements.asset
}

fn due(order: &Order) -> AtomicAmount {
    order.amount()
}

/// The transfer that an order becomes, under the hash of its identity and its place in the chain.
fn executed(order: &Order, identity: PaymentIdentity, place: u64, now: UnixMillis) -> Transfer {
    Transfer {
        transaction: named(&order.payment, &identity, place),
        asset: asset(order),
        contract: Some(identity.contract).filter(|contract| *contract != asset(order)),
        network: identity.network,
        from: identity.payer,
        to: order.offer.requirements.pay_to,
        value: due(order),
        nonce: identity.nonce,
        valid_before: order.payment.ends(now.seconds()),
    }
}

/// What a transfer is called: on Solana the signature that makes the transaction whole.
fn named(payment: &Signed, identity: &PaymentIdentity, place: u64) -> TransferId {
    if let Signed::Svm(signed) = payment {
        return TransferId::Svm(fee_payer().sign(signed.message()).to_bytes());
    }
    let mut hash = Keccak256::new();
    hash.update(identity.network.as_str());
    hash.update(identity.contract.as_slice());
    hash.update(identity.payer.as_slice());
    hash.update(identity.nonce);
    hash.update(place.to_be_bytes());
    TransferId::Evm(hash.finalize())
}

/// Whoever pays the fee on a simulated Solana. Everybody can know this key: it is worth nothing.
fn fee_payer() -> SigningKey {
    SigningKey::from_bytes(&keccak256("tollgate: the simulated fee payer").0)
}

fn journal_lost() -> Fault {
    Fault::new(Side::Facilitator, Retry::Never, "the simulated chain's journal cannot be written")
}

async fn pause(length: Option<Duration>) {
    if let Some(length) = length {
        tokio::time::sleep(length).await;
    }
}

/// Whoever settles under `upto` on a simulated chain.
const SETTLER: Address = address!("7011647e00000000000000000000000000000402");

#[cfg(test)]
mod tests;
