//! Paths in every spelling that a generator finds, against the real process: what the upstream
//! reads is what was sent, byte for byte, and no unpaid spelling means what is priced.

use crate::support::dice::{Dice, rounds};
use crate::support::plan::{PRICED, Plan};
use crate::support::raw::Raw;
use crate::support::upstream::Upstream;

/// Patterns that are priced; an upstream that is as lax as can be serves them for these paths.
const PRICED_PATTERNS: [&str; 4] =
    ["/paid/a", "/shop/{id}/image", "/vault/*", "/free/but/not/this"];

/// How often each gateway is asked.
const ROUNDS: usize = 3_000;

#[tokio::test]
async fn no_spelling_of_a_priced_path_is_served_beside_free_folders() {
    holds(&["/free/*", "/shop/{id}", "/paid/b"]).await;
}

#[tokio::test]
async fn no_spelling_of_a_priced_path_is_served_beside_a_free_rest() {
    holds(&["/*"]).await;
}

#[tokio::test]
async fn no_spelling_of_a_priced_path_is_served_beside_free_parameters() {
    holds(&["/{a}", "/{a}/{b}", "/{a}/{b}/{c}/*", "/free/*"]).await;
}

async fn holds(free: &[&str]) {
    let upstream = Upstream::start().await;
    let mut plan = Plan::to(upstream.address).no_routes().server("access_log = \"off\"");
    for pattern in PRICED_PATTERNS {
        plan = plan.route(&format!("match = \"GET {pattern}\""), PRICED);
    }
    for pattern in free {
        plan = plan.route(&format!("match = \"GET {pattern}\""), "price = \"free\"");
    }
    let gateway = plan.start().await;
    let mut dice = Dice::new();
    let mut raw = Raw::open(gateway.public).await;
    let (mut forwarded, mut refused) = (0, 0);
    let rounds = rounds(ROUNDS);
    for round in 0..rounds {
        let path = spelling(&mut dice);
        let told = || format!("SEED={} round {round}: {path}", dice.seed());
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let status = match raw.head().await {
            Some(answer) => {
                raw.read(answer.length()).await;
                answer.status
            }
            None => 400,
        };
        let seen = upstream.taken();
        let targets: Vec<_> = seen.iter().map(|seen| seen.target.as_str()).collect();
        match status {
            200 => {
                assert_eq!(targets, [path.as_str()], "{}", told());
                assert!(!means_what_is_priced(&path), "{}", told());
                forwarded += 1;
            }
            _ => {
                assert!(matches!(status, 400 | 402 | 404), "{status} {}", told());
                assert!(targets.is_empty(), "{} {targets:?}", told());
                refused += 1;
            }
        }
        // pingora closes where it cannot read.
        if status == 400 {
            raw = Raw::open(gateway.public).await;
        }
    }
    assert!(forwarded > rounds / 50, "only {forwarded} were forwarded");
    assert!(refused > rounds / 2, "only {refused} were refused");
}

/// A path of ours, or nearly, in some spelling of it.
fn spelling(dice: &mut Dice) -> String {
    let ours = [
        "/paid/a",
        "/paid/b",
        "/shop/7/image",
        "/shop/7",
        "/vault/x/y",
        "/vault/x",
        "/free/but/not/this",
        "/free/but/this",
        "/free/x",
        "/free/x/y/z",
        "/other",
    ];
    let mut path = (*dice.one_of(&ours)).to_owned();
    for _ in 0..dice.below(4) {
        path = respelled(dice, &path);
    }
    path
}

/// One change that some server somewhere takes back.
fn respelled(dice: &mut Dice, path: &str) -> String {
    let at = dice.below(path.len());
    let at = (0..=at).rev().find(|at| path.is_char_boundary(*at)).unwrap_or(0);
    let (before, after) = path.split_at(at);
    let mut letters = after.chars();
    let letter = letters.next().unwrap_or('/');
    let rest = letters.as_str();
    let mut bytes = [0; 4];
    let escaped =
        |form: fn(u8) -> String, letter: &str| letter.bytes().map(form).collect::<String>();
    let letter_text = &*letter.encode_utf8(&mut bytes);
    let slash = path.find('/').map_or(0, |_| {
        let slashes: Vec<_> = path.match_indices('/').map(|(at, _)| at).collect();
        slashes[dice.below(slashes.len())]
    });
    let (front, back) = path.split_at(slash);
    match dice.below(16) {
        0 => format!("{before}{}{rest}", escaped(|byte| format!("%{byte:02x}"), letter_text)),
        1 => format!("{before}{}{rest}", escaped(|byte| format!("%{byte:02X}"), letter_text)),
        2 => format!("{before}{}{rest}", escaped(|byte| format!("%25{byte:02x}"), letter_text)),
        3 => format!("{before}{}{rest}", escaped(|byte| format!("%u00{byte:02x}"), letter_text)),
        4 => format!("{before}{}{rest}", letter.to_uppercase()),
        5 => format!("{front}/.{back}"),
        6 => format!("{front}/x/..{back}"),
        7 => format!("{front}/{back}"),
        8 => format!("{front};a=b{back}"),
        9 => format!("{front}\\{}", back.strip_prefix('/').unwrap_or(back)),
        10 => format!("{front}%2f{}", back.strip_prefix('/').unwrap_or(back)),
        11 => format!("{path}/"),
        12 => format!("{before}{}{after}", dice.one_of(&["%00", "%0a", "%20", "+", "%c0%af", "."])),
        13 => format!("{front}/%2e%2e{back}"),
        14 => format!("{path}?a=/../paid/a"),
        _ => format!("{before}{letter}{rest}"),
    }
}

/// Whether the laxest of all servers would take it for something priced: it decodes until nothing
/// is left to decode, knows no case, no empty segments and no dots, and cuts parameters off.
fn means_what_is_priced(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let mut text = path.to_ascii_lowercase().into_bytes();
    loop {
        let next = decoded(&text);
        if next == text {
            break;
        }
        text = next;
    }
    let text = String::from_utf8_lossy(&text).to_lowercase().replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        let name = segment.split([';', '\0', '\n']).next().unwrap_or_default();
        match name {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    matches!(segments.as_slice(), ["paid", "a"] | ["shop", _, "image"] | ["vault", _, ..])
        || segments == ["free", "but", "not", "this"]
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some((byte, tail)) = rest.split_first() {
        let hex = |from: usize| {
            let digits = tail.get(from..from + 2)?;
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        match (byte, hex(0)) {
            (b'%', Some(escaped)) => {
                out.push(escaped);
                rest = &tail[2..];
            }
            (b'%', None) if tail.starts_with(b"u00") && hex(3).is_some() => {
                out.extend(hex(3));
                rest = &tail[5..];
            }
            _ => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    out
}
