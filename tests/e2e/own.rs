//! The gateway settles with its own signer on a real EVM node.

use std::cell::{Cell, RefCell};
use std::fs;

use alloy::sol_types::{SolCall, SolValue};
use alloy_primitives::{Address, B256, U256};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tollgate::x402::Authorization;

use super::chain::{Chain, FACILITATOR_KEY, FACTORY, SIGNER_KEY, Transfer, deployment};
use super::sdk::CLIENTS;
use crate::support::client::Answer;
use crate::support::facilitator::{Facilitator, Habit};
use crate::support::gateway::Gateway;
use crate::support::plan::Plan;
use crate::support::upstream::Upstream;
use crate::support::wallet::{ASSET, PAY_TO, PRICE, Payment, Wallet};
use crate::support::{eventually, together};

alloy::sol! {
    function setPaused(bool value) external;
    function setBlacklisted(address account, bool value) external;
    function transferWithAuthorization(
        address from, address to, uint256 value, uint256 validAfter, uint256 validBefore,
        bytes32 nonce, bytes signature) external;
}

/// The section of a facilitator that settles by itself; `more` are further keys.
pub(super) fn settles_itself(nodes: &[String], more: &str) -> String {
    let nodes: Vec<String> = nodes.iter().map(|url| format!("\"{url}\"")).collect();
    let nodes = nodes.join(", ");
    let usual = "gas = { fee_max = \"100gwei\" }, poll = \"25ms\"";
    format!("chain = {{ rpc = [{nodes}], signer = {{ file = \"{KEY_FILE}\" }}, {usual}{more} }}")
}

/// Where the signer's key lies, beside `gateway.toml`.
pub(super) const KEY_FILE: &str = "signer.key";

/// A gateway in front of `upstream` that settles on these nodes.
async fn gateway(upstream: &Upstream, nodes: &[String], more: &str) -> Gateway {
    settles(Plan::to(upstream.address), nodes, more).await
}

/// A gateway of this plan that settles on these nodes.
pub(super) async fn settles(plan: Plan, nodes: &[String], more: &str) -> Gateway {
    let plan = plan.facilitator(&settles_itself(nodes, more));
    let gateway = plan.start_after(|dir| fs::write(dir.join(KEY_FILE), SIGNER_KEY).unwrap()).await;
    gateway.ready().await;
    gateway
}

pub(super) async fn pay(gateway: &Gateway, payment: &Payment) -> Answer {
    gateway.ask("GET", "/paid").pays(payment).send().await
}

/// The transaction of a receipt that says that the payment was settled.
#[track_caller]
pub(super) fn transaction(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let receipt = answer.object("payment-response");
    assert_eq!(receipt["success"], true, "{receipt}");
    receipt["transaction"].as_str().unwrap().to_owned()
}

pub(super) fn of(payer: Address) -> Transfer {
    Transfer { from: payer, to: PAY_TO, value: U256::from(PRICE) }
}

#[tokio::test]
async fn twenty_at_once_share_transactions_and_one_that_fails_harms_no_other() {
    let wallets: Vec<Wallet> = (1..=20).map(Wallet::new).collect();
    let payers: Vec<Address> = wallets.iter().map(Wallet::address).collect();
    let chain = Chain::start_alone(&payers).await;
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, &[chain.url()], ", batch = { window = \"300ms\" }").await;
    chain.mine_by_hand().await;
    let payments: Vec<Payment> = wallets.iter().map(Wallet::pays).collect();
    let blocks = async {
        eventually("a batch", async || (chain.waiting().await > U256::ZERO).then_some(())).await;
        // Between simulation and block, one payer loses the right to pay: its part fails.
        let call = setBlacklistedCall { account: payers[0], value: true };
        chain.send(ASSET, call.abi_encode()).await;
        chain.ask("evm_setIntervalMining", serde_json::json!([1])).await;
    };
    let paying = together(payments.iter().map(|payment| pay(&gateway, payment)));
    let (answers, ()) = tokio::join!(paying, blocks);

    assert_eq!(answers[0].status, 402, "{}", answers[0].text());
    assert_eq!(gateway.state(&payments[0]).await, "refused");
    let mut transactions: Vec<String> = answers[1..].iter().map(transaction).collect();
    for (payer, transaction) in payers[1..].iter().zip(&transactions) {
        let moved = chain.transfers(transaction).await;
        assert_eq!(moved.iter().filter(|transfer| **transfer == of(*payer)).count(), 1);
    }
    assert_eq!(chain.balance(PAY_TO).await, U256::from(19 * PRICE));
    transactions.sort();
    transactions.dedup();
    assert!(transactions.len() <= 5, "{} transactions", transactions.len());
}

