//! Tokens are checked with ring here, and by a published library in `tests/e2e`.

use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use serde_json::{Value, json};

use super::*;

/// RFC 8032 §7.1, TEST 1: seed, then public key.
pub(crate) const ED25519_KEY: &str =
    "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";

/// Made for these tests with `openssl ecparam -name prime256v1 -genkey`.
const SEC1: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIK+fD5gw6AjwRvLtKxPACcbTJuKiVTOo6cl20D3eoo6MoAoGCCqGSM49
AwEHoUQDQgAEpbkqgcFow/ZT1bWozfIbt1HERUyNeQgiMVDqZpZaQOj4VjiJknrc
2Aol1GwAToEXd7cWlVPLHn9qd0snqkMCCg==
-----END EC PRIVATE KEY-----
";

/// The same key.
const PKCS8: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgr58PmDDoCPBG8u0r
E8AJxtMm4qJVM6jpyXbQPd6ijoyhRANCAASluSqBwWjD9lPVtajN8hu3UcRFTI15
CCIxUOpmllpA6PhWOImSetzYCiXUbABOgRd3txaVU8sef2p3SyeqQwIK
-----END PRIVATE KEY-----
";

const P384: &str = "-----BEGIN EC PRIVATE KEY-----
MIGkAgEBBDAdwmr4lyrtu8sasf/3kzDwXAnSCYaxTi8as5slMDykKyCklA4b5+U+
NCWAi63/v6agBwYFK4EEACKhZANiAATc5xaQZPFxpeBz/Zazuy8TiGyNfq+FMnSn
EMZVoE6fSbJEEaDyILX5eMJTyVkibTgUsnSDjCutQ1qPLoD3sOsjmNpJMixO8cS+
NXPzObg+uFBqyw8AgSVCPcnj3f3CqNc=
-----END EC PRIVATE KEY-----
";

const NOW: UnixMillis = UnixMillis::new(1_700_000_100_000);

fn object(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[track_caller]
fn check(secret: &str, algorithm: &str) {
    let key = CdpKey::new("organizations/o/apiKeys/k", secret).unwrap();
    let uri = "POST api.cdp.coinbase.com/platform/v2/x402/verify";
    let token = key.token(uri, NOW).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    let (head, claims) = (object(head), object(claims));
    let nonce = head["nonce"].as_str().unwrap();
    assert_eq!(nonce.len(), 32, "{nonce}");
    let kid = "organizations/o/apiKeys/k";
    assert_eq!(head, json!({"alg": algorithm, "kid": kid, "typ": "JWT", "nonce": nonce}));
    let began = 1_700_000_100 - 30;
    let expected = json!({"sub": kid, "iss": "cdp", "iat": began, "nbf": began,
        "exp": began + 120, "uris": [uri]});
    assert_eq!(claims, expected);
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let verified = match algorithm {
        "EdDSA" => {
            UnparsedPublicKey::new(&ED25519, key.public()).verify(signed.as_bytes(), &signature)
        }
        _ => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public())
            .verify(signed.as_bytes(), &signature),
    };
    assert!(verified.is_ok(), "{token}");
    assert_ne!(key.token(uri, NOW).unwrap(), token, "no two are the same");
}

#[test]
fn both_kinds_of_keys_sign_in_every_spelling() {
    check(ED25519_KEY, "EdDSA");
    check(&format!("{ED25519_KEY}\n"), "EdDSA");
    for pem in [SEC1, PKCS8] {
        check(pem, "ES256");
        // As it stands in a JSON file, and so in many an environment.
        check(&pem.replace('\n', "\\n"), "ES256");
        check(&pem.replace('\n', "\r\n"), "ES256");
    }
}

#[test]
fn what_is_no_key_says_what_a_key_is_and_nothing_of_itself() {
    let half = STANDARD.encode([7; 32]);
    let strangers = STANDARD.encode([7; 64]);
    let broken = SEC1.replace("MHcCAQEE", "MHcCAQEF");
    for (secret, error) in [
        ("", CdpKeyError::Length(0)),
        ("hunter2!", CdpKeyError::Form),
        (half.as_str(), CdpKeyError::Length(32)),
        (strangers.as_str(), CdpKeyError::Halves),
        (P384, CdpKeyError::Curve),
        (broken.as_str(), CdpKeyError::Curve),
        ("-----BEGIN EC PRIVATE KEY-----", CdpKeyError::Curve),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", CdpKeyError::Curve),
    ] {
        let found = CdpKey::new("id", secret).unwrap_err();
        assert_eq!(found, error, "{secret}");
        assert!(secret.is_empty() || !found.to_string().contains(secret));
    }
    assert_eq!(CdpKey::new(" ", ED25519_KEY).unwrap_err(), CdpKeyError::Id);
    assert_eq!(CdpKey::new(&"x".repeat(257), ED25519_KEY).unwrap_err(), CdpKeyError::Id);
}

#[test]
fn a_key_is_never_printed() {
    let key = CdpKey::new("id", ED25519_KEY).unwrap();
    assert_eq!(format!("{key:?}"), "requests signed for CDP, Ed25519");
}
