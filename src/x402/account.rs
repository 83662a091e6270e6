//! An account on a network of either kind: who pays, who is paid, and in which asset.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::Address;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
pub use solana_address::Address as Pubkey;

/// An account, or a contract or mint, which has an address of the same kind.
///
/// Displayed and read in its chain's own spelling: with the checksum of EIP-55, or in base58. As
/// lower-case hex it is what ledgers keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// 20 bytes.
    Evm(Address),
    /// 32 bytes.
    Svm(Pubkey),
}

/// A text that is no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an account: neither 0x and 40 hex digits nor 32 bytes in base58")]
pub struct AccountError;

impl Account {
    /// The account of these bytes: 20 or 32 of them.
    ///
    /// # Errors
    /// Another number.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, AccountError> {
        match (<[u8; 20]>::try_from(bytes), <[u8; 32]>::try_from(bytes)) {
            (Ok(bytes), _) => Ok(Self::Evm(bytes.into())),
            (_, Ok(bytes)) => Ok(Self::Svm(bytes.into())),
            (Err(_), Err(_)) => Err(AccountError),
        }
    }

    /// The account that is written as `0x` and hex, as ledgers keep it.
    ///
    /// # Errors
    /// Not hex, or not 20 or 32 bytes.
    pub fn from_hex(text: &str) -> Result<Self, AccountError> {
        let bytes = alloy_primitives::hex::decode(text).map_err(|_| AccountError)?;
        Self::from_slice(&bytes)
    }

    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Evm(address) => address.as_slice(),
            Self::Svm(pubkey) => pubkey.as_array(),
        }
    }

    /// As identities and lists show it: without the capitals of a checksum.
    pub fn folded(&self) -> Folded {
        Folded(*self)
    }

    /// Its address on an EVM network.
    pub fn evm(&self) -> Option<Address> {
        match self {
            Self::Evm(address) => Some(*address),
            Self::Svm(_) => None,
        }
    }

    /// Its address on a Solana network.
    pub fn svm(&self) -> Option<Pubkey> {
        match self {
            Self::Evm(_) => None,
            Self::Svm(pubkey) => Some(*pubkey),
        }
    }
}

/// An account without the capitals of a checksum.
#[derive(Clone, Copy, Debug)]
pub struct Folded(Account);

impl fmt::Display for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Account::Evm(address) => write!(f, "{address:#x}"),
            Account::Svm(pubkey) => pubkey.fmt(f),
        }
    }
}

impl From<Address> for Account {
    fn from(address: Address) -> Self {
        Self::Evm(address)
    }
}

impl From<Pubkey> for Account {
    fn from(pubkey: Pubkey) -> Self {
        Self::Svm(pubkey)
    }
}

impl PartialEq<Address> for Account {
    fn eq(&self, other: &Address) -> bool {
        self.evm().as_ref() == Some(other)
    }
}

impl PartialEq<Pubkey> for Account {
    fn eq(&self, other: &Pubkey) -> bool {
        self.svm().as_ref() == Some(other)
    }
}

impl AsRef<[u8]> for Account {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(address) => f.pad(address.to_checksum_buffer(None).as_str()),
            Self::Svm(pubkey) => pubkey.fmt(f),
        }
    }
}

impl fmt::LowerHex for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(address) => fmt::LowerHex::fmt(address, f),
            Self::Svm(pubkey) => {
                let bytes = alloy_primitives::B256::new(pubkey.to_bytes());
                fmt::LowerHex::fmt(&bytes, f)
            }
        }
    }
}

impl FromStr for Account {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, AccountError> {
        match text.strip_prefix("0x") {
            Some(digits) if digits.len() == 40 => {
                digits.parse().map(Self::Evm).map_err(|_| AccountError)
            }
            Some(_) => Err(AccountError),
            None => text.parse().map(Self::Svm).map_err(|_| AccountError),
        }
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AccountVisitor)
    }
}

struct AccountVisitor;

impl Visitor<'_> for AccountVisitor {
    type Value = Account;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an account")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Account, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USDC: [&str; 2] = [
        "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
        "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
    ];

    #[test]
    fn an_account_reads_as_it_is_written() {
        for text in USDC {
            let account: Account = text.parse().unwrap();
            assert_eq!(account.to_string(), text);
            assert_eq!(Account::from_hex(&format!("{account:#x}")), Ok(account));
            assert_eq!(Account::from_slice(account.as_slice()), Ok(account));
            let json = serde_json::to_string(&account).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Account>(&json).unwrap(), account);
        }
        assert_eq!(USDC[0].to_lowercase().parse(), USDC[0].parse::<Account>());
    }

    #[test]
    fn anything_else_is_none() {
        let [evm, svm] = USDC;
        let others = ["", "0x", &evm[2..], &evm[..41], &svm[..40], "0OIl", &format!("{svm}1")];
        for text in others {
            assert_eq!(text.parse::<Account>(), Err(AccountError), "{text}");
        }
        assert_eq!(Account::from_hex("0x00"), Err(AccountError));
    }
}
