//! A payment that comes back: what became of it, and the answer that it has bought.

use std::sync::Arc;

use http::HeaderMap;

use super::present::read;
use super::{ClientTag, Payments, Presented, Receipt, Sender, Verified, receipt};
use crate::clock::UnixMillis;
use crate::digest::Digest;
use crate::fault::Fault;
use crate::ledger::answers::{Answer, Copying, Found, Line, Missing, Opened};
use crate::ledger::{Claimant, Entry, State};
use crate::refusal::{Refusal, Unkept};
use crate::x402::payload::Choice;
use crate::x402::{Offer, PaymentPayload, Version};

/// A proven payment that the ledger has under an exchange of before.
#[derive(Debug)]
pub struct Returning {
    /// What the ledger says of it.
    pub entry: Entry,
    known_by: KnownBy,
    version: Version,
    /// The network as this version names it.
    network: Box<str>,
}

/// What makes a payment of before the one that whoever asks may speak of.
#[derive(Debug)]
enum KnownBy {
    /// It came again: the digest of the whole of it and of its sender, as it came now.
    Itself(Digest),
    /// The payer has signed another one under its name.
    Name,
}

/// The line of an answer that this payment has bought.
#[derive(Debug)]
pub struct Bought(Line);

/// An answer to be given again, with the receipt in the words of whoever asks now.
#[derive(Debug)]
pub struct Given {
    /// The answer as it was.
    pub answer: Arc<Answer>,
    /// What the payer is told of its payment.
    pub receipts: Vec<Receipt>,
}

/// Why no answer is given.
#[derive(Debug)]
pub struct Withheld {
    /// How the client is told.
    pub refusal: Refusal,
    /// What broke, if something did.
    pub fault: Option<Fault>,
}

impl Payments {
    /// Looks whether the payment of a request that is good for nothing now has bought something
    /// before: prices and payees change, and whoever paid the old ones is not asked to pay again.
    ///
    /// `known` is every asset that the gateway can read a signature for. Only a payment whose
    /// signature is proven under one of them is looked up; nothing else is told of it.
    ///
    /// # Errors
    /// Ledger, later: it cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn look_back(
        &self,
        headers: &HeaderMap,
        known: &[Arc<Offer>],
        client: ClientTag,
    ) -> Result<Option<Returning>, Fault> {
        let Ok(PaymentPayload { choice, payment, identified }) = read(headers) else {
            return Ok(None);
        };
        let sender = Sender::of(headers, &identified, client);
        let offers = known.iter().filter(|offer| names(&choice, offer)).take(PROOFS_MAX);
        for offer in offers {
            if !offer.takes(&payment) || !offer.proves(&payment) {
                continue;
            }
            let identity = offer.identity(&payment);
            let entry = self.inner.ledger.get(&identity).await?;
            if let Some(entry) = entry.filter(|entry| !entry.state.is_free()) {
                let (version, network) = (choice.version(), offer.network_in(choice.version()));
                let known_by = KnownBy::Itself(sender.with(&entry.identity, &payment));
                return Ok(Some(Returning { entry, known_by, version, network: network.into() }));
            }
        }
        Ok(None)
    }

    /// Begins to copy the answer that a payment is about to buy. Until the copy is handed in or
    /// dropped, whoever comes back with the payment hears that the answer is under way.
    pub fn copy(&self, verified: &Verified, bytes_max: usize) -> Copying {
        let reserved = &verified.reserved;
        let identity = reserved.hold.identity.clone();
        self.answers.begin(identity, reserved.hold.exchange).copy(reserved.sender, bytes_max)
    }

    /// The answer that a payment has bought, before the request is compared.
    ///
    /// # Errors
    /// The payment is in use, its outcome is not known, its answer is under way or was not kept, or
    /// answers cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn bought(&self, by: &Returning, now: UnixMillis) -> Result<Bought, Withheld> {
        if by.entry.state != State::Settled {
            return Err(Withheld::for_now(by.refusal()));
        }
        let found = self.answers.find(&by.entry.identity, by.entry.exchange, now).await;
        match found {
            Ok(Found::Line(line)) => match line.missing {
                Some(missing) => Err(by.used(missing.into())),
                None if by.is_of(&line.payment) => Ok(Bought(*line)),
                None => Err(by.used(Unkept::OtherSender)),
            },
            Ok(Found::UnderWay) => Err(Withheld::for_now(by.under_way())),
            Ok(Found::Nothing) => Err(self.nothing_of(by, now).await),
            Err(fault) => Err(by.unavailable(Some(fault))),
        }
    }

    /// What is said of a settled payment whose answer nobody here knows of: the gateway that has
    /// it may still be giving it.
    async fn nothing_of(&self, by: &Returning, now: UnixMillis) -> Withheld {
        if !self.is_recent(&by.entry, now) {
            return by.used(Unkept::TooOld);
        }
        match self.inner.ledger.claimant(&by.entry).await {
            Ok(Claimant::Elsewhere) => Withheld::for_now(by.under_way()),
            Ok(Claimant::Here | Claimant::Gone { .. }) => by.used(Unkept::TooOld),
            Err(fault) => by.unavailable(Some(fault)),
        }
    }

    /// Whether an answer that a settled payment has bought could still be here.
    pub(super) fn is_recent(&self, entry: &Entry, now: UnixMillis) -> bool {
        entry.state == State::Settled
            && self.answers.age().is_some_and(|age| entry.changed_at.plus(age) > now)
    }

    /// Gives the answer to the request of this digest, if it is the one that was paid for.
    ///
    /// # Errors
    /// It is another request; the answer became too old since; answers cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes.
    pub async fn give(
        &self,
        bought: Bought,
        by: &Returning,
        request: &Digest,
    ) -> Result<Given, Withheld> {
        let Bought(line) = bought;
        if !line.request.is(request) {
            return Err(by.of_another_request());
        }
        match self.answers.open_line(&line, self.inner.clock.now()).await {
            Ok(Opened::Answer(answer)) => Ok(Given { answer, receipts: by.receipts() }),
            Ok(Opened::Gone) => Err(by.used(Unkept::TooOld)),
            Ok(Opened::NoRoom) => Err(by.unavailable(None)),
            Err(fault) => Err(by.unavailable(Some(fault))),
        }
    }
}

