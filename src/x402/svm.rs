//! The `exact` scheme on Solana: a transaction that its payer has signed and its fee payer has not.

pub mod build;
mod layout;
pub mod programs;
pub mod wire;

use std::sync::Arc;

use alloy_primitives::B256;
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::layout::{PRICE_MAX, TokenTransfer};
use self::programs::associated;
use self::wire::{Signature, TRANSACTION_BYTES_MAX, Transaction};
pub use super::account::Pubkey;
use super::{AtomicAmount, ErrorReason, encoding};

/// What `exact` on Solana adds to an offer. Source: x402 `scheme_exact_svm.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SvmExtra {
    /// Who signs last and pays the fee.
    #[serde(serialize_with = "to_base58", deserialize_with = "from_base58")]
    pub fee_payer: Pubkey,
    /// What the one memo must say, where that matters. At most [`MEMO_BYTES_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memo: Option<Box<str>>,
}

impl SvmExtra {
    /// Of an offer whose fee payer is not known yet.
    pub fn of_nobody(memo: Option<Box<str>>) -> Self {
        Self { fee_payer: NOBODY, memo }
    }
}

/// In the place of a fee payer that is not known yet: the system program, which pays for nobody.
pub const NOBODY: Pubkey = Pubkey::new_from_array([0; 32]);

/// What a payment on Solana must do for an offer.
#[derive(Clone, Copy, Debug)]
pub struct SvmDue<'a> {
    /// The mint.
    pub asset: Pubkey,
    /// Owner of the token account that must get it.
    pub pay_to: Pubkey,
    /// Atomic units.
    pub amount: AtomicAmount,
    /// Fee payer and memo.
    pub extra: &'a SvmExtra,
}

/// A transaction that is a payment by its form. Its signature is not proven yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SvmPayment {
    wire: Arc<[u8]>,
    message_at: usize,
    transaction: Arc<Transaction>,
    transfer: TokenTransfer,
    fee_payer: Pubkey,
    hash: B256,
}

impl SvmPayment {
    /// Reads the base64 of a transaction.
    ///
    /// # Errors
    /// The reason why it is no payment, whatever it were for.
    pub fn from_base64(text: &str) -> Result<Self, ErrorReason> {
        if text.len() > BASE64_LEN_MAX {
            return Err(ErrorReason::SvmTransaction);
        }
        let bytes = encoding::decode(text.as_bytes()).map_err(|_| ErrorReason::SvmTransaction)?;
        Self::decode(&bytes)
    }

    /// Reads the bytes of a transaction.
    ///
    /// # Errors
    /// As [`SvmPayment::from_base64`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ErrorReason> {
        let (transaction, message_at) = Transaction::decode(bytes)?;
        let transfer = layout::transfer(&transaction.message)?;
        let message = bytes.get(message_at..).unwrap_or_default();
        Ok(Self {
            hash: B256::from_slice(ring::digest::digest(&ring::digest::SHA256, message).as_ref()),
            // A transaction without accounts has no transfer.
            fee_payer: transaction.message.account(0).copied().unwrap_or_default(),
            wire: bytes.into(),
            message_at,
            transaction: Arc::new(transaction),
            transfer,
        })
    }

    /// Its bytes, as they came.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The bytes that are signed.
    pub fn message(&self) -> &[u8] {
        self.wire.get(self.message_at..).unwrap_or_default()
    }

    /// SHA-256 of those bytes: what makes the payment itself.
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// Who pays.
    pub fn payer(&self) -> Pubkey {
        self.transfer.authority
    }

    /// Who pays the fee.
    pub fn fee_payer(&self) -> Pubkey {
        self.fee_payer
    }

    /// The hash of a recent block that it names: 150 blocks later it is void.
    pub fn blockhash(&self) -> &[u8; 32] {
        &self.transaction.message.blockhash
    }

    /// What it moves.
    pub fn transfer(&self) -> &TokenTransfer {
        &self.transfer
    }

    /// The whole transaction with the fee payer's signature in its place, whatever was there.
    pub fn with_fee_payer(&self, signature: &Signature) -> Vec<u8> {
        let mut bytes = self.wire.to_vec();
        let place = bytes.get_mut(1..).and_then(<[u8]>::first_chunk_mut);
        if let Some(place) = place {
            // The fee payer's is the first, behind the one byte of their count.
            *place = *signature;
        }
        bytes
    }

    /// Whether it does what an offer asks for. Its signature is not looked at.
    ///
    /// # Errors
    /// The first thing that it does not do.
    pub fn judge(&self, due: &SvmDue<'_>) -> Result<(), ErrorReason> {
        let TokenTransfer { program, mint, destination, amount, .. } = self.transfer;
        if self.fee_payer != due.extra.fee_payer {
            return Err(ErrorReason::SvmFeePayer);
        }
        if mint != due.asset {
            return Err(ErrorReason::SvmMint);
        }
        if destination != associated(&due.pay_to, &mint, &program) {
            return Err(ErrorReason::SvmRecipient);
        }
        if AtomicAmount::new(amount.into()) != due.amount {
            return Err(ErrorReason::SvmAmount);
        }
        let Some(wanted) = &due.extra.memo else { return Ok(()) };
        let mut memos = layout::memos(&self.transaction.message);
        match (memos.next(), memos.next()) {
            (Some(memo), None) if memo == wanted.as_bytes() => Ok(()),
            (Some(_), None) => Err(ErrorReason::SvmMemo),
            (None, _) | (Some(_), Some(_)) => Err(ErrorReason::SvmMemoCount),
        }
    }

    /// Proves that the payer has signed, as strictly as validators do: one signature for a message.
    ///
    /// # Errors
    /// `SvmSignature`: it has not, or is none of those who have to.
    pub fn prove(&self) -> Result<(), ErrorReason> {
        let Transaction { signatures, message } = &*self.transaction;
        let mut signers = message.accounts.iter().zip(signatures).skip(1);
        let payer = self.payer();
        let signed = signers.find(|(account, _)| **account == payer);
        let proven = signed.and_then(|(account, signature)| {
            let key = VerifyingKey::from_bytes(account.as_array()).ok()?;
            key.verify_strict(self.message(), &signature.into()).ok()
        });
        proven.ok_or(ErrorReason::SvmSignature)
    }
}

/// A signature in base58: the first one of a transaction is its name on the chain.
pub fn signature_text(signature: &Signature) -> String {
    let mut text = [0; 88];
    let length = usize::from(five8::encode_64(signature, &mut text));
    text.get(..length).unwrap_or_default().iter().copied().map(char::from).collect()
}

/// The signature that is written like this; nothing where none is.
pub fn signature_of(text: &str) -> Option<Signature> {
    let mut signature = [0; 64];
    five8::decode_64(text, &mut signature).ok().map(|()| signature)
}

fn to_base58<S: Serializer>(key: &Pubkey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

fn from_base58<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pubkey, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// Bytes of the longest memo that an offer may ask for. Source: x402 `scheme_exact_svm.md`.
pub const MEMO_BYTES_MAX: usize = 256;

const BASE64_LEN_MAX: usize = TRANSACTION_BYTES_MAX.div_ceil(3) * 4;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
