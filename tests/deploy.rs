//! `deploy/`: configurations that pass the check, alerts for the manual, manifests that are valid.

pub(crate) mod rendered;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tollgate::config::keys::{Default, keys};
use tollgate::metric::Metric;
use tollgate::observe;

/// Headings of the manual that no alert leads to, and why.
const WITHOUT_ALERT: &[(&str, &str)] = &[
    ("Signals", "what is asked of it, not what happens to it"),
    ("The ledger in SQLite", "its faults are counted as any ledger's: Faults by side"),
    ("Looking into the ledger", "commands"),
    ("How long payments are kept", "a setting"),
    ("Who is turned away", "a setting"),
    ("What is free at first", "a setting"),
    ("Memory", "what to give it"),
    ("The dashboard", "a page to look at"),
    ("gRPC", "what to set"),
    ("Payers that are told `permit2_allowance_required`", "what payers lack, not the gateway"),
    (
        "Solana: 503 before the first payment, and who pays the fees",
        "`/readyz` tells of it; what goes wrong there is in Health",
    ),
    ("Our own fee payer on Solana", "its balance is looked after by the alert of Our own signers"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_heading_that_asks_for_an_act_has_an_alert() {
    let manual = read("src/manual/operations.rs");
    let headings: Vec<_> = manual.lines().filter_map(|line| line.strip_prefix("//! # ")).collect();
    let alerts = read(ALERTS);
    let manual = |line: &str| line.trim().strip_prefix("manual: ").map(str::to_owned);
    let named: Vec<_> = alerts.lines().filter_map(manual).collect();
    assert_eq!(named.len(), alerts.matches("- alert: ").count(), "each alert names one heading");
    for name in &named {
        assert!(headings.contains(&name.as_str()), "the manual has no heading `{name}`");
    }
    for heading in &headings {
        let excused = WITHOUT_ALERT.iter().any(|(without, _)| without == heading);
        let alerted = named.iter().any(|name| name == heading);
        assert!(alerted != excused, "`{heading}`: an alert in {ALERTS}, or a reason, and not both");
    }
    for (without, _) in WITHOUT_ALERT {
        assert!(headings.contains(without), "the manual has no heading `{without}` any more");
    }
}

#[test]
fn alerts_and_dashboard_name_metrics_that_exist_and_the_dashboard_all() {
    let dashboard = read(DASHBOARD);
    for path in [ALERTS, "deploy/prometheus/alerts.test.yaml", DASHBOARD] {
        let text = read(path);
        let names = names(&text);
        assert!(names.len() > 5, "{path} names no metrics");
        for name in names {
            let bare = bare(&name);
            assert!(every().iter().any(|known| known.name == bare), "{path}: {name}");
        }
    }
    for Metric { name: metric, .. } in every() {
        assert!(names(&dashboard).iter().any(|name| name.starts_with(metric)), "{metric}");
    }
}

/// The gateway's metrics and the worker's.
fn every() -> Vec<Metric> {
    #[cfg(feature = "worker")]
    return [&observe::METRICS[..], &tollgate::worker::METRICS].concat();
    #[cfg(not(feature = "worker"))]
    observe::METRICS.to_vec()
}

/// The name of a metric without what a histogram appends.
fn bare(name: &str) -> &str {
    let parts = ["_bucket", "_sum"].iter().find_map(|part| name.strip_suffix(part));
    parts.unwrap_or(name)
}

/// Each `tollgate_…` of a text.
fn names(text: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    text.match_indices("tollgate_").map(|(at, _)| word(&text[at..])).collect()
}

#[test]
fn what_is_grouped_by_in_the_dashboard_is_a_label_of_the_metric() {
    let dashboard = read(DASHBOARD);
    let mut groups = 0;
    for line in dashboard.lines().filter(|line| line.contains("\"expr\"")) {
        for (at, _) in line.match_indices(" by (") {
            let (labels, rest) = line[at + " by (".len()..].split_once(')').unwrap();
            let name = names(rest).into_iter().next().unwrap();
            let bare = bare(&name);
            let metrics = every();
            let known = metrics.iter().find(|known| known.name == bare).unwrap().labels;
            for label in labels.split(", ").filter(|label| !["le", "instance"].contains(label)) {
                assert!(known.contains(&label), "{name} has no label {label}");
            }
            groups += 1;
        }
    }
    assert!(groups > 10, "the dashboard has moved");
}

#[test]
fn the_chart_has_the_same_alerts() {
    assert!(read(ALERTS) == read("deploy/helm/tollgate/alerts.yaml"), "cp {ALERTS} to the chart");
}

#[test]
fn images_have_the_version_of_the_package_and_never_latest() {
    let version = env!("CARGO_PKG_VERSION");
    let mut images = 0;
    for path in below("deploy") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(":latest"), "{}", path.display());
        for line in text.lines().filter(|line| line.trim_start().starts_with("image: ")) {
            let Some((_, image)) = line.split_once("tollgate") else { continue };
            assert!(image.ends_with(&format!(":{version}")), "{}: {line}", path.display());
            images += 1;
        }
    }
    assert!(images >= 6, "{images} images");
    let chart = read("deploy/helm/tollgate/Chart.yaml");
    assert!(chart.contains(&format!("appVersion: \"{version}\"")), "{chart}");
}

