//! Every file of `tests/config` against what its first lines say of it, word for word.
//!
//! A file begins with comment lines that hold the expected output, `# ok` where there is none.
//! `BLESS=1 cargo test config` writes them anew (twice, if their number
//! changes, because the lines move); read the difference before you commit it.

use std::path::{Path, PathBuf};

use tollgate::config::{Config, FacilitatorSettings, Finding, Place};
use tollgate::facilitator::chain::Settings;

const MISTAKES_MIN: usize = 40;

#[test]
fn each_file_is_answered_as_it_says() {
    let (mut good, mut bad, mut wrong) = (0, 0, Vec::new());
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let (expected, body) = split(&text);
        let name = path.file_name().unwrap().to_str().unwrap();
        let got = answer(name, &text);
        if got == "ok" {
            good += 1
        } else {
            bad += 1
        }
        if got != expected && std::env::var_os("BLESS").is_some() {
            let comment: String = got.lines().map(comment).collect();
            std::fs::write(&path, format!("{comment}\n{body}")).unwrap();
        } else if got != expected {
            wrong.push(format!("{name}\n--- expected\n{expected}\n--- got\n{got}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(good >= 6 && bad >= MISTAKES_MIN, "{good} good files and {bad} bad ones");
}

#[test]
fn the_shipped_file_is_good() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("gateway.toml");
    let config = Config::load(&path).unwrap();
    assert!(config.warnings.is_empty(), "{:?}", shown(&config.warnings));
    assert_eq!(config.routes.len(), 3);
}

/// A reload is asked for by none of them, so each has to be looked at.
#[test]
fn each_file_of_a_secret_is_watched() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let config = Config::load(&folder.join("good-chain.toml")).unwrap();
    for name in ["node.txt", "signer.key", "keystore.json"] {
        let place = Place::File(folder.join(name));
        let watched = config.files().iter().find(|watched| watched.place == place);
        assert_eq!(watched.map(|watched| watched.digest), place.look().ok(), "{name}");
    }
}

/// What an operator loses where somebody else forwards is said before the start.
#[test]
fn what_a_proxy_asks_about_is_explained() {
    let forwarded = "  forwarded  by the proxy that asks; the body is not seen here";
    let once = [
        "  asked      127.0.0.1:8403, by nginx",
        forwarded,
        "  settled    before it is forwarded: an API that fails is paid all the same,",
        "             and whoever comes back with the payment gets 409, no answer is kept",
    ];
    let twice = [
        "  asked      127.0.0.1:8403, by envoy-ext-proc",
        forwarded,
        "  answers    within 5s, as the proxy tells of them; none is kept",
    ];
    for (file, lines) in [("good-check.toml", &once[..]), ("good-ext-proc.toml", &twice)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(file);
        let config = Config::load(&path).unwrap();
        let mut out = Vec::new();
        config.explain(&mut out).unwrap();
        let said = String::from_utf8(out).unwrap();
        for line in lines {
            assert!(said.lines().any(|said| said == *line), "{line}\n---\n{said}");
        }
    }
}

/// What would be ordered is said before it is.
#[test]
fn what_an_authority_is_asked_for_is_explained() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/good-acme.toml");
    let config = Config::load(&path).unwrap();
    let mut out = Vec::new();
    config.explain(&mut out).unwrap();
    let said = String::from_utf8(out).unwrap();
    let kept =
        format!("    kept in  {}; external account kid-1", path.with_file_name("acme").display());
    for line in [
        "  TLS        api.example.com, www.example.com",
        "    issued by https://ca.example.com/acme/acme/directory",
        "    if       port 80 of each name leads to `http` (http-01)",
        &kept,
        "  no TLS     0.0.0.0:8080: sent to https",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}\n---\n{said}");
    }
    assert!(!said.contains("aHVudGVyMg") && !format!("{config:?}").contains("aHVudGVyMg"));
}

#[test]
fn blocks_are_believed_as_deep_as_they_stay_on_their_chain() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/good-chain.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    for (network, typed, deep) in [
        ("base", "", 1),
        ("base-sepolia", "", 1),
        ("polygon", "", 5),
        ("polygon-amoy", "", 5),
        ("polygon", "confirmations = 2", 2),
    ] {
        let text = text.replace("base-sepolia", network).replace("confirmations = 0", typed);
        let config = Config::parse(&text, &path, &|_: &str| None).unwrap();
        let FacilitatorSettings::Chain(Settings::Evm(own)) = &config.facilitators["own"] else {
            panic!()
        };
        assert_eq!(own.bounds.confirmations, deep, "{network} {typed}");
    }
}

#[test]
fn a_file_that_is_not_there_says_so() {
    let error = Config::load(Path::new("no/such/gateway.toml")).unwrap_err();
    assert!(error.to_string().starts_with("no/such/gateway.toml: cannot be read: "), "{error}");
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension() == Some("toml".as_ref())).collect();
    files.sort();
    files
}

/// The expectation and, behind an empty line, the rest.
fn split(text: &str) -> (String, &str) {
    let (head, body) = text.split_once("\n\n").unwrap();
    let lines = head.lines().map(|line| {
        let line = line.strip_prefix('#').expect("a comment line");
        line.strip_prefix(' ').unwrap_or(line)
    });
    (lines.collect::<Vec<_>>().join("\n"), body)
}

fn comment(line: &str) -> String {
    if line.is_empty() { "#\n".to_owned() } else { format!("# {line}\n") }
}

fn answer(name: &str, text: &str) -> String {
    let env = |name: &str| (name == "KEY").then(|| "hunter2".to_owned());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let answer = match Config::parse(text, &folder.join(name), &env) {
        Ok(config) if config.warnings.is_empty() => "ok".to_owned(),
        Ok(config) => format!("warning\n{}", shown(&config.warnings)),
        Err(error) => error.to_string(),
    };
    assert!(!answer.contains("hunter2"), "{name} shows a secret");
    answer.replace(&format!("{}/", folder.display()), "")
}

fn shown(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}
