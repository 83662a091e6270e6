//! Would this payment settle now? Balance, mint, fee and a trial of the whole, in one round trip.

use serde_json::{Value, json};

use super::accounts::{Account, Mint};
use super::rpc::{base64, number};
use super::{Inner, Svm};
use crate::chain::fault;
use crate::chain::rpc::{Ask, Reply};
use crate::fault::{Fault, Retry, Side};
use crate::x402::ErrorReason;
use crate::x402::svm::SvmPayment;

impl Svm {
    /// Judges a payment by the last block that a node has seen.
    ///
    /// The nodes are shown it as it came, without our signature: what is only to be tried cannot
    /// be sent by them.
    ///
    /// # Errors
    /// `Ok(Err(reason))`: it would not settle. `Err`: no node answers, there is nothing left for
    /// fees, or whoever is paid cannot get it.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn verify(&self, payment: &SvmPayment) -> Result<Result<(), ErrorReason>, Fault> {
        let inner = &self.0;
        let place = tokio::time::timeout(inner.bounds.rpc_timeout, inner.verifying.acquire());
        let busy = || fault("too many verifications are waiting");
        let _place = place.await.map_err(|late| busy().caused_by(late))?;
        inner.judge(payment).await
    }
}

impl Inner {
    /// As [`Svm::verify`].
    pub(super) async fn judge(
        &self,
        payment: &SvmPayment,
    ) -> Result<Result<(), ErrorReason>, Fault> {
        let transfer = payment.transfer();
        let accounts = [transfer.source, transfer.destination, transfer.mint];
        let accounts = accounts.map(|account| account.to_string());
        let now = json!({ "encoding": "base64", "commitment": "processed" });
        let last = json!({ "commitment": "processed" });
        let trial = json!({
            "encoding": "base64", "commitment": "processed",
            "sigVerify": false, "replaceRecentBlockhash": false,
        });
        let asks = [
            Ask::new("getMultipleAccounts", json!([accounts, now])),
            Ask::new("getFeeForMessage", json!([base64(payment.message()), last])),
            Ask::new("simulateTransaction", json!([base64(payment.wire()), trial])),
        ];
        let replies = self.rpc.ask(&asks).await?;
        let [Ok(accounts), fee, trial] = replies.as_slice() else {
            return Err(fault("a node refused a question"));
        };
        if let Err(reason) = judge_accounts(payment, accounts)? {
            return Ok(Err(reason));
        }
        Ok(match judge_trial(trial)? {
            Err(reason) => Err(reason),
            Ok(()) if fee_of(fee)? > self.bounds.fee_max => {
                Err(ErrorReason::SvmComputePriceTooHigh)
            }
            Ok(()) => Ok(()),
        })
    }
}

/// Whether the payer has what it pays, and whoever is paid can get it.
fn judge_accounts(payment: &SvmPayment, said: &Value) -> Result<Result<(), ErrorReason>, Fault> {
    let accounts = said.get("value").and_then(Value::as_array).map(Vec::as_slice);
    let Some([source, destination, mint]) = accounts else {
        return Err(fault("a node's answer is not to this question"));
    };
    let never = |what| Err(Fault::new(Side::Chain, Retry::Never, what));
    let transfer = payment.transfer();
    let Some(mint) = Account::read(mint)? else { return never("the asset has no mint") };
    match mint.mint() {
        Mint::None => return never("the asset is no mint"),
        Mint::WithFee => return never("the asset keeps a part of each payment"),
        // The same mint under the other program has other token accounts.
        Mint::Plain if mint.program != transfer.program => return Ok(Err(ErrorReason::SvmMint)),
        Mint::Plain => {}
    }
    if Account::read(destination)?.is_none_or(|account| account.program != transfer.program) {
        return never("whoever is paid has no token account for the asset");
    }
    let has = Account::read(source)?.and_then(|source| source.tokens()).unwrap_or(0);
    Ok(if has < transfer.amount { Err(ErrorReason::InsufficientFunds) } else { Ok(()) })
}

/// What came of trying it.
fn judge_trial(said: &Reply) -> Result<Result<(), ErrorReason>, Fault> {
    let said = match said {
        Ok(said) => said,
        // It is not even tried: the payer has made something that only we can read.
        Err(error) if error.code() == INVALID_PARAMS => {
            return Ok(Err(ErrorReason::SvmTransaction));
        }
        Err(error) => return Err(fault("a transaction is not tried").caused_by(error.clone())),
    };
    let failed = said.pointer("/value/err").ok_or_else(|| fault("a trial without a result"))?;
    match failed {
        Value::Null => Ok(Ok(())),
        Value::String(word) => match word.as_str() {
            "AlreadyProcessed" => Ok(Err(ErrorReason::DuplicateSettlement)),
            "AccountNotFound" | "InsufficientFundsForFee" => Err(poor()),
            _ => Ok(Err(ErrorReason::SvmSimulation)),
        },
        // Of accounts that change, the first has to keep its rent: the fee payer's.
        Value::Object(error) if error.contains_key("InsufficientFundsForRent") => Err(poor()),
        _ if failed.pointer("/InstructionError/1/Custom").and_then(Value::as_u64)
            == Some(TOKEN_INSUFFICIENT_FUNDS) =>
        {
            Ok(Err(ErrorReason::InsufficientFunds))
        }
        _ => Ok(Err(ErrorReason::SvmSimulation)),
    }
}

/// What it costs the fee payer. Nobody knows of one whose block is too old, which is not taken.
fn fee_of(said: &Reply) -> Result<u64, Fault> {
    match said {
        Ok(said) => number(said.get("value").unwrap_or(&Value::Null)),
        Err(error) => Err(fault("a fee cannot be asked for").caused_by(error.clone())),
    }
}

fn poor() -> Fault {
    fault("the fee payer cannot pay the fee")
}

/// JSON-RPC's own number.
const INVALID_PARAMS: i64 = -32_602;
/// Source: SPL Token, `TokenError`.
const TOKEN_INSUFFICIENT_FUNDS: u64 = 1;
