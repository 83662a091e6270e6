//! Accounts as they are typed, each in the spelling of its network's kind.

use alloy_primitives::Address;

use crate::x402::svm::{MEMO_BYTES_MAX, NOBODY};
use crate::x402::{Account, Network, Pubkey};

use super::mistake::Mistake;
use super::reader::Reader;
use super::text::{Text, Written};

/// The text of an account. Which ones are good depends on the network.
pub(super) struct AccountText(pub(super) Box<str>);

/// A cluster of Solana by its CAIP-2 name.
pub(super) struct Cluster(pub(super) Network);

/// What the memo of each payment must say.
pub(super) struct Memo(pub(super) Box<str>);

/// What spells its accounts alike.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// EVM networks: hex.
    Hex,
    /// Solana: base58.
    Base58,
}

impl Written for AccountText {
    const EXPECTED: &'static str = "an address in quotes such as \"0x…\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        Ok(Self(text.into()))
    }
}

impl Written for Cluster {
    const EXPECTED: &'static str = "a Solana cluster in quotes such as \"solana:…\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        let network = text.parse::<Network>().ok().filter(Network::is_solana);
        let instead =
            "\"solana:\" and 32 characters of its genesis hash; EVM networks have a `chain_id`,";
        network.map(Self).ok_or_else(|| Mistake::not("a Solana cluster", text, instead))
    }
}

impl Written for Memo {
    const EXPECTED: &'static str = "a text";

    fn read(text: &str) -> Result<Self, Mistake> {
        if (1..=MEMO_BYTES_MAX).contains(&text.len()) {
            return Ok(Self(text.into()));
        }
        let length = format!("{} bytes", text.len());
        Err(Mistake::not("the length of a memo", &length, "1 to 256 bytes"))
    }
}

/// Reads an account of a network of this kind; a mistake is noted.
pub(super) fn account(
    typed: Text<AccountText>,
    spelling: Spelling,
    reader: &mut Reader<'_>,
) -> Option<Account> {
    let span = typed.span.clone();
    let AccountText(text) = reader.take(typed)?;
    let account = match spelling {
        Spelling::Hex => address(&text).map(Account::Evm),
        Spelling::Base58 => pubkey(&text).map(Account::Svm),
    };
    account.map_err(|mistake| reader.wrong(span, mistake)).ok()
}

/// An account of any network, by its own spelling.
pub(super) fn any_account(text: &str) -> Result<Account, Mistake> {
    match text.starts_with("0x") {
        true => address(text).map(Account::Evm),
        false => pubkey(text).map(Account::Svm),
    }
}

fn address(text: &str) -> Result<Address, Mistake> {
    let wrong = || Mistake::not("an address", text, "\"0x\" and 40 hex digits");
    let digits = text.strip_prefix("0x").ok_or_else(wrong)?;
    let address: Address = text.parse().map_err(|_| wrong())?;
    let lower = digits.bytes().any(|b| b.is_ascii_lowercase());
    let upper = digits.bytes().any(|b| b.is_ascii_uppercase());
    if address == Address::ZERO {
        Err(Mistake::AddressZero)
    } else if lower && upper && address.to_checksum(None) != text {
        Err(Mistake::AddressChecksum)
    } else {
        Ok(address)
    }
}

fn pubkey(text: &str) -> Result<Pubkey, Mistake> {
    let wrong = |_| Mistake::not("an address on Solana", text, "32 bytes in base58");
    match text.parse().map_err(wrong)? {
        NOBODY => Err(Mistake::AddressZero),
        key => Ok(key),
    }
}
