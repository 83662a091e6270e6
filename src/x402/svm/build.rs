//! A payment on Solana as its payer makes it.

use ed25519_dalek::{Signer as _, SigningKey};

use super::layout::{SET_LIMIT, SET_PRICE, TRANSFER_CHECKED};
use super::programs::{COMPUTE_BUDGET, MEMO, associated};
use super::wire::{Format, Instruction, Message, Transaction};
use super::{Pubkey, SvmDue};

/// A payment that is not signed yet.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// What it is for.
    pub due: SvmDue<'a>,
    /// Who pays.
    pub payer: Pubkey,
    /// The token program that owns the mint.
    pub program: Pubkey,
    /// Of the mint.
    pub decimals: u8,
    /// Of a recent block.
    pub blockhash: [u8; 32],
    /// What tells it from others of the same payer and block, where the offer asks for no memo.
    pub nonce: &'a str,
}

impl Draft<'_> {
    /// What its payer signs. Nothing where the amount is more than a token account holds.
    pub fn message(&self) -> Option<Message> {
        let Self { due, payer, program, .. } = self;
        let token_account = |owner| associated(owner, &due.asset, program);
        let amount = u64::try_from(due.amount.units()).ok()?;
        let mut transfer = vec![TRANSFER_CHECKED];
        transfer.extend(amount.to_le_bytes());
        transfer.push(self.decimals);
        let mut price = vec![SET_PRICE];
        price.extend(PRICE.to_le_bytes());
        let mut limit = vec![SET_LIMIT];
        limit.extend(LIMIT.to_le_bytes());
        let memo = due.extra.memo.as_deref().unwrap_or(self.nonce);
        let call = |program, accounts: &[u8], data| Instruction {
            program,
            accounts: accounts.to_vec(),
            data,
        };
        Some(Message {
            format: Format::V0,
            signers: 2,
            readonly_signers: 1,
            readonly_others: 4,
            accounts: vec![
                due.extra.fee_payer,
                *payer,
                token_account(payer),
                token_account(&due.pay_to),
                due.asset,
                *program,
                COMPUTE_BUDGET,
                MEMO,
            ],
            blockhash: self.blockhash,
            instructions: vec![
                call(6, &[], limit),
                call(6, &[], price),
                call(5, &[2, 4, 3, 1], transfer),
                call(7, &[], memo.as_bytes().to_vec()),
            ],
        })
    }
}

/// The transaction of a message, with the payer's signature and none of the fee payer.
pub fn signed(message: Message, key: &SigningKey) -> Transaction {
    let signature = key.sign(&message.encode()).to_bytes();
    Transaction { signatures: vec![[0; 64], signature], message }
}

/// What published clients say: a transfer and a memo are about 10,000.
const LIMIT: u32 = 20_000;

/// Micro-lamports a unit, as published clients have it.
const PRICE: u64 = 1;
