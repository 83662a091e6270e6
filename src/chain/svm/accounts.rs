//! Token accounts and mints, as the two token programs keep them.

use serde_json::Value;

use super::rpc::{bytes, number};
use crate::chain::fault;
use crate::fault::Fault;
use crate::x402::svm::Pubkey;

/// Who may change an account, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) program: Pubkey,
    pub(super) data: Vec<u8>,
}

impl Account {
    /// Reads what a node says of an account: nothing where there is none.
    pub(super) fn read(value: &Value) -> Result<Option<Self>, Fault> {
        if value.is_null() {
            return Ok(None);
        }
        let lamports = number(value.get("lamports").unwrap_or(&Value::Null))?;
        let program = value.get("owner").and_then(Value::as_str);
        let program = program.and_then(|text| text.parse().ok());
        let program = program.ok_or_else(|| fault("an account without an owner"))?;
        let data = bytes(value.get("data").unwrap_or(&Value::Null))?;
        Ok(Some(Self { program, data }).filter(|_| lamports > 0))
    }

    /// What a token account holds. Source: SPL Token, `Account`.
    pub(super) fn tokens(&self) -> Option<u64> {
        let amount = self.data.get(64..)?.first_chunk()?;
        Some(u64::from_le_bytes(*amount))
    }

    /// Whether it is a mint of this program that hands on each amount whole.
    pub(super) fn mint(&self) -> Mint {
        match (self.data.get(INITIALIZED), self.data.len()) {
            (Some(1), MINT_LEN) => Mint::Plain,
            (Some(1), TYPE..) if self.data.get(TYPE) == Some(&MINT) => self.extended(),
            _ => Mint::None,
        }
    }

    fn extended(&self) -> Mint {
        let mut rest = self.data.get(TYPE.saturating_add(1)..).unwrap_or_default();
        while let Some((kind, more)) = rest.split_first_chunk::<2>()
            && let Some((length, more)) = more.split_first_chunk::<2>()
            && let Some((_, after)) = more.split_at_checked(u16::from_le_bytes(*length).into())
        {
            match u16::from_le_bytes(*kind) {
                TRANSFER_FEE => return Mint::WithFee,
                NO_EXTENSION => break,
                _ => rest = after,
            }
        }
        Mint::Plain
    }
}

/// What kind of mint an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mint {
    /// None.
    None,
    /// Who is paid gets what is paid.
    Plain,
    /// A part of each transfer is kept.
    WithFee,
}

/// Of a mint without extensions. Source: SPL Token, `Mint`.
const MINT_LEN: usize = 82;
const INITIALIZED: usize = 45;
/// Where Token-2022 says which kind of account it is. Source: Token-2022, `AccountType`.
const TYPE: usize = 165;
const MINT: u8 = 1;
/// Source: Token-2022, `ExtensionType`.
const NO_EXTENSION: u16 = 0;
const TRANSFER_FEE: u16 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn account(data: Vec<u8>) -> Account {
        Account { program: Pubkey::default(), data }
    }

    fn mint(extensions: &[(u16, usize)]) -> Account {
        let mut data = vec![0; MINT_LEN];
        data[INITIALIZED] = 1;
        if !extensions.is_empty() {
            data.resize(TYPE, 0);
            data.push(MINT);
        }
        for (kind, length) in extensions {
            data.extend(kind.to_le_bytes());
            data.extend(u16::try_from(*length).unwrap().to_le_bytes());
            data.resize(data.len() + length, 7);
        }
        account(data)
    }

    #[test]
    fn a_mint_that_keeps_a_part_is_told_from_others() {
        assert_eq!(mint(&[]).mint(), Mint::Plain);
        assert_eq!(mint(&[(18, 64), (3, 32)]).mint(), Mint::Plain);
        assert_eq!(mint(&[(18, 64), (1, 108)]).mint(), Mint::WithFee);
        // What stands behind the last one is nothing.
        assert_eq!(mint(&[(18, 64), (0, 0), (1, 108)]).mint(), Mint::Plain);
    }

    #[test]
    fn anything_else_is_no_mint() {
        for data in [vec![], vec![0; 82], vec![1; 165], vec![1; 45]] {
            assert_eq!(account(data).mint(), Mint::None);
        }
        let mut token_account = mint(&[(18, 64)]).data;
        token_account[TYPE] = 2;
        assert_eq!(account(token_account).mint(), Mint::None);
    }

    #[test]
    fn a_token_account_says_what_it_holds() {
        let mut data = vec![0; 165];
        data[64..72].copy_from_slice(&1_000_000_u64.to_le_bytes());
        assert_eq!(account(data).tokens(), Some(1_000_000));
        assert_eq!(account(vec![0; 71]).tokens(), None);
    }
}
