//! A transaction from our signature to its end: on the chain, or too old for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::reader::Traced;
use super::rpc::{Executed, Status};
use super::{Depth, Inner, Outcome};
use crate::chain::Sought;
use crate::chain::fault;
use crate::chain::rpc::{Ask, Taken};
use crate::clock::steady;
use crate::fault::Fault;
use crate::x402::ErrorReason;
use crate::x402::svm::{Pubkey, SvmPayment};

impl Inner {
    /// Tries a payment once more, signs and sends it, and follows it. Whoever has set `begun`
    /// before has called it off.
    pub(super) async fn run(
        &self,
        payment: SvmPayment,
        sought: Sought,
        begun: &AtomicBool,
    ) -> Outcome {
        let signed = self.fee_payer.sign(payment.message());
        let sought = Sought { transaction: Some(signed.name), ..sought };
        match self.judge(&payment).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return self.refuse(reason, &sought).await,
            Err(fault) => return Outcome::NotSent(fault),
        }
        if begun.swap(true, Ordering::AcqRel) {
            return Outcome::NotSent(fault("it was called off"));
        }
        let wire = payment.with_fee_payer(&signed.signature);
        match self.rpc.send(&wire).await {
            Taken::Yes | Taken::Spent => {}
            // Nobody else has our signature.
            Taken::No(error) => {
                return Outcome::NotSent(fault("no node takes the transaction").caused_by(error));
            }
            Taken::Perhaps(fault) => {
                tracing::warn!(%fault, transaction = name(&sought), "it may not have been taken");
            }
        }
        self.follow(&payment, &wire, &sought).await
    }

    /// What is told of a payment that failed when it was tried: nothing was sent for it now, but
    /// it may have been before.
    async fn refuse(&self, reason: ErrorReason, sought: &Sought) -> Outcome {
        let gone = [ErrorReason::DuplicateSettlement, ErrorReason::SvmSimulation];
        if !gone.contains(&reason) {
            return Outcome::Rejected(reason);
        }
        let used = match self.reader.status(name(sought)).await {
            Ok(None) if reason == ErrorReason::SvmSimulation => return Outcome::Rejected(reason),
            // Even if the money is there, it is not this exchange's to claim.
            Ok(_) => fault("the transaction was sent before"),
            Err(fault) => fault,
        };
        Outcome::Unknown { transaction: name(sought).into(), fault: used.of_one_payment() }
    }

    /// Looks for a transaction until it is deep enough, and sends it again while nodes may have
    /// lost it: the same bytes, so that it can only be executed once.
    ///
    /// Ends with an answer of the chain, or [`FOLLOWED_MAX`] later; then recovery looks for it.
    async fn follow(&self, payment: &SvmPayment, wire: &[u8], sought: &Sought) -> Outcome {
        let began = steady();
        let mut sent_at = began;
        let age = |moment| steady().saturating_duration_since(moment);
        while age(began) < FOLLOWED_MAX {
            tokio::time::sleep(self.bounds.poll).await;
            match self.reader.recent(name(sought)).await {
                Ok(Some(Status { depth, result: Executed::Well }))
                    if depth >= self.bounds.depth =>
                {
                    return Outcome::Settled { transaction: name(sought).into() };
                }
                Ok(Some(Status { depth: Depth::Finalized, result: Executed::Failed })) => {
                    return Outcome::Rejected(ErrorReason::SvmFailed);
                }
                Ok(Some(_)) => continue,
                Ok(None) => {}
                Err(fault) => tracing::debug!(%fault, "a status cannot be asked for"),
            }
            if age(sent_at) < self.bounds.resend_after {
                continue;
            }
            sent_at = steady();
            match self.is_taken_still(payment).await {
                // Whatever nodes say to what they may have already, the chain tells what counts.
                Ok(true) => drop(self.rpc.send(wire).await),
                Ok(false) => match self.reader.trace(sought).await {
                    Ok(Traced::Moved { transaction }) => return Outcome::Settled { transaction },
                    Ok(Traced::NotMoved) => return Outcome::Rejected(ErrorReason::SvmFailed),
                    Ok(Traced::Open) => {}
                    Err(fault) => tracing::debug!(%fault, "a transaction cannot be traced"),
                },
                Err(fault) => tracing::debug!(%fault, "a block cannot be asked for"),
            }
        }
        let fault = fault("nobody knows the transaction");
        Outcome::Unknown { transaction: name(sought).into(), fault }
    }

    /// Whether the block that a payment names is young enough.
    async fn is_taken_still(&self, payment: &SvmPayment) -> Result<bool, Fault> {
        // A hash is written like an address.
        let hash = Pubkey::new_from_array(*payment.blockhash()).to_string();
        let params = json!([hash, { "commitment": "processed" }]);
        let said = self.rpc.ask_for(Ask::new("isBlockhashValid", params)).await?;
        let valid = said.get("value").and_then(Value::as_bool);
        valid.ok_or_else(|| fault("a node does not say how old a block is"))
    }
}

/// The transaction that is looked for, which [`Inner::run`] has named.
fn name(sought: &Sought) -> &str {
    sought.transaction.as_deref().unwrap_or_default()
}

/// Some times as long as a transaction may be taken.
const FOLLOWED_MAX: Duration = Duration::from_secs(600);
