//! The words in which facilitators refuse, read as the protocol's own reasons.

use crate::x402::ErrorReason;

/// The reason, whatever it says of the moment at which it was found.
pub(super) fn reason(text: &str) -> Option<ErrorReason> {
    unsent(text).or_else(|| ErrorReason::from_code(text))
}

/// The reason, if it is one that is found before a transaction is sent.
///
/// The published facilitators answer `success: false` with an empty transaction also when they
/// lost their node right after sending; they then give a general code or an exception's text. So
/// only words that name a check, or a revert of the simulation, say that nothing moved.
pub(super) fn unsent(text: &str) -> Option<ErrorReason> {
    let spelled = SPELLINGS.iter().find(|(word, _)| *word == text).map(|(_, reason)| *reason);
    let coded = || match ErrorReason::from_code(text) {
        Some(
            ErrorReason::TransactionState | ErrorReason::UnexpectedSettle | ErrorReason::SvmFailed,
        ) => None,
        other => other,
    };
    spelled.or_else(coded).or_else(|| ErrorReason::from_revert(text))
}

/// Spellings of checks in the field. Source: `@x402/evm` and `@x402/svm` 2.27, PyPI `x402` 2.25,
/// `x402-rs` 2.0.
const SPELLINGS: &[(&str, ErrorReason)] = &[
    ("invalid_payment_expired", ErrorReason::ValidBefore),
    ("invalid_payment_early", ErrorReason::ValidAfter),
    ("invalid_payment_amount", ErrorReason::ValueMismatch),
    ("invalid_exact_evm_authorization_value", ErrorReason::ValueMismatch),
    ("recipient_mismatch", ErrorReason::RecipientMismatch),
    ("invalid_exact_evm_recipient_mismatch", ErrorReason::RecipientMismatch),
    ("invalid_exact_evm_signature", ErrorReason::Signature),
    ("invalid_exact_evm_failed_to_verify_signature", ErrorReason::Signature),
    ("invalid_exact_evm_payload_undeployed_smart_wallet", ErrorReason::Signature),
    ("eip6492_factory_not_allowed", ErrorReason::Signature),
    ("invalid_format", ErrorReason::Payload),
    ("network_mismatch", ErrorReason::Network),
    ("invalid_exact_evm_network_mismatch", ErrorReason::Network),
    ("missing_eip712_domain", ErrorReason::Requirements),
    ("asset_not_deployed_contract", ErrorReason::Requirements),
    ("invalid_exact_evm_token_name_mismatch", ErrorReason::Requirements),
    ("invalid_exact_evm_token_version_mismatch", ErrorReason::Requirements),
    ("invalid_exact_evm_transaction_simulation_failed", ErrorReason::TransactionState),
    ("invalid_permit2_recipient_mismatch", ErrorReason::RecipientMismatch),
    ("permit2_invalid_destination", ErrorReason::RecipientMismatch),
    ("permit2_amount_mismatch", ErrorReason::ValueMismatch),
    ("permit2_invalid_amount", ErrorReason::ValueMismatch),
    ("invalid_upto_evm_payload_settlement_exceeds_amount", ErrorReason::ValueMismatch),
    ("invalid_upto_evm_scheme", ErrorReason::UnsupportedScheme),
    ("invalid_upto_evm_network_mismatch", ErrorReason::Network),
    ("permit2_deadline_expired", ErrorReason::ValidBefore),
    ("eip2612_deadline_expired", ErrorReason::ValidBefore),
    ("permit2_not_yet_valid", ErrorReason::ValidAfter),
    ("permit2_payment_too_early", ErrorReason::ValidAfter),
    ("invalid_permit2_signature", ErrorReason::Signature),
    ("permit2_insufficient_balance", ErrorReason::InsufficientFunds),
    ("permit2_invalid_nonce", ErrorReason::DuplicateSettlement),
    ("permit2_simulation_failed", ErrorReason::TransactionState),
    ("permit2_proxy_not_deployed", ErrorReason::UnsupportedScheme),
    ("invalid_exact_svm_unsupported_scheme", ErrorReason::UnsupportedScheme),
    ("invalid_exact_svm_network_mismatch", ErrorReason::Network),
    ("invalid_exact_svm_payload_missing_fee_payer", ErrorReason::Requirements),
    ("invalid_exact_svm_fee_payer_not_managed_by_facilitator", ErrorReason::SvmFeePayer),
    ("fee_payer_not_managed_by_facilitator", ErrorReason::SvmFeePayer),
    ("invalid_exact_svm_payload_transaction", ErrorReason::SvmTransaction),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, verify: Option<ErrorReason>, settle: Option<ErrorReason>) {
        assert_eq!((reason(text), unsent(text)), (verify, settle), "{text}");
    }

    #[test]
    fn a_named_check_is_a_reason_for_both() {
        for (text, found) in [
            ("insufficient_funds", ErrorReason::InsufficientFunds),
            ("invalid_exact_evm_nonce_already_used", ErrorReason::DuplicateSettlement),
            ("invalid_payment_expired", ErrorReason::ValidBefore),
            ("permit2_allowance_required", ErrorReason::AllowanceRequired),
            ("permit2_deadline_expired", ErrorReason::ValidBefore),
            (
                "execution reverted: FiatTokenV2: authorization is expired, data: \"0x08\"",
                ErrorReason::ValidBefore,
            ),
        ] {
            check(text, Some(found), Some(found));
        }
    }

    #[test]
    fn a_general_failure_does_not_say_that_nothing_was_sent() {
        let state = Some(ErrorReason::TransactionState);
        check("invalid_transaction_state", state, None);
        check("unexpected_settle_error", Some(ErrorReason::UnexpectedSettle), None);
        check("transaction_failed", None, None);
        check("invalid_exact_svm_transaction_failed", Some(ErrorReason::SvmFailed), None);
        check("settlement_pending", None, None);
        check("Timed out while waiting for transaction", None, None);
        check("", None, None);
    }
}
