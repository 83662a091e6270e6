//! The wire as published clients and servers speak it: read, compared, proven, written again.

use alloy_primitives::{Address, B256, U256};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tollgate::cli::pay::Demand;
use tollgate::x402::payload::{Choice, OutgoingPayload, PayloadError};
use tollgate::x402::permit2::Permit;
use tollgate::x402::{
    Authorization, Eip712Domain, Form, Network, PaymentPayload, PaymentRequirements,
    PaymentRequirementsV1, SettleResponse, SignedAuthorization, Version, encoding,
};

/// A payment header as a client sent it.
#[derive(Deserialize)]
struct Payment {
    /// Registry, package and version of the client and of the server it paid.
    source: String,
    /// Name of the header, in the client's spelling.
    header: String,
    value: String,
    json: Value,
    /// What a client says that tollgate does not repeat to a facilitator.
    not_sent_on: Vec<String>,
}

#[test]
fn payments_of_published_clients_are_read_and_proven() {
    for vector in vectors::<Payment>(include_str!("vectors/payments.json")) {
        let payment = PaymentPayload::decode(vector.value.as_bytes()).unwrap();
        let json = &vector.json;
        let signed = signed(&payment);
        assert_eq!(signed.authorization, authorization(json), "{}", vector.source);
        assert_eq!(payment.choice, choice(json), "{}", vector.source);
        let header = vector.header.to_ascii_lowercase();
        let expected = match payment.version() {
            Version::V1 => "x-payment",
            Version::V2 => "payment-signature",
        };
        assert_eq!(header, expected, "{}", vector.source);
        assert_eq!(signed.prove(&domain(&payment)), Ok(()), "{}", vector.source);
        let asked = json.pointer("/extensions/eip2612GasSponsoring").is_some();
        let approval = signed.approval.as_ref().map(|approval| approval.prove(&usdc()));
        assert_eq!(approval, asked.then_some(Ok(())), "{}", vector.source);
    }
}

#[test]
fn payments_are_sent_on_as_they_came() {
    for vector in vectors::<Payment>(include_str!("vectors/payments.json")) {
        let payment = PaymentPayload::decode(vector.value.as_bytes()).unwrap();
        let v1 = offer_v1();
        let v2: Option<PaymentRequirements> =
            vector.json.get("accepted").map(|accepted| read(accepted.clone()));
        let outgoing = match &v2 {
            Some(accepted) => OutgoingPayload::v2(accepted, &payment.payment),
            None => OutgoingPayload::v1(&v1, &payment.payment),
        };
        let header = encoding::encode_json(&outgoing).unwrap();
        let sent: Value = from_base64(&header);
        let mut expected = vector.json.clone();
        for pointer in &vector.not_sent_on {
            remove(&mut expected, pointer);
        }
        assert_eq!(addresses_folded(sent), addresses_folded(expected), "{}", vector.source);
        assert_eq!(PaymentPayload::decode(header.as_bytes()).unwrap(), payment);
    }
}

/// A header that is no payment, or one that proves nothing.
#[derive(Deserialize)]
struct Refused {
    case: String,
    value: String,
    expected: String,
}

#[test]
fn what_is_no_payment_is_told_apart() {
    for vector in vectors::<Refused>(include_str!("vectors/refused.json")) {
        let told = match PaymentPayload::decode(vector.value.as_bytes()) {
            Err(PayloadError::TooLong) => "too long",
            Err(PayloadError::Base64(_)) => "base64",
            Err(PayloadError::Json(_)) => "json",
            Err(PayloadError::Version(_)) => "version",
            Err(PayloadError::Transaction(_)) => "transaction",
            Ok(payment) => match signed(&payment).prove(&domain(&payment)) {
                Ok(()) => "good",
                Err(_) => "signature",
            },
        };
        assert_eq!(told, vector.expected, "{}", vector.case);
    }
}

/// A 402 as a server sent it.
#[derive(Deserialize)]
struct Asked {
    source: String,
    header: Option<String>,
    body: Option<String>,
    version: u8,
    /// Scheme, network and amount of each offer.
    offers: Vec<[String; 3]>,
}

#[test]
fn the_402s_of_published_servers_are_read_by_our_client() {
    for vector in vectors::<Asked>(include_str!("vectors/demands.json")) {
        let header = vector.header.as_deref().map(str::as_bytes);
        let body = vector.body.unwrap_or_default();
        let demand = Demand::read(header, body.as_bytes()).unwrap();
        let offers: Vec<_> = demand
            .offers
            .iter()
            .map(|offer| [offer.scheme.clone(), offer.network.clone(), offer.amount.clone()])
            .collect();
        assert_eq!(offers, vector.offers, "{}", vector.source);
        assert_eq!(u8::from(demand.version), vector.version, "{}", vector.source);
        assert_eq!(demand.unread, 0, "{}", vector.source);
    }
}

#[test]
fn offers_are_written_as_they_are_read() {
    for vector in vectors::<Asked>(include_str!("vectors/demands.json")) {
        let json: Value = match (&vector.header, &vector.body) {
            (Some(header), _) => from_base64(header),
            (None, body) => serde_json::from_str(body.as_deref().unwrap()).unwrap(),
        };
        for mut offer in json["accepts"].as_array().unwrap().clone() {
            remove(&mut offer, "/outputSchema");
            remove(&mut offer, "/extra/assetTransferMethod");
            let written = match vector.version {
                1 => rewritten::<PaymentRequirementsV1>(&offer),
                _ => rewritten::<PaymentRequirements>(&offer),
            };
            assert_eq!(written, offer, "{}", vector.source);
        }
    }
}

