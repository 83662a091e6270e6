//! README.md against the code: its tables equal ours, its commands run.
//!
//! A table is checked when a line before it says so, and is read up to the next empty line:
//!
//! | marker | what stands there |
//! |---|---|
//! | `<!-- table: refusals -->` | status, `` `code` ``, retriable, consumed; more columns at will |
//! | `<!-- table: metrics -->` | `` `name` ``, labels or `–`, what it counts |
//! | `<!-- table: worker metrics -->` | the same of the background remover |
//! | `<!-- table: keys -->` | all that `tollgate::config::keys::markdown()` writes |
//!
//! A fenced block of `sh` is run when the line before it is `<!-- run -->`. It runs in an empty
//! folder, with `cargo run … -- ` standing for the binary under test.

use std::fs;
use std::path::Path;
use std::process::Command;

use tollgate::metric::Metric;
use tollgate::observe;
use tollgate::refusal::{Consumed, Retriable, every};

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The lines of a marked table.
fn marked(name: &str) -> Vec<String> {
    let (readme, marker) = (readme(), format!("<!-- table: {name} -->"));
    let marked = readme.split(&marker).nth(1).unwrap_or_else(|| panic!("README lacks {marker}"));
    let lines = marked.lines().skip_while(|line| line.trim().is_empty());
    lines.take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

/// The first cells of each row of a marked table, without its head.
fn rows(name: &str, cells: usize) -> Vec<Vec<String>> {
    let row = |line: &String| {
        let inner = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        inner.take(cells).collect()
    };
    marked(name).iter().skip(2).map(row).collect()
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
    assert_eq!(rows("refusals", 4), ours);
}

#[test]
fn every_metric_is_in_the_table_and_nothing_else() {
    assert_eq!(rows("metrics", 3), as_rows(&observe::METRICS));
    #[cfg(feature = "worker")]
    assert_eq!(rows("worker metrics", 3), as_rows(&tollgate::worker::METRICS));
}

fn as_rows(metrics: &[Metric]) -> Vec<Vec<String>> {
    let row = |Metric { name, labels, help }: &Metric| {
        let labels: Vec<_> = labels.iter().map(|label| code(label)).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        [code(name), labels, (*help).to_owned()].to_vec()
    };
    metrics.iter().map(row).collect()
}

#[test]
fn every_key_is_in_the_table_and_nothing_else() {
    let ours = tollgate::config::keys::markdown();
    let ours: Vec<_> = ours.lines().collect();
    assert_eq!(marked("keys"), ours);
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

/// What the README shows of nginx stands in the example that is run, line by line in its order.
#[test]
fn the_recipe_for_nginx_is_the_examples() {
    let example = include_str!("../deploy/examples/check/nginx.conf");
    let readme = readme();
    let block = readme.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap();
    let mut rest = example.lines();
    for line in block.lines() {
        assert!(rest.any(|other| other == line), "nginx.conf has no more `{line}`");
    }
    let gateway = include_str!("../deploy/examples/check/gateway.toml");
    let (_, shown) = readme.split_once("### Beside an existing ingress").unwrap();
    let block = shown.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let bare = |line: &str| line.split(" #").next().unwrap().trim().to_owned();
    let lines: Vec<_> = gateway.lines().map(bare).collect();
    for line in block.lines().map(bare) {
        assert!(lines.contains(&line), "gateway.toml has no `{line}`");
    }
}
