//! Everything that is parsed before anybody is trusted, on changed copies of what is good: nothing
//! falls over, nothing is read in two ways, nothing is forged by chance.
//!
//! `tests/run fuzz` does a hundred times as much; `SEED=…` does the same once more.

use std::net::IpAddr;
use std::path::Path;

use alloy_primitives::hex;
use ipnet::IpNet;
use serde::Deserialize;
use tollgate::cli::pay::Demand;
use tollgate::config::Config;
use tollgate::limit::client_address;
use tollgate::route::{CanonicalPath, CanonicalQuery};
use tollgate::x402::payload::OutgoingPayload;
use tollgate::x402::{Form, PaymentPayload, SignIn, Signed, encoding};

use crate::support::dice::{Dice, rounds};
use crate::wire;

/// What stands in a vector that these tests begin with.
#[derive(Deserialize)]
struct Sample {
    value: String,
}

const JSON_WORDS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\u0000",
    "null",
    "true",
    "-1",
    "1e9",
    "0x",
    "\"\"",
    "\"x402Version\":1",
    "\"accepted\":",
    "\"authorization\":",
    "\"permit2Authorization\":",
    "\"transaction\":",
    "\"extensions\":",
    "eip155:1",
    "solana:",
    "9999999999999999999999",
    "é",
];

fn samples() -> Vec<Vec<u8>> {
    let texts = [
        include_str!("../vectors/payments.json"),
        include_str!("../vectors/solana.json"),
        include_str!("../vectors/refused.json"),
    ];
    let vectors = texts.iter().flat_map(|text| serde_json::from_str::<Vec<Sample>>(text).unwrap());
    let json = vectors.filter_map(|vector| encoding::decode(vector.value.as_bytes()).ok());
    let json: Vec<_> = json.filter(|json| json.starts_with(b"{")).collect();
    assert!(json.len() > 20);
    json
}

/// What is read is written again as what was read, and whatever is proven was signed so.
#[test]
fn payments_are_refused_or_read_in_one_way() {
    let (mut dice, samples) = (Dice::new(), samples());
    let offer = wire::offer_v1();
    let (mut read, mut proven) = (0, 0);
    for round in 0..rounds(20_000) {
        let good = &samples[dice.below(samples.len())];
        let mut json = good.clone();
        dice.mutate(&mut json, &JSON_WORDS);
        let Ok(payment) = PaymentPayload::decode(encoding::encode(&json).as_bytes()) else {
            continue;
        };
        read += 1;
        let told = || format!("SEED={} round {round}: {}", dice.seed(), hex::encode(&json));
        assert_eq!(PaymentPayload::from_json(&json).ok().as_ref(), Some(&payment), "{}", told());
        match &payment.payment {
            Signed::Evm(signed) if signed.authorization.form == Form::Eip3009 => {
                let again = serde_json::to_vec(&OutgoingPayload::v1(&offer, &payment.payment));
                let again = PaymentPayload::from_json(&again.unwrap()).unwrap();
                assert_eq!(again.payment, payment.payment, "{}", told());
                // Recovering is slow: some of them.
                if round % 8 == 0 && signed.prove(&wire::domain(&payment)).is_ok() {
                    let good = PaymentPayload::from_json(good).unwrap();
                    let first = good.payment.evm().unwrap();
                    assert_eq!(first.authorization, signed.authorization, "{}", told());
                    proven += 1;
                }
            }
            Signed::Evm(_) | Signed::Svm(_) => {}
        }
    }
    assert!(read > rounds(500), "only {read} were read: the changes are too wild");
    assert!(proven > 0, "nothing was proven");
}

/// A wallet is proven for the text that it has signed and no other.
#[test]
fn sign_ins_are_refused_or_prove_what_was_signed() {
    let mut dice = Dice::new();
    let text = include_str!("../vectors/sign_ins.json");
    let samples: Vec<Sample> = serde_json::from_str(text).unwrap();
    let (mut read, mut proven) = (0, 0);
    for round in 0..rounds(4_000) {
        let good = samples[dice.below(samples.len())].value.as_bytes();
        let mut json = encoding::decode(good).unwrap();
        dice.mutate(&mut json, &JSON_WORDS);
        let Ok(sign_in) = SignIn::read(encoding::encode(&json).as_bytes()) else { continue };
        read += 1;
        // Recovering is slow: some of them.
        if round % 4 == 0 && sign_in.prove().is_ok() {
            let told = || format!("SEED={} round {round}: {}", dice.seed(), hex::encode(&json));
            assert_eq!(sign_in.message(), SignIn::read(good).unwrap().message(), "{}", told());
            proven += 1;
        }
    }
    assert!(read > rounds(100) && proven > 0, "{read} were read, {proven} proven");
}

