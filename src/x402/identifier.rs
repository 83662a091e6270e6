//! The extension `payment-identifier`: the client's own name for what it buys, by which it is the
//! same purchase however often it is signed.

use std::borrow::Cow;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A client's name for what it buys: 16 to 128 letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentId(Box<str>);

/// What a payment says of its identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identified {
    /// Nothing.
    #[default]
    Not,
    /// This.
    By(PaymentId),
    /// Something that is none.
    Badly,
}

/// Whether a client may, or must, name what it buys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identifying {
    /// Names are not looked at.
    #[default]
    Off,
    /// It may.
    Optional,
    /// It must.
    Required,
}

/// A text that is no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an identifier has 16 to 128 letters, digits, `-` and `_`")]
pub struct PaymentIdError;

impl PaymentId {
    /// As the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PaymentId {
    type Err = PaymentIdError;

    fn from_str(text: &str) -> Result<Self, PaymentIdError> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let long_enough = (LEN_MIN..=LEN_MAX).contains(&text.len());
        if long_enough && text.bytes().all(good) {
            Ok(Self(text.into()))
        } else {
            Err(PaymentIdError)
        }
    }
}

impl Identified {
    /// Reads the `extensions` of a payment. What is not the shape of this extension says nothing,
    /// as what the client only echoes.
    pub(super) fn read(extensions: Option<&RawValue>) -> Self {
        let Some(id) = extensions.and_then(id) else { return Self::Not };
        let text = serde_json::from_str::<Cow<'_, str>>(id.get());
        text.ok().and_then(|text| text.parse().ok()).map_or(Self::Badly, Self::By)
    }
}

impl Identifying {
    /// What a 402 says of it under `extensions`, as `payment-identifier`.
    ///
    /// Source: npm `@x402/extensions` 2.27, `declarePaymentIdentifierExtension`.
    pub fn declared(self) -> Option<Value> {
        let required = match self {
            Self::Off => return None,
            Self::Optional => false,
            Self::Required => true,
        };
        Some(json!({ "info": { "required": required }, "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "required": { "type": "boolean" },
                "id": {
                    "type": "string",
                    "minLength": LEN_MIN,
                    "maxLength": LEN_MAX,
                    "pattern": "^[a-zA-Z0-9_-]+$",
                },
            },
            "required": ["required"],
        } }))
    }
}

/// The `id` of the extension, if there is something; `null` is nothing.
fn id(extensions: &RawValue) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct Extensions<'a> {
        #[serde(borrow, default, rename = "payment-identifier")]
        ours: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Extension<'a> {
        #[serde(borrow, default)]
        info: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Info<'a> {
        #[serde(borrow, default)]
        id: Option<&'a RawValue>,
    }
    let Extensions { ours } = serde_json::from_str(extensions.get()).ok()?;
    let Extension { info } = serde_json::from_str(ours?.get()).ok()?;
    let Info { id } = serde_json::from_str(info?.get()).ok()?;
    id
}

const LEN_MIN: usize = 16;
const LEN_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(extensions: Value, expected: Identified) {
        let raw = serde_json::value::to_raw_value(&extensions).unwrap();
        assert_eq!(Identified::read(Some(&raw)), expected, "{extensions}");
    }

    fn named(id: impl Into<Value>) -> Value {
        let id = id.into();
        json!({ "other": 1, "payment-identifier": { "info": { "required": false, "id": id } } })
    }

    #[test]
    fn an_identifier_has_sixteen_to_a_hundred_and_twenty_eight_characters() {
        for good in ["pay_7d5d747be160e280504c099d984bcfe0", "abcdefghijklmnop", "A-_4567890123456"]
        {
            check(named(good), Identified::By(PaymentId(good.into())));
        }
        check(named("x".repeat(128)), Identified::By(PaymentId("x".repeat(128).into())));
        for bad in
            ["", "abcdefghijklmno", "abcdefghijklmno p", "abcdefghijklmno.", "äbcdefghijklmnop"]
        {
            check(named(bad), Identified::Badly);
        }
        check(named("x".repeat(129)), Identified::Badly);
        check(named(1_234_567_890_123_456_u64), Identified::Badly);
        check(named(json!({})), Identified::Badly);
    }

    #[test]
    fn what_only_echoes_the_declaration_names_nothing() {
        assert_eq!(Identified::read(None), Identified::Not);
        check(named(Value::Null), Identified::Not);
        for declared in [Identifying::Optional, Identifying::Required] {
            check(json!({ "payment-identifier": declared.declared() }), Identified::Not);
        }
        for odd in [
            json!(null),
            json!([]),
            json!({ "payment-identifier": null }),
            json!({ "payment-identifier": "abcdefghijklmnop" }),
            json!({ "payment-identifier": { "info": "abcdefghijklmnop" } }),
            json!({ "payment-identifier": { "id": "abcdefghijklmnop" } }),
        ] {
            check(odd, Identified::Not);
        }
        assert_eq!(Identifying::Off.declared(), None);
    }
}
