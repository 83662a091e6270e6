//! What kustomize and helm make of `deploy/`, held against the schemas of Kubernetes.
//!
//! `validate.py` does that with the schemas of the PyPI package kubernetes-validate, and looks for
//! what no pod of ours may lack. `tests/run` installs it, and promtool. kubectl and helm it takes
//! where they are; without one, its tests say on the terminal that they were skipped, or fail where
//! `DEPLOY_TOOLS=required`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{ALERTS, passes_the_check, read, root};

const OVERLAYS: &[&str] = &[
    "gateway",
    "gateway-one",
    "gateway-ingress",
    "gateway-teams",
    "sidecar",
    "sidecar-ingress",
    "check-nginx",
    "check-traefik",
];

/// Configuration and further arguments.
const RELEASES: &[(&str, &[&str])] = &[
    ("one", &["--set=worker.enabled=true", "--set=service.type=LoadBalancer"]),
    ("hosted", &["--values=deploy/examples/hosted.values.yaml"]),
    ("hosted", &["--values=deploy/examples/hosted.values.yaml", "--set=worker.enabled=true"]),
    ("own-signer", &["--values=deploy/examples/own-signer.values.yaml"]),
    ("hosted", &["--set=ledger.kind=postgres,replicas.min=3,replicas.max=3"]),
    (
        "../kubernetes/overlays/check-traefik/gateway",
        &["--set=ledger.kind=postgres,check.controllerNamespace=traefik"],
    ),
];

/// What the chart does not render, and what it says.
const REFUSED: &[(&str, &[&str], &str)] = &[
    ("", &[], "there is no gateway.toml"),
    ("hosted", &[], "ledger.kind is sqlite"),
    ("one", &["--set=ledger.kind=postgres"], "ledger.kind is postgres"),
    ("own-signer", &["--set=ledger.kind=postgres"], "two gateways with one signer"),
    ("one", &["--set=image.tag=latest"], "image/tag"),
    ("one", &["--set=replica.min=3"], "replica"),
    ("one", &["--set=rolloutOnChange=false"], "without rolloutOnChange"),
    ("one", &["--set=env[0].name=A,env[0].value=b"], "env"),
    ("one", &["--set=teamRoutes[0].name=a,teamRoutes[0].configMap=b"], "include = "),
    ("one", &["--set=teamRoutes[0].name=../a,teamRoutes[0].configMap=b"], "teamRoutes"),
];

/// As TOML, and not as lines that look like it: what is rendered of each, or what is said.
const READ: &[(&str, &str)] = &[
    ("certificates = [{ chain = \"/a\", key = \"/b\" }]", "kind: HorizontalPodAutoscaler"),
    ("[facilitators]\nown.chain.rpc = [\"https://a\"]", "two gateways with one signer"),
    ("[facilitators.\"own\"]\nchain = {}", "two gateways with one signer"),
    ("[facilitators.own.http]\nurl = \"https://chain.a\"", "kind: HorizontalPodAutoscaler"),
    ("server.grace = \"120s\"", "terminationGracePeriodSeconds: 140"),
    ("server.drain = \"7s\"", "terminationGracePeriodSeconds: 57"),
    ("server.grace = \"2m\"", "write `grace` in whole seconds"),
    ("check.listen = \"127.0.0.1:8403\"", "under [check]"),
    ("check.listen = \"0.0.0.0:8403\"", "name: shop-check"),
    ("[networks", "gateway.toml is not TOML"),
];