impl Returning {
    /// A payment that was presented, and that the ledger has in this entry.
    pub(super) fn presented(entry: Entry, presented: &Presented) -> Self {
        let (version, network) = (presented.version, &presented.offered.offer);
        let network = network.network_in(version).into();
        let known_by = KnownBy::Itself(presented.sender.with(&entry.identity, &presented.payment));
        Self { entry, known_by, version, network }
    }

    /// A payment whose name another one of its payer has, which is proven. Names are version 2's.
    pub(super) fn named(entry: Entry) -> Self {
        let network = entry.identity.network.as_str().into();
        Self { entry, known_by: KnownBy::Name, version: Version::V2, network }
    }

    /// Whether it may have what the payment of this digest has bought.
    pub(super) fn is_of(&self, bought_by: &Digest) -> bool {
        match &self.known_by {
            KnownBy::Itself(payment) => bought_by.is(payment),
            KnownBy::Name => true,
        }
    }

    fn of_another_request(&self) -> Withheld {
        match self.known_by {
            KnownBy::Itself(_) => self.used(Unkept::OtherRequest),
            KnownBy::Name => Withheld::for_now(Refusal::PaymentIdUsed),
        }
    }

    /// How the client is told where its payment stands, when there is no answer for it.
    pub fn refusal(&self) -> Refusal {
        let transaction = self.entry.transaction.clone();
        match self.entry.state {
            State::Held => Refusal::PaymentInUse,
            State::Settled => self.used(Unkept::TooOld).refusal,
            State::Settling | State::Unknown => Refusal::OutcomeUnknown { transaction },
            // The ledger gives these to whoever asks next; one that it did not is in use.
            State::Refused | State::Released => Refusal::PaymentInUse,
        }
    }

    /// What the payer is told of a settled payment.
    pub(super) fn receipts(&self) -> Vec<Receipt> {
        let payer = self.entry.identity.payer.to_string();
        let paid = receipt::Paid {
            version: self.version,
            network: &self.network,
            payer,
            transaction: self.entry.transaction.as_deref().unwrap_or_default(),
            amount: self.entry.amount,
        };
        paid.receipts().unwrap_or_default()
    }

    fn used(&self, answer: Unkept) -> Withheld {
        Withheld::for_now(Refusal::PaymentUsed { transaction: self.transaction(), answer })
    }

    pub(super) fn under_way(&self) -> Refusal {
        Refusal::AnswerUnderWay { transaction: self.transaction() }
    }

    /// Its answer cannot be had now.
    pub fn unavailable(&self, fault: Option<Fault>) -> Withheld {
        let refusal = Refusal::AnswerUnavailable { transaction: self.transaction() };
        Withheld { refusal, fault }
    }

    pub(super) fn transaction(&self) -> Box<str> {
        self.entry.transaction.clone().unwrap_or_default()
    }
}

impl Withheld {
    pub(super) fn for_now(refusal: Refusal) -> Self {
        Self { refusal, fault: None }
    }
}

impl From<Missing> for Unkept {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::TooLong => Self::TooLong,
            Missing::BrokenOff => Self::BrokenOff,
            Missing::Part => Self::Part,
            Missing::NoRoom => Self::NoRoom,
        }
    }
}

/// Whether a client names the asset of an offer, at whatever price.
fn names(choice: &Choice, offer: &Offer) -> bool {
    match choice {
        Choice::V1 { network, .. } => offer.v1.as_ref().is_some_and(|v1| v1.network == *network),
        Choice::V2 { network, asset, .. } => {
            offer.requirements.network.as_str() == &**network && offer.requirements.asset == *asset
        }
    }
}

/// Signatures that are tried for one request: version 1 does not name the asset.
const PROOFS_MAX: usize = 4;
