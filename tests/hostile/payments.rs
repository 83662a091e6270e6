//! Payments in forms that nobody should send: told apart from good ones before anything is claimed,
//! asked or forwarded.

use alloy_primitives::{Address, U256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::blackbox::refusals::refused;
use crate::support::client::Answer;
use crate::support::facilitator::Facilitator;
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{AMOY, BASE, PRICE, Payment, Wallet};

const MALFORMED: &str = "payment_malformed";
const INVALID: &str = "payment_invalid";

/// A gateway, and who must not hear of anything.
struct House {
    gateway: Gateway,
    facilitator: Facilitator,
    upstream: Upstream,
}

impl House {
    async fn start() -> Self {
        let (upstream, facilitator) = (Upstream::start().await, Facilitator::start().await);
        let gateway = Plan::to(upstream.address).settled_by(&facilitator).start().await;
        Self { gateway, facilitator, upstream }
    }

    async fn send(&self, name: &str, value: &str) -> Answer {
        self.gateway.ask("POST", "/paid").header(name, value).send().await
    }

    /// Nothing has been claimed, asked or forwarded.
    async fn is_untouched(&self) {
        assert!(self.gateway.ledger().await.is_empty());
        assert_eq!(self.facilitator.asked(), (0, 0));
        assert!(self.upstream.taken().is_empty());
    }

    /// A payment buys its answer, and leaves one entry.
    async fn buys(&self, what: &str, name: &str, value: &str) {
        let (entries, asked) = (self.gateway.ledger().await.len(), self.facilitator.asked());
        let answer = self.send(name, value).await;
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        assert_eq!(self.gateway.ledger().await.len(), entries + 1, "{what}");
        assert_eq!(self.facilitator.asked(), (asked.0 + 1, asked.1 + 1), "{what}");
        assert_eq!(self.upstream.taken().len(), 1, "{what}");
    }
}

fn encoded(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

/// Both spellings of a payment, each under its header.
fn both(payment: &Payment) -> [(&'static str, String); 2] {
    [
        ("PAYMENT-SIGNATURE", payment.json_v2().to_string()),
        ("X-PAYMENT", payment.json_v1().to_string()),
    ]
}

/// What is changed in the text of a payment, and into what.
fn numbers() -> Vec<(&'static str, String)> {
    let two_to_128 = U256::from(u128::MAX) + U256::ONE;
    let beyond = |digits: &str| format!("\"{digits}\"");
    // 2^256, and what the price would be if that wrapped around.
    let wrapped = "115792089237316195423570985008687907853269984665640564039457584007913129689936";
    vec![
        ("an exponent", "\"5e4\"".into()),
        ("a zero before it", "\"050000\"".into()),
        ("a plus", "\"+50000\"".into()),
        ("a minus", "\"-50000\"".into()),
        ("hex", "\"0xc350\"".into()),
        ("a point", "\"50000.0\"".into()),
        ("a comma", "\"50,000\"".into()),
        ("an underscore", "\"50_000\"".into()),
        ("a space before it", "\" 50000\"".into()),
        ("a space behind it", "\"50000 \"".into()),
        ("a line end", "\"50000\\n\"".into()),
        ("a nothing", "\"50000\\u0000\"".into()),
        ("other digits", "\"٥٠٠٠٠\"".into()),
        ("wide digits", "\"５００００\"".into()),
        ("no digits", "\"\"".into()),
        ("a word", "\"NaN\"".into()),
        ("a number", "50000".into()),
        ("a number with a point", "50000.0".into()),
        ("a number with an exponent", "5e4".into()),
        ("null", "null".into()),
        ("true", "true".into()),
        ("a list", "[\"50000\"]".into()),
        ("an object", "{\"50000\":1}".into()),
        ("more than 256 bits", beyond(wrapped)),
        ("a thousand digits", beyond(&"9".repeat(1_000))),
        ("128 bits, and the price", beyond(&(two_to_128 + U256::from(PRICE)).to_string())),
        ("64 bits", beyond("18446744073709551616")),
    ]
}

#[tokio::test]
async fn a_number_has_one_form() {
    let house = House::start().await;
    let payment = Wallet::new(1).pays();
    let signed = &payment.signed.authorization;
    let fields = [
        ("value", format!("\"value\":\"{PRICE}\"")),
        ("validAfter", format!("\"validAfter\":\"{}\"", signed.valid_after)),
        ("validBefore", format!("\"validBefore\":\"{}\"", signed.valid_before)),
        ("amount", format!("\"amount\":\"{PRICE}\"")),
    ];
    for (name, json) in both(&payment) {
        for (field, from) in &fields {
            if !json.contains(from) {
                assert_eq!((name, *field), ("X-PAYMENT", "amount"), "{json}");
                continue;
            }
            for (form, number) in numbers() {
                let sent = json.replace(from, &format!("\"{field}\":{number}"));
                let answer = house.send(name, &encoded(sent)).await;
                // A number of the right form and another size is read, and was not signed.
                let large = form == "128 bits, and the price" && *field != "amount";
                let expected = if large || form == "64 bits" { INVALID } else { MALFORMED };
                assert_eq!(answer.json()["error"], expected, "{name} {field} {form}: {answer:?}");
            }
        }
    }
    house.is_untouched().await;
    house.buys("as it is", "PAYMENT-SIGNATURE", &payment.v2()).await;
}

/// Changes of the text, and the code they are refused with.
const TEXTS: [(&str, &str, &str, &str); 30] = [
    ("two versions", "{\"x402Version\":2", "{\"x402Version\":2,\"x402Version\":2", MALFORMED),
    ("two payloads", "\"payload\":{", "\"payload\":{},\"payload\":{", MALFORMED),
    ("two accepted", "\"accepted\":{", "\"accepted\":{},\"accepted\":{", MALFORMED),
    ("two amounts", "\"amount\":", "\"amount\":\"1\",\"amount\":", MALFORMED),
    ("two values", "\"value\":", "\"value\":\"1\",\"value\":", MALFORMED),
    ("two keys, one escaped", "\"value\":", "\"v\\u0061lue\":\"1\",\"value\":", MALFORMED),
    (
        "two payees",
        "\"to\":",
        "\"to\":\"0x0000000000000000000000000000000000000001\",\"to\":",
        MALFORMED,
    ),
    ("two signatures", "\"signature\":", "\"signature\":\"0x\",\"signature\":", MALFORMED),
    ("another version", "\"x402Version\":2", "\"x402Version\":3", INVALID),
    ("a version of two kinds", "\"x402Version\":2", "\"x402Version\":1", MALFORMED),
    ("no version", "\"x402Version\":2", "\"x402Version\":0", INVALID),
    ("a negative version", "\"x402Version\":2", "\"x402Version\":-2", MALFORMED),
    ("a version with a point", "\"x402Version\":2", "\"x402Version\":2.0", MALFORMED),
    (
        "a version beyond all",
        "\"x402Version\":2",
        "\"x402Version\":18446744073709551618",
        MALFORMED,
    ),
    ("another chain", "eip155:84532", "eip155:8453", INVALID),
    ("a chain with a zero", "eip155:84532", "eip155:084532", INVALID),
    ("a chain in capitals", "eip155:84532", "EIP155:84532", INVALID),
    ("a chain and a space", "eip155:84532", "eip155:84532 ", INVALID),
    ("a chain by its other name", "eip155:84532", "base-sepolia", INVALID),
    ("no chain", "eip155:84532", "", INVALID),
    ("another scheme", "\"exact\"", "\"upto\"", INVALID),
    ("a scheme in capitals", "\"exact\"", "\"EXACT\"", INVALID),
    ("another nonce", "\"nonce\":\"0x", "\"nonce\":\"0x0x", MALFORMED),
    ("a nonce without its sign", "\"nonce\":\"0x", "\"nonce\":\"", MALFORMED),
    ("a nonce in capitals", "\"nonce\":\"0x", "\"nonce\":\"0X", MALFORMED),
    ("a trailing word", "}}}", "}}}x", MALFORMED),
    ("two payments in one", "{\"x402Version\"", "{}{\"x402Version\"", MALFORMED),
    ("a mark of bytes' order", "{\"x402Version\"", "\u{feff}{\"x402Version\"", MALFORMED),
    ("a comment", "{\"x402Version\"", "{/**/\"x402Version\"", MALFORMED),
    ("a last comma", "\"payload\":{", "\"payload\":{,", MALFORMED),
];

#[tokio::test]
async fn an_object_has_one_reading() {
    let house = House::start().await;
    let payment = Wallet::new(1).pays();
    // In the order in which the rows name its parts.
    let v2 = payment.json_v2();
    let json = format!(
        "{{\"x402Version\":2,\"accepted\":{},\"payload\":{},\"last\":{{\"a\":{{}}}}}}",
        v2["accepted"], v2["payload"]
    );
    for (name, from, to, code) in TEXTS {
        assert!(json.contains(from), "{name} changes nothing");
        let changed = json.replacen(from, to, 1);
        let answer = house.send("PAYMENT-SIGNATURE", &encoded(changed)).await;
        assert_eq!(answer.json()["error"], code, "{name}: {answer:?}");
    }
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (name, from, to) in [
        ("deep in a number", "\"value\":", format!("\"value\":{},\"old\":", deep(5_000))),
        ("deep in the terms", "\"amount\":", format!("\"amount\":{},\"old\":", deep(5_000))),
        (
            "deep and open",
            "\"payload\":{",
            format!("\"payload\":{{\"a\":{}", "{\"a\":".repeat(1_500)),
        ),
    ] {
        let answer = house.send("PAYMENT-SIGNATURE", &encoded(json.replacen(from, &to, 1))).await;
        assert_eq!(answer.json()["error"], MALFORMED, "{name}");
    }
    house.is_untouched().await;
    // What nobody reads may be as deep as it likes.
    let aside = json.replacen("\"last\":", &format!("\"aside\":{},\"last\":", deep(5_000)), 1);
    house.buys("deep beside it", "PAYMENT-SIGNATURE", &encoded(aside)).await;
}

/// Bytes that are no base64, or not of one text.
#[tokio::test]
async fn a_header_has_one_text() {
    let house = House::start().await;
    let payment = Wallet::new(1).pays();
    let good = payment.v2();
    let (first, second) = good.split_at(good.len() / 2);
    let json = payment.json_v2().to_string();
    let utf16: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, value) in [
        ("a space in it", format!("{first} {second}")),
        ("a tab in it", format!("{first}\t{second}")),
        ("a comma in it", format!("{first},{second}")),
        ("two of one", format!("{good},{good}")),
        ("an end in it", format!("{first}={second}")),
        ("too many ends", format!("{good}====")),
        ("both alphabets", format!("{good}-/")),
        ("quotes", format!("\"{good}\"")),
        ("a scheme", format!("Bearer {good}")),
        ("escapes", good.replace('=', "%3D").replace('A', "%41")),
        ("base64 twice", encoded(&good)),
        ("no base64", json.clone()),
        ("wide letters", encoded(utf16)),
        ("a nothing behind it", encoded(format!("{json}\0"))),
        ("no text", encoded([0xff_u8, 0xfe, 0x00])),
        ("null", encoded("null")),
        ("a text", encoded("\"a\"")),
        ("a number", encoded("2")),
        ("a list of it", encoded(format!("[{json}]"))),
        ("too long by one", "A".repeat(16 * 1024 + 1)),
    ] {
        for header in ["PAYMENT-SIGNATURE", "X-PAYMENT", "X-PAYMENT-RESPONSE"] {
            let answer = house.send(header, &value).await;
            assert_eq!(answer.json()["error"], MALFORMED, "{header} {name}: {answer:?}");
        }
    }
    house.is_untouched().await;
    // White space around a value is HTTP's.
    house.buys("space around it", "PAYMENT-SIGNATURE", &format!("  {good} \t")).await;
}

/// Signatures that are none, of every length and form.
#[tokio::test]
async fn a_signature_proves_one_payer() {
    let house = House::start().await;
    let payment = Wallet::new(1).pays();
    let good = payment.signed.signature.to_vec();
    let with = |at: usize, byte: u8| {
        let mut signature = good.clone();
        signature[at] = byte;
        signature
    };
    let halves = |r: u8, s: u8, v: u8| [vec![r; 32], vec![s; 32], vec![v]].concat();
    let mut rows = vec![
        ("nothing", Vec::new()),
        ("one byte", vec![27]),
        ("64 bytes", good[..64].to_vec()),
        ("66 bytes", [&good[..], &[0]].concat()),
        ("itself twice", [&good[..], &good[..]].concat()),
        ("another recovery byte", with(64, if good[64] == 27 { 28 } else { 27 })),
        ("a recovery byte of nobody", with(64, 29)),
        ("a recovery byte of a chain", with(64, 26)),
        ("zeros", halves(0, 0, 27)),
        ("a zero r", halves(0, 1, 27)),
        ("a zero s", halves(1, 0, 27)),
        ("ones", halves(0xff, 0xff, 28)),
        ("many bytes", vec![1; 5_000]),
    ];
    // What makes a wallet of a factory's words, with nothing in it.
    let wrapped = [vec![0; 96], [0x64, 0x92].repeat(16)].concat();
    rows.push(("a wrapped nothing", wrapped));
    for (name, signature) in rows {
        let forged = payment.clone().then(|it| it.signed.signature = signature.into());
        for (header, json) in both(&forged) {
            let answer = house.send(header, &encoded(json)).await;
            refused(&answer, INVALID);
            assert_eq!(answer.json()["reason"], "invalid_exact_evm_payload_signature", "{name}");
        }
    }
    // A zero signature proves nobody, not even nobody's own address.
    let nobody = payment.clone().then(|it| {
        it.signed.authorization.from = Address::ZERO;
        it.signed.signature = vec![0; 65].into();
    });
    refused(&house.send("PAYMENT-SIGNATURE", &nobody.v2()).await, INVALID);
    house.is_untouched().await;
    house.buys("as it is", "X-PAYMENT", &payment.v1()).await;
}

/// Payments that are good elsewhere, and echoes that are not what was offered.
#[tokio::test]
async fn a_payment_is_for_what_was_offered_here() {
    let house = House::start().await;
    let wallet = Wallet::new(1);
    let sepolia = |payment: Payment| payment.then(|it| it.accepted = wallet.pays().accepted);
    let change =
        |field: &'static str, value: Value| wallet.pays().then(|it| it.accepted[field] = value);
    let other = "0x0000000000000000000000000000000000000009";
    let rows = [
        ("another chain", wallet.pays_at(AMOY, PRICE)),
        ("another chain, called ours", sepolia(wallet.pays_at(AMOY, PRICE))),
        ("a chain of real money, called ours", sepolia(wallet.pays_at(BASE, PRICE))),
        ("another asset, called ours", sepolia(wallet.permits(Address::repeat_byte(8)))),
        ("less", wallet.signs(|it| it.value = U256::ONE)),
        ("nothing", wallet.signs(|it| it.value = U256::ZERO)),
        ("the price with two decimals", wallet.signs(|it| it.value = U256::from(5))),
        ("the price with 18 decimals", wallet.pays_units(50_000_000_000_000_000)),
        ("everything", wallet.signs(|it| it.value = U256::MAX)),
        ("the payer itself", wallet.signs(|it| it.to = wallet.address())),
        ("nobody", wallet.signs(|it| it.to = Address::ZERO)),
        ("a window that never opens", wallet.signs(|it| it.valid_after = U256::MAX)),
        ("a window that ends before it opens", wallet.signs(|it| it.valid_before = U256::ZERO)),
        ("an echo of less", change("amount", json!("1"))),
        ("an echo of more", change("amount", json!("50001"))),
        ("an echo of another payee", change("payTo", json!(other))),
        ("an echo of another asset", change("asset", json!(other))),
        ("an echo of another scheme", change("scheme", json!("exact "))),
        ("an echo of another chain", change("network", json!("eip155:1"))),
    ];
    for (name, payment) in rows {
        let answer = house.send("PAYMENT-SIGNATURE", &payment.v2()).await;
        assert_eq!(answer.json()["error"], INVALID, "{name}: {answer:?}");
        assert_eq!(answer.json()["consumed"], false, "{name}");
    }
    house.is_untouched().await;
    // What says nothing of the money may be echoed as it likes.
    let good = wallet.pays().then(|it| {
        it.accepted["extra"] = json!({ "name": "Other", "version": "9" });
        it.accepted["maxTimeoutSeconds"] = json!(1);
        it.accepted["payTo"] = json!(it.accepted["payTo"].as_str().unwrap().to_lowercase());
        it.accepted["more"] = json!([1, 2]);
    });
    house.buys("another echo of the rest", "PAYMENT-SIGNATURE", &good.v2()).await;
}

/// Whoever sends headers without measure is told so, and not read.
#[tokio::test]
async fn a_header_without_measure_is_not_read() {
    let house = House::start().await;
    let long = house.send("PAYMENT-SIGNATURE", &"A".repeat(33_000)).await;
    refused(&long, "headers_too_large");
    let far = house.gateway.ask("POST", "/paid").header("X-PAYMENT", &"A".repeat(2_000_000));
    if let Ok(answer) = far.try_send().await {
        assert!(matches!(answer.status, 400 | 431), "{answer:?}");
    }
    let good = Wallet::new(1).pays();
    // Ten good ones are one; ten others disagree.
    let ask = (0..10)
        .fold(house.gateway.ask("POST", "/paid"), |ask, at| ask.pays(&Wallet::new(at + 1).pays()));
    refused(&ask.send().await, "payments_disagree");
    house.is_untouched().await;
    let ask = (0..10).fold(house.gateway.ask("POST", "/paid"), |ask, _| ask.pays(&good));
    assert_eq!(ask.pays_v1(&good).send().await.status, 200);
    assert_eq!((house.facilitator.asked(), house.gateway.ledger().await.len()), ((1, 1), 1));
}
