//! What a facilitator answers, and what a client is told of a settlement.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Account;
use super::svm::{NOBODY, Pubkey};

/// The answer of `POST /settle`, and the object of `PAYMENT-RESPONSE`. Source: x402 v2 §5.3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleResponse {
    /// Whether the money moved.
    pub success: bool,
    /// Why not; spellings differ between facilitators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_reason: Option<String>,
    /// Who paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// Hash on the chain; empty when nothing moved.
    #[serde(default)]
    pub transaction: String,
    /// CAIP-2 network in version 2, a name in version 1.
    #[serde(default)]
    pub network: String,
    /// Atomic units that moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
}

/// The answer of `GET /supported`. Source: x402 v2 §7.3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupportedResponse {
    /// What the facilitator can settle.
    pub kinds: Vec<SupportedKind>,
}

/// One thing a facilitator can settle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SupportedKind {
    /// 1 or 2.
    pub x402_version: u8,
    /// Such as `exact`.
    pub scheme: String,
    /// CAIP-2 network in version 2, a name in version 1.
    pub network: String,
    /// What offers there have to say; anything at all.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub extra: Value,
}

impl SupportedKind {
    /// Who pays the fees of payments on Solana, if it is said.
    pub fn fee_payer(&self) -> Option<Pubkey> {
        let named: Pubkey = self.extra.get("feePayer")?.as_str()?.parse().ok()?;
        Some(named).filter(|key| *key != NOBODY)
    }

    /// Who settles payments under `upto`, if it is said.
    pub fn facilitator(&self) -> Option<Account> {
        let named: Account = self.extra.get("facilitatorAddress")?.as_str()?.parse().ok()?;
        named.evm().filter(|address| !address.is_zero()).map(Into::into)
    }
}
