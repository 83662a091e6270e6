//! Why a payment was refused, in the protocol's own codes.

use serde::{Deserialize, Serialize, Serializer};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal,)+) => {
        /// A reason of `invalidReason` and `errorReason`. Source: x402 v2 §9, `exact` scheme.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorReason { $($(#[doc = $doc])+ $variant,)+ }

        impl ErrorReason {
            /// Every reason, in the order of the protocol's list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code on the wire.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }
        }
    };
}

reasons! {
    /// The payer holds less of the asset than the amount.
    InsufficientFunds = "insufficient_funds",
    /// The authorization's window has not opened yet.
    ValidAfter = "invalid_exact_evm_payload_authorization_valid_after",
    /// The window closes before the payment could be settled, or has closed.
    ValidBefore = "invalid_exact_evm_payload_authorization_valid_before",
    /// The authorized value is not the amount asked for.
    ValueMismatch = "invalid_exact_evm_payload_authorization_value_mismatch",
    /// The signature is not the payer's over this authorization, or not in the one canonical form.
    Signature = "invalid_exact_evm_payload_signature",
    /// The authorization pays somebody else.
    RecipientMismatch = "invalid_exact_evm_payload_recipient_mismatch",
    /// The network is not one this route offers.
    Network = "invalid_network",
    /// The payload cannot be a payment.
    Payload = "invalid_payload",
    /// The requirements that the client accepted are not those of this route now.
    Requirements = "invalid_payment_requirements",
    /// The scheme is not one this route offers.
    Scheme = "invalid_scheme",
    /// The facilitator does not settle this scheme.
    UnsupportedScheme = "unsupported_scheme",
    /// The protocol version is not 1 or 2.
    Version = "invalid_x402_version",
    /// The chain would not execute the transfer.
    TransactionState = "invalid_transaction_state",
    /// Permit2 may not have the payer's asset, and nothing came along that lets it.
    AllowanceRequired = "permit2_allowance_required",
    /// The permit is not for x402's proxy, so it could pay anybody.
    Spender = "invalid_permit2_spender",
    /// The permit names somebody else than whoever settles.
    Facilitator = "upto_facilitator_mismatch",
    /// The permit is for another asset.
    Token = "permit2_token_mismatch",
    /// The approval for Permit2 is not one that its payer has signed.
    ApprovalFormat = "invalid_eip2612_extension_format",
    /// The approval is another account's.
    ApprovalOwner = "eip2612_from_mismatch",
    /// The approval is for another asset.
    ApprovalToken = "eip2612_asset_mismatch",
    /// The approval is not for Permit2.
    ApprovalSpender = "eip2612_spender_not_permit2",
    /// The approval is not for the permitted amount; the proxy takes no other.
    ApprovalValue = "permit2_2612_amount_mismatch",
    /// The bytes are no transaction that validators read.
    SvmTransaction = "invalid_exact_svm_payload_transaction_could_not_be_decoded",
    /// Some of the transaction's accounts are in lookup tables, where nobody can check them.
    SvmLookupTables = "invalid_exact_svm_payload_address_lookup_tables",
    /// The transaction has fewer than three or more than six instructions.
    SvmInstructions = "invalid_exact_svm_payload_transaction_instructions_length",
    /// The first instruction does not say how much work the transaction may be.
    SvmComputeLimit =
        "invalid_exact_svm_payload_transaction_instructions_compute_limit_instruction",
    /// The second instruction does not say what that work pays.
    SvmComputePrice =
        "invalid_exact_svm_payload_transaction_instructions_compute_price_instruction",
    /// The work would pay more than whoever pays the fee takes upon itself.
    SvmComputePriceTooHigh =
        "invalid_exact_svm_payload_transaction_instructions_compute_price_instruction_too_high",
    /// The third instruction is not the transfer.
    SvmNoTransfer = "invalid_exact_svm_payload_no_transfer_instruction",
    /// The fourth instruction is neither a memo nor a wallet's own guard.
    SvmFourth = "invalid_exact_svm_payload_unknown_fourth_instruction",
    /// The fifth is not.
    SvmFifth = "invalid_exact_svm_payload_unknown_fifth_instruction",
    /// The sixth is not.
    SvmSixth = "invalid_exact_svm_payload_unknown_sixth_instruction",
    /// Whoever pays the fee is not who was advertised.
    SvmFeePayer = "invalid_exact_svm_fee_payer_mismatch",
    /// Whoever pays the fee would pay the amount.
    SvmFeePayerMoves = "invalid_exact_svm_payload_transaction_fee_payer_transferring_funds",
    /// An instruction touches the account of whoever pays the fee.
    SvmFeePayerUsed =
        "invalid_exact_svm_payload_transaction_fee_payer_included_in_instruction_accounts",
    /// More accounts have to sign than payer and fee payer, and each costs the latter.
    SvmSigners = "invalid_exact_svm_payload_excessive_signers",
    /// The transfer is of another mint.
    SvmMint = "invalid_exact_svm_payload_mint_mismatch",
    /// The transfer is not to the payee's own token account.
    SvmRecipient = "invalid_exact_svm_payload_recipient_mismatch",
    /// The transfer is not of the amount asked for.
    SvmAmount = "invalid_exact_svm_payload_amount_mismatch",
    /// There is not one memo, and the offer asks for one.
    SvmMemoCount = "invalid_exact_svm_payload_memo_count",
    /// The memo is not what the offer asks for.
    SvmMemo = "invalid_exact_svm_payload_memo_mismatch",
    /// The payer has not signed this transaction.
    SvmSignature = "invalid_exact_svm_payload_signature_invalid",
    /// The chain would not execute the transaction.
    SvmSimulation = "invalid_exact_svm_transaction_simulation_failed",
    /// The transaction was not taken, or was executed and failed.
    SvmFailed = "invalid_exact_svm_transaction_failed",
    /// The authorization was used before.
    DuplicateSettlement = "duplicate_settlement",
    /// The facilitator refused to verify and gave a reason that is not in this list.
    UnexpectedVerify = "unexpected_verify_error",
    /// The facilitator refused to settle and gave a reason that is not in this list.
    UnexpectedSettle = "unexpected_settle_error",
}