/// A rendered text that is changed, and what is said of it.
const BROKEN: &[(&str, &str, &str, &str)] = &[
    ("gateway", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRoot"),
    ("gateway", "runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"),
    ("gateway", "automountServiceAccountToken: false", "hostNetwork: true", "token"),
    ("gateway", "tollgate:0.1.0", "tollgate:latest", "no version"),
    ("gateway", "targetPort: http", "targetPort: https", "no port https"),
    ("gateway", "postgres://", "sqlite:///data/t.db?", "several at once"),
    ("gateway", "grace = \"30s\"", "grace = \"300s\"", "killed before 315 seconds"),
    ("gateway", "grace = \"30s\"", "drain = \"30s\"", "killed before 75 seconds"),
    ("gateway", "failureThreshold:", "failureTreshold:", "failureTreshold"),
    ("gateway", "0.0.0.0:9402", "127.0.0.1:9402", "admin is 127.0.0.1:9402"),
    ("gateway-one", "type: Recreate", "type: RollingUpdate", "several at once"),
    ("gateway-one", "mountPath: /data", "mountPath: /elsewhere", "is on no claim"),
    ("gateway", "memory: 2Gi", "memory: 1536Mi", "may take 2000 MB, and is killed at 1536Mi"),
    ("gateway", "- \"1600\"", "- \"1000\"", "the largest photo takes more than 1000 MB"),
    (
        "gateway-ingress",
        "jobLabel: app.kubernetes.io/name",
        "jobLabel: app.kubernetes.io/part-of",
        "scraped as",
    ),
    ("gateway-ingress", "metadata.name: monitoring", "metadata.name: other", "is not let in"),
    ("gateway-teams", "path: routes.d/quotes.toml", "path: routes.d/images.toml", "there twice"),
    ("gateway-teams", "key: routes.toml", "key: prices.toml", "has no prices.toml"),
    ("check-nginx", "containerPort: 8403", "containerPort: 8404", "check is 0.0.0.0:8403"),
    ("check-traefik", "targetPort: check", "targetPort: asked", "no port asked"),
    ("sidecar", "seconds: 45", "seconds: 15", "api ends before the gateway"),
    ("gateway-ingress", "secretName: tollgate-facilitator", "secretName: 7", "is not of type"),
];

#[test]
fn every_overlay_is_valid_and_confined() {
    if kustomize().is_none() {
        return skipped("kubectl or kustomize");
    }
    for overlay in OVERLAYS {
        validated(overlay, &kustomized(overlay));
    }
}

#[test]
fn what_is_wrong_with_a_manifest_is_found() {
    if kustomize().is_none() {
        return skipped("kubectl or kustomize");
    }
    for (overlay, from, to, expected) in BROKEN {
        let text = kustomized(overlay);
        assert!(text.contains(from), "{overlay} has no `{from}`");
        let folder = tempfile::tempdir().unwrap();
        let output = validate(&text.replace(from, to), folder.path());
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{overlay}: `{to}` is not found");
        assert!(said.contains(expected), "{overlay}: `{to}`\n{said}");
    }
}

#[test]
fn every_release_is_valid_and_confined() {
    if tool("helm").is_none() {
        return skipped("helm");
    }
    for (config, more) in RELEASES {
        let output = helm(config, more);
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{config} {more:?}\n{wrong}");
        validated(config, &String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn the_chart_refuses_what_would_go_wrong() {
    if tool("helm").is_none() {
        return skipped("helm");
    }
    for (config, more, expected) in REFUSED {
        let output = helm(config, more);
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{config} {more:?} is rendered");
        assert!(wrong.contains(expected), "{config} {more:?}\n{wrong}");
    }
}

#[test]
fn the_chart_reads_the_configuration_as_the_gateway_does() {
    if tool("helm").is_none() {
        return skipped("helm");
    }
    for (more, expected) in READ {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "server.listen = \"0.0.0.0:8402\"\nserver.admin = \"0.0.0.0:9402\"\n\
                    ledger.url = \"postgres://a@b/c\"\n";
        fs::write(file.path(), format!("{text}{more}\n")).unwrap();
        let several = ["--set=ledger.kind=postgres,replicas.min=2,replicas.max=6"];
        let told = told(&helm(file.path().to_str().unwrap(), &several));
        assert!(told.contains(expected), "{more}\n{told}");
    }
}

/// The chart has a place for what teams apply by themselves.
#[test]
fn the_routes_of_teams_are_beside_the_configuration() {
    if tool("helm").is_none() {
        return skipped("helm");
    }
    let overlay = root().join("deploy/kubernetes/overlays/gateway-teams");
    let team = |at: usize, name: &str| {
        format!("--set=teamRoutes[{at}].name={name},teamRoutes[{at}].configMap=routes-{name}")
    };
    let (images, quotes) = (team(0, "images"), team(1, "quotes"));
    let config = overlay.join("gateway.toml");
    let output = helm(config.to_str().unwrap(), &["--set=ledger.kind=postgres", &images, &quotes]);
    assert!(output.status.success(), "{}", told(&output));
    let mut manifests = String::from_utf8(output.stdout).unwrap();
    for name in ["images", "quotes"] {
        let text = fs::read_to_string(overlay.join(format!("routes.d/{name}.toml"))).unwrap();
        manifests += &format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: routes-{name}\ndata:\n  \
             routes.toml: {text:?}\n"
        );
    }
    validated("teams", &manifests);
}

#[test]
fn another_configuration_is_another_pod() {
    if tool("helm").is_none() {
        return skipped("helm");
    }
    let checksum = |config: &str| {
        let text = String::from_utf8(helm(config, RELEASES[0].1).stdout).unwrap();
        text.lines().find(|line| line.contains("checksum/config")).unwrap().to_owned()
    };
    let path = root().join("deploy/kubernetes/overlays/gateway-one/gateway.toml");
    assert_ne!(checksum("one"), checksum(path.to_str().unwrap()));
}

#[test]
fn the_compose_file_confines_what_it_starts() {
    let output =
        python().arg("--compose").arg(root().join("deploy/compose.yaml")).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn the_alerts_fire_when_they_should() {
    let promtool = installed("bin/promtool");
    for arguments in [["check", "rules", ALERTS], ["test", "rules", ALERTS_TEST]] {
        let output = Command::new(&promtool).args(arguments).current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
    }
    assert!(read(ALERTS).contains("absent("), "no gateway at all is worth an alert");
}

/// Validates manifests, and checks the configurations in them.
fn validated(what: &str, manifests: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = validate(manifests, folder.path());
    assert!(output.status.success(), "{what}\n{}", told(&output));
    let pods: Vec<_> = folder.path().read_dir().unwrap().map(|e| e.unwrap().path()).collect();
    assert!(!pods.is_empty(), "{what} has no gateway.toml");
    for pod in pods {
        passes_the_check(&pod.join("gateway.toml"));
    }
}

fn validate(manifests: &str, folder: &Path) -> Output {
    let mut child =
        python().arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(manifests.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn python() -> Command {
    let mut command = Command::new(installed(".venv/bin/python"));
    command.arg(root().join("tests/deploy/validate.py"));
    command
}

pub(crate) fn kustomized(overlay: &str) -> String {
    let folder = root().join("deploy/kubernetes/overlays").join(overlay);
    let output = kustomize().unwrap().arg(folder).output().unwrap();
    assert!(output.status.success(), "{overlay}\n{}", told(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Renders the chart with a file of `deploy/examples`, or at a path, or with none.
fn helm(config: &str, more: &[&str]) -> Output {
    let set = match config {
        "" => "--set=config=".to_owned(),
        path if path.starts_with('/') => format!("--set-file=config={path}"),
        name => format!("--set-file=config=deploy/examples/{name}.toml"),
    };
    Command::new(tool("helm").unwrap())
        .args(["template", "shop", "deploy/helm/tollgate", "--kube-version=1.30.0"])
        .arg(set)
        .args(more)
        .current_dir(root())
        .output()
        .unwrap()
}

/// What builds a folder, by itself or as a part of kubectl.
pub(crate) fn kustomize() -> Option<Command> {
    let (program, verb) = match (tool("kustomize"), tool("kubectl")) {
        (Some(program), _) => (program, "build"),
        (None, Some(program)) => (program, "kustomize"),
        (None, None) => return None,
    };
    let mut command = Command::new(program);
    command.arg(verb);
    Some(command)
}

/// A program that may be missing.
fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = root().join("tests/deploy/bin");
    let mut folders = std::env::split_paths(&path).chain([own]);
    folders.find_map(|folder| Some(folder.join(name)).filter(|file| file.is_file()))
}

/// Tells the terminal, past the output that a test that passes does not show.
fn skipped(missing: &str) {
    let required = std::env::var("DEPLOY_TOOLS").is_ok_and(|tools| tools == "required");
    assert!(!required, "there is no {missing}");
    // Without a terminal there is nobody to tell.
    let _ =
        writeln!(std::io::stderr(), "SKIPPED: there is no {missing}, so deploy/ is not rendered");
}

/// Where `tests/run` has put what it installs.
fn installed(name: &str) -> PathBuf {
    let path = root().join("tests/deploy").join(name);
    assert!(path.exists(), "{} is missing: run `tests/run` once", path.display());
    path
}

fn told(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).join("\n")
}

const ALERTS_TEST: &str = "deploy/prometheus/alerts.test.yaml";
