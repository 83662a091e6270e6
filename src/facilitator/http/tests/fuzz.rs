//! Answers of facilitators, changed at random: none is believed that does not say what it must.

use super::*;

use crate::x402::dice::{Dice, rounds};

/// What stands in answers, or nearly.
const WORDS: [&str; 14] = [
    "true",
    "false",
    "null",
    "\"success\":true,",
    "\"isValid\":true,",
    "\"payer\":",
    "{",
    "}",
    "\"\"",
    "1",
    "[",
    "]",
    "\"network\":\"eip155:1\",",
    "insufficient_funds",
];

#[test]
fn no_changed_answer_is_believed_that_does_not_say_so() {
    let mut dice = Dice::new();
    let seed = dice.seed();
    let (order, payer) = (order(1), order(1).payer());
    let samples = [
        success(json!({})),
        failure(json!({ "errorReason": "insufficient_funds" })),
        failure(json!({ "errorReason": "unexpected_settle_error", "transaction": HASH })),
        json!({ "isValid": true, "payer": payer }).to_string(),
        json!({ "isValid": false, "invalidReason": "insufficient_funds" }).to_string(),
    ];
    let statuses = [200, 201, 302, 400, 402, 403, 408, 422, 429, 500, 503];
    let (mut settled, mut good) = (0, 0);
    for round in 0..rounds(20_000) {
        let mut body = samples[dice.below(samples.len())].clone().into_bytes();
        if round % 50 != 0 {
            dice.mutate(&mut body, &WORDS);
        }
        let status = StatusCode::from_u16(statuses[dice.below(statuses.len())]).unwrap();
        let answer = Answer { status, pause: None, body: body.clone() };
        // What nobody reads of an answer need not be text.
        let said = String::from_utf8_lossy(&body);
        let said: Value = serde_json::from_str(&said).unwrap_or_default();
        let told = || format!("SEED={seed} round {round}: {status} {}", body.escape_ascii());
        let ours = |said: &Value| match &said["payer"] {
            Value::Null => true,
            // Some write it so when they do not know.
            Value::String(text) if text.is_empty() => true,
            Value::String(text) => {
                text.parse().is_ok_and(|said: crate::x402::Account| said == payer)
            }
            _ => false,
        };
        match outcome(&answer, &order) {
            Outcome::Settled { transaction } => {
                assert!(status.is_success() && said["success"] == true, "{}", told());
                assert!(ours(&said) && said["network"] == "eip155:84532", "{}", told());
                let named = said["transaction"].as_str().unwrap_or_default();
                assert!(named.eq_ignore_ascii_case(&transaction), "{}", told());
                settled += 1;
            }
            Outcome::Rejected(_) => assert_eq!(said["success"], false, "{}", told()),
            Outcome::NotSent(_) | Outcome::Unknown { .. } => {}
        }
        if verdict(&answer, &order).is_ok_and(|verdict| verdict == Verdict::Good) {
            assert!(status.is_success() && said["isValid"] == true, "{}", told());
            assert!(ours(&said), "{}", told());
            good += 1;
        }
    }
    assert!(settled > 0 && good > 0, "the changes are too wild");
}
