//! Published clients pay on a Solana node; the gateway settles itself, or has it settled.

pub(super) mod cluster;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use self::cluster::{Cluster, Mint, TOKEN_2022_MINT, Wallet};
use super::install::{self, NODE, PYTHON_V2};
use crate::support::eventually;
use crate::support::gateway::{FILE, Gateway};
use crate::support::in_time;
use crate::support::ledger::Line;
use crate::support::upstream::Upstream;

/// A published client, and what it speaks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    runtime: &'static str,
    /// What a runtime runs; nothing for a program.
    script: Option<&'static str>,
    version: &'static str,
}

const NPM: Client =
    Client { runtime: NODE, script: Some("clients/ts_fetch_svm.mjs"), version: "2" };
const NPM_V1: Client = Client { version: "1", ..NPM };
const PYPI: Client =
    Client { runtime: PYTHON_V2, script: Some("clients/py_httpx_svm.py"), version: "2" };
/// Where `tests/run` could compile it.
const GO: Client = Client { runtime: "go/svm", script: None, version: "2" };

/// All that could be had.
pub(super) fn published() -> Vec<Client> {
    let go = install::has_go().then_some(GO);
    [NPM, NPM_V1, PYPI].into_iter().chain(go).collect()
}

impl Client {
    /// Pays for one answer; what the driver prints.
    async fn buys(self, gateway: &Gateway, payer: &Wallet, cluster: &Cluster) -> Value {
        self.posts(gateway, ("/paid", "question", "text/plain"), payer, cluster).await
    }

    /// The same at another path, with a body and what it is.
    pub(super) async fn posts(
        self,
        gateway: &Gateway,
        (path, body, media_type): (&str, &str, &str),
        payer: &Wallet,
        cluster: &Cluster,
    ) -> Value {
        let (sent, out) = (gateway.dir().join("body"), gateway.dir().join("answer"));
        fs::write(&sent, body).unwrap();
        let mut driver = Command::new(install::file(self.runtime));
        driver.args(self.script.map(install::file)).args([&gateway.url(path), "POST"]);
        driver.arg(sent).arg(media_type).arg(out);
        driver.env("X402_PRIVATE_KEY", payer.seed()).env("X402_RPC", cluster.url());
        driver.env("X402_VERSION", self.version).env("X402_ASSET", TOKEN_2022_MINT);
        driver.stderr(Stdio::inherit()).kill_on_drop(true);
        let output = tokio::time::timeout(DRIVER, driver.output()).await.expect("it ends in time");
        let printed = String::from_utf8(output.unwrap().stdout).unwrap();
        serde_json::from_str(printed.lines().last().expect("it prints something")).unwrap()
    }
}

/// A gateway in front of `upstream` that is paid in this mint.
async fn gateway(upstream: &Upstream, mint: Mint, facilitator: &str) -> Gateway {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, pay_to) = (dir.path().join("tollgate.db"), Wallet::PAYEE.address());
    let (network, facts) = mint.network();
    let (ledger, api) = (ledger.display(), upstream.address);
    let text = format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        admin = "127.0.0.1:0"
        public_url = "https://api.example.com"

        [ledger]
        url = "sqlite://{ledger}"

        [networks.{network}]
        pay_to = "{pay_to}"
        facilitator = "peer"
        {facts}

        [facilitators.peer]
        {facilitator}

        [upstreams.api]
        url = "http://{api}"

        [[routes]]
        match = "POST /paid"
        upstream = "api"
        price = "$0.05"
        networks = ["{network}"]
        "#
    );
    fs::write(dir.path().join(FILE), text).unwrap();
    fs::write(dir.path().join(KEY_FILE), Wallet::FEE_PAYER.keygen()).unwrap();
    let gateway = Gateway::start(Rc::new(dir)).await;
    gateway.ready().await;
    gateway
}

/// The section of a facilitator that settles by itself.
pub(super) fn settles_itself(cluster: &Cluster, more: &str) -> String {
    let url = cluster.url();
    let signer = format!("signer = {{ file = \"{KEY_FILE}\" }}");
    format!("chain = {{ rpc = [\"{url}\"], {signer}, poll = \"50ms\"{more} }}")
}

/// Lets each client buy an answer, and compares what moved with what was asked for.
async fn each_pays(cluster: &Cluster, gateway: &Gateway, mint: Mint, clients: &[Client]) {
    for (number, client) in clients.iter().enumerate() {
        let payer = Wallet::payer(number);
        cluster.fund(payer, mint, 1_000_000).await;
        let before = cluster.balance(Wallet::PAYEE, mint).await;
        let answer = client.buys(gateway, &payer, cluster).await;
        assert_eq!((&answer["status"], &answer["paid"]), (&json!(200), &json!(true)), "{answer}");
        assert_eq!(answer["payer"], payer.address().to_string(), "{client:?}");
        let transaction = answer["transaction"].as_str().unwrap();
        assert_eq!(cluster.error_of(transaction).await, Value::Null, "{client:?}");
        assert_eq!(cluster.balance(payer, mint).await, 1_000_000 - PRICE, "{client:?}");
        assert_eq!(cluster.balance(Wallet::PAYEE, mint).await - before, PRICE, "{client:?}");
        let line = only_line(gateway, number + 1).await;
        assert!(line.iter().any(|line| line.transaction() == transaction), "{line:?}");
        assert!(line.iter().all(|line| line.state() == "settled"), "{line:?}");
    }
}

