//! The tokens of requests to a hosted facilitator, verified by npm's `jose`.

use std::fs;

use serde_json::{Value, json};
use tokio::process::Command;

use super::install::{NODE, file};
use crate::support::in_time;
use crate::support::plan::Plan;
use crate::support::server::{Reply, Server};

const KEY_ID: &str = "organizations/o/apiKeys/k";

/// RFC 8032 §7.1, TEST 1: seed and public key as CDP hands them out, and the public key as a JWK.
const ED25519: &str =
    "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
const ED25519_JWK: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// Made for these tests with `openssl ecparam -name prime256v1 -genkey`.
const ES256: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIK+fD5gw6AjwRvLtKxPACcbTJuKiVTOo6cl20D3eoo6MoAoGCCqGSM49
AwEHoUQDQgAEpbkqgcFow/ZT1bWozfIbt1HERUyNeQgiMVDqZpZaQOj4VjiJknrc
2Aol1GwAToEXd7cWlVPLHn9qd0snqkMCCg==
-----END EC PRIVATE KEY-----
";

#[tokio::test]
async fn tokens_for_cdp_are_good_in_the_eyes_of_a_published_library() {
    for (secret, public, algorithm) in [(ED25519, ED25519_JWK, "EdDSA"), (ES256, ES256, "ES256")] {
        let mut server = Server::start().await;
        let section = format!(
            "http = {{ url = \"http://{}/platform/v2/x402\", \
             auth = {{ cdp = {{ key_id = \"{KEY_ID}\", key_secret = {{ file = \"key\" }} }} }} }}",
            server.address
        );
        let write_key = |dir: &std::path::Path| fs::write(dir.join("key"), secret).unwrap();
        let plan = Plan::to("127.0.0.1:9".parse().unwrap()).facilitator(&section);
        let gateway = plan.start_after(write_key).await;
        let call = server.call().await;
        let (target, header) = (call.seen.target.clone(), call.seen.header("authorization"));
        let token = header.strip_prefix("Bearer ").unwrap().to_owned();
        call.answer(Reply::new(200).body(r#"{"kinds":[]}"#)).await;
        assert_eq!(target, "/platform/v2/x402/supported");

        let mut verify = Command::new(file(NODE));
        verify.arg(file("token.mjs")).args([&token, KEY_ID, public]);
        let output = in_time("the library's word", verify.output()).await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{algorithm}: {errors}");
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        let uri = format!("GET {}/platform/v2/x402/supported", server.address);
        assert_eq!(said["payload"]["uris"], json!([uri]));
        let head = &said["protectedHeader"];
        assert_eq!((&head["alg"], &head["kid"]), (&json!(algorithm), &json!(KEY_ID)));
        assert!(!gateway.said().contains(secret.trim()), "a key is in the log");
    }
}
