//! `tollgate selftest`: a configuration is paid and attacked, and nobody outside hears of it.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn selftest(arguments: &[&str], folder: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.arg("selftest").args(arguments).current_dir(folder);
    command.env("FACILITATOR_TOKEN", "unused").env("TOLLGATE_LOG", "error");
    let Output { status, stdout, stderr } = command.output().unwrap();
    let told = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.code(), told)
}

#[test]
fn the_shipped_configurations_pass() {
    // What a proxy asks about is skipped, and the rest holds.
    for (file, passed) in [
        ("gateway.toml", "15 passed, 0 skipped, 0 failed"),
        ("deploy/examples/one.toml", "14 passed, 0 skipped, 0 failed"),
        ("deploy/examples/llm.toml", "14 passed, 0 skipped, 0 failed"),
        ("deploy/examples/check/gateway.toml", "3 passed, 3 skipped, 0 failed"),
        ("deploy/examples/assistant.toml", "75 passed, 2 skipped, 0 failed"),
    ] {
        let (code, told) = selftest(&["--config", file], Path::new(ROOT));
        assert_eq!(code, Some(0), "{file}: {told}");
        assert!(told.ends_with(&format!("\n{passed}\n")), "{file}: {told}");
    }
}

/// The real world of this configuration is two listeners that nobody may come to.
#[test]
fn nobody_outside_hears_of_it() {
    let [facilitator, upstream] = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [pays, serves] = [&facilitator, &upstream].map(|it| it.local_addr().unwrap());
    for listener in [&facilitator, &upstream] {
        listener.set_nonblocking(true).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        r#"
        [server]
        listen = "{serves}"
        public_url = "https://api.example.com"
        trusted_proxies = ["127.0.0.0/8"]
        [ledger]
        url = "sqlite://mine.db"
        [networks.base]
        pay_to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
        facilitator = "hosted"
        rpc = ["http://{pays}"]
        [networks.polygon]
        pay_to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
        facilitator = ["hosted", "second"]
        transfer_method = "permit2"
        [facilitators.hosted.http]
        url = "http://{pays}"
        [facilitators.second.http]
        url = "http://{pays}"
        [limits]
        unpaid = {{ rate = "5/min", by = "ip" }}
        store = "redis://{serves}"
        [block]
        addresses = ["127.0.0.0/8"]
        [defaults]
        free = {{ rate = "10/day", by = "ip" }}
        [upstreams.api]
        url = "http://{serves}"
        [[bypass]]
        name = "us"
        addresses = ["127.0.0.0/8"]
        [[routes]]
        name = "late"
        match = "GET /late/{{id}}"
        upstream = "api"
        price = "$123456.78"
        networks = ["base", "polygon"]
        [[routes]]
        name = "early"
        match = "POST api.example.com/early/*"
        upstream = "api"
        price = "$0.01"
        networks = ["polygon"]
        settle = "before-upstream"
        [[routes]]
        name = "used"
        match = "POST /used"
        upstream = "api"
        price = {{ max = "$0.10", per = "1k tokens", rate = "$0.002", from = "usage.total_tokens" }}
        networks = ["polygon"]
        "#
    );
    fs::write(folder.path().join("gateway.toml"), text).unwrap();
    let (code, told) = selftest(&[], folder.path());
    assert_eq!(code, Some(0), "{told}");
    assert!(told.ends_with("\n35 passed, 0 skipped, 0 failed\n"), "{told}");
    for line in [
        "  ok       $123456.78 on polygon buys one answer, with a receipt\n",
        "  ok       an upstream that fails owes an answer on polygon\n",
        "  ok       the limit on unpaid requests holds for one client that names others (5/min)\n",
        "  ok       12 payments have moved, none of them twice\n",
    ] {
        assert!(told.contains(line), "{line}{told}");
    }
    for listener in [facilitator, upstream] {
        assert!(listener.accept().is_err(), "somebody was there");
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn what_cannot_be_tested_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (code, told) = selftest(&["--route", "nothing", "gateway.toml"], Path::new(ROOT));
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("there is no route `nothing`; there are "), "{told}");
    let (code, told) = selftest(&[], folder.path());
    assert_eq!(code, Some(64), "{told}");
    let (code, told) = selftest(&["--route", "GET /readyz"], Path::new(ROOT));
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("it is free, and reaches its upstream"), "{told}");
}
