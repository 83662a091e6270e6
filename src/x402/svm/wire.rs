//! Solana's transactions as bytes: every one has one spelling, and nothing else is read.

use super::super::account::Pubkey;
use crate::x402::ErrorReason;

/// A transaction, signed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// One for each account that has to sign, in the order of the accounts.
    pub signatures: Vec<Signature>,
    /// What they sign.
    pub message: Message,
}

/// 64 bytes of Ed25519; zeros where somebody has not signed yet.
pub type Signature = [u8; 64];

/// What is signed. Source: Solana, `solana_message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How it is written.
    pub format: Format,
    /// So many of the first accounts have to sign; the very first pays the fee.
    pub signers: u8,
    /// So many of the last of those are only read.
    pub readonly_signers: u8,
    /// So many of the last of the others are only read.
    pub readonly_others: u8,
    /// All accounts and programs, each once.
    pub accounts: Vec<Pubkey>,
    /// Of a recent block; 150 blocks later the transaction is void.
    pub blockhash: [u8; 32],
    /// What is done, in this order.
    pub instructions: Vec<Instruction>,
}

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Without a version.
    Legacy,
    /// Version 0, without lookup tables.
    V0,
}

/// A call of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Place of the program among the accounts.
    pub program: u8,
    /// Places of what it may touch.
    pub accounts: Vec<u8>,
    /// What it is told.
    pub data: Vec<u8>,
}

impl Transaction {
    /// Reads the bytes of a transaction, all of them, and where its message begins.
    ///
    /// # Errors
    /// `SvmTransaction`: longer than [`TRANSACTION_BYTES_MAX`], cut off, followed by something, or
    /// nothing that a validator reads. `SvmLookupTables`: some of its accounts are elsewhere.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), ErrorReason> {
        if bytes.len() > TRANSACTION_BYTES_MAX {
            return Err(ErrorReason::SvmTransaction);
        }
        let mut rest = Rest(bytes);
        let count = rest.length()?;
        let signatures = (0..count).map(|_| rest.array()).collect::<Result<Vec<_>, _>>()?;
        let message_at = bytes.len().saturating_sub(rest.0.len());
        let message = Message::read(&mut rest)?;
        let whole = rest.0.is_empty() && usize::from(message.signers) == signatures.len();
        if whole && message.is_sane() {
            Ok((Self { signatures, message }, message_at))
        } else {
            Err(ErrorReason::SvmTransaction)
        }
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TRANSACTION_BYTES_MAX);
        put_length(&mut bytes, self.signatures.len());
        self.signatures.iter().for_each(|signature| bytes.extend_from_slice(signature));
        bytes.extend(self.message.encode());
        bytes
    }
}

impl Message {
    /// Its bytes, which are what is signed.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.format == Format::V0 {
            bytes.push(VERSIONED);
        }
        bytes.extend([self.signers, self.readonly_signers, self.readonly_others]);
        put_length(&mut bytes, self.accounts.len());
        self.accounts.iter().for_each(|account| bytes.extend_from_slice(account.as_array()));
        bytes.extend_from_slice(&self.blockhash);
        put_length(&mut bytes, self.instructions.len());
        for Instruction { program, accounts, data } in &self.instructions {
            bytes.push(*program);
            put_length(&mut bytes, accounts.len());
            bytes.extend_from_slice(accounts);
            put_length(&mut bytes, data.len());
            bytes.extend_from_slice(data);
        }
        if self.format == Format::V0 {
            put_length(&mut bytes, 0);
        }
        bytes
    }

    /// The account at a place.
    pub fn account(&self, place: u8) -> Option<&Pubkey> {
        self.accounts.get(usize::from(place))
    }

    fn read(rest: &mut Rest<'_>) -> Result<Self, ErrorReason> {
        let first = rest.byte()?;
        let (format, signers) = match first {
            VERSIONED => (Format::V0, rest.byte()?),
            // A version that nobody knows here.
            _ if first > VERSIONED => return Err(ErrorReason::SvmTransaction),
            signers => (Format::Legacy, signers),
        };
        let (readonly_signers, readonly_others) = (rest.byte()?, rest.byte()?);
        let count = rest.length()?;
        let accounts = (0..count)
            .map(|_| rest.array().map(Pubkey::new_from_array))
            .collect::<Result<Vec<_>, _>>()?;
        let blockhash = rest.array()?;
        let count = rest.length()?;
        let instructions =
            (0..count).map(|_| Instruction::read(rest)).collect::<Result<Vec<_>, _>>()?;
        if format == Format::V0 && rest.length()? > 0 {
            return Err(ErrorReason::SvmLookupTables);
        }
        Ok(Self {
            format,
            signers,
            readonly_signers,
            readonly_others,
            accounts,
            blockhash,
            instructions,
        })
    }

    /// Whether a validator would look at it. Source: Solana, `Message::sanitize`, and the check for
    /// accounts that are loaded twice.
    fn is_sane(&self) -> bool {
        let count = self.accounts.len();
        let places = usize::from(self.signers).saturating_add(usize::from(self.readonly_others));
        let mut accounts: Vec<&Pubkey> = self.accounts.iter().collect();
        accounts.sort_unstable();
        accounts.dedup();
        let sane = |instruction: &Instruction| {
            let mut all = instruction.accounts.iter().chain([&instruction.program]);
            instruction.program > 0 && all.all(|place| usize::from(*place) < count)
        };
        places <= count
            && self.readonly_signers < self.signers
            && accounts.len() == count
            && self.instructions.iter().all(sane)
    }
}

impl Instruction {
    fn read(rest: &mut Rest<'_>) -> Result<Self, ErrorReason> {
        let program = rest.byte()?;
        let count = rest.length()?;
        let accounts = rest.take(count)?.to_vec();
        let count = rest.length()?;
        Ok(Self { program, accounts, data: rest.take(count)?.to_vec() })
    }
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ErrorReason> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ErrorReason::SvmTransaction)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ErrorReason> {
        self.take(N)?.try_into().map_err(|_| ErrorReason::SvmTransaction)
    }

    fn byte(&mut self) -> Result<u8, ErrorReason> {
        self.array().map(|[byte]| byte)
    }

    /// A length in as few groups of seven bits as it takes, the lowest first. Nothing that fits
    /// into a transaction needs more than two.
    fn length(&mut self) -> Result<usize, ErrorReason> {
        match self.byte()? {
            low @ ..=0x7f => Ok(usize::from(low)),
            low => match self.byte()? {
                // Less, written longer; or more than a transaction has.
                0 | 0x80.. => Err(ErrorReason::SvmTransaction),
                high => Ok(usize::from(low & 0x7f) | usize::from(high) << 7),
            },
        }
    }
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    // Nothing here is longer than a transaction, so there are never three groups.
    let group = |shift: usize| u8::try_from((length >> shift) & 0x7f).unwrap_or_default();
    if length > 0x7f {
        bytes.extend([group(0) | 0x80, group(7)]);
    } else {
        bytes.push(group(0));
    }
}

/// Bytes of the longest transaction that validators take: an IPv6 packet without its headers.
pub const TRANSACTION_BYTES_MAX: usize = 1_232;

/// The first byte of a message of version 0.
const VERSIONED: u8 = 0x80;
