//! Whether the data of a transaction tell x402's proxy to settle one payment: Permit2's events do
//! not say which.

use alloy_primitives::{B256, U256};

use crate::chain::evm::Sought;

/// The numbers of other payments that the data tell to settle before this one, and that would move
/// as much of the same asset between the same two; nothing where this one is not told at all.
///
/// The arguments of `settle` may be anywhere in the data: alone, or in what another contract is
/// told to call. They stand there in this order: token, amount, nonce, deadline, owner, payee;
/// under `upto` the amount that is moved stands before the owner. The deadline is not compared.
///
/// # Errors
/// More than [`OTHERS_MAX`] come before it.
pub(super) fn said_before(data: &[u8], sought: &Sought) -> Result<Option<Vec<B256>>, TooMany> {
    let identity = &sought.identity;
    let amount = U256::from(sought.amount.units()).to_be_bytes::<32>();
    let [asset, payer] = [sought.asset, identity.payer].map(|account| account.into_word().0);
    let parties = [payer, sought.pay_to.into_word().0];
    let number = |at: usize| {
        let words = data.get(at..)?;
        let (token, rest) = words.split_at_checked(WORD)?;
        let (permitted, rest) = rest.split_at_checked(WORD)?;
        let (number, rest) = rest.split_at_checked(WORD)?;
        let (_deadline, rest) = rest.split_at_checked(WORD)?;
        // Between them `upto` says what is moved of what is permitted.
        let moved =
            rest.strip_prefix(&amount).filter(|rest| rest.starts_with(parties.as_flattened()));
        let whole = permitted == amount && rest.starts_with(parties.as_flattened());
        let alike = token == asset && (whole || moved.is_some());
        alike.then(|| B256::try_from(number).ok()).flatten()
    };
    let mut before = Vec::new();
    for number in (0..data.len()).filter_map(number) {
        if number == identity.nonce {
            return Ok(Some(before));
        }
        if !before.contains(&number) {
            before.push(number);
        }
        if before.len() > OTHERS_MAX {
            return Err(TooMany);
        }
    }
    Ok(None)
}

/// More payments alike than one transaction can have settled.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("one transaction tells of more than {OTHERS_MAX} payments that are alike")]
pub(super) struct TooMany;

/// Payments alike that one transaction is looked through for.
const OTHERS_MAX: usize = 128;

const WORD: usize = 32;

#[cfg(test)]
mod tests {
    use alloy_primitives::Address;

    use super::super::payment::call_for;
    use super::super::payment::tests::{permit, upto};
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Sought), expected: bool) {
        let (payment, mut sought) = permit(7);
        change(&mut sought);
        let (other, _) = permit(8);
        let (alone, both) = (call_for(&[&payment]).data, call_for(&[&other, &payment]).data);
        let before = |data: &[u8]| said_before(data, &sought).unwrap();
        assert_eq!(before(&alone), expected.then(Vec::new));
        assert_eq!(before(&both), expected.then(|| vec![nonce_of(8)]));
        assert_eq!(before(&[&both[..], &both[..]].concat()), expected.then(|| vec![nonce_of(8)]));
    }

    fn nonce_of(number: u8) -> B256 {
        permit(number).1.identity.nonce
    }

    #[test]
    fn a_settlement_is_found_alone_and_among_others() {
        check(|_| {}, true);
    }

    #[test]
    fn a_settlement_of_less_than_was_permitted_is_found() {
        let (permit, mut sought) = upto(7, 20_000);
        sought.amount = crate::x402::AtomicAmount::new(20_000);
        let data = call_for(&[&permit]).data;
        assert_eq!(said_before(&data, &sought), Ok(Some(Vec::new())));
        sought.amount = crate::x402::AtomicAmount::new(50_000);
        assert_eq!(said_before(&data, &sought), Ok(None), "that was permitted, and not moved");
    }

    #[test]
    fn another_payments_settlement_is_not_it() {
        check(|sought| sought.identity.nonce = B256::repeat_byte(9), false);
        check(|sought| sought.identity.payer = Address::repeat_byte(9), false);
        check(|sought| sought.asset = Address::repeat_byte(9), false);
        check(|sought| sought.pay_to = Address::repeat_byte(9), false);
        check(|sought| sought.amount = crate::x402::AtomicAmount::new(1), false);
    }

    #[test]
    fn data_too_short_for_a_settlement_hold_none() {
        let (_, sought) = permit(7);
        assert_eq!(said_before(&[], &sought), Ok(None));
        assert_eq!(said_before(&[0; 6 * WORD - 1], &sought), Ok(None));
    }

    #[test]
    fn more_payments_alike_than_anyone_sends_are_not_looked_through() {
        let (_, sought) = permit(7);
        let alike = |number: u8| call_for(&[&permit(number).0]).data;
        let many: Vec<u8> = (8..=250).flat_map(alike).chain(alike(7)).collect();
        assert_eq!(said_before(&many, &sought), Err(TooMany));
    }
}