#[test]
fn every_configuration_passes_the_check() {
    let is_config = |path: &PathBuf| {
        let folder = path.parent().unwrap().file_name().unwrap();
        // Those are included.
        path.extension() == Some("toml".as_ref()) && folder != "routes.d"
    };
    let files: Vec<_> = below("deploy").into_iter().filter(is_config).collect();
    assert!(files.len() >= 9, "{files:?}");
    for file in files {
        passes_the_check(&file);
    }
}

/// What the unit runs is there to be typed, and systemd waits for as long as a gateway may need.
#[test]
fn the_unit_of_systemd_fits_the_binary() {
    let unit = read("deploy/systemd/tollgate.service");
    let value = |key: &str| {
        let mut lines = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        lines.next().unwrap_or_else(|| panic!("the unit has no {key}"))
    };
    for key in ["ExecStartPre", "ExecStart", "ExecReload"] {
        let words: Vec<_> = value(key).split(' ').collect();
        let [program, command, "/etc/tollgate/gateway.toml"] = words[..] else {
            panic!("{key}={words:?}");
        };
        assert_eq!(program, "/usr/local/bin/tollgate");
        let help = Command::new(env!("CARGO_BIN_EXE_tollgate")).args([command, "--help"]).output();
        assert!(help.unwrap().status.success(), "{key}: there is no `{command}`");
    }
    assert_eq!((value("Type"), value("KillMode")), ("notify", "mixed"));
    let seconds = |text: &str| text.trim_matches(['`', '"', 's']).parse::<u64>().unwrap();
    let usual = |name| {
        let mut keys = keys().filter(|key| key.section == "[server]");
        match keys.find(|key| key.name == name).unwrap().default {
            Default::Is(value) => seconds(value),
            other => panic!("{name} is {other:?}"),
        }
    };
    let needed = usual("drain") + usual("grace");
    assert!(seconds(value("TimeoutStopSec")) >= needed + 5);
}

/// What is told to ingress-nginx is what nginx was tried with.
#[test]
fn snippets_are_the_examples() {
    let example = read("deploy/examples/check/nginx.conf");
    let lines: Vec<_> = example.lines().map(code).collect();
    let ingress = read("deploy/kubernetes/overlays/check-nginx/ingress.yaml");
    let said = ingress.lines().map(|line| line.replace(CHECK_SERVICE, "tollgate"));
    let directives: Vec<_> = said.filter(|line| line.ends_with(';')).collect();
    assert!(directives.len() > 15, "the snippets have moved");
    for line in directives {
        assert!(lines.contains(&line.trim()), "nginx.conf has no `{}`", line.trim());
    }
}

/// A line of nginx' without its comment.
fn code(line: &str) -> &str {
    line.split(" #").next().unwrap().trim()
}

const CHECK_SERVICE: &str = "tollgate-check.tollgate.svc.cluster.local:8403";

/// Checks a configuration whose secrets are all set, to something of their kind.
fn passes_the_check(file: &Path) {
    let secrets = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(file).unwrap();
    let here = format!("{}/", secrets.path().display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    for name in after(&text, "env = \"") {
        command.env(name, "https://secret.example.com");
    }
    let folders = after(&text, "\"/run/secrets/");
    for path in &folders {
        let (_, key) = path.split_once('/').unwrap();
        fs::write(secrets.path().join(path.replace('/', "-")), secret(key)).unwrap();
    }
    let mut moved = text.clone();
    for path in &folders {
        let there = format!("{here}{}", path.replace('/', "-"));
        moved = moved.replace(&format!("/run/secrets/{path}"), &there);
    }
    // What it names beside itself lies beside the copy too.
    for name in after(&text, "openapi = \"") {
        fs::copy(file.with_file_name(&name), secrets.path().join(&name)).unwrap();
    }
    let included = file.with_file_name("routes.d");
    if included.is_dir() {
        let there = secrets.path().join("routes.d");
        fs::create_dir(&there).unwrap();
        for entry in fs::read_dir(included).unwrap().map(Result::unwrap) {
            fs::copy(entry.path(), there.join(entry.file_name())).unwrap();
        }
    }
    let copy = secrets.path().join("gateway.toml");
    fs::write(&copy, moved).unwrap();
    let output = command.arg("check").arg(&copy).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{wrong}", file.display());
    assert!(said.contains(" 0 warnings, no mistakes"), "{}\n{said}{wrong}", file.display());
}

/// What stands between a mark and the next quotation mark, each time.
fn after(text: &str, mark: &str) -> Vec<String> {
    let found = text.split(mark).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    found.collect()
}

/// A secret that is as good as a real one to look at.
fn secret(key: &str) -> String {
    match key {
        "key-id" => "organizations/1/apiKeys/2".to_owned(),
        "key-secret" => read("tests/config/cdp-key.txt"),
        "signer.json" => read("tests/config/keystore.json"),
        "password" => "testpassword".to_owned(),
        other => panic!("which kind of secret is {other}?"),
    }
}

/// Every file below a folder.
fn below(folder: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

const ALERTS: &str = "deploy/prometheus/alerts.yaml";
const DASHBOARD: &str = "deploy/grafana/tollgate.json";
