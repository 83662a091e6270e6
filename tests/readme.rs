//! README.md against the code: its tables equal ours, its commands run.
//!
//! A table is checked when a line before it says so, and is read up to the next empty line:
//!
//! | marker | first cells of a row |
//! |---|---|
//! | `<!-- table: refusals -->` | status, `` `code` ``, retriable (`yes`, `no`), consumed (`yes`, `no`, `unknown`) |
//! | `<!-- table: metrics -->` | `` `name` ``, `` `label`, `label` `` or `–` |
//! | `<!-- table: keys -->` | `` `server.listen` `` |
//!
//! A fenced block of `sh` is run when the line before it is `<!-- run -->`. It runs in an empty
//! folder, with `cargo run … -- ` standing for the binary under test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tollgate::observe::METRICS;
use tollgate::refusal::{Consumed, Retriable, every};

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The rows of a marked table, as trimmed cells.
fn table(name: &str) -> Vec<Vec<String>> {
    let (readme, marker) = (readme(), format!("<!-- table: {name} -->"));
    let marked = readme.split(&marker).nth(1).unwrap_or_else(|| panic!("README lacks {marker}"));
    let lines = marked.lines().skip_while(|line| line.trim().is_empty());
    let lines = lines.take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
        inner.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    // The head, and the line under it.
    lines.skip(2).map(cells).collect()
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

#[test]
fn every_refusal_is_in_the_table_and_nothing_else() {
    let ours: Vec<_> = every()
        .iter()
        .map(|refusal| {
            let row = refusal.row();
            let retriable = match row.retriable {
                Retriable::Yes => "yes",
                Retriable::No => "no",
            };
            let consumed = match row.consumed {
                Consumed::Yes => "yes",
                Consumed::No => "no",
                Consumed::Unknown => "unknown",
            };
            [row.status.to_string(), code(row.code), retriable.into(), consumed.into()].to_vec()
        })
        .collect();
    let theirs: Vec<_> = table("refusals").iter().map(|row| row[..4].to_vec()).collect();
    assert_eq!(theirs, ours);
}

#[test]
fn every_metric_is_in_the_table_and_nothing_else() {
    let ours: Vec<_> = METRICS
        .iter()
        .map(|metric| {
            let labels: Vec<_> = metric.labels.iter().map(|label| code(label)).collect();
            let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
            [code(metric.name), labels].to_vec()
        })
        .collect();
    let theirs: Vec<_> = table("metrics").iter().map(|row| row[..2].to_vec()).collect();
    assert_eq!(theirs, ours);
}

#[test]
fn every_key_is_in_the_table_and_nothing_else() {
    let ours: BTreeSet<_> = tollgate::config::keys::KEYS.iter().map(|key| code(key)).collect();
    let rows = table("keys");
    let theirs: BTreeSet<_> = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(theirs.len(), rows.len(), "a key stands there twice");
    assert_eq!(theirs, ours);
}

#[test]
fn the_commands_run() {
    let readme = readme();
    let blocks: Vec<_> = readme.split("<!-- run -->\n```sh\n").skip(1).collect();
    assert!(!blocks.is_empty(), "README marks no command to be run");
    for block in blocks {
        let script = block.split("```").next().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &as_installed(script)])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{script}\n{said}");
    }
}

/// The script with the tested binary in place of `cargo run … --`.
fn as_installed(script: &str) -> String {
    let binary = env!("CARGO_BIN_EXE_tollgate");
    let line = |line: &str| match line.strip_prefix("cargo run ") {
        Some(rest) => {
            let (_, typed) = rest.split_once("-- ").unwrap_or(("", ""));
            format!("{binary} {typed}\n")
        }
        None => format!("{line}\n"),
    };
    script.lines().map(line).collect()
}
