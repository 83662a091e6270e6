//! Answers of facilitators, changed at random: none is believed that does not say what it must.

use super::*;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((word ^ (word >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
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
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            let to = at + self.below((bytes.len() - at).min(30) + 1);
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 => drop(bytes.drain(at..to)),
                2 => bytes.truncate(at),
                3 => bytes.insert(at, u8::try_from(self.below(128)).unwrap()),
                _ => drop(bytes.splice(at..to, WORDS[self.below(WORDS.len())].bytes())),
            }
        }
    }
}

#[test]
fn no_changed_answer_is_believed_that_does_not_say_so() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("SEED").unwrap_or_else(|| getrandom::u64().unwrap());
    eprintln!("SEED={seed}");
    let rounds = 20_000 * number("FUZZ").unwrap_or(1);
    let mut dice = Dice(seed);
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
    for round in 0..rounds {
        let mut body = samples[dice.below(samples.len())].clone().into_bytes();
        if round % 50 != 0 {
            dice.mutate(&mut body);
        }
        let status = StatusCode::from_u16(statuses[dice.below(statuses.len())]).unwrap();
        let answer = Answer { status, pause: None, body: body.clone() };
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let told = || format!("SEED={seed} round {round}: {status} {}", body.escape_ascii());
        let ours = |said: &Value| match &said["payer"] {
            Value::Null => true,
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