impl ErrorReason {
    /// The reason with this code, in any of the spellings that facilitators use.
    pub fn from_code(code: &str) -> Option<Self> {
        let respelled = match code {
            "invalid_exact_evm_payload_authorization_value" => Some(Self::ValueMismatch),
            "invalid_exact_evm_payload_value_mismatch" => Some(Self::ValueMismatch),
            "invalid_exact_evm_insufficient_balance" => Some(Self::InsufficientFunds),
            "invalid_exact_evm_nonce_already_used" => Some(Self::DuplicateSettlement),
            "transaction_simulation_failed" => Some(Self::SvmSimulation),
            _ => None,
        };
        respelled.or_else(|| Self::ALL.iter().copied().find(|reason| reason.code() == code))
    }

    /// The reason in what an asset's contract says when a transfer reverts.
    pub fn from_revert(text: &str) -> Option<Self> {
        REVERTS.iter().find(|(words, _)| text.contains(words)).map(|(_, reason)| *reason)
    }
}

impl Serialize for ErrorReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for ErrorReason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code).ok_or_else(|| serde::de::Error::custom("not a known error reason"))
    }
}

/// What USDC says when a transfer reverts. Source: FiatTokenV2_2.
const REVERTS: &[(&str, ErrorReason)] = &[
    ("authorization is used or canceled", ErrorReason::DuplicateSettlement),
    ("authorization is expired", ErrorReason::ValidBefore),
    ("authorization is not yet valid", ErrorReason::ValidAfter),
    ("transfer amount exceeds balance", ErrorReason::InsufficientFunds),
    ("FiatTokenV2: invalid signature", ErrorReason::Signature),
    ("ECRecover: invalid signature", ErrorReason::Signature),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_by_its_code() {
        for reason in ErrorReason::ALL {
            assert_eq!(ErrorReason::from_code(reason.code()), Some(*reason));
        }
        assert_eq!(ErrorReason::from_code("because"), None);
    }
}
