//! Payments as they are on the wire, and what is not a payment.

use alloy_primitives::U256;

use super::*;
use crate::x402::Form;
use crate::x402::permit2::{EXACT_PROXY, PERMIT2};
use crate::x402::requirements::{AssetTransferMethod, EvmExtra, Extra};

const V2: &str = r#"{"x402Version":2,"payload":{"authorization":{"from":"0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65","to":"0x90F79bf6EB2c4f870365E785982E1f101E93b906","value":"1000","validAfter":"0","validBefore":"1795246440","nonce":"0xc15777e60dbaf6b201f56670c1ca509fb5403a3a0dd56cc0756f79e218f171fc"},"signature":"0x0f17"},"resource":{"url":"http://127.0.0.1/paid"},"accepted":{"scheme":"exact","network":"eip155:84532","amount":"1000","asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","payTo":"0x90F79bf6EB2c4f870365E785982E1f101E93b906","maxTimeoutSeconds":300,"extra":{"name":"USDC","version":"2"}}}"#;
const V1: &str = r#"{"x402Version":1,"scheme":"exact","network":"base-sepolia","payload":{"signature":"0x0f17","authorization":{"from":"0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65","to":"0x90F79bf6EB2c4f870365E785982E1f101E93b906","value":"1000","validAfter":"0","validBefore":"1795246440","nonce":"0xc15777e60dbaf6b201f56670c1ca509fb5403a3a0dd56cc0756f79e218f171fc"}}}"#;

#[track_caller]
fn refused(text: &str, from: &str, to: &str) {
    assert!(text.contains(from), "the row changes nothing: {from}");
    let changed = text.replace(from, to);
    assert!(PaymentPayload::from_json(changed.as_bytes()).is_err(), "{changed}");
}

#[test]
fn both_versions_carry_the_same_payment() {
    let v1 = PaymentPayload::from_json(V1.as_bytes()).unwrap();
    let v2 = PaymentPayload::from_json(V2.as_bytes()).unwrap();
    assert_eq!(v1.payment, v2.payment);
    assert_eq!((v1.version(), v2.version()), (Version::V1, Version::V2));
    assert_eq!(v2.payment.evm().unwrap().authorization.value, U256::from(1000));
}

