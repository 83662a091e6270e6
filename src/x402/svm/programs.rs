//! The programs that a payment calls, and the accounts that they derive.

use super::super::account::Pubkey;

/// SPL Token.
pub const TOKEN: Pubkey = Pubkey::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");

/// Token-2022, the same with extensions.
pub const TOKEN_2022: Pubkey =
    Pubkey::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");

/// What says how much work a transaction may be, and what that pays.
pub const COMPUTE_BUDGET: Pubkey =
    Pubkey::from_str_const("ComputeBudget111111111111111111111111111111");

/// A note on a transaction.
pub const MEMO: Pubkey = Pubkey::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");

/// What wallets put behind a transaction, so that it fails where their owner loses more than was
/// shown.
pub const LIGHTHOUSE: Pubkey =
    Pubkey::from_str_const("L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95");

/// What makes the one token account of an owner that everyone can find.
pub const ASSOCIATED_TOKEN: Pubkey =
    Pubkey::from_str_const("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");

/// Where an owner has a mint's tokens, under one of the two token programs.
pub fn associated(owner: &Pubkey, mint: &Pubkey, program: &Pubkey) -> Pubkey {
    let seeds = [owner.as_array().as_slice(), program.as_array(), mint.as_array()];
    // There is one for 2²⁵⁶ of 2²⁵⁶ inputs; the system program owns nothing of anybody.
    Pubkey::try_find_program_address(&seeds, &ASSOCIATED_TOKEN)
        .map_or_else(Pubkey::default, |(address, _)| address)
}
