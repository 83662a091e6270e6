//! A Solana node with mints, wallets and play money, and a published facilitator on it.

use std::net::SocketAddr;
use std::process::Command;

use alloy_primitives::hex;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use tollgate::x402::svm::Pubkey;
use tollgate::x402::svm::programs::{TOKEN, TOKEN_2022, associated};

use crate::e2e::install::{self, NODE};
use crate::e2e::process::Process;

/// A node that takes itself for devnet.
pub(in crate::e2e) struct Cluster {
    _node: Process,
    address: SocketAddr,
    http: reqwest::Client,
}

/// What is paid with. Both have six decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::e2e) enum Mint {
    /// At its real address.
    Usdc,
    Token2022,
}

/// A key made of one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::e2e) struct Wallet(u8);

impl Cluster {
    /// Starts a node with slots of this length. The fee payers have SOL.
    pub(in crate::e2e) async fn start(slot_ms: u64) -> Self {
        let mut node = match std::env::var_os(WHOLE_NODE) {
            Some(program) => Command::new(program),
            None => {
                let mut node = Command::new(install::file(NODE));
                node.arg(install::file("solana.mjs"));
                node
            }
        };
        node.arg(slot_ms.to_string());
        let (node, address) = Process::listening(&mut node, "listening on ");
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cluster = Self { _node: node, address, http: reqwest::Client::new() };
        for mint in [Mint::Usdc, Mint::Token2022] {
            // Supply, decimals, initialized. Source: SPL Token, `Mint`.
            let mut data = vec![0; 82];
            data[36..44].copy_from_slice(&1_000_000_000_000_u64.to_le_bytes());
            (data[44], data[45]) = (6, 1);
            cluster.set(&mint.address(), &mint.program(), &data).await;
            cluster.fund(Wallet::PAYEE, mint, 0).await;
        }
        for wallet in [Wallet::FEE_PAYER, Wallet::FACILITATOR] {
            let lamports = json!({ "lamports": 10_000_000_000_u64 });
            cluster
                .ask("surfnet_setAccount", json!([wallet.address().to_string(), lamports]))
                .await;
        }
        cluster
    }

    /// Where it is asked.
    pub(in crate::e2e) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A published facilitator that settles on it.
    pub(in crate::e2e) fn facilitator(&self) -> (Process, SocketAddr) {
        let mut peer = Command::new(install::file(NODE));
        peer.arg(install::file("facilitator-svm.mjs")).arg(self.url());
        peer.env("X402_PRIVATE_KEY", Wallet::FACILITATOR.seed());
        Process::listening(&mut peer, "listening on ")
    }

    /// Gives a wallet a token account that holds so much.
    pub(in crate::e2e) async fn fund(&self, owner: Wallet, mint: Mint, amount: u64) {
        // Mint, owner, amount, initialized. Source: SPL Token, `Account`.
        let mut data = vec![0; 165];
        data[..32].copy_from_slice(mint.address().as_array());
        data[32..64].copy_from_slice(owner.address().as_array());
        data[64..72].copy_from_slice(&amount.to_le_bytes());
        data[108] = 1;
        self.set(&mint.account_of(owner), &mint.program(), &data).await;
    }

    async fn set(&self, address: &Pubkey, owner: &Pubkey, data: &[u8]) {
        let account = json!({
            "lamports": 2_039_280, "owner": owner.to_string(), "data": hex::encode(data),
        });
        self.ask("surfnet_setAccount", json!([address.to_string(), account])).await;
    }

    /// What a wallet has in a mint.
    pub(in crate::e2e) async fn balance(&self, owner: Wallet, mint: Mint) -> u64 {
        let address = mint.account_of(owner).to_string();
        let last = json!({ "commitment": "processed" });
        let said = self.ask("getTokenAccountBalance", json!([address, last])).await;
        said["value"]["amount"].as_str().unwrap().parse().unwrap()
    }

    /// What a wallet has for fees.
    pub(in crate::e2e) async fn lamports(&self, of: Wallet) -> u64 {
        let said = self.ask("getBalance", json!([of.address().to_string()])).await;
        said["value"].as_u64().unwrap()
    }

    /// So many of the next transactions are called taken, and forgotten.
    pub(in crate::e2e) async fn drops(&self, count: u64) {
        self.ask("surfnet_drop", json!([count])).await;
    }

    /// What the node knows of a transaction.
    pub(in crate::e2e) async fn status_of(&self, name: &str) -> Value {
        let all = json!({ "searchTransactionHistory": true });
        let mut said = self.ask("getSignatureStatuses", json!([[name], all])).await;
        said["value"][0].take()
    }

    /// Why a transaction that is on the chain has failed; null where it has not.
    pub(in crate::e2e) async fn error_of(&self, name: &str) -> Value {
        let mut status = self.status_of(name).await;
        assert!(status.is_object(), "{name} is not on the chain");
        status["err"].take()
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self.http.post(self.url()).body(request.to_string());
        let request = request.header("content-type", "application/json");
        let answer = request.send().await.unwrap().text().await.unwrap();
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].take()
    }
}

impl Mint {
    fn address(self) -> Pubkey {
        match self {
            Self::Usdc => USDC.parse().unwrap(),
            Self::Token2022 => TOKEN_2022_MINT.parse().unwrap(),
        }
    }

    fn program(self) -> Pubkey {
        match self {
            Self::Usdc => TOKEN,
            Self::Token2022 => TOKEN_2022,
        }
    }

    fn account_of(self, owner: Wallet) -> Pubkey {
        associated(&owner.address(), &self.address(), &self.program())
    }

    /// Name of the network that is paid in it, and what must be said of it there: devnet's USDC
    /// is built in.
    pub(in crate::e2e) fn network(self) -> (&'static str, String) {
        let facts = format!("caip2 = \"{DEVNET}\"\nasset = \"{TOKEN_2022_MINT}\"\ndecimals = 6");
        match self {
            Self::Usdc => ("solana-devnet", String::new()),
            Self::Token2022 => ("own-coin", facts),
        }
    }
}

impl Wallet {
    /// Whoever is paid.
    pub(in crate::e2e) const PAYEE: Self = Self(0xca);
    /// Of the gateway.
    pub(in crate::e2e) const FEE_PAYER: Self = Self(0xab);
    /// Of the published facilitator.
    pub(in crate::e2e) const FACILITATOR: Self = Self(0xfa);

    /// One that pays.
    pub(in crate::e2e) fn payer(number: usize) -> Self {
        Self(0x11 + u8::try_from(number).unwrap())
    }

    pub(in crate::e2e) fn address(self) -> Pubkey {
        Pubkey::new_from_array(self.key().verifying_key().to_bytes())
    }

    /// As the drivers are told it.
    pub(in crate::e2e) fn seed(self) -> String {
        format!("0x{}", hex::encode([self.0; 32]))
    }

    /// As `solana-keygen` writes it.
    pub(in crate::e2e) fn keygen(self) -> String {
        serde_json::to_string(&self.key().to_keypair_bytes().to_vec()).unwrap()
    }

    fn key(self) -> SigningKey {
        SigningKey::from_bytes(&[self.0; 32])
    }
}

/// Names the program of a whole node, which `tests/run solana` builds; without it LiteSVM is asked.
const WHOLE_NODE: &str = "SOLANA_NODE";
const DEVNET: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
const USDC: &str = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU";
/// Nobody has its key.
pub(in crate::e2e) const TOKEN_2022_MINT: &str = "3ASEB1Fd5cUaXLzuKyGcuu6Z4BfvdQDKK8oP42Foxw3X";
