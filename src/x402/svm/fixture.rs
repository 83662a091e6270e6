//! Payments on Solana for tests.

use ed25519_dalek::SigningKey;

use super::build::{Draft, signed};
use super::programs::TOKEN;
use super::wire::{Message, Transaction};
use super::{Pubkey, SvmDue, SvmExtra, SvmPayment};
use crate::x402::{AtomicAmount, KnownNetwork};

/// A key that is the same everywhere.
pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

/// Its public half.
pub(crate) fn pubkey(number: u8) -> Pubkey {
    Pubkey::new_from_array(key(number).verifying_key().to_bytes())
}

/// Whoever pays the fee of every payment here.
pub(crate) const FEE_PAYER: u8 = 1;
/// Whoever pays.
pub(crate) const PAYER: u8 = 2;
/// Whoever is paid.
pub(crate) const PAYEE: u8 = 3;

/// What every payment here is for.
pub(crate) fn due(extra: &SvmExtra) -> SvmDue<'_> {
    let asset = KnownNetwork::named("solana-devnet").unwrap().usdc.parse().unwrap();
    SvmDue { asset, pay_to: pubkey(PAYEE), amount: AtomicAmount::new(50_000), extra }
}

/// Of an offer without a memo.
pub(crate) fn extra() -> SvmExtra {
    SvmExtra { fee_payer: pubkey(FEE_PAYER), memo: None }
}

/// The message of a good payment, which no other number has.
pub(crate) fn message(number: u64) -> Message {
    draft(&extra(), number)
}

/// The same for other extras.
pub(crate) fn draft(extra: &SvmExtra, number: u64) -> Message {
    let nonce = format!("{number:032x}");
    let (due, payer) = (due(extra), pubkey(PAYER));
    let (program, decimals, blockhash) = (TOKEN, 6, [9; 32]);
    Draft { due, payer, program, decimals, blockhash, nonce: &nonce }.message().unwrap()
}

/// The payer's transaction of a message.
pub(crate) fn transaction(message: Message) -> Transaction {
    signed(message, &key(PAYER))
}

/// A good payment.
pub(crate) fn payment(number: u64) -> SvmPayment {
    SvmPayment::decode(&transaction(message(number)).encode()).unwrap()
}
