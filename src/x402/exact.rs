//! What a payer has signed for `exact`, as it is written in a payment.

use std::borrow::Cow;

use alloy_primitives::{Address, B256, U256, hex};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::evm::{Authorization, Form, SignedAuthorization, decimal};
use super::payload::PayloadError;
use super::permit2::{Approval, Permit};
use super::{Signed, SvmPayment, encoding};

/// The scheme's part of an outgoing payload.
#[derive(Serialize)]
#[serde(untagged)]
pub enum OutgoingExact<'a> {
    /// As EIP-3009 has it.
    Eip3009 {
        /// `0x` and hex.
        signature: String,
        /// What was signed.
        authorization: &'a Authorization,
    },
    /// As Permit2 has it.
    #[serde(rename_all = "camelCase")]
    Permit2 {
        /// `0x` and hex.
        signature: String,
        /// What was signed.
        permit2_authorization: Box<OutgoingPermit>,
    },
    /// On Solana.
    Svm {
        /// Base64.
        transaction: String,
    },
}

/// What was signed for Permit2.
#[derive(Serialize)]
pub struct OutgoingPermit {
    permitted: Permitted,
    from: Address,
    spender: Address,
    #[serde(serialize_with = "decimal")]
    nonce: U256,
    #[serde(serialize_with = "decimal")]
    deadline: U256,
    witness: Witness,
}

/// What goes along with an outgoing payload.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutgoingExtensions<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    eip2612_gas_sponsoring: Option<OutgoingSponsoring<'a>>,
    /// How what is paid for is called, in the words of its 402.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bazaar: Option<&'a serde_json::Value>,
}

#[derive(Serialize)]
struct OutgoingSponsoring<'a> {
    info: OutgoingApproval<'a>,
}

#[derive(Serialize)]
struct OutgoingApproval<'a> {
    from: Address,
    asset: Address,
    spender: Address,
    #[serde(serialize_with = "decimal")]
    amount: U256,
    #[serde(serialize_with = "decimal")]
    nonce: U256,
    #[serde(serialize_with = "decimal")]
    deadline: U256,
    signature: String,
    version: &'a str,
}

impl<'a> From<&'a Signed> for OutgoingExact<'a> {
    fn from(payment: &'a Signed) -> Self {
        match payment {
            Signed::Evm(signed) => signed.into(),
            Signed::Svm(signed) => Self::Svm { transaction: encoding::encode(signed.wire()) },
        }
    }
}

impl<'a> From<&'a SignedAuthorization> for OutgoingExact<'a> {
    fn from(payment: &'a SignedAuthorization) -> Self {
        let signature = hex::encode_prefixed(&payment.signature);
        let authorization = &payment.authorization;
        let Authorization { from, to, value, valid_after, valid_before, nonce, form } =
            *authorization;
        match form {
            Form::Eip3009 => Self::Eip3009 { signature, authorization },
            Form::Permit2(Permit { token, spender, facilitator }) => Self::Permit2 {
                signature,
                permit2_authorization: Box::new(OutgoingPermit {
                    permitted: Permitted { token, amount: value },
                    from,
                    spender,
                    nonce: nonce.into(),
                    deadline: valid_before,
                    witness: Witness { to, facilitator, valid_after },
                }),
            },
        }
    }
}

impl OutgoingExtensions<'_> {
    /// What goes along with this payment, if anything does.
    pub fn of(payment: &SignedAuthorization) -> Option<Self> {
        let Approval { owner, token, spender, value, nonce, deadline, ref signature } =
            **payment.approval.as_ref()?;
        let info = OutgoingApproval {
            from: owner,
            asset: token,
            spender,
            amount: value,
            nonce,
            deadline,
            signature: hex::encode_prefixed(signature),
            version: APPROVAL_VERSION,
        };
        Some(Self { eip2612_gas_sponsoring: Some(OutgoingSponsoring { info }), bazaar: None })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireExact<'a> {
    #[serde(borrow, default)]
    signature: Option<Cow<'a, str>>,
    authorization: Option<WireAuthorization>,
    permit2_authorization: Option<WirePermit>,
    #[serde(borrow, default)]
    transaction: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAuthorization {
    #[serde(deserialize_with = "hex_text")]
    from: Address,
    #[serde(deserialize_with = "hex_text")]
    to: Address,
    #[serde(deserialize_with = "decimal_text")]
    value: U256,
    #[serde(deserialize_with = "decimal_text")]
    valid_after: U256,
    #[serde(deserialize_with = "decimal_text")]
    valid_before: U256,
    #[serde(deserialize_with = "hex_text")]
    nonce: B256,
}

#[derive(Deserialize)]
struct WirePermit {
    permitted: Permitted,
    #[serde(deserialize_with = "hex_text")]
    from: Address,
    #[serde(deserialize_with = "hex_text")]
    spender: Address,
    #[serde(deserialize_with = "decimal_text")]
    nonce: U256,
    #[serde(deserialize_with = "decimal_text")]
    deadline: U256,
    witness: Witness,
}

#[derive(Serialize, Deserialize)]
struct Permitted {
    #[serde(deserialize_with = "hex_text")]
    token: Address,
    #[serde(serialize_with = "decimal", deserialize_with = "decimal_text")]
    amount: U256,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Witness {
    #[serde(deserialize_with = "hex_text")]
    to: Address,
    /// Of `upto` alone.
    #[serde(default, deserialize_with = "some_hex_text", skip_serializing_if = "Option::is_none")]
    facilitator: Option<Address>,
    #[serde(serialize_with = "decimal", deserialize_with = "decimal_text")]
    valid_after: U256,
}

/// Only what belongs to a permit; other extensions are not looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireExtensions<'a> {
    #[serde(borrow, default)]
    eip2612_gas_sponsoring: Option<WireSponsoring<'a>>,
}

#[derive(Deserialize)]
struct WireSponsoring<'a> {
    #[serde(borrow, default)]
    info: Option<&'a RawValue>,
}

