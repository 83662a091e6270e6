//! What a facilitator's answer is believed to mean: one table for `/verify`, one for `/settle`.

use std::borrow::Cow;

use ::http::StatusCode;
use alloy_primitives::B256;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::ask::Answer;
use super::words;
use crate::facilitator::{Order, Outcome, Verdict};
use crate::fault::{Fault, Retry, Side, printable};
use crate::x402::svm::{signature_of, signature_text};
use crate::x402::{Account, AtomicAmount, ErrorReason, SupportedResponse, Version};

/// Reads the answer of `/verify`.
///
/// | status | body | |
/// |---|---|---|
/// | 2xx | `isValid: true`, payer ours or absent | `Good` |
/// | 2xx, 400, 402, 412, 422, 500 | `isValid: false` | `Bad` |
/// | anything else | | fault |
pub(super) fn verdict(answer: &Answer, order: &Order) -> Result<Verdict, Fault> {
    let status = answer.status;
    let listed = status.is_success() || matches!(status.as_u16(), 400 | 402 | 412 | 422 | 500);
    if !listed {
        return Err(disbelief(status, Disbelief::Status(status)));
    }
    let said: VerifyAnswer<'_> = parse(&answer.body).map_err(|cause| disbelief(status, cause))?;
    if !said.is_valid {
        return Ok(Verdict::Bad(refused(&said)));
    }
    if !status.is_success() {
        return Err(disbelief(status, Disbelief::Status(status)));
    }
    match agrees_payer(said.payer.as_deref(), order) {
        Ok(()) => Ok(Verdict::Good),
        Err(cause) => Err(disbelief(status, cause)),
    }
}

/// Reads the answer of `/settle`.
///
/// | status | body | |
/// |---|---|---|
/// | 2xx | `success: true`, transaction, our network, payer and amount ours or absent | `Settled` |
/// | any | `success: true`, anything else | `Unknown`, with the transaction |
/// | any | `success: false` and a transaction | `Unknown`, with the transaction |
/// | 401 403 404 405 413 415 429 | any other | `NotSent`: turned away at the door |
/// | 2xx and other 4xx but 408 | `success: false`, a reason found before sending | `Rejected` |
/// | the same | `success: false`, what its own settlement brings about | `Unknown`, `said` |
/// | the same | `success: false`, no such reason, or that it was used before | `Unknown` |
/// | 408, 3xx, 5xx | any other | `Unknown` |
/// | any other | not the JSON of a settlement | `Unknown` |
pub(super) fn outcome(answer: &Answer, order: &Order) -> Outcome {
    let status = answer.status;
    let said = match parse::<SettleAnswer<'_>>(&answer.body) {
        Ok(said) => said,
        Err(cause) if at_the_door(status) => return Outcome::NotSent(disbelief(status, cause)),
        Err(cause) => {
            return Outcome::unknown(disbelief(status, cause));
        }
    };
    let named = said.transaction.as_deref().unwrap_or_default();
    let transaction = transaction(named, order);
    if said.success {
        return match (settled(status, &said, order), transaction) {
            (Ok(()), Some(transaction)) => Outcome::Settled { transaction },
            (Ok(()), None) => unknown(None, status, Disbelief::NoTransaction),
            (Err(cause), transaction) => unknown(transaction, status, cause),
        };
    }
    let text = said.error_reason.as_deref().unwrap_or_default();
    tracing::warn!(status = status.as_u16(), reason = printable(text), "a settlement was not done");
    if !named.is_empty() {
        return unknown(transaction, status, Disbelief::FailedTransaction);
    }
    if at_the_door(status) {
        return Outcome::NotSent(disbelief(status, Disbelief::Status(status)));
    }
    let answered = status.is_success() || (status.is_client_error() && status != TIMED_OUT);
    match words::unsent(text) {
        // Perhaps by this very order: whoever stands between may have repeated it when the answer
        // to the first was lost.
        Some(ErrorReason::DuplicateSettlement) => unknown(None, status, Disbelief::UsedBefore),
        Some(reason) if answered && may_be_its_own_doing(reason) => Outcome::Unknown {
            transaction: None,
            said: Some(reason),
            fault: disbelief(status, Disbelief::Named(status)).of_one_payment(),
        },
        Some(reason) if answered => Outcome::Rejected(reason),
        Some(_) => unknown(None, status, Disbelief::Named(status)),
        None => unknown(None, status, Disbelief::PerhapsSent),
    }
}

/// Reads the answer of `/supported`.
pub(super) fn supported(answer: &Answer) -> Result<SupportedResponse, Fault> {
    let status = answer.status;
    if !status.is_success() {
        return Err(disbelief(status, Disbelief::Status(status)));
    }
    parse(&answer.body).map_err(|cause| disbelief(status, cause))
}

/// Why an answer is not what it says.
#[derive(Debug, thiserror::Error)]
enum Disbelief {
    #[error("status {}", .0.as_u16())]
    Status(StatusCode),
    /// Only the place: the text of the error quotes the body.
    #[error("not the JSON of an answer, at line {line} column {column}")]
    Json { line: usize, column: usize },
    #[error("it names another payer")]
    OtherPayer,
    #[error("it names another network, or none")]
    OtherNetwork,
    #[error("it names another amount")]
    OtherAmount,
    #[error("it names no transaction")]
    NoTransaction,
    #[error("it says that a transaction failed, and names it")]
    FailedTransaction,
    #[error("its reason does not exclude that a transaction was sent")]
    PerhapsSent,
    #[error("it says that the payment was used before, and not by whom")]
    UsedBefore,
    #[error("it names a reason, with status {}", .0.as_u16())]
    Named(StatusCode),
}