#[test]
fn numbers_have_one_spelling() {
    for number in [r#""1e3""#, r#""01000""#, r#""-1""#, r#""+1""#, r#""""#, r#""0x3e8""#, "1000"] {
        refused(V2, r#""value":"1000""#, &format!(r#""value":{number}"#));
    }
    let too_large =
        "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    refused(V2, r#""value":"1000""#, &format!(r#""value":"{too_large}""#));
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    refused(V2, r#""value":"1000","#, r#""value":"1000","value":"1","#);
    refused(V2, r#"{"x402Version":2,"#, r#"{"x402Version":2,"x402Version":1,"#);
}

#[test]
fn addresses_and_nonces_have_their_length() {
    refused(V2, "0xc15777", "0x5777");
    refused(V2, "0x15d34AAf", "15d34AAf");
    refused(V2, "0x15d34AAf", "0x0x15d34AAf");
}

#[test]
fn other_versions_and_missing_parts_are_refused() {
    refused(V2, r#""x402Version":2"#, r#""x402Version":3"#);
    refused(V2, r#""accepted""#, r#""rejected""#);
    refused(V1, r#""scheme":"exact","#, "");
    refused(V1, r#""payload""#, r#""load""#);
}

#[test]
fn a_header_beyond_the_bound_is_not_decoded() {
    let long = vec![b'A'; PAYLOAD_BYTES_MAX + 1];
    assert!(matches!(PaymentPayload::decode(&long), Err(PayloadError::TooLong)));
}

#[test]
fn deep_nesting_costs_no_stack() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let ignored = V2.replace(r#""payload":{"#, &format!(r#""x":{deep},"payload":{{"#));
    assert!(PaymentPayload::from_json(ignored.as_bytes()).is_ok());
    let read = V2.replace(r#""value":"1000""#, &format!(r#""value":{deep}"#));
    assert!(PaymentPayload::from_json(read.as_bytes()).is_err());
}

#[test]
fn what_is_sent_on_reads_back_the_same() {
    let read = PaymentPayload::from_json(V2.as_bytes()).unwrap();
    let value: serde_json::Value = serde_json::from_str(V2).unwrap();
    let accepted: PaymentRequirements = serde_json::from_value(value["accepted"].clone()).unwrap();
    let sent = serde_json::to_vec(&OutgoingPayload::v2(&accepted, &read.payment)).unwrap();
    assert_eq!(PaymentPayload::from_json(&sent).unwrap(), read);

    // Whoever settles may tell a catalogue what was paid for.
    let (url, description) = ("https://api.example.com/a".into(), Box::default());
    let resource = Resource { url, description, mime_type: Box::default() };
    let known = Catalogued { resource, bazaar: serde_json::json!({ "info": {} }) };
    let told = OutgoingPayload::v2(&accepted, &read.payment).catalogued(Some(&known));
    let told = serde_json::to_value(&told).unwrap();
    assert_eq!(told["resource"]["url"], "https://api.example.com/a");
    assert_eq!(told["extensions"]["bazaar"], known.bazaar);
    let same = serde_json::to_vec(&OutgoingPayload::v2(&accepted, &read.payment).catalogued(None));
    assert_eq!(same.unwrap(), sent);
}

const PERMIT: &str = r#"{"x402Version":2,"payload":{"permit2Authorization":{"from":"0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65","permitted":{"token":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","amount":"1000"},"spender":"0x402085c248EeA27D92E8b30b2C58ed07f9E20001","nonce":"9","deadline":"1795246440","witness":{"to":"0x90F79bf6EB2c4f870365E785982E1f101E93b906","validAfter":"0"}},"signature":"0x0f17"},"accepted":{"scheme":"exact","network":"eip155:84532","amount":"1000","asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","payTo":"0x90F79bf6EB2c4f870365E785982E1f101E93b906"},"extensions":{"eip2612GasSponsoring":{"info":{"version":"1","from":"0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65","asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","spender":"0x000000000022D473030F116dDEE9F6B43aC78BA3","amount":"1000","nonce":"3","deadline":"1795246440","signature":"0x0f18"}}}}"#;

#[test]
fn a_permit_is_read_with_its_approval() {
    let read = PaymentPayload::from_json(PERMIT.as_bytes()).unwrap().payment;
    let read = read.evm().unwrap().clone();
    let Form::Permit2(permit) = read.authorization.form else { panic!("{read:?}") };
    assert_eq!(permit.spender, EXACT_PROXY);
    assert_eq!(read.authorization.nonce, alloy_primitives::B256::with_last_byte(9));
    let approval = read.approval.unwrap();
    assert_eq!((approval.spender, approval.token), (PERMIT2, permit.token));
    assert_eq!((approval.nonce, &*approval.signature), (U256::from(3), [0x0f, 0x18].as_slice()));
}

#[test]
fn an_extension_that_signs_nothing_is_an_echo() {
    for (from, to) in [
        (r#","signature":"0x0f18""#, ""),
        (r#""info""#, r#""schema""#),
        ("eip2612GasSponsoring", "bazaar"),
        (r#""extensions""#, r#""extension""#),
    ] {
        assert!(PERMIT.contains(from));
        let read = PaymentPayload::from_json(PERMIT.replace(from, to).as_bytes()).unwrap();
        assert_eq!(read.payment.evm().unwrap().approval, None, "{from}");
    }
}

#[test]
fn what_is_no_permit_is_refused() {
    for (from, to) in [
        (r#""amount":"1000"},"spender""#, r#""amount":1000},"spender""#),
        (r#""nonce":"9""#, r#""nonce":"0x9""#),
        (r#""nonce":"9","#, ""),
        (r#""deadline":"1795246440","witness""#, r#""deadline":"soon","witness""#),
        (r#""validAfter":"0""#, r#""validAfter":"00""#),
        (r#""witness""#, r#""wit""#),
        (r#""permitted""#, r#""permitting""#),
        (r#""payload":{"#, r#""payload":{"authorization":null,"permit2Authorization":null,"#),
        (r#""nonce":"3""#, r#""nonce":"-3""#),
        (r#""amount":"1000","nonce""#, r#""nonce""#),
        (r#"{"info""#, r#"{"info":1,"info""#),
        (r#""extensions":{"#, r#""extensions":[{"#),
    ] {
        refused(PERMIT, from, to);
    }
    let both = V2.replace(r#""payload":{"#, r#""payload":{"permit2Authorization":PERMIT,"#);
    let start = PERMIT.find(r#"{"from""#).unwrap();
    let permit = &PERMIT[start..PERMIT.find(r#","signature":"0x0f17""#).unwrap()];
    assert!(PaymentPayload::from_json(both.replace("PERMIT", permit).as_bytes()).is_err());
}

#[test]
fn a_permit_is_sent_on_as_it_came() {
    let read = PaymentPayload::from_json(PERMIT.as_bytes()).unwrap();
    let accepted = PaymentRequirements {
        scheme: "exact".into(),
        network: "eip155:84532".parse().unwrap(),
        amount: AtomicAmount::new(1000),
        asset: "0x036CbD53842c5426634e7929541eC2318f3dCF7e".parse().unwrap(),
        pay_to: "0x90F79bf6EB2c4f870365E785982E1f101E93b906".parse().unwrap(),
        max_timeout_seconds: 300,
        extra: Extra::Evm(EvmExtra {
            method: AssetTransferMethod::Permit2,
            domain: None,
            facilitator: None,
        }),
    };
    let sent = serde_json::to_vec(&OutgoingPayload::v2(&accepted, &read.payment)).unwrap();
    assert_eq!(PaymentPayload::from_json(&sent).unwrap(), read);
}
