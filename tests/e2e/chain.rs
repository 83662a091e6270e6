//! A local EVM node that looks like Base Sepolia, with a published facilitator that settles on it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, B256, U256, address, b256, hex};
use serde_json::{Value, json};

use super::install::{self, ANVIL, NODE};
use super::process::Process;
use crate::support::eventually;
use crate::support::wallet::{Place, SEPOLIA};

alloy::sol! {
    function create(address owner, bytes32 salt) external returns (address);
    function addressOf(address owner, bytes32 salt) external view returns (address);
    function mint(address to, uint256 value) external;
}

pub(super) struct Chain {
    _node: Process,
    facilitator: Option<(Process, SocketAddr)>,
    rpc: SocketAddr,
    http: reqwest::Client,
}

/// What USDC's `Transfer` event says.
#[derive(Debug, PartialEq)]
pub(super) struct Transfer {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) value: U256,
}

impl Chain {
    /// Starts node and facilitator; every one of `payers` has 1,000 USDC.
    pub(super) async fn start(payers: &[Address]) -> Self {
        let mut chain = Self::start_alone(payers).await;
        let mut peer = Command::new(install::file(NODE));
        peer.arg(install::file("facilitator.mjs"))
            .arg(chain.url())
            .env("X402_PRIVATE_KEY", FACILITATOR_KEY);
        chain.facilitator = Some(Process::listening(&mut peer, "listening on "));
        chain
    }

    /// Starts a node that nobody settles on yet. Two wallets have ether: [`FACILITATOR_KEY`]'s and
    /// [`SIGNER_KEY`]'s.
    pub(super) async fn start_alone(payers: &[Address]) -> Self {
        Self::start_at(SEPOLIA, payers).await
    }

    /// The same at another place.
    pub(super) async fn start_at(place: Place, payers: &[Address]) -> Self {
        let mut anvil = Command::new(install::file(ANVIL));
        anvil.args(["--host", "127.0.0.1", "--port", "0"]);
        anvil.args(["--chain-id", &place.chain_id.to_string()]);
        let (node, rpc) = Process::listening(&mut anvil, "Listening on ");
        let url = format!("http://{rpc}");

        let senders = [FACILITATOR_KEY, SIGNER_KEY].map(|key| {
            let key: PrivateKeySigner = key.parse().unwrap();
            key.address().to_string()
        });
        install::file("build/WalletFactory.json");
        let set_up = Command::new(install::file(NODE))
            .arg(install::file("chain.mjs"))
            .args([&url, &senders.join(",")])
            .args(payers.iter().map(Address::to_string))
            .status();
        assert!(set_up.unwrap().success(), "chain.mjs failed");
        Self { _node: node, facilitator: None, rpc, http: http_client() }
    }

