//! Sign-ins of the published client, and what is wrong with others.

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

/// A sign-in as npm's client sends it, and the text that it has signed.
#[derive(Deserialize)]
struct Vector {
    source: String,
    case: String,
    value: String,
    message: String,
    address: Account,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../../../tests/vectors/sign_ins.json")).unwrap()
}

#[test]
fn what_the_published_client_signs_is_read_and_proven() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 14);
    for Vector { source, case, value, message, address } in vectors {
        let read = SignIn::read(value.as_bytes()).unwrap();
        assert_eq!(read.message(), message, "{source}: {case}");
        assert_eq!((read.address, read.prove()), (address, Ok(())), "{source}: {case}");
    }
}

fn changed(number: usize, change: impl FnOnce(&mut Value)) -> Result<SignIn, SignInReason> {
    let json = encoding::decode(vectors()[number].value.as_bytes()).unwrap();
    let mut json: Value = serde_json::from_slice(&json).unwrap();
    change(&mut json);
    SignIn::read(encoding::encode(json.to_string().as_bytes()).as_bytes())
}

/// The first two vectors are the least that there is, on either kind of network.
#[test]
fn another_text_or_another_wallet_is_not_proven() {
    for number in [0, 1] {
        for key in ["domain", "uri", "nonce", "issuedAt", "expirationTime", "statement"] {
            let read = changed(number, |json| json[key] = "something-else".into()).unwrap();
            assert_eq!(read.prove(), Err(SignInReason::Signature), "{key}");
        }
        let read = changed(number, |json| json["resources"] = json!(["https://a.example"]));
        assert_eq!(read.unwrap().prove(), Err(SignInReason::Signature));
        for signature in ["", "0x", "0xzz", "1", "0x00"] {
            let read = changed(number, |json| json["signature"] = signature.into()).unwrap();
            assert_eq!(read.prove(), Err(SignInReason::Signature), "{signature}");
        }
    }
    let other = "0x00000000000000000000000000000000000CA5E0";
    let read = changed(0, |json| json["address"] = other.into()).unwrap();
    assert_eq!(read.prove(), Err(SignInReason::Signature));
    let asked = read.by_contract().unwrap();
    assert_eq!((asked.wallet.to_string().as_str(), asked.signature.len()), (other, 65));
    let solana =
        changed(1, |json| json["chainId"] = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".into());
    let solana = solana.unwrap();
    assert_eq!(solana.prove(), Err(SignInReason::Signature));
    assert_eq!(solana.by_contract(), None);
}

/// Such a key takes one signature for many messages. Source: npm `verifySolanaSignature`.
#[test]
fn a_key_of_small_order_proves_nothing() {
    let read = changed(1, |json| {
        json["address"] = "11111111111111111111111111111111".into();
        json["signature"] = "1".repeat(64).into();
    });
    assert_eq!(read.unwrap().prove(), Err(SignInReason::Signature));
}

#[test]
fn an_address_is_read_in_any_case_and_signed_with_its_checksum() {
    let lower = |json: &mut Value| {
        let address = json["address"].as_str().unwrap().to_lowercase();
        json["address"] = address.into();
    };
    assert_eq!(changed(0, lower).unwrap().prove(), Ok(()));
}

/// What somebody writes into a header that was good.
type Mistake = fn(&mut Value);

#[test]
fn what_is_none_is_told_apart() {
    let rows: [(Mistake, SignInReason); 9] = [
        (|json| json["version"] = "2".into(), SignInReason::Malformed),
        (|json| json["type"] = "ed25519".into(), SignInReason::Malformed),
        (|json| json["type"] = "eip1271".into(), SignInReason::Malformed),
        (|json| json["statement"] = "two\nlines".into(), SignInReason::Malformed),
        (
            |json| json["resources"] = json!(["https://a.example/\r\nURI: b"]),
            SignInReason::Malformed,
        ),
        (|json| json["nonce"] = 7.into(), SignInReason::Malformed),
        (|json| json["address"] = "nobody".into(), SignInReason::Malformed),
        (|json| json["chainId"] = "cosmos:cosmoshub-4".into(), SignInReason::Chain),
        (
            |json| json["chainId"] = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1".into(),
            SignInReason::Chain,
        ),
    ];
    for (change, reason) in rows {
        assert_eq!(changed(0, change), Err(reason));
    }
    let long = vec![b'A'; SIGN_IN_BYTES_MAX + 4];
    for value in [&b""[..], b"*", b"bnVsbA==", &long] {
        assert_eq!(SignIn::read(value), Err(SignInReason::Malformed));
    }
}

#[test]
fn reasons_are_told_apart() {
    let mut codes: Vec<_> = SignInReason::ALL.iter().map(|reason| reason.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), SignInReason::ALL.len());
}