/// The answer of `/verify`, as loosely as it is written in the field.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerifyAnswer<'a> {
    is_valid: bool,
    #[serde(borrow, default)]
    invalid_reason: Option<Cow<'a, str>>,
    /// Where x402-rs puts what the chain said.
    #[serde(borrow, default)]
    invalid_reason_details: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    payer: Option<Cow<'a, str>>,
}

/// The answer of `/settle`, as loosely as it is written in the field.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SettleAnswer<'a> {
    success: bool,
    #[serde(borrow, default)]
    error_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    payer: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    transaction: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    network: Option<Cow<'a, str>>,
    /// A string by the protocol; a number here and there.
    #[serde(borrow, default)]
    amount: Option<&'a RawValue>,
}

/// The reason of a refused verification; what it says goes to the log.
fn refused(said: &VerifyAnswer<'_>) -> ErrorReason {
    let text = said.invalid_reason.as_deref().unwrap_or_default();
    let details = said.invalid_reason_details.as_deref().unwrap_or_default();
    tracing::info!(
        reason = printable(text),
        details = printable(details),
        "a payment was refused by the facilitator"
    );
    words::reason(text).or_else(|| words::reason(details)).unwrap_or(ErrorReason::UnexpectedVerify)
}

/// Whether everything that a success says agrees with what was asked for.
fn settled(status: StatusCode, said: &SettleAnswer<'_>, order: &Order) -> Result<(), Disbelief> {
    if !status.is_success() {
        return Err(Disbelief::Status(status));
    }
    let named = |version| said.network.as_deref() == Some(order.offer.network_in(version));
    if !named(Version::V2) && !named(Version::V1) {
        return Err(Disbelief::OtherNetwork);
    }
    let amount = said.amount.map(|amount| amount.get().trim_matches('"').parse::<AtomicAmount>());
    if amount.is_some_and(|amount| amount != Ok(order.amount())) {
        return Err(Disbelief::OtherAmount);
    }
    agrees_payer(said.payer.as_deref(), order)
}

fn agrees_payer(payer: Option<&str>, order: &Order) -> Result<(), Disbelief> {
    match payer {
        None | Some("") => Ok(()),
        Some(payer) if payer.parse() == Ok::<Account, _>(order.payer()) => Ok(()),
        Some(_) => Err(Disbelief::OtherPayer),
    }
}

/// A transaction in its one spelling, not all zero: its hash as `0x` and 64 digits in lower case,
/// or on Solana its first signature in base58.
fn transaction(text: &str, order: &Order) -> Option<Box<str>> {
    if order.payment.svm().is_some() {
        let signature = signature_of(text).filter(|signature| *signature != [0; 64])?;
        return Some(signature_text(&signature).into());
    }
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 64)?;
    let hash: B256 = digits.parse().ok().filter(|hash: &B256| !hash.is_zero())?;
    Some(format!("{hash:#x}").into())
}

/// Statuses with which a request is turned away before anybody has looked at the payment.
///
/// 400 is not among them: the published examples answer it to every exception of a settlement.
fn at_the_door(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 404 | 405 | 413 | 415 | 429)
}

fn unknown(transaction: Option<Box<str>>, status: StatusCode, cause: Disbelief) -> Outcome {
    let fault = match cause {
        // It works, and a payer whose account is empty by now can bring it to say so.
        Disbelief::FailedTransaction | Disbelief::UsedBefore | Disbelief::Named(_) => {
            disbelief(status, cause).of_one_payment()
        }
        Disbelief::PerhapsSent if !status.is_server_error() => {
            disbelief(status, cause).of_one_payment()
        }
        _ => disbelief(status, cause),
    };
    Outcome::Unknown { transaction, said: None, fault }
}

/// Whether it could say so of a payment that it has just moved, by an order that somebody between
/// us has repeated: then the account is empty, the allowance is used, the simulation fails, the
/// window has closed since.
fn may_be_its_own_doing(reason: ErrorReason) -> bool {
    matches!(
        reason,
        ErrorReason::InsufficientFunds
            | ErrorReason::ValidBefore
            | ErrorReason::AllowanceRequired
            | ErrorReason::TransactionState
            | ErrorReason::SvmSimulation
    )
}

fn disbelief(status: StatusCode, cause: Disbelief) -> Fault {
    // Wrong keys and addresses stay wrong until an operator has been there.
    let retry = match status.as_u16() {
        401 | 403 | 404 | 405 | 413 | 415 => Retry::Never,
        _ => Retry::Later,
    };
    let fault = Fault::new(Side::Facilitator, retry, "the answer is not one to act on");
    match status.as_u16() {
        // Said before it has seen a payment.
        401 | 403 | 404 | 405 | 415 | 429 => fault.caused_by(cause),
        _ => fault.caused_by(cause).of_one_payer(),
    }
}

/// Reads an object. Serde alone would take an array of the fields' values as well.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Disbelief> {
    let object = body.trim_ascii_start().first() == Some(&b'{');
    if !object {
        return Err(Disbelief::Json { line: 1, column: 1 });
    }
    serde_json::from_slice(body)
        .map_err(|error| Disbelief::Json { line: error.line(), column: error.column() })
}

const TIMED_OUT: StatusCode = StatusCode::REQUEST_TIMEOUT;
