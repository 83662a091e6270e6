//! What a cluster lacks for anybody to be paid there, for operators before they start.

use serde_json::json;

use super::accounts::{Account, Mint};
use super::reader::Reader;
use crate::chain::fault;
use crate::chain::rpc::Ask;
use crate::fault::Fault;
use crate::x402::svm::Pubkey;
use crate::x402::svm::programs::{TOKEN, TOKEN_2022, associated};

/// Why nobody can be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// There is no such mint.
    Mint,
    /// The mint keeps a part of each transfer.
    WholeTransfers,
    /// Whoever is paid has no token account of the mint: this one.
    TokenAccount(Pubkey),
}

impl Reader {
    /// What is missing for payments in this mint to this owner, if anything is.
    ///
    /// # Errors
    /// No node answers, or they are on another cluster.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn lack(&self, mint: Pubkey, pay_to: Pubkey) -> Result<Option<Lack>, Fault> {
        let Some(found) = self.account(mint).await? else { return Ok(Some(Lack::Mint)) };
        let of_token_program = [TOKEN, TOKEN_2022].contains(&found.program);
        match found.mint() {
            Mint::Plain if of_token_program => {}
            Mint::WithFee if of_token_program => return Ok(Some(Lack::WholeTransfers)),
            Mint::None | Mint::Plain | Mint::WithFee => return Ok(Some(Lack::Mint)),
        }
        let address = associated(&pay_to, &mint, &found.program);
        let there = self.account(address).await?.is_some_and(|it| it.program == found.program);
        Ok((!there).then_some(Lack::TokenAccount(address)))
    }

    async fn account(&self, address: Pubkey) -> Result<Option<Account>, Fault> {
        let how = json!({ "encoding": "base64", "commitment": "confirmed" });
        let ask = Ask::new("getAccountInfo", json!([address.to_string(), how]));
        let said = self.rpc.ask_for(ask).await?;
        Account::read(said.get("value").ok_or_else(|| fault("no answer about an account"))?)
    }
}