/// Signers come, go and come back, and nodes too, while payments are under way: none fails, and no
/// number is used for two transactions or for none.
#[tokio::test]
async fn a_reload_takes_other_signers_under_load() {
    let wallets: Vec<Wallet> = (1..=4).map(Wallet::new).collect();
    let payers: Vec<Address> = wallets.iter().map(Wallet::address).collect();
    let (chain, upstream) = (Chain::start_alone(&payers).await, Upstream::start().await);
    let gateway = gateway(&upstream, &[chain.url()], "").await;
    fs::write(gateway.dir().join("other.key"), FACILITATOR_KEY).unwrap();
    chain.mine_by_hand().await;
    chain.ask("evm_setIntervalMining", serde_json::json!([1])).await;
    let (over, paid) = (Cell::new(false), RefCell::new(Vec::new()));
    let pays = async |wallet: &Wallet| {
        while !over.get() {
            let named = transaction(&pay(&gateway, &wallet.pays()).await);
            paid.borrow_mut().push(named);
        }
    };
    let one = format!("signer = {{ file = \"{KEY_FILE}\" }}");
    let other = "signer = { file = \"other.key\" }";
    let both = format!("{one}, signers = [{{ file = \"other.key\" }}]");
    let reloads = async {
        let mut now = one.clone();
        for next in [&*both, other, &one, other, &format!("{one}, replace_after = \"7s\"")] {
            let before = paid.borrow().len();
            eventually("payments", async || (paid.borrow().len() >= before + 4).then_some(()))
                .await;
            let (status, said) = gateway.reloaded(|text| text.replace(&now, next)).await;
            assert_eq!(status, 200, "{said}");
            next.clone_into(&mut now);
        }
        let before = paid.borrow().len();
        eventually("payments", async || (paid.borrow().len() >= before + 4).then_some(())).await;
        over.set(true);
    };
    tokio::join!(together(wallets.iter().map(pays)), reloads);
    let paid = paid.into_inner();
    assert_eq!(chain.balance(PAY_TO).await, U256::from(paid.len() as u64 * PRICE));
    assert!(gateway.ledger().await.values().all(|line| line.state() == "settled"));
    let said = gateway.said();
    for wrong in ["another program uses", "a lost nonce", "a batch was not sent"] {
        assert!(!said.contains(wrong), "{said}");
    }
    // One that is not of the configuration any more is not looked after.
    let purses = async || {
        let page = gateway.admin("/metrics").await.1;
        page.lines().filter(|line| line.starts_with("tollgate_signer_balance_gwei{")).count()
    };
    eventually("the purse of one signer", async || (purses().await == 1).then_some(())).await;
}

#[tokio::test]
async fn a_contract_wallet_pays_before_and_after_it_is_deployed() {
    let (owner, other) = (Wallet::new(1), Wallet::new(2));
    let chain = Chain::start_alone(&[]).await;
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, &[chain.url()], "").await;
    let create = deployment(owner.address());
    let wallet = chain.wallet_of(owner.address()).await;
    chain.mint(ASSET, wallet, 1_000_000).await;

    let by = |wallet_of: &Wallet| wallet_of.signs(|signed| signed.from = wallet);
    // Nobody's contract is there, and nothing says where it would come from.
    assert_eq!(pay(&gateway, &by(&owner)).await.status, 402);

    let wrapped = |payment: Payment| {
        payment.then(|payment| {
            let inner = payment.signed.signature.to_vec();
            let mut bytes = (FACTORY, create.clone(), inner).abi_encode_params();
            bytes.extend(MAGIC);
            payment.signed.signature = bytes.into();
        })
    };
    assert_eq!(pay(&gateway, &wrapped(by(&other))).await.status, 402);
    let deployed = transaction(&pay(&gateway, &wrapped(by(&owner))).await);
    assert_eq!(chain.transfers(&deployed).await, [of(wallet)]);

    // Now it is there: wrapped or not, its contract is asked.
    for payment in [by(&owner), wrapped(by(&owner))] {
        let moved = transaction(&pay(&gateway, &payment).await);
        assert_eq!(chain.transfers(&moved).await, [of(wallet)]);
    }
    let refused = pay(&gateway, &by(&other)).await;
    assert_eq!(refused.status, 402);
    assert!(refused.text().contains("invalid_exact_evm_payload_signature"), "{}", refused.text());
    assert_eq!(chain.balance(PAY_TO).await, U256::from(3 * PRICE));
}

