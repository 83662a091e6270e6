//! A line of the ledger: who claimed a payment, and what became of it.

use std::fmt;
use std::str::FromStr;

use super::{Misstep, State, Step};
use crate::clock::UnixMillis;
use crate::digest::Digest;
use crate::fault::{Fault, Retry, Side};
use crate::x402::{Account, AtomicAmount, PaymentIdentity};

/// One request with its answer and its payment, by number. Displayed as 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(u128);

/// A text that is not 32 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an exchange is 32 lower-case hex digits")]
pub struct ExchangeIdError;

impl ExchangeId {
    /// The exchange of this number.
    pub const fn new(number: u128) -> Self {
        Self(number)
    }

    /// A number that nobody has had before.
    ///
    /// # Errors
    /// Ours, later: the machine gives no random numbers.
    pub fn random() -> Result<Self, Fault> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            Fault::new(Side::Ours, Retry::Later, "no random number").caused_by(error)
        })?;
        Ok(Self(u128::from_be_bytes(bytes)))
    }
}

impl ExchangeId {
    /// The number.
    pub const fn number(self) -> u128 {
        self.0
    }

    /// As it is kept where bytes are.
    pub(super) const fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for ExchangeId {
    type Err = ExchangeIdError;

    fn from_str(text: &str) -> Result<Self, ExchangeIdError> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(digit) {
            return Err(ExchangeIdError);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| ExchangeIdError)
    }
}

/// An exchange's wish to be the only one that a payment pays for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The payment.
    pub identity: PaymentIdentity,
    /// Who claims it. A number is used for one claim only.
    pub exchange: ExchangeId,
    /// Name of the route it pays for.
    pub route: Box<str>,
    /// Name of the facilitator that will be asked first. [`Step::Settling`] names the one that is.
    pub facilitator: Box<str>,
    /// Contract or mint of the asset it pays with.
    pub asset: Account,
    /// What it pays, or the most that it may.
    pub amount: AtomicAmount,
    /// Whom it pays.
    pub pay_to: Account,
    /// Unix seconds; after this moment it cannot be settled. Kept up to `i64::MAX`.
    pub valid_before: u64,
    /// Of what was signed and of who sent it.
    pub sender: Digest,
}

/// What became of a claim.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of it per request, and it is read once"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The payment is this exchange's, and nobody else's until it lets go.
    Ours,
    /// Another exchange has it, or had it and spent it.
    Taken(Entry),
}

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The payment.
    pub identity: PaymentIdentity,
    /// The last exchange that claimed it.
    pub exchange: ExchangeId,
    /// Name of the route it pays for.
    pub route: Box<str>,
    /// Name of the facilitator that was asked last to settle it, or will be.
    pub facilitator: Box<str>,
    /// Contract or mint of the asset it pays with.
    pub asset: Account,
    /// What it pays: all that is reserved, or less once [`Step::Settling`] has said how much.
    pub amount: AtomicAmount,
    /// The most that it may pay.
    pub reserved: AtomicAmount,
    /// Whom it pays.
    pub pay_to: Account,
    /// Unix seconds; after this moment it cannot be settled.
    pub valid_before: u64,
    /// Where it stands.
    pub state: State,
    /// The last one that was named for it, even if it came to nothing.
    pub transaction: Option<Box<str>>,
    /// Code of an [`ErrorReason`](crate::x402::ErrorReason), when it was refused.
    pub reason: Option<Box<str>>,
    /// When the exchange claimed it.
    pub claimed_at: UnixMillis,
    /// When it last changed.
    pub changed_at: UnixMillis,
}

impl Entry {
    /// The line of a payment that has just been claimed.
    pub(super) fn of(claim: Claim, now: UnixMillis) -> Self {
        Self {
            identity: claim.identity,
            exchange: claim.exchange,
            route: claim.route,
            facilitator: claim.facilitator,
            asset: claim.asset,
            amount: claim.amount,
            reserved: claim.amount,
            pay_to: claim.pay_to,
            valid_before: claim.valid_before.min(VALID_BEFORE_MAX),
            state: State::Held,
            transaction: None,
            reason: None,
            claimed_at: now,
            changed_at: now,
        }
    }

    /// Takes a step, or says why not.
    pub(super) fn advance(
        &mut self,
        exchange: ExchangeId,
        step: &Step,
        now: UnixMillis,
    ) -> Result<(), Misstep> {
        // What may be under way already is never of another amount.
        let other = |amount| self.state != State::Held && amount != self.amount;
        let other = step.amount().is_some_and(other);
        if self.exchange == exchange && step.sources().contains(&self.state) && !other {
            self.state = step.state();
            self.transaction = step.transaction().map(Into::into).or(self.transaction.take());
            self.reason = step.reason().map(Into::into);
            if let Some(facilitator) = step.facilitator() {
                self.facilitator = facilitator.into();
            }
            self.amount = step.amount().unwrap_or(self.amount);
            self.changed_at = now;
        }
        self.stands_after(exchange, step)
    }

