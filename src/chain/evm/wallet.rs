//! Whether a contract takes a signature for its own.

use alloy::sol_types::SolCall;

use super::abi::Wallet;
use super::payment::{Call, unwrapped};
use super::probe::{At, Found};
use super::{Evm, Reader};
use crate::fault::Fault;
use crate::x402::sign_in::ByContract;

impl Reader {
    /// Asks a contract in the last block whether it has signed. Where no contract is, none has: a
    /// wallet that has paid is there, so none is deployed for the question.
    ///
    /// # Errors
    /// No node answers.
    ///
    /// # Cancel safety
    /// Only reads.
    ///
    /// Source: ERC-1271, ERC-6492.
    pub async fn is_signed(&self, asked: &ByContract) -> Result<bool, Fault> {
        let signature = unwrapped(&asked.signature);
        let question = Wallet::isValidSignatureCall { hash: asked.hash, signature };
        let call = Call { to: asked.wallet, data: question.abi_encode().into() };
        let Found { results, .. } = self.rpc.probe(At::Latest, &[call], &[], GAS_MAX).await?;
        let word = results.first().and_then(|result| result.word());
        let yes = Wallet::isValidSignatureCall::SELECTOR;
        Ok(word.is_some_and(|word| word.to_be_bytes::<32>().starts_with(&yes)))
    }
}

impl Evm {
    /// The same, by the nodes of a chain that we settle on ourselves.
    ///
    /// # Errors
    /// As [`Reader::is_signed`].
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn is_signed(&self, asked: &ByContract) -> Result<bool, Fault> {
        self.inner.reader.is_signed(asked).await
    }
}

/// A wallet that checks a passkey by itself takes half of it.
const GAS_MAX: u64 = 1_000_000;