/// The client knows nothing of contracts: it signs, and is told whose wallet it signs for.
#[tokio::test]
async fn a_published_client_pays_from_a_contract_wallet() {
    let client = CLIENTS[0];
    let chain = Chain::start_alone(&[]).await;
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, &[chain.url()], "").await;
    let owner = client.payer();
    let wallet = chain.wallet_of(owner).await;
    chain.deploy(owner).await;
    chain.mint(ASSET, wallet, PRICE).await;

    let (body, out) = (gateway.dir().join("body"), gateway.dir().join("out"));
    fs::write(&body, "a question").unwrap();
    let (told, url) = (wallet.to_string(), gateway.url("/paid"));
    let body = (body.as_path(), "text/plain");
    let answer = client.post_with(&[("X402_WALLET", &told)], &url, body, &out).await;
    assert_eq!((answer.status, answer.paid), (200, true), "{answer:?}");
    assert_eq!(chain.transfers(&answer.transaction.unwrap()).await, [of(wallet)]);
}

/// Source: ERC-6492.
const MAGIC: [u8; 32] = B256::new([
    0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92,
    0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92,
])
.0;

#[tokio::test]
async fn what_would_revert_is_refused_before_the_upstream_is_asked() {
    let (rich, poor) = (Wallet::new(1), Wallet::new(2));
    let chain = Chain::start_alone(&[rich.address()]).await;
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, &[chain.url()], "").await;
    let refused = pay(&gateway, &poor.pays()).await;
    assert_eq!(refused.status, 402);
    assert!(refused.text().contains("insufficient_funds"), "{}", refused.text());

    let paid = rich.pays();
    transaction(&pay(&gateway, &paid).await);
    chain.send(ASSET, setPausedCall { value: true }.abi_encode()).await;
    let refused = pay(&gateway, &rich.pays()).await;
    assert_eq!(refused.status, 402);
    assert!(refused.text().contains("invalid_transaction_state"), "{}", refused.text());
    assert_eq!(upstream.seen().len(), 1);
    assert_eq!(chain.balance(PAY_TO).await, U256::from(PRICE));
}

#[tokio::test]
async fn a_node_that_dies_is_replaced_by_the_next() {
    let wallet = Wallet::new(1);
    let chain = Chain::start_alone(&[wallet.address()]).await;
    let upstream = Upstream::start().await;
    let relay = Relay::to(chain.rpc()).await;
    let gateway = gateway(&upstream, &[relay.url.clone(), chain.url()], "").await;
    let before = transaction(&pay(&gateway, &wallet.pays()).await);
    drop(relay);
    let after = transaction(&pay(&gateway, &wallet.pays()).await);
    assert_ne!(before, after);
    assert_eq!(chain.balance(PAY_TO).await, U256::from(2 * PRICE));
    let down = "tollgate_chain_nodes{facilitator=\"peer\",state=\"down\"}";
    gateway.counts(down, "1").await;
}

/// Pays, and leaves as soon as the transaction waits at the node.
pub(super) async fn pay_and_leave(gateway: &Gateway, chain: &Chain, payment: &Payment) {
    let sent = async {
        eventually("sent", async || (chain.waiting().await > U256::ZERO).then_some(())).await;
    };
    tokio::select! {
        answer = pay(gateway, payment) => panic!("{}", answer.status),
        () = sent => {}
    }
}

#[tokio::test]
async fn a_payment_cut_off_in_the_mempool_is_found_on_the_chain() {
    let wallet = Wallet::new(1);
    let chain = Chain::start_alone(&[wallet.address()]).await;
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, &[chain.url()], "").await;
    chain.mine_by_hand().await;
    let payment = wallet.pays();
    pay_and_leave(&gateway, &chain, &payment).await;
    assert_eq!(gateway.state(&payment).await, "settling");
    let gateway = gateway.killed_and_restarted().await;
    // It may still move: nobody is asked to pay again.
    assert_eq!(pay(&gateway, &payment).await.status, 503);
    chain.mine(2).await;
    let line = gateway.comes_to(&payment, "settled").await;
    assert_eq!(chain.transfers(line.transaction()).await, [of(wallet.address())]);
    // Whoever paid and was cut off is served now, and hears of the money that moved.
    let served = pay(&gateway, &payment).await;
    assert_eq!((served.status, served.header("idempotent-replayed")), (200, ""));
    assert_eq!(served.object("payment-response")["transaction"], line.transaction());
    let again = pay(&gateway, &payment).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    assert_eq!(chain.balance(PAY_TO).await, U256::from(PRICE));
}