    /// Whether the payment stands where this step of this exchange leads: it was just taken, or had
    /// been taken before.
    pub(super) fn stands_after(&self, exchange: ExchangeId, step: &Step) -> Result<(), Misstep> {
        if self.exchange != exchange {
            return Err(Misstep::OtherExchange(self.exchange));
        }
        let named = step.transaction();
        let same = self.state == step.state()
            && self.reason.as_deref() == step.reason()
            && (named.is_none() || named == self.transaction.as_deref())
            && step.facilitator().is_none_or(|name| name == &*self.facilitator)
            && step.amount().is_none_or(|amount| amount == self.amount);
        let (from, to) = (self.state, step.state());
        if same { Ok(()) } else { Err(Misstep::Illegal { from, to }) }
    }
}

/// The place of a claim in the order in which all were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub(super) i64);

/// A payment that something must still become of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Its place among all claims.
    pub mark: Mark,
    /// Its line.
    pub entry: Entry,
    /// Whether anyone works on it.
    pub holder: Holder,
}

/// Who works on a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A gateway that lives, perhaps this one.
    Lives,
    /// A gateway that has ended, perhaps this one before it was started again.
    Gone,
}

/// Whose claim made an entry what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimant {
    /// This gateway's, or nobody knows.
    Here,
    /// Another gateway's, which lives.
    Elsewhere,
    /// A gateway's that has ended, perhaps this one before it was started again.
    Gone {
        /// Of what was signed and of who sent it; older lines do not say it.
        sender: Option<Digest>,
    },
}

/// Where a payment stood before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Whose it was.
    pub exchange: ExchangeId,
    /// Where it stood.
    pub state: State,
    /// Since when.
    pub since: UnixMillis,
}

/// The latest `valid_before` that is kept, in Unix seconds: a signed 64-bit number's last.
const VALID_BEFORE_MAX: u64 = i64::MAX.cast_unsigned();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x402::ErrorReason;

    #[test]
    fn an_exchange_reads_as_it_is_written() {
        for number in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef] {
            let exchange = ExchangeId::new(number);
            assert_eq!(exchange.to_string().parse(), Ok(exchange));
        }
        for text in ["", "1", "+0000000000000000000000000000000", &"F".repeat(32), &"0".repeat(33)]
        {
            assert_eq!(text.parse::<ExchangeId>(), Err(ExchangeIdError), "{text}");
        }
    }

    #[test]
    fn random_exchanges_differ() {
        assert_ne!(ExchangeId::random().unwrap(), ExchangeId::random().unwrap());
    }

    /// One row per state, one column per step: settling, settled, refused, released, unknown,
    /// orphaned.
    #[test]
    fn the_legal_transitions() {
        check(State::Held, "y--y-y");
        check(State::Settling, "yyyyy-");
        check(State::Unknown, "-yyy=-");
        check(State::Settled, "-=----");
        check(State::Refused, "--=---");
        check(State::Released, "---=-=");
    }

    /// `y` moves the entry, `=` is a repetition that changes nothing, `-` is a misstep.
    #[track_caller]
    fn check(from: State, row: &str) {
        let steps = [
            Step::Settling { facilitator: "dev".into(), transaction: None, amount: None },
            Step::Settled { transaction: "0x1".into() },
            Step::Refused(ErrorReason::InsufficientFunds),
            Step::Released,
            Step::Unknown { transaction: None },
            Step::Orphaned,
        ];
        for (step, expected) in steps.iter().zip(row.chars()) {
            let mut entry = entry(from);
            let before = entry.clone();
            let result = entry.advance(before.exchange, step, UnixMillis::new(9));
            let found = match result {
                Ok(()) if entry == before => '=',
                Ok(()) => 'y',
                Err(misstep) => {
                    assert_eq!(misstep, Misstep::Illegal { from, to: step.state() });
                    assert_eq!(entry, before);
                    '-'
                }
            };
            assert_eq!(found, expected, "{from:?} {step:?}");
        }
    }

    fn entry(state: State) -> Entry {
        let claim = crate::ledger::tests::claim(1, 1);
        let reason = (state == State::Refused).then(|| ErrorReason::InsufficientFunds.code());
        let transaction = (state == State::Settled).then(|| "0x1".into());
        Entry {
            state,
            transaction,
            reason: reason.map(Into::into),
            ..Entry::of(claim, UnixMillis::new(1))
        }
    }

    #[test]
    fn another_transaction_is_not_a_repetition() {
        let mut settled = entry(State::Settled);
        let step = Step::Settled { transaction: "0x2".into() };
        let misstep = Misstep::Illegal { from: State::Settled, to: State::Settled };
        assert_eq!(settled.advance(settled.exchange, &step, UnixMillis::new(9)), Err(misstep));
        assert_eq!(settled, entry(State::Settled));
    }

    #[test]
    fn an_old_exchange_changes_nothing() {
        let mut held = entry(State::Held);
        let old = ExchangeId::new(77);
        let result = held.advance(old, &Step::Released, UnixMillis::new(9));
        assert_eq!(result, Err(Misstep::OtherExchange(held.exchange)));
        assert_eq!(held, entry(State::Held));
    }
}