/// A receipt as a server sent it.
#[derive(Deserialize)]
struct Receipt {
    source: String,
    value: String,
    json: Value,
}

#[test]
fn receipts_of_published_servers_are_written_as_they_are_read() {
    for vector in vectors::<Receipt>(include_str!("vectors/receipts.json")) {
        let receipt: SettleResponse = read(from_base64(&vector.value));
        assert!(receipt.success && receipt.transaction.len() == 66, "{}", vector.source);
        let mut expected = vector.json;
        // One server writes what is not there as null.
        expected.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        assert_eq!(serde_json::to_value(&receipt).unwrap(), expected, "{}", vector.source);
    }
}

fn vectors<T: DeserializeOwned>(text: &str) -> Vec<T> {
    let vectors: Vec<T> = serde_json::from_str(text).unwrap();
    assert!(!vectors.is_empty());
    vectors
}

fn read<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).unwrap()
}

fn rewritten<T: DeserializeOwned + serde::Serialize>(json: &Value) -> Value {
    serde_json::to_value(read::<T>(json.clone())).unwrap()
}

fn from_base64(header: &str) -> Value {
    serde_json::from_slice(&encoding::decode(header.as_bytes()).unwrap()).unwrap()
}

fn remove(json: &mut Value, pointer: &str) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    if let Some(object) = json.pointer_mut(parent).and_then(Value::as_object_mut) {
        object.remove(key);
    }
}

/// The same JSON with hex in lower case: the case of an address says nothing to a machine.
fn addresses_folded(json: Value) -> Value {
    match json {
        Value::String(text) if text.starts_with("0x") => text.to_ascii_lowercase().into(),
        Value::Array(items) => items.into_iter().map(addresses_folded).collect(),
        Value::Object(object) => {
            object.into_iter().map(|(key, value)| (key, addresses_folded(value))).collect()
        }
        other => other,
    }
}

fn authorization(json: &Value) -> Authorization {
    let permit = &json["payload"]["permit2Authorization"];
    if permit.is_object() {
        return permitted(permit);
    }
    let field = |name: &str| json["payload"]["authorization"][name].as_str().unwrap();
    Authorization {
        from: field("from").parse().unwrap(),
        to: field("to").parse().unwrap(),
        value: number(field("value")),
        valid_after: number(field("validAfter")),
        valid_before: number(field("validBefore")),
        nonce: field("nonce").parse::<B256>().unwrap(),
        form: Form::Eip3009,
    }
}

fn permitted(permit: &Value) -> Authorization {
    let field = |pointer: &str| permit.pointer(pointer).unwrap().as_str().unwrap();
    let (token, spender) = (field("/permitted/token"), field("/spender"));
    let (token, spender) = (token.parse().unwrap(), spender.parse().unwrap());
    let facilitator = permit.pointer("/witness/facilitator");
    let facilitator = facilitator.map(|named| named.as_str().unwrap().parse().unwrap());
    let form = Permit { token, spender, facilitator };
    Authorization {
        from: field("/from").parse().unwrap(),
        to: field("/witness/to").parse().unwrap(),
        value: number(field("/permitted/amount")),
        valid_after: number(field("/witness/validAfter")),
        valid_before: number(field("/deadline")),
        nonce: number(field("/nonce")).into(),
        form: Form::Permit2(form),
    }
}

fn number(text: &str) -> U256 {
    U256::from_str_radix(text, 10).unwrap()
}

fn choice(json: &Value) -> Choice {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    if json["x402Version"] == 1 {
        let (scheme, network) = (text(&json["scheme"]), text(&json["network"]));
        return Choice::V1 { scheme: scheme.into(), network: network.into() };
    }
    let accepted = &json["accepted"];
    Choice::V2 {
        scheme: text(&accepted["scheme"]).into(),
        network: text(&accepted["network"]).into(),
        amount: text(&accepted["amount"]).parse().unwrap(),
        asset: text(&accepted["asset"]).parse().unwrap(),
        pay_to: text(&accepted["payTo"]).parse().unwrap(),
    }
}

/// What is signed on an EVM network.
fn signed(payment: &PaymentPayload) -> &SignedAuthorization {
    payment.payment.evm().unwrap()
}

/// What a payment is signed under.
pub fn domain(payment: &PaymentPayload) -> Eip712Domain {
    match signed(payment).authorization.form {
        Form::Eip3009 => usdc(),
        Form::Permit2(_) => Eip712Domain::permit2(84_532),
    }
}

/// USDC of Base Sepolia, which every vector is paid in.
fn usdc() -> Eip712Domain {
    let known = Network::eip155(84532).known().unwrap();
    let asset: Address = known.usdc.parse().unwrap();
    let evm = known.evm().unwrap();
    Eip712Domain::new(evm.eip712_name, evm.eip712_version, evm.chain_id, asset)
}

/// An offer in version 1 words; a payment repeats its scheme and network only.
pub fn offer_v1() -> PaymentRequirementsV1 {
    let asked = vectors::<Asked>(include_str!("vectors/demands.json"));
    let body = asked.into_iter().find_map(|asked| asked.body).unwrap();
    let json: Value = serde_json::from_str(&body).unwrap();
    read(json["accepts"][0].clone())
}
