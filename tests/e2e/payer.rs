//! `tollgate pay` and `tollgate check --online` where payments are by Permit2, on a real EVM node.

use std::fs;
use std::path::Path;
use std::process::Output;

use alloy::sol_types::SolCall;
use alloy_primitives::{B256, U256};
use serde_json::json;
use tokio::process::Command;
use tollgate::x402::permit2::{EXACT_PROXY, PERMIT2};

use super::chain::{Chain, PLAIN_TOKEN, SIGNER_KEY};
use super::own::{KEY_FILE, of, settles, settles_itself};
use crate::support::gateway::Gateway;
use crate::support::in_time;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{ASSET, PAY_TO, PRICE, Wallet};

alloy::sol! {
    function approve(address spender, uint256 value) external returns (bool);
}

const BY_PERMIT2: &str = "transfer_method = \"permit2\"";
const SPONSORED: &str = "transfer_method = \"permit2\"\ngas_sponsoring = \"eip2612\"";

async fn tollgate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    in_time("the command", command.args(arguments).output()).await.unwrap()
}

/// Pays with the key of this number: exit code, standard output, standard error.
async fn pay(gateway: &Gateway, number: u8, more: &[&str]) -> (i32, String, String) {
    let key = gateway.dir().join("payer.key");
    fs::write(&key, B256::repeat_byte(number).to_string()).unwrap();
    let url = gateway.url("/paid");
    let arguments = [&["pay", &url, "--key-file", key.to_str().unwrap()], more].concat();
    let Output { status, stdout, stderr } = tollgate(&arguments).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// The transaction of a receipt.
#[track_caller]
fn transaction((code, body, told): &(i32, String, String)) -> &str {
    assert_eq!(*code, 0, "{body}\n{told}");
    let line = told.lines().find_map(|line| line.trim().strip_prefix("transaction "));
    line.unwrap_or_else(|| panic!("{told}"))
}

#[tokio::test]
async fn tollgate_pay_brings_an_approval_along_where_it_is_taken() {
    let payer = Wallet::new(1).address();
    let chain = Chain::start_alone(&[payer]).await;
    let upstream = Upstream::start().await;
    let plan = Plan::to(upstream.address).network(SPONSORED);
    let gateway = settles(plan, &[chain.url()], "").await;

    let (code, _, told) = pay(&gateway, 1, &[]).await;
    assert_eq!(code, 1, "{told}");
    for words in ["nothing was paid", "approve it once", &PERMIT2.to_string(), "--rpc"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    // The first approval is used up by the first payment; the second has the next number.
    for _ in 0..2 {
        let paid = pay(&gateway, 1, &["--rpc", &chain.url()]).await;
        assert_eq!(chain.transfers(transaction(&paid)).await, [of(payer)]);
    }
    assert_eq!(chain.balance(PAY_TO).await, U256::from(2 * PRICE));
}

#[tokio::test]
async fn tollgate_pay_pays_who_has_approved_and_says_how_to() {
    let payer = Wallet::new(1).address();
    let chain = Chain::start_alone(&[payer]).await;
    let upstream = Upstream::start().await;
    let plan = Plan::to(upstream.address).network(BY_PERMIT2);
    let gateway = settles(plan, &[chain.url()], "").await;
    let nobody = "http://127.0.0.1:9";
    for (more, expected) in [
        (&[][..], "approve it once"),
        (&["--rpc", &chain.url()], "approve it once"),
        (&["--rpc", nobody], "the node of --rpc does not answer"),
    ] {
        let (code, _, told) = pay(&gateway, 1, more).await;
        assert!(code == 1 && told.contains(expected), "{more:?}: {told}");
        assert!(!told.contains("name a node"), "{told}");
    }
    assert_eq!(upstream.seen().len(), 0);

    let call = approveCall { spender: PERMIT2, value: U256::MAX }.abi_encode();
    chain.send_as(payer, ASSET, call).await;
    for more in [&[][..], &["--rpc", &chain.url()]] {
        let paid = pay(&gateway, 1, more).await;
        assert_eq!(chain.transfers(transaction(&paid)).await, [of(payer)]);
    }
}

#[tokio::test]
async fn check_online_says_what_permit2_lacks() {
    let chain = Chain::start_alone(&[]).await;
    let check = async |settled_by: &str, network: &str| {
        let plan = Plan::to("127.0.0.1:9".parse().unwrap()).facilitator(settled_by);
        let dir = plan.network(network).folder();
        fs::write(dir.path().join(KEY_FILE), SIGNER_KEY).unwrap();
        let config = dir.path().join("gateway.toml");
        checked(&config).await
    };
    let own = settles_itself(&[chain.url()], "");
    let (code, said) = check(&own, SPONSORED).await;
    assert!(code == 0 && said.contains("permit2    all that it needs is on the chain"), "{said}");

    // Of a network that somebody else settles for, its own nodes are asked.
    let hosted = "http = { url = \"http://127.0.0.1:9\" }";
    let node = format!("rpc = [\"{}\"]", chain.url());
    let (_, said) = check(hosted, &format!("{BY_PERMIT2}\n{node}")).await;
    assert!(said.contains("all that it needs is on the chain"), "{said}");
    let (_, said) = check(hosted, BY_PERMIT2).await;
    assert!(said.contains("not looked for: give [networks.base-sepolia] an `rpc`"), "{said}");
    let (_, said) = check(hosted, "").await;
    assert!(!said.contains("permit2  "), "{said}");

    for code in [json!([EXACT_PROXY, "0x"]), json!([PERMIT2, "0x"])] {
        chain.ask("anvil_setCode", code).await;
    }
    let plain = chain.ask("eth_getCode", json!([PLAIN_TOKEN, "latest"])).await;
    chain.ask("anvil_setCode", json!([ASSET, plain])).await;
    let (code, said) = check(&own, SPONSORED).await;
    assert_eq!(code, 1, "{said}");
    for line in ["no Permit2 at 0x0000", "no x402ExactPermit2Proxy at 0x4020", "no EIP-2612 in 0x"]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
}

async fn checked(config: &Path) -> (i32, String) {
    let output = tollgate(&["check", "--online", config.to_str().unwrap()]).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{errors}");
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}
