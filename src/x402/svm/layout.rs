//! Which transactions are payments: the instructions that one has, and what they touch.

use super::super::account::Pubkey;
use super::programs::{COMPUTE_BUDGET, LIGHTHOUSE, MEMO, TOKEN, TOKEN_2022};
use super::wire::{Instruction, Message};
use crate::x402::ErrorReason;

/// The one transfer of a payment. Source: SPL Token, `TransferChecked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenTransfer {
    /// SPL Token, or Token-2022.
    pub program: Pubkey,
    /// The token account that it is taken from.
    pub source: Pubkey,
    /// What is moved.
    pub mint: Pubkey,
    /// The token account that gets it.
    pub destination: Pubkey,
    /// Who says so: the payer.
    pub authority: Pubkey,
    /// Atomic units.
    pub amount: u64,
    /// What the payer takes for the mint's decimals; the chain compares.
    pub decimals: u8,
}

/// Reads the transfer of a payment, and makes sure that there is nothing besides it for which the
/// fee payer would stand.
///
/// # Errors
/// One for each thing that a payment must or must not have.
///
/// Source: x402 `scheme_exact_svm.md`, "Facilitator Verification Rules".
pub(super) fn transfer(message: &Message) -> Result<TokenTransfer, ErrorReason> {
    let instructions = message.instructions.as_slice();
    let [limit, price, transfer, rest @ ..] = instructions else {
        return Err(ErrorReason::SvmInstructions);
    };
    if rest.len() > OPTIONAL_MAX {
        return Err(ErrorReason::SvmInstructions);
    }
    let program = |instruction: &Instruction| message.account(instruction.program);
    if program(limit) != Some(&COMPUTE_BUDGET) || !matches!(*limit.data, [SET_LIMIT, _, _, _, _]) {
        return Err(ErrorReason::SvmComputeLimit);
    }
    judge_price(program(price), &price.data)?;
    let transfer = token_transfer(message, transfer).ok_or(ErrorReason::SvmNoTransfer)?;
    let unknown =
        [ErrorReason::SvmFourth, ErrorReason::SvmFifth, ErrorReason::SvmSixth].into_iter();
    for (instruction, reason) in rest.iter().zip(unknown) {
        if !program(instruction).is_some_and(|program| [LIGHTHOUSE, MEMO].contains(program)) {
            return Err(reason);
        }
    }
    judge_fee_payer(message, &transfer)?;
    if message.signers > SIGNERS {
        return Err(ErrorReason::SvmSigners);
    }
    Ok(transfer)
}

/// The texts of all memos.
pub(super) fn memos(message: &Message) -> impl Iterator<Item = &[u8]> {
    let is_memo = |instruction: &&Instruction| message.account(instruction.program) == Some(&MEMO);
    message.instructions.iter().filter(is_memo).map(|instruction| &*instruction.data)
}

fn judge_price(program: Option<&Pubkey>, data: &[u8]) -> Result<(), ErrorReason> {
    let price = match (program, data.split_first()) {
        (Some(&COMPUTE_BUDGET), Some((&SET_PRICE, price))) => <[u8; 8]>::try_from(price),
        _ => return Err(ErrorReason::SvmComputePrice),
    };
    match price.map(u64::from_le_bytes) {
        Ok(..=PRICE_MAX) => Ok(()),
        Ok(_) => Err(ErrorReason::SvmComputePriceTooHigh),
        Err(_) => Err(ErrorReason::SvmComputePrice),
    }
}

/// Nothing when it is another instruction, or has more accounts: those of a transfer hook, or of
/// several signers for one authority.
fn token_transfer(message: &Message, instruction: &Instruction) -> Option<TokenTransfer> {
    let program = *message.account(instruction.program)?;
    let (discriminator, rest) = instruction.data.split_first()?;
    let (amount, rest) = rest.split_first_chunk()?;
    let ([decimals], [source, mint, destination, authority]) = (rest, &*instruction.accounts)
    else {
        return None;
    };
    let account = |place: &u8| message.account(*place).copied();
    let transfer = TokenTransfer {
        program,
        source: account(source)?,
        mint: account(mint)?,
        destination: account(destination)?,
        authority: account(authority)?,
        amount: u64::from_le_bytes(*amount),
        decimals: *decimals,
    };
    let known = [TOKEN, TOKEN_2022].contains(&program) && *discriminator == TRANSFER_CHECKED;
    known.then_some(transfer)
}

/// Whoever pays the fee signs whatever else there is, so nothing may be done in its name.
fn judge_fee_payer(message: &Message, transfer: &TokenTransfer) -> Result<(), ErrorReason> {
    let fee_payer = message.account(FEE_PAYER);
    if [Some(&transfer.authority), Some(&transfer.source)].contains(&fee_payer) {
        return Err(ErrorReason::SvmFeePayerMoves);
    }
    let mut all = message.instructions.iter();
    if all.any(|instruction| instruction.accounts.contains(&FEE_PAYER)) {
        return Err(ErrorReason::SvmFeePayerUsed);
    }
    Ok(())
}

/// Instructions besides the three that there must be.
const OPTIONAL_MAX: usize = 3;

/// Whoever pays the fee, and the payer. Each signature costs the fee payer.
const SIGNERS: u8 = 2;

/// The place of the account that pays the fee.
const FEE_PAYER: u8 = 0;

/// Source: Solana, `ComputeBudgetInstruction`.
pub(super) const SET_LIMIT: u8 = 2;
pub(super) const SET_PRICE: u8 = 3;

/// Source: SPL Token, `TokenInstruction`.
pub(super) const TRANSFER_CHECKED: u8 = 12;

/// Micro-lamports for a unit of work: 5 lamports, as published facilitators have it.
pub const PRICE_MAX: u64 = 5_000_000;
