//! The manual's page on security: every test that it names is there, so that it cannot rot.

use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../src/manual/security.rs");

/// What the page puts between backticks, from where it names tests on.
fn named() -> impl Iterator<Item = &'static str> {
    let tests = PAGE.split_once("what guards it\n").unwrap().1;
    tests.split('`').skip(1).step_by(2)
}

fn is_name(word: &str) -> bool {
    word.contains('_') && word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

#[test]
fn each_test_that_guards_a_promise_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut file, mut found) = (("", String::new()), 0);
    for word in named() {
        if word.ends_with(".rs") {
            let text = fs::read_to_string(root.join(word));
            file = (word, text.unwrap_or_else(|_| panic!("{word} is not there")));
        } else if is_name(word) {
            let is_test = |line: &str| line.contains(&format!("fn {word}("));
            assert!(file.1.lines().any(is_test), "{} has no {word}", file.0);
            found += 1;
        }
    }
    assert!(found > 40, "{found}");
}

/// The promises are the eight of the plan, each with its tests.
#[test]
fn each_promise_has_tests() {
    let tests = PAGE.split_once("what guards it\n").unwrap().1;
    let promises: Vec<_> = tests.split("//! **").skip(1).collect();
    assert_eq!(promises.len(), 8);
    for promise in promises {
        let (title, rest) = promise.split_once("**").unwrap();
        assert!(rest.split('`').any(is_name), "nothing guards: {title}");
    }
}
