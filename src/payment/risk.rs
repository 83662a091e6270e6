//! Answers that are given before their money has moved, and how much that may come to.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::settle::Settlement;
use super::{Payments, Settled, Unsettled, Verified};
use crate::clock::{Clock, UnixMillis};
use crate::x402::{Account, AtomicAmount, Network};

/// What every payer has been given and has not paid for yet, or never will.
#[derive(Debug, Default)]
pub(super) struct Risks(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    owed: HashMap<Debtor, Owed>,
    swept_at: Option<UnixMillis>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Debtor {
    payer: Account,
    network: Network,
    asset: Account,
}

/// What one payer owes; `lost` counts until `until`.
#[derive(Clone, Copy, Debug)]
struct Owed {
    open: AtomicAmount,
    lost: AtomicAmount,
    until: UnixMillis,
}

/// A part of what a payer may owe. Dropped before it is repaid, it is lost.
pub struct Risk {
    risks: Arc<Risks>,
    debtor: Debtor,
    amount: AtomicAmount,
    clock: Clock,
    repaid: bool,
}

impl Payments {
    /// Takes a verified payment's amount as a risk, where its route allows one and its payer does
    /// not owe too much on this network already.
    pub fn risk(&self, verified: &Verified) -> Option<Risk> {
        let reserved = &verified.reserved;
        let (max, clock) = (reserved.risk?, self.clock().clone());
        let due = &reserved.order.offer.requirements;
        let (payer, network) = (reserved.hold.identity.payer, due.network.clone());
        let debtor = Debtor { payer, network, asset: due.asset };
        let (risks, amount) = (Arc::clone(&self.inner.risks), due.amount);
        let taken = risks.0.lock().take(&debtor, amount, max, clock.now());
        // Not made where it was not taken: its drop would count a loss.
        taken.then(|| Risk { risks, debtor, amount, clock, repaid: false })
    }

    /// Settles a payment whose answer does not wait for it. Where nobody takes the order, it is
    /// tried again while the payment is good, for [`PATIENCE`] at most.
    ///
    /// It counts as under way from this call on, whenever the future is first polled.
    ///
    /// # Errors
    /// As [`Payments::settle`]. The amount then counts as lost for [`LOST_FOR`], an unknown outcome
    /// too.
    ///
    /// # Cancel safety
    /// Dropping this future leaves the outcome to recovery, and the amount lost.
    pub fn settle_behind(
        &self,
        verified: Verified,
        risk: Risk,
    ) -> impl Future<Output = Result<Settled, Unsettled>> + Send + 'static {
        let settlement = Settlement::of(self, verified).patient(self.clock().now().plus(PATIENCE));
        risk.until(settlement)
    }
}

impl Book {
    fn take(
        &mut self,
        debtor: &Debtor,
        amount: AtomicAmount,
        max: AtomicAmount,
        now: UnixMillis,
    ) -> bool {
        if self.owed.len() >= DEBTORS_MAX && !self.owed.contains_key(debtor) && !self.sweep(now) {
            return false;
        }
        let owed = self.owed.entry(debtor.clone()).or_insert(Owed::nothing(now));
        if owed.until <= now {
            owed.lost = AtomicAmount::ZERO;
        }
        let sum = owed.open.checked_add(amount);
        let fits = sum.and_then(|open| open.checked_add(owed.lost)).is_some_and(|all| all <= max);
        if let Some(open) = sum.filter(|_| fits) {
            owed.open = open;
        } else if owed.is_nothing() {
            self.owed.remove(debtor);
        }
        fits
    }

    /// Forgets losses of long ago; whether there is room now. Once a [`SWEEP_EVERY`] at most.
    fn sweep(&mut self, now: UnixMillis) -> bool {
        if self.swept_at.is_none_or(|swept| swept.plus(SWEEP_EVERY) <= now) {
            self.swept_at = Some(now);
            let over = |owed: &Owed| owed.open == AtomicAmount::ZERO && owed.until <= now;
            self.owed.retain(|_, owed| !over(owed));
        }
        self.owed.len() < DEBTORS_MAX
    }

    fn end(&mut self, debtor: Debtor, amount: AtomicAmount, lost_until: Option<UnixMillis>) {
        let Entry::Occupied(mut entry) = self.owed.entry(debtor) else { return };
        let owed = entry.get_mut();
        owed.open = owed.open.checked_sub(amount).unwrap_or(AtomicAmount::ZERO);
        if let Some(until) = lost_until {
            owed.lost = owed.lost.checked_add(amount).unwrap_or(owed.lost);
            owed.until = until;
        }
        if owed.is_nothing() {
            entry.remove();
        }
    }
}