/// Nor does anything that is no text of ours at all.
#[test]
fn headers_of_any_bytes_are_refused_or_read() {
    let mut dice = Dice::new();
    for _ in 0..rounds(20_000) {
        let length = dice.below(400);
        let letters = b"eyJ4NDAyVmVyc2lvbiI6+/-_= \x00\xff{}";
        let bytes: Vec<u8> = (0..length).map(|_| letters[dice.below(letters.len())]).collect();
        let _ = PaymentPayload::decode(&bytes);
        let _ = Demand::read(Some(&bytes), &bytes);
        let _ = Demand::read(None, &bytes);
        for part in [CanonicalPath::new(&bytes).is_ok(), CanonicalQuery::new(&bytes).is_ok()] {
            assert!(!part || bytes.iter().all(u8::is_ascii_graphic), "{bytes:?}");
        }
    }
}

/// A server that asks for money is as hostile as a client that brings some.
#[test]
fn demands_are_refused_or_read() {
    let mut dice = Dice::new();
    let text = include_str!("../vectors/demands.json");
    let vectors: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    let bodies = vectors.iter().filter_map(|vector| vector["body"].as_str());
    let headers = vectors.iter().filter_map(|vector| vector["header"].as_str());
    let headers = headers.filter_map(|header| encoding::decode(header.as_bytes()).ok());
    let samples: Vec<Vec<u8>> = bodies.map(|body| body.into()).chain(headers).collect();
    assert!(samples.len() > 2);
    let mut read = 0;
    for _ in 0..rounds(20_000) {
        let mut json = samples[dice.below(samples.len())].clone();
        dice.mutate(&mut json, &JSON_WORDS);
        read += usize::from(Demand::read(None, &json).is_ok());
        let header = encoding::encode(&json);
        let _ = Demand::read(Some(header.as_bytes()), b"");
    }
    assert!(read > rounds(500), "only {read} were read");
}

/// The client is the peer, or somebody whom the trusted proxies have named.
#[test]
fn forwarded_addresses_are_believed_of_proxies_alone() {
    let mut dice = Dice::new();
    let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap()).into();
    let pieces = [
        "10.0.0.1",
        "fd00::1",
        "192.0.2.1",
        "2001:db8::1",
        "[2001:db8::2]:80",
        "192.0.2.2:9",
        "::ffff:10.0.0.1",
        ",",
        ", ",
        " ",
        "unknown",
        "\t",
        ":",
        "[",
        "]",
        "é",
        "fe80::1%eth0",
        "192.0.2.256",
        "0x7f.1",
        "127.1",
        "::ffff:c000:203",
    ];
    let peers = ["10.0.0.9", "192.0.2.9", "fd00::9", "2001:db8::9"];
    for round in 0..rounds(50_000) {
        let peer: IpAddr = dice.one_of(&peers).parse().unwrap();
        let lines = dice.below(4);
        let line = |dice: &mut Dice| -> String {
            (0..dice.below(12)).map(|_| dice.one_of(&pieces).to_owned()).collect()
        };
        let lines: Vec<String> = (0..lines).map(|_| line(&mut dice)).collect();
        let client = client_address(peer, lines.iter().map(String::as_str), &trusted);
        let told = || format!("SEED={} round {round}: {peer} {lines:?} {client}", dice.seed());
        if !trusted.iter().any(|net| net.contains(&peer)) {
            assert_eq!(client, peer, "{}", told());
        }
        // What was named was written there, in one form or the other.
        let written = lines.iter().flat_map(|line| line.split(',')).any(|entry| {
            let entry = entry.trim();
            let bare = entry.strip_prefix('[').and_then(|rest| rest.split(']').next());
            let port = entry.parse::<std::net::SocketAddr>().map(|socket| socket.ip());
            let found = entry.parse().or(port).or_else(|_| bare.unwrap_or_default().parse());
            found.is_ok_and(|found: IpAddr| found.to_canonical() == client)
        });
        assert!(client == peer || written, "{}", told());
    }
}

/// Whatever is in the file: it is refused in words that show no secret, or taken.
#[test]
fn configurations_are_refused_in_words_or_taken() {
    let mut dice = Dice::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(root.join("tests/config"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
        .collect();
    files.sort();
    files.push(root.join("gateway.toml"));
    let words = [
        "=",
        "[",
        "]",
        "\"",
        "'''",
        "\n",
        "{ env = \"A\" }",
        "[[routes]]",
        "price = \"$1\"",
        ".",
        "\u{feff}",
        "\0",
        "é",
        "1e400",
        "inf",
        "nan",
        "1979-05-27",
        "\"99999999999999999GB\"",
        "\"$0.0000000001\"",
        "/{a}/{a}",
        "GET //",
        "sha256:",
        "0x",
        "..",
    ];
    for round in 0..rounds(1_500) {
        let path = &files[dice.below(files.len())];
        let mut text = std::fs::read(path).unwrap();
        dice.mutate(&mut text, &words);
        let text = String::from_utf8_lossy(&text);
        let said = match Config::parse(&text, path, &|_: &str| None) {
            Ok(config) => {
                let mut said = Vec::new();
                config.explain(&mut said).unwrap();
                String::from_utf8(said).unwrap()
            }
            Err(error) => error.to_string(),
        };
        assert!(!said.is_empty(), "SEED={} round {round}: {}", dice.seed(), path.display());
    }
}
