//! Prices by usage on a real EVM node: the published `upto` client signs for the most, and is
//! charged what was used. Permit2 is the published one; x402's proxy for `upto` is a stand-in by
//! its ABI.

use std::fs;

use alloy::sol_types::SolCall;
use alloy_primitives::{Address, U256};
use serde_json::json;
use tokio::process::Command;
use tollgate::x402::permit2::{PERMIT2, UPTO_PROXY};

use super::chain::{Chain, PLAIN_TOKEN, Transfer};
use super::own::settles;
use super::sdk::{CLIENTS, Client};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::server::Reply;
use crate::support::upstream::Upstream;
use crate::support::wallet::{PAY_TO, Wallet};
use crate::support::{eventually, in_time};

alloy::sol! {
    function approveFor(address owner, address spender, uint256 value) external;
}

/// `/paid` costs $0.002 for 1,000 tokens of a token of the chain, and $0.10 at most.
fn plan(upstream: &Upstream) -> Plan {
    let section = format!(
        "[networks.token]\npay_to = \"{PAY_TO}\"\nfacilitator = \"peer\"\nchain_id = 84532\n\
         asset = \"{PLAIN_TOKEN}\"\ndecimals = 6\ntransfer_method = \"permit2\""
    );
    let priced = "price = { max = \"$0.10\", per = \"1k tokens\", rate = \"$0.002\", \
         from = \"usage.total_tokens\" }\nnetworks = [\"token\"]";
    Plan::to(upstream.address)
        .no_routes()
        .section(&section)
        .route("match = \"GET,POST /paid\"", priced)
}

/// Answers in JSON, or in events where the body says so.
async fn upstream() -> Upstream {
    Upstream::answering(|seen| {
        let usage = json!({ "usage": { "total_tokens": 1_501 } });
        match seen.body.starts_with(b"stream") {
            true => Reply::new(200)
                .header("content-type", "text/event-stream")
                .body(format!("data: {{}}\n\ndata: {usage}\n\ndata: [DONE]\n\n")),
            false => {
                Reply::new(200).header("content-type", "application/json").body(usage.to_string())
            }
        }
    })
    .await
}

async fn chain(payer: Address, facilitated: bool) -> Chain {
    let chain = if facilitated { Chain::start(&[]).await } else { Chain::start_alone(&[]).await };
    chain.mint(PLAIN_TOKEN, payer, 1_000_000_000).await;
    let call = approveForCall { owner: payer, spender: PERMIT2, value: U256::MAX };
    chain.send(PLAIN_TOKEN, call.abi_encode()).await;
    chain
}

const USED: u64 = 3_002;

fn of(payer: Address) -> Transfer {
    Transfer { from: payer, to: PAY_TO, value: U256::from(USED) }
}

/// Lets the published client pay for an answer; its transaction, where it was told one.
async fn buy(client: Client, gateway: &Gateway, question: &str) -> Option<String> {
    let (body, out) = (gateway.dir().join("body"), gateway.dir().join("out"));
    fs::write(&body, question).unwrap();
    let (url, asset) = (gateway.url("/paid"), PLAIN_TOKEN.to_string());
    let more = [("X402_ASSET", asset.as_str())];
    let answer = client.post_with(&more, &url, (&body, "text/plain"), &out).await;
    assert_eq!(answer.status, 200, "{}: {answer:?}", client.name);
    answer.transaction
}

/// The one payment in the ledger, settled.
async fn settled(gateway: &Gateway) -> (u64, u64, String) {
    eventually("a settled payment", async || {
        let lines = gateway.ledger().await;
        let mut settled = lines.into_values().filter(|line| line.state() == "settled");
        settled.next().map(|line| (line.amount(), line.reserved(), line.transaction().to_owned()))
    })
    .await
}

#[tokio::test]
async fn the_published_client_is_charged_what_was_used_by_our_own_signer() {
    let client = CLIENTS[0];
    let chain = chain(client.payer(), false).await;
    let upstream = upstream().await;
    let gateway = settles(plan(&upstream), &[chain.url()], "").await;
    let moved = buy(client, &gateway, "a question").await.unwrap();
    assert_eq!(chain.transfers_of(PLAIN_TOKEN, &moved).await, [of(client.payer())]);
    assert_eq!(settled(&gateway).await, (USED, 100_000, moved));
    let reconciled = reconcile(&gateway).await;
    assert!(reconciled.contains("0 differ"), "{reconciled}");
}

async fn reconcile(gateway: &Gateway) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(["ledger", "reconcile", "--json"]).arg(gateway.file());
    let output = in_time("the command", command.output()).await.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    text
}

#[tokio::test]
async fn the_published_client_is_charged_for_a_stream_behind_its_end() {
    let client = CLIENTS[0];
    let chain = chain(client.payer(), false).await;
    let upstream = upstream().await;
    let gateway = settles(plan(&upstream), &[chain.url()], "").await;
    assert_eq!(buy(client, &gateway, "stream").await, None);
    let (amount, reserved, moved) = settled(&gateway).await;
    assert_eq!((amount, reserved), (USED, 100_000));
    assert_eq!(chain.transfers_of(PLAIN_TOKEN, &moved).await, [of(client.payer())]);
}

#[tokio::test]
async fn the_published_facilitator_settles_what_was_used() {
    let client = CLIENTS[0];
    let chain = chain(client.payer(), true).await;
    let upstream = upstream().await;
    let peer = format!("http = {{ url = \"http://{}\" }}", chain.facilitator());
    let gateway = plan(&upstream).facilitator(&peer).start().await;
    gateway.ready().await;
    let moved = buy(client, &gateway, "a question").await.unwrap();
    assert_eq!(chain.transfers_of(PLAIN_TOKEN, &moved).await, [of(client.payer())]);
    assert_eq!(settled(&gateway).await, (USED, 100_000, moved));
}

#[tokio::test]
async fn what_cannot_be_moved_in_full_is_refused_before_it_is_served() {
    let wallet = Wallet::new(1);
    let chain = chain(wallet.address(), false).await;
    let upstream = upstream().await;
    let gateway = settles(plan(&upstream), &[chain.url()], "").await;
    let offer = eventually("an offer", async || {
        let answer = gateway.ask("GET", "/paid").send().await;
        let offer = (answer.status == 402).then(|| answer.object("payment-required"));
        offer.map(|required| required["accepts"][0].clone())
    })
    .await;
    let allow = async |value| {
        let call = approveForCall { owner: wallet.address(), spender: PERMIT2, value };
        chain.send(PLAIN_TOKEN, call.abi_encode()).await;
    };
    let pay = async |payment| gateway.ask("GET", "/paid").pays(payment).send().await;
    let payment = wallet.permits_up_to(&offer);
    allow(U256::from(99_999)).await;
    let refused = pay(&payment).await;
    assert_eq!(refused.status, 402);
    assert!(refused.text().contains("permit2_allowance_required"), "{}", refused.text());
    allow(U256::from(100_000)).await;
    assert_eq!(pay(&payment).await.status, 200);

    chain.ask("anvil_setCode", json!([UPTO_PROXY, "0x"])).await;
    allow(U256::MAX).await;
    let without = pay(&wallet.permits_up_to(&offer)).await;
    assert_eq!(without.status, 503, "{}", without.text());
    assert_eq!(upstream.seen().len(), 1);
}
