//! Whether the number of a payment is used up: what is asked, and what the answer means.

use alloy::sol_types::SolCall;
use alloy_primitives::{Address, B256, U256};

use super::abi::{Permit2, Token};
use super::payment::Call;
use crate::x402::{AssetTransferMethod, PaymentIdentity};

/// The number of a payment, which whoever moves the money takes once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) method: AssetTransferMethod,
    /// Who keeps it.
    pub(super) contract: Address,
    pub(super) payer: Address,
    pub(super) nonce: B256,
}

impl Number {
    /// Asks for the word that tells.
    pub(super) fn question(&self) -> Call {
        let (authorizer, nonce) = (self.payer, self.nonce);
        let data = match self.method {
            AssetTransferMethod::Eip3009 => {
                Token::authorizationStateCall { authorizer, nonce }.abi_encode()
            }
            AssetTransferMethod::Permit2 => {
                let (owner, word) = (self.payer, U256::from_be_bytes(nonce.0) >> 8_usize);
                Permit2::nonceBitmapCall { owner, word }.abi_encode()
            }
        };
        Call { to: self.contract, data: data.into() }
    }

    /// Whether it is used, by the word that was told.
    pub(super) fn is_used(&self, word: U256) -> bool {
        match self.method {
            AssetTransferMethod::Eip3009 => word != U256::ZERO,
            // The last byte is the place of its bit. Source: Permit2, `bitmapPositions`.
            AssetTransferMethod::Permit2 => word.bit(usize::from(self.nonce.0[31])),
        }
    }
}

impl From<&PaymentIdentity<Address>> for Number {
    fn from(identity: &PaymentIdentity<Address>) -> Self {
        let PaymentIdentity { contract, payer, nonce, .. } = *identity;
        Self { method: identity.method(), contract, payer, nonce }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x402::permit2::PERMIT2;

    #[test]
    fn a_permit_has_one_bit_in_one_word() {
        let nonce = B256::from(U256::from(0x0012_3405_u64));
        let method = AssetTransferMethod::Permit2;
        let number = Number { method, contract: PERMIT2, payer: Address::repeat_byte(3), nonce };
        let Call { to, data } = number.question();
        let asked = Permit2::nonceBitmapCall::abi_decode(&data).unwrap();
        assert_eq!((to, asked.owner, asked.word), (PERMIT2, number.payer, U256::from(0x1234)));
        assert!(number.is_used(U256::from(1 << 5)) && number.is_used(U256::MAX));
        assert!(!number.is_used(U256::from(1 << 4)) && !number.is_used(U256::ZERO));
    }

    #[test]
    fn an_authorization_has_a_word_of_its_own() {
        let (contract, nonce) = (Address::repeat_byte(1), B256::repeat_byte(7));
        let method = AssetTransferMethod::Eip3009;
        let number = Number { method, contract, payer: Address::repeat_byte(3), nonce };
        let Call { to, data } = number.question();
        let asked = Token::authorizationStateCall::abi_decode(&data).unwrap();
        assert_eq!((to, asked.authorizer, asked.nonce), (contract, number.payer, nonce));
        assert!(number.is_used(U256::ONE) && !number.is_used(U256::ZERO));
    }
}