/// Whether it is more than an echo of the 402.
#[derive(Deserialize)]
struct WireSigned {
    #[serde(default)]
    signature: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct WireApproval<'a> {
    #[serde(deserialize_with = "hex_text")]
    from: Address,
    #[serde(deserialize_with = "hex_text")]
    asset: Address,
    #[serde(deserialize_with = "hex_text")]
    spender: Address,
    #[serde(deserialize_with = "decimal_text")]
    amount: U256,
    #[serde(deserialize_with = "decimal_text")]
    nonce: U256,
    #[serde(deserialize_with = "decimal_text")]
    deadline: U256,
    #[serde(borrow)]
    signature: Cow<'a, str>,
}

impl WireExact<'_> {
    /// What was signed, with what came along.
    pub(super) fn signed(self, extensions: Option<&RawValue>) -> Result<Signed, PayloadError> {
        let json = PayloadError::Json;
        let both = || serde_json::Error::custom("more than one kind of payment");
        let missing = |field| json(serde_json::Error::missing_field(field));
        let signature = self.signature.as_deref().map(signature);
        let signature = signature.ok_or_else(|| missing("signature"));
        match (self.authorization, self.permit2_authorization, self.transaction) {
            (Some(wire), None, None) => {
                let (authorization, signature) = (wire.into(), signature?);
                Ok(SignedAuthorization { authorization, signature, approval: None }.into())
            }
            (None, Some(wire), None) => {
                let (authorization, signature) = (wire.into(), signature?);
                let approval = extensions.map(approval).transpose().map_err(json)?;
                let approval = approval.flatten().map(Box::new);
                Ok(SignedAuthorization { authorization, signature, approval }.into())
            }
            (None, None, Some(transaction)) => SvmPayment::from_base64(&transaction)
                .map(Signed::from)
                .map_err(PayloadError::Transaction),
            (None, None, None) => Err(missing("authorization")),
            (Some(_) | None, _, _) => Err(json(both())),
        }
    }
}

impl From<WireAuthorization> for Authorization {
    fn from(wire: WireAuthorization) -> Self {
        let WireAuthorization { from, to, value, valid_after, valid_before, nonce } = wire;
        Self { from, to, value, valid_after, valid_before, nonce, form: Form::Eip3009 }
    }
}

impl From<WirePermit> for Authorization {
    fn from(wire: WirePermit) -> Self {
        let WirePermit { permitted, from, spender, nonce, deadline, witness } = wire;
        Self {
            from,
            to: witness.to,
            value: permitted.amount,
            valid_after: witness.valid_after,
            valid_before: deadline,
            nonce: nonce.into(),
            form: Form::Permit2(Permit {
                token: permitted.token,
                spender,
                facilitator: witness.facilitator,
            }),
        }
    }
}

fn approval(extensions: &RawValue) -> Result<Option<Approval>, serde_json::Error> {
    let read: WireExtensions<'_> = serde_json::from_str(extensions.get())?;
    let Some(info) = read.eip2612_gas_sponsoring.and_then(|sponsoring| sponsoring.info) else {
        return Ok(None);
    };
    let WireSigned { signature: signed } = serde_json::from_str(info.get())?;
    if signed.is_none() {
        return Ok(None);
    }
    let wire: WireApproval<'_> = serde_json::from_str(info.get())?;
    let signature = signature(&wire.signature);
    let WireApproval { from, asset, spender, amount, nonce, deadline, .. } = wire;
    let (owner, token, value) = (from, asset, amount);
    Ok(Some(Approval { owner, token, spender, value, nonce, deadline, signature }))
}

/// A signature that is not hex is one that proves nothing: the empty one.
fn signature(text: &str) -> Box<[u8]> {
    hex::decode(text).unwrap_or_default().into()
}

/// A text that is copied only where it has escapes; a `Cow` alone always is.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Fixed bytes as `0x` and two hex digits a byte.
pub(super) fn hex_text<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: alloy_primitives::hex::FromHex,
    D: Deserializer<'de>,
{
    let Text(text) = Text::deserialize(deserializer)?;
    let digits = text.strip_prefix("0x").ok_or_else(|| D::Error::custom("no 0x"))?;
    // The decoder takes one more off.
    if digits.starts_with("0x") {
        return Err(D::Error::custom("0x twice"));
    }
    T::from_hex(digits).map_err(|_| D::Error::custom("not the right number of hex digits"))
}

fn some_hex_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
    hex_text(deserializer).map(Some)
}

/// A number as decimal digits in a string: no sign, no exponent, no leading zero, at most 2²⁵⁶−1.
fn decimal_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<U256, D::Error> {
    let Text(text) = Text::deserialize(deserializer)?;
    let canonical = text == "0" || !text.starts_with('0');
    if text.is_empty() || !canonical || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(D::Error::custom("not a decimal number"));
    }
    U256::from_str_radix(&text, 10).map_err(|_| D::Error::custom("more than 256 bits"))
}

/// Of the extension. Source: npm `@x402/evm` 2.27, `signEip2612Permit`.
const APPROVAL_VERSION: &str = "1";
