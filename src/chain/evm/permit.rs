//! Whether the data of a transaction tell x402's proxy to settle one payment: Permit2's events do
//! not say which.

use alloy_primitives::U256;

use crate::chain::evm::Sought;

/// Whether the arguments of `settle` for this payment are anywhere in the data: alone, or in what
/// another contract is told to call.
///
/// They stand there in this order: token, amount, nonce, deadline, owner, payee. The deadline is
/// not compared.
pub(super) fn is_said(data: &[u8], sought: &Sought) -> bool {
    let identity = &sought.identity;
    let amount = U256::from(sought.amount.units()).to_be_bytes::<32>();
    let permitted = [sought.asset.into_word().0, amount, identity.nonce.0];
    let parties = [identity.payer.into_word().0, sought.pay_to.into_word().0];
    let said = |words: &[u8]| {
        let (permit, rest) = words.split_at(PERMITTED);
        permit == permitted.as_flattened() && rest.get(DEADLINE..) == Some(parties.as_flattened())
    };
    data.windows(PERMITTED + DEADLINE + PARTIES).any(said)
}

const WORD: usize = 32;
const PERMITTED: usize = 3 * WORD;
const DEADLINE: usize = WORD;
const PARTIES: usize = 2 * WORD;

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256};

    use super::super::payment::call_for;
    use super::super::payment::tests::permit;
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Sought), expected: bool) {
        let (payment, mut sought) = permit(7);
        change(&mut sought);
        let (other, _) = permit(8);
        let (alone, both) = (call_for(&[&payment]).data, call_for(&[&other, &payment]).data);
        assert_eq!((is_said(&alone, &sought), is_said(&both, &sought)), (expected, expected));
    }

    #[test]
    fn a_settlement_is_found_alone_and_among_others() {
        check(|_| {}, true);
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
        assert!(!is_said(&[], &sought) && !is_said(&[0; PERMITTED], &sought));
    }
}
