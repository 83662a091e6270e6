//! The published clients, and what each says about one paid request.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256};
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use super::install::{self, NODE, PYTHON_V1, PYTHON_V2};

#[derive(Clone, Copy)]
pub(super) struct Client {
    pub(super) name: &'static str,
    runtime: &'static str,
    /// What a runtime runs; nothing for a program.
    script: Option<&'static str>,
    version: Version,
    /// The wallet: a private key made of this one byte.
    key: u8,
    /// What it calls what it buys.
    payment_id: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Version {
    V1,
    V2,
}

/// The one JSON line a driver prints.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) paid: bool,
    pub(super) transaction: Option<String>,
    pub(super) network: Option<String>,
    pub(super) payer: Option<Address>,
    pub(super) content_type: Option<String>,
    pub(super) error: Option<String>,
}

impl Answer {
    /// The transaction in which `client` has paid for this answer of that kind.
    pub(super) fn paid_by(self, client: Client, content_type: &str) -> String {
        let expected = Self {
            status: 200,
            paid: true,
            network: Some(client.network().to_owned()),
            payer: Some(client.payer()),
            content_type: Some(content_type.to_owned()),
            ..self.clone()
        };
        assert_eq!(self, expected, "{}", client.name);
        self.transaction.unwrap()
    }
}

pub(super) const CLIENTS: [Client; 5] = [
    Client::new("npm-fetch-v2", NODE, "clients/ts_fetch_v2.mjs", Version::V2, 0x11),
    Client::new("npm-fetch-v1", NODE, "clients/ts_fetch_v1.mjs", Version::V1, 0x22),
    Client::new("pypi-httpx-v2", PYTHON_V2, "clients/py_httpx_v2.py", Version::V2, 0x33),
    Client::new("pypi-requests-v2", PYTHON_V2, "clients/py_requests_v2.py", Version::V2, 0x44),
    Client::new("pypi-httpx-v1", PYTHON_V1, "clients/py_httpx_v1.py", Version::V1, 0x55),
];

/// The first of them, which signs in where it can.
pub(super) const SIGNS_IN: Client =
    Client::new("npm-sign-in", NODE, "clients/ts_fetch_sign_in.mjs", Version::V2, 0x12);

/// The one written in Go, which `tests/run` compiles where its module can be had.
const GO: [Client; 2] = [
    Client::program("go-v2", "go/evm", Version::V2, 0x66),
    Client::program("go-v1", "go/evm", Version::V1, 0x77),
];

/// All that could be had.
pub(super) fn published() -> Vec<Client> {
    let go = install::has_go().then_some(GO);
    CLIENTS.into_iter().chain(go.into_iter().flatten()).collect()
}

/// Whose money it is.
pub(super) fn payers(clients: &[Client]) -> Vec<Address> {
    clients.iter().map(|client| client.payer()).collect()
}

impl Client {
    const fn new(
        name: &'static str,
        runtime: &'static str,
        script: &'static str,
        version: Version,
        key: u8,
    ) -> Self {
        Self { name, runtime, script: Some(script), version, key, payment_id: None }
    }

    /// One that is a program by itself.
    const fn program(name: &'static str, program: &'static str, version: Version, key: u8) -> Self {
        Self { name, runtime: program, script: None, version, key, payment_id: None }
    }

    /// The same, with the extension `payment-identifier`.
    pub(super) const fn naming(self, payment_id: &'static str) -> Self {
        Self { payment_id: Some(payment_id), ..self }
    }

    /// The same with another wallet.
    pub(super) const fn with_key(self, key: u8) -> Self {
        Self { key, ..self }
    }

    /// Of which byte its wallet's key is made.
    pub(super) const fn number(self) -> u8 {
        self.key
    }

    pub(super) fn payer(self) -> Address {
        PrivateKeySigner::from_bytes(&self.key()).unwrap().address()
    }

    /// Base Sepolia, as this client's protocol version spells it.
    pub(super) fn network(self) -> &'static str {
        match self.version {
            Version::V1 => "base-sepolia",
            Version::V2 => "eip155:84532",
        }
    }

    /// Sends the file `body` to `url`, pays what is asked, and writes the answer's body to `out`.
    pub(super) async fn post(self, url: &str, body: &Path, media_type: &str, out: &Path) -> Answer {
        self.post_with(&[], url, (body, media_type), out).await
    }

    /// The same, with more in its environment: `X402_RPC` is a node through which it may look at
    /// the chain, `X402_ASSET` an asset that it pays with although it does not know it,
    /// `X402_WALLET` the contract wallet that it signs for.
    pub(super) async fn post_with(
        self,
        more: &[(&str, &str)],
        url: &str,
        (body, media_type): (&Path, &str),
        out: &Path,
    ) -> Answer {
        let mut driver = Command::new(install::file(self.runtime));
        driver.envs(more.iter().copied());
        driver.args(self.script.map(install::file));
        driver.args([url, "POST"]).arg(body).arg(media_type);
        driver.env(
            "X402_VERSION",
            match self.version {
                Version::V1 => "1",
                Version::V2 => "2",
            },
        );
        driver.arg(out).env("X402_PRIVATE_KEY", self.key().to_string());
        driver.envs(self.payment_id.map(|id| ("X402_PAYMENT_ID", id)));
        driver.stderr(Stdio::inherit()).kill_on_drop(true);
        let ended = timeout(DRIVER, driver.output()).await.expect("the client ends in time");
        let printed = String::from_utf8(ended.unwrap().stdout).unwrap();
        let line =
            printed.lines().last().unwrap_or_else(|| panic!("{} printed nothing", self.name));
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", self.name))
    }

    fn key(self) -> B256 {
        B256::repeat_byte(self.key)
    }
}

const DRIVER: Duration = Duration::from_secs(90);