#[tokio::test]
async fn a_payment_that_was_never_sent_is_released_when_its_window_has_closed() {
    let wallet = Wallet::new(1);
    let chain = Chain::start_alone(&[wallet.address()]).await;
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream, &[chain.url()], "").await;
    chain.mine_by_hand().await;
    let payment = wallet.pays();
    pay_and_leave(&gateway, &chain, &payment).await;
    gateway.kill();
    // The node forgets it, and time goes by.
    chain.ask("anvil_dropAllTransactions", serde_json::json!([])).await;
    let gateway = gateway.killed_and_restarted().await;
    chain.mine(2).await;
    gateway.comes_to(&payment, "unknown").await;
    chain.ask("evm_increaseTime", serde_json::json!([3600])).await;
    chain.mine(100).await;
    gateway.comes_to(&payment, "released").await;
    assert_eq!(chain.balance(PAY_TO).await, U256::ZERO);
}

/// What anybody may tell the asset about a payment.
fn transfer(payment: &Payment) -> Vec<u8> {
    let Authorization { from, to, value, valid_after, valid_before, nonce, .. } =
        payment.signed.authorization.clone();
    let signature = payment.signed.signature.to_vec().into();
    let call = transferWithAuthorizationCall {
        from,
        to,
        value,
        validAfter: valid_after,
        validBefore: valid_before,
        nonce,
        signature,
    };
    call.abi_encode()
}

/// A facilitator says so too when somebody between us has repeated an order that was good.
#[tokio::test]
async fn a_hosted_facilitator_that_misses_money_is_right_where_the_chain_says_so() {
    let (rich, poor) = (Wallet::new(1), Wallet::new(2));
    let chain = Chain::start_alone(&[rich.address()]).await;
    let upstream = Upstream::start().await;
    let peer = Facilitator::start().await;
    let said = r#"{"success":false,"errorReason":"insufficient_funds","transaction":""}"#;
    peer.on_settle(Habit::Says(200, said.to_owned()));
    let node = format!("rpc = [\"{}\"]", chain.url());
    let gateway = Plan::to(upstream.address).settled_by(&peer).network(&node).start().await;

    let refused = poor.pays();
    let answer = pay(&gateway, &refused).await;
    assert_eq!((answer.status, gateway.state(&refused).await), (402, "refused".to_owned()));
    assert_eq!(answer.json()["reason"], "insufficient_funds");

    let payment = rich.pays();
    assert_eq!(pay(&gateway, &payment).await.status, 503);
    assert_eq!(gateway.state(&payment).await, "unknown");
    let moved = chain.send(ASSET, transfer(&payment)).await;
    chain.mine(5).await;
    assert_eq!(gateway.comes_to(&payment, "settled").await.transaction(), moved);
}

#[tokio::test]
async fn what_a_hosted_facilitator_does_not_tell_is_read_from_the_chain() {
    let wallet = Wallet::new(1);
    let chain = Chain::start_alone(&[wallet.address()]).await;
    let upstream = Upstream::start().await;
    let peer = Facilitator::start().await;
    peer.on_settle(Habit::Says(500, String::new()));
    let node = format!("rpc = [\"{}\"]", chain.url());
    let gateway = Plan::to(upstream.address).settled_by(&peer).network(&node).start().await;
    let payment = wallet.pays();
    assert_eq!(pay(&gateway, &payment).await.status, 503);
    assert_eq!(gateway.state(&payment).await, "unknown");

    let moved = chain.send(ASSET, transfer(&payment)).await;
    chain.mine(5).await;
    assert_eq!(gateway.comes_to(&payment, "settled").await.transaction(), moved);
    // The answer of then is gone, so the payer is owed one, and gets it once.
    let answer = pay(&gateway, &payment).await;
    assert_eq!((answer.status, upstream.seen().len()), (200, 2));
    assert_eq!(answer.object("payment-response")["transaction"], moved);
    let again = pay(&gateway, &payment).await;
    assert_eq!((again.header("idempotent-replayed"), upstream.seen().len()), ("true", 2));
}

/// A way to the node that can be cut.
struct Relay {
    url: String,
    _tasks: JoinSet<()>,
}

impl Relay {
    async fn to(node: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut ways = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut far = TcpStream::connect(node).await.unwrap();
                ways.spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { url, _tasks: tasks }
    }
}
