//! What can be judged of a payment without asking anyone, in the order that costs least.

use std::time::Duration;

use alloy_primitives::U256;

use super::Presented;
use crate::clock::UnixMillis;
use crate::refusal::Refusal;
use crate::x402::permit2::{PERMIT2, Permit};
use crate::x402::{
    ErrorReason, EvmDomains, Form, PaymentRequirements, Signed, SignedAuthorization,
};

/// A payment that its payer has signed, for the right amount, to the right payee.
#[derive(Debug)]
pub struct Proven {
    presented: Presented,
    window: Window,
    signed_by: SignedBy,
}

/// What a signature was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedBy {
    /// The payer's key, which we have recovered.
    Key,
    /// Perhaps the payer's contract: the chain is asked, and until then anyone may have sent it.
    Contract,
}

/// Whether a signature that no key proves may go on to the chain (ERC-1271, ERC-6492).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContractWallets {
    /// Whoever settles asks the payer's contract.
    LeftToTheChain,
    /// Nobody would ask.
    Refused,
}

/// Whether an authorization lasts as long as an exchange may need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    /// It does.
    Open,
    /// It does not: nothing new is bought with it. What it bought before is still told.
    Closing,
}

/// How far a payer's clock may be ahead of ours. The chain's own clock decides in the end; this
/// only keeps an honest client with a slightly fast clock from being refused twice.
pub const SKEW_MAX: Duration = Duration::from_secs(5);

/// What settlement may need after the upstream has answered; the authorization must last as long.
pub const SETTLE_MARGIN: Duration = Duration::from_secs(30);

impl Presented {
    /// Proves the payment for an exchange that begins `now` and whose upstream may take
    /// `answer_timeout`.
    ///
    /// # Errors
    /// `PaymentInvalid` with the first reason that applies. The signature, which costs most, is
    /// looked at last. A window that closes too soon is refused by [`Payments::reserve`], because
    /// only the ledger knows whether the payment was taken before.
    ///
    /// [`Payments::reserve`]: super::Payments::reserve
    ///
    /// Source: PROTOCOL `exact` on EVM; x402 `exact` scheme, verification steps.
    pub fn prove(
        self,
        now: UnixMillis,
        answer_timeout: Duration,
        contracts: ContractWallets,
    ) -> Result<Proven, Refusal> {
        let signed_by = self.judge(now, contracts).map_err(Refusal::PaymentInvalid)?;
        let needed_until = now.plus(answer_timeout).plus(SETTLE_MARGIN);
        let closing = match &self.payment {
            Signed::Evm(signed) => {
                let ends = signed.approval.as_ref().map(|approval| approval.deadline);
                let ends = ends.into_iter().fold(signed.authorization.valid_before, U256::min);
                ends < U256::from(needed_until.seconds())
            }
            // Only the chain knows how old the block is that it names.
            Signed::Svm(_) => false,
        };
        let window = if closing { Window::Closing } else { Window::Open };
        Ok(Proven { presented: self, window, signed_by })
    }

    fn judge(&self, now: UnixMillis, contracts: ContractWallets) -> Result<SignedBy, ErrorReason> {
        let offer = &self.offered.offer;
        match (&self.payment, offer.evm(), offer.svm()) {
            (Signed::Evm(signed), Some(domains), _) => {
                judge_evm(signed, &offer.requirements, now)?;
                let proven = match (signed.prove(&domains.payments), contracts) {
                    (Ok(()), _) => SignedBy::Key,
                    (Err(_), ContractWallets::LeftToTheChain) => SignedBy::Contract,
                    (Err(_), ContractWallets::Refused) => return Err(ErrorReason::Signature),
                };
                judge_approval(signed, &offer.requirements, domains)?;
                Ok(proven)
            }
            (Signed::Svm(signed), _, Some(due)) => {
                signed.judge(&due)?;
                signed.prove().map(|()| SignedBy::Key)
            }
            // No offer is chosen that takes no such payment.
            (Signed::Evm(_), None, _) | (Signed::Svm(_), _, None) => Err(ErrorReason::Payload),
        }
    }
}

/// Judges what was authorized, without the signature.
fn judge_evm(
    SignedAuthorization { authorization: signed, .. }: &SignedAuthorization,
    due: &PaymentRequirements,
    now: UnixMillis,
) -> Result<(), ErrorReason> {
    if let Form::Permit2(permit @ Permit { token, spender, facilitator }) = signed.form {
        if spender != permit.proxy() {
            return Err(ErrorReason::Spender);
        }
        if due.facilitator() != facilitator {
            return Err(ErrorReason::Facilitator);
        }
        if due.asset != token {
            return Err(ErrorReason::Token);
        }
    }
    if due.pay_to != signed.to {
        return Err(ErrorReason::RecipientMismatch);
    }
    if signed.value != U256::from(due.amount.units()) {
        return Err(ErrorReason::ValueMismatch);
    }
    if signed.valid_after > U256::from(now.plus(SKEW_MAX).seconds()) {
        return Err(ErrorReason::ValidAfter);
    }
    Ok(())
}

/// Judges the approval that came along, if one did. Its number is the chain's to judge.
fn judge_approval(
    SignedAuthorization { authorization: signed, approval, .. }: &SignedAuthorization,
    due: &PaymentRequirements,
    domains: &EvmDomains,
) -> Result<(), ErrorReason> {
    let (Some(approval), Some(asset)) = (approval, &domains.approvals) else {
        return Ok(());
    };
    if approval.owner != signed.from {
        return Err(ErrorReason::ApprovalOwner);
    }
    if due.asset != approval.token {
        return Err(ErrorReason::ApprovalToken);
    }
    if approval.spender != PERMIT2 {
        return Err(ErrorReason::ApprovalSpender);
    }
    if approval.value != signed.value {
        return Err(ErrorReason::ApprovalValue);
    }
    approval.prove(asset).map_err(|_| ErrorReason::ApprovalFormat)
}

impl Proven {
    /// What was proven.
    pub fn presented(&self) -> &Presented {
        &self.presented
    }

    /// What its signature was made with.
    pub fn signed_by(&self) -> SignedBy {
        self.signed_by
    }

    pub(super) fn into_parts(self) -> (Presented, Window) {
        (self.presented, self.window)
    }
}