impl Owed {
    fn nothing(now: UnixMillis) -> Self {
        Self { open: AtomicAmount::ZERO, lost: AtomicAmount::ZERO, until: now }
    }

    fn is_nothing(&self) -> bool {
        self.open == AtomicAmount::ZERO && self.lost == AtomicAmount::ZERO
    }
}

impl Risk {
    /// Nothing is owed any more.
    pub(super) fn repaid(mut self) {
        self.repaid = true;
    }

    /// Is there until the money has moved.
    pub(super) async fn until(self, settlement: Settlement) -> Result<Settled, Unsettled> {
        let settled = settlement.run().await;
        if settled.is_ok() {
            self.repaid();
        }
        settled
    }
}

impl Drop for Risk {
    fn drop(&mut self) {
        let lost_until = (!self.repaid).then(|| self.clock.now().plus(LOST_FOR));
        self.risks.0.lock().end(self.debtor.clone(), self.amount, lost_until);
    }
}

impl fmt::Debug for Risk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Risk")
            .field("payer", &self.debtor.payer)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

/// How long a settlement behind its answer looks for somebody who takes it.
pub const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// How long a loss counts against its payer.
pub const LOST_FOR: Duration = Duration::from_secs(24 * 3600);

/// Payers who may owe something at once. Beyond it nobody else is given anything before payment.
const DEBTORS_MAX: usize = 100_000;

/// Between two looks at all who owe, when there are too many.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use alloy_primitives::Address;

    use super::*;

    const MAX: AtomicAmount = AtomicAmount::new(100);

    fn debtor(number: u64) -> Debtor {
        let payer = Address::left_padding_from(&number.to_be_bytes()).into();
        let asset = Address::ZERO.into();
        Debtor { payer, network: "eip155:8453".parse().unwrap(), asset }
    }

    fn at(hours: i64) -> UnixMillis {
        UnixMillis::new(hours * 3_600_000)
    }

    #[test]
    fn what_is_open_and_what_was_lost_count_together() {
        let (mut book, payer) = (Book::default(), debtor(1));
        let take = |book: &mut Book, units, hours| {
            book.take(&payer, AtomicAmount::new(units), MAX, at(hours))
        };
        assert!(take(&mut book, 60, 0));
        assert!(!take(&mut book, 41, 0));
        assert!(take(&mut book, 40, 0));
        book.end(payer.clone(), AtomicAmount::new(40), None);
        assert!(take(&mut book, 40, 0));
        book.end(payer.clone(), AtomicAmount::new(40), Some(at(24)));
        assert!(!take(&mut book, 1, 23), "60 are open and 40 lost");
        book.end(payer.clone(), AtomicAmount::new(60), None);
        assert!(!take(&mut book, 61, 23));
        assert!(take(&mut book, 100, 24), "a day later the loss is forgiven");
        book.end(payer.clone(), AtomicAmount::new(100), None);
        assert!(book.owed.is_empty());
    }

    #[test]
    fn each_payer_owes_for_itself_and_no_sum_wraps() {
        let mut book = Book::default();
        let (one, other) = (debtor(1), debtor(2));
        assert!(book.take(&one, MAX, MAX, at(0)));
        assert!(book.take(&other, MAX, MAX, at(0)));
        assert!(!book.take(&one, AtomicAmount::new(u128::MAX), MAX, at(0)));
        assert!(!book.take(&debtor(3), AtomicAmount::new(101), MAX, at(0)));
        assert_eq!(book.owed.len(), 2, "who was given nothing is not remembered");
    }

    #[test]
    fn a_full_table_trusts_nobody_else_until_losses_are_forgotten() {
        let mut book = Book::default();
        for number in 0..u64::try_from(DEBTORS_MAX).unwrap() {
            assert!(book.take(&debtor(number), MAX, MAX, at(0)));
            book.end(debtor(number), MAX, Some(at(24)));
        }
        let late = debtor(u64::MAX);
        assert!(!book.take(&late, MAX, MAX, at(1)));
        assert!(!book.take(&debtor(7), MAX, MAX, at(1)), "its own loss still counts");
        assert!(book.take(&late, MAX, MAX, at(24)));
        assert_eq!(book.owed.len(), 1);
    }
}