async fn only_line(gateway: &Gateway, count: usize) -> Vec<Line> {
    let lines: Vec<Line> = gateway.ledger().await.into_values().collect();
    assert_eq!(lines.len(), count, "{lines:?}");
    lines
}

#[tokio::test]
async fn published_clients_pay_a_gateway_that_settles_on_solana_itself() {
    let cluster = Cluster::start(400).await;
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, Mint::Usdc, &settles_itself(&cluster, "")).await;
    let (clients, lamports) = (published(), cluster.lamports(Wallet::FEE_PAYER).await);
    each_pays(&cluster, &gateway, Mint::Usdc, &clients).await;
    let spent = lamports - cluster.lamports(Wallet::FEE_PAYER).await;
    let fees = 10_000 * clients.len() as u64;
    assert!((fees..fees + fees / 30).contains(&spent), "each time two signatures, and not {spent}");
}

#[tokio::test]
async fn published_clients_pay_on_solana_through_the_published_facilitator() {
    let cluster = Cluster::start(400).await;
    let (_peer, address) = cluster.facilitator();
    let upstream = Upstream::start().await;
    let peer = format!("http = {{ url = \"http://{address}\" }}");
    let gateway = gateway(&upstream, Mint::Usdc, &peer).await;
    each_pays(&cluster, &gateway, Mint::Usdc, &published()).await;
}

#[tokio::test]
async fn a_token_2022_mint_is_paid_with() {
    let cluster = Cluster::start(400).await;
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, Mint::Token2022, &settles_itself(&cluster, "")).await;
    each_pays(&cluster, &gateway, Mint::Token2022, &[NPM]).await;
}

#[tokio::test]
async fn a_transaction_that_nodes_lose_and_that_is_too_old_has_not_moved() {
    let cluster = Cluster::start(100).await;
    cluster.fund(Wallet::payer(0), Mint::Usdc, 1_000_000).await;
    let upstream = Upstream::start().await;
    let short = settles_itself(&cluster, ", settle_timeout = \"3s\"");
    let gateway = gateway(&upstream, Mint::Usdc, &short).await;
    cluster.drops(1_000_000).await;
    let answer = NPM.buys(&gateway, &Wallet::payer(0), &cluster).await;
    assert_eq!(answer["status"], 503, "{answer}");
    let [line] = &only_line(&gateway, 1).await[..] else { panic!("one line") };
    assert_eq!(line.state(), "unknown");
    let named = line.transaction().to_owned();
    assert_eq!(cluster.status_of(&named).await, Value::Null);

    // 192 blocks of 100 ms, and a minute between the clocks.
    let released = async || {
        let lines = gateway.ledger().await;
        lines.into_values().find(|line| line.state() == "released")
    };
    tokio::time::timeout(EXPIRY, async {
        while released().await.is_none() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
    .await
    .expect("it is let go");
    assert_eq!(cluster.status_of(&named).await, Value::Null);
    assert_eq!(cluster.balance(Wallet::payer(0), Mint::Usdc).await, 1_000_000);

    cluster.drops(0).await;
    let answer = NPM.buys(&gateway, &Wallet::payer(0), &cluster).await;
    assert_eq!(answer["status"], 200, "{answer}");
    assert_eq!(cluster.balance(Wallet::payer(0), Mint::Usdc).await, 1_000_000 - PRICE);
}

#[tokio::test]
async fn a_power_cut_between_sending_and_confirmation_forgets_nothing() {
    let cluster = Cluster::start(400).await;
    let payer = Wallet::payer(0);
    cluster.fund(payer, Mint::Usdc, 1_000_000).await;
    let upstream = Upstream::start().await;
    let deep = settles_itself(&cluster, ", confirmations = 32");
    let gateway = gateway(&upstream, Mint::Usdc, &deep).await;
    let cut = async {
        eventually("it is sent", async || {
            (cluster.balance(payer, Mint::Usdc).await < 1_000_000).then_some(())
        })
        .await;
        gateway.kill();
    };
    let (answer, ()) = tokio::join!(NPM.buys(&gateway, &payer, &cluster), cut);
    assert_eq!(answer["paid"], false, "{answer}");
    let gateway = gateway.killed_and_restarted().await;
    let settled = in_time("it is found", async {
        loop {
            let lines = gateway.ledger().await;
            match lines.into_values().find(|line| line.state() == "settled") {
                Some(line) => return line,
                None => tokio::time::sleep(Duration::from_millis(300)).await,
            }
        }
    })
    .await;
    assert_eq!(cluster.error_of(settled.transaction()).await, Value::Null);
    assert_eq!(cluster.balance(payer, Mint::Usdc).await, 1_000_000 - PRICE);
    assert_eq!(cluster.balance(Wallet::PAYEE, Mint::Usdc).await, PRICE);
    only_line(&gateway, 1).await;
}

#[tokio::test]
async fn check_online_looks_at_the_cluster() {
    let cluster = Cluster::start(400).await;
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, Mint::Usdc, &settles_itself(&cluster, "")).await;
    let said = checked(&gateway.file()).await;
    assert!(said.contains("settles in this process"), "{said}");
    assert!(said.contains("mint and token account of `pay_to` are there"), "{said}");
}

async fn checked(config: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(["check", "--online"]).arg(config);
    let output = in_time("the check", command.output()).await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Where the fee payer's key lies, beside `gateway.toml`.
pub(super) const KEY_FILE: &str = "fee-payer.json";
/// $0.05 in six decimals.
const PRICE: u64 = 50_000;
const DRIVER: Duration = Duration::from_secs(90);
const EXPIRY: Duration = Duration::from_secs(150);