    /// Where the node is asked.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.rpc)
    }

    pub(super) fn rpc(&self) -> SocketAddr {
        self.rpc
    }

    pub(super) fn facilitator(&self) -> SocketAddr {
        self.facilitator.as_ref().unwrap().1
    }

    /// From now on there is a block only when [`Chain::mine`] makes one.
    pub(super) async fn mine_by_hand(&self) {
        self.ask("evm_setAutomine", json!([false])).await;
    }

    pub(super) async fn mine(&self, blocks: u64) {
        self.ask("anvil_mine", json!([format!("{blocks:#x}")])).await;
    }

    /// Calls a contract from an account of the node's own, for much gas. Does not wait for a block.
    pub(super) async fn send(&self, to: Address, data: Vec<u8>) -> String {
        let accounts = self.ask("eth_accounts", json!([])).await;
        self.send_from(&accounts[0], to, data).await
    }

    /// Calls a contract as if `from` had signed it.
    pub(super) async fn send_as(&self, from: Address, to: Address, data: Vec<u8>) -> String {
        let from = json!(from);
        self.ask("anvil_impersonateAccount", json!([from])).await;
        self.ask("anvil_setBalance", json!([from, "0xde0b6b3a7640000"])).await;
        self.send_from(&from, to, data).await
    }

    async fn send_from(&self, from: &Value, to: Address, data: Vec<u8>) -> String {
        let transaction = json!([{
            "from": from, "to": to, "data": hex::encode_prefixed(data), "gas": "0x7a120",
            "maxFeePerGas": "0x2540be4000", "maxPriorityFeePerGas": "0x2540be400",
        }]);
        let hash = self.ask("eth_sendTransaction", transaction).await;
        // The node answers before the block is there that it makes at once.
        if self.ask("anvil_getAutomine", json!([])).await == json!(true) {
            eventually("a block with it", async || {
                let receipt = self.ask("eth_getTransactionReceipt", json!([hash])).await;
                (!receipt.is_null()).then_some(())
            })
            .await;
        }
        hash.as_str().unwrap().to_owned()
    }

    /// The contract wallet of this owner, deployed or not.
    pub(super) async fn wallet_of(&self, owner: Address) -> Address {
        let asked = addressOfCall { owner, salt: SALT }.abi_encode();
        Address::from_word(B256::from_slice(&self.call(FACTORY, asked).await))
    }

    /// Deploys it.
    pub(super) async fn deploy(&self, owner: Address) {
        self.send(FACTORY, deployment(owner)).await;
    }

    /// Makes so much of an asset for `to`.
    pub(super) async fn mint(&self, asset: Address, to: Address, value: u64) {
        let value = U256::from(value);
        self.send(asset, mintCall { to, value }.abi_encode()).await;
    }

    /// Transactions that wait for a block.
    pub(super) async fn waiting(&self) -> U256 {
        word(&self.ask("txpool_status", json!([])).await["pending"])
    }

    /// What a call returns.
    pub(super) async fn call(&self, to: Address, data: Vec<u8>) -> Vec<u8> {
        let call = json!([{ "to": to, "data": hex::encode_prefixed(data) }, "latest"]);
        hex::decode(self.ask("eth_call", call).await.as_str().unwrap()).unwrap()
    }

    pub(super) async fn balance(&self, of: Address) -> U256 {
        self.balance_in(USDC, of).await
    }

    pub(super) async fn balance_in(&self, asset: Address, of: Address) -> U256 {
        let data = format!("{BALANCE_OF}{:x}", of.into_word());
        let call = json!([{ "to": asset, "data": data }, "latest"]);
        word(&self.ask("eth_call", call).await)
    }

    /// Every movement of USDC in `transaction`, which must be on the chain and have succeeded.
    pub(super) async fn transfers(&self, transaction: &str) -> Vec<Transfer> {
        self.transfers_of(USDC, transaction).await
    }

    /// Every movement of an asset in `transaction`.
    pub(super) async fn transfers_of(&self, asset: Address, transaction: &str) -> Vec<Transfer> {
        let receipt = self.ask("eth_getTransactionReceipt", json!([transaction])).await;
        assert_eq!(receipt["status"], "0x1", "{transaction}: {receipt}");
        let logs = receipt["logs"].as_array().unwrap().iter();
        logs.filter_map(|log| transfer(asset, log)).collect()
    }

    /// Every use of an authorization: its nonce and the transaction, no nonce twice.
    pub(super) async fn uses(&self) -> BTreeMap<String, String> {
        let filter = json!([{ "address": USDC, "topics": [USED], "fromBlock": "0x0" }]);
        let logs = self.ask("eth_getLogs", filter).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut uses = BTreeMap::new();
        for log in logs.as_array().unwrap() {
            let twice = uses.insert(text(&log["topics"][2]), text(&log["transactionHash"]));
            assert_eq!(twice, None, "{log}");
        }
        uses
    }

    pub(super) async fn ask(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self.http.post(format!("http://{}", self.rpc)).body(request.to_string());
        let request = request.header("content-type", "application/json");
        let answer = request.send().await.unwrap().text().await.unwrap();
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].take()
    }
}

/// What [`FACTORY`] is told to deploy an owner's wallet.
pub(super) fn deployment(owner: Address) -> Vec<u8> {
    createCall { owner, salt: SALT }.abi_encode()
}

fn transfer(asset: Address, log: &Value) -> Option<Transfer> {
    let [event, from, to] = log["topics"].as_array()?.as_slice() else { return None };
    let of_asset = log["address"].as_str()?.parse() == Ok(asset);
    if !of_asset || B256::from(word(event)) != TRANSFER {
        return None;
    }
    let party = |topic| Address::from_word(word(topic).into());
    Some(Transfer { from: party(from), to: party(to), value: word(&log["data"]) })
}

fn word(hex: &Value) -> U256 {
    hex.as_str().unwrap().parse().unwrap()
}

fn http_client() -> reqwest::Client {
    // Only plain HTTP is spoken here, but the client is not built without a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

const USDC: Address = address!("0x036CbD53842c5426634e7929541eC2318f3dCF7e");
const BALANCE_OF: &str = "0x70a08231";
const TRANSFER: B256 = b256!("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// An ERC-20 without EIP-3009, and one with EIP-2612.
pub(super) const PLAIN_TOKEN: Address = address!("0x0000000000000000000000000000000000000020");
pub(super) const PERMIT_TOKEN: Address = address!("0x0000000000000000000000000000000000002612");
/// `AuthorizationUsed` of EIP-3009.
const USED: B256 = b256!("0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5");
const SALT: B256 = B256::repeat_byte(7);
pub(super) const FACTORY: Address = address!("0x00000000000000000000000000000000000FAc70");
/// Of the gateway's own signer.
pub(super) const SIGNER_KEY: &str =
    "0xabababababababababababababababababababababababababababababababab";
/// Worth nothing: the chain it signs for lives as long as one test.
pub(super) const FACILITATOR_KEY: &str =
    "0xfafafafafafafafafafafafafafafafafafafafafafafafafafafafafafafafa";
