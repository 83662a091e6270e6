//! A gRPC server behind the gateway and a gRPC client before it: grpcio, both.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::install::{self, PYTHON_CHECKS};
use super::process::Process;
use crate::support::certificate;
use crate::support::gateway::Gateway;
use crate::support::in_time;
use crate::support::plan::{PRICED, Plan};
use crate::support::wallet::{Payment, Wallet};

/// What a client has been told.
#[derive(Debug, Deserialize)]
struct Called {
    code: String,
    message: String,
    answers: Vec<String>,
    head: BTreeMap<String, String>,
    trailers: BTreeMap<String, String>,
}

/// Calls one method with these messages.
async fn call(
    gateway: &Gateway,
    method: &str,
    messages: &[&str],
    payment: Option<&Payment>,
) -> Called {
    let mut client = tokio::process::Command::new(install::file(PYTHON_CHECKS));
    client.arg(install::file("clients/grpc_client.py")).arg(gateway.public.to_string());
    client.arg(method).args(messages).stderr(Stdio::inherit()).kill_on_drop(true);
    client.envs(payment.map(|payment| ("X402_PAYMENT", payment.v2())));
    let roots = gateway.dir().join("one.pem");
    client.envs(roots.exists().then_some(("X402_ROOTS", roots)));
    let ended = in_time("the end of the client", client.output()).await.unwrap();
    serde_json::from_slice(&ended.stdout).unwrap()
}

/// The server, and what is before it: two services with the same methods, one of them for money.
fn plan() -> (Process, Plan) {
    let mut server = Command::new(install::file(PYTHON_CHECKS));
    server.arg(install::file("grpc_server.py"));
    let (server, address) = Process::listening(&mut server, "listening on ");
    let plan = Plan::to_upstream(&format!("url = \"http://{address}\"\nhttp = \"2\"")).no_routes();
    let plan = plan.route("match = \"POST /Free/*\"", "price = \"free\"");
    (server, plan.route("match = \"POST /Paid/*\"", PRICED))
}

/// Says hello on both services; the payment has bought it then.
async fn says_hello(gateway: &Gateway, payment: &Payment) {
    let free = call(gateway, "/Free/Say", &["hello"], None).await;
    assert_eq!((free.code.as_str(), free.answers.concat().as_str()), ("OK", "you said hello"));
    assert_eq!((&*free.trailers["payer"], &*free.trailers["proof"]), ("none", "no"));
    let paid = call(gateway, "/Paid/Say", &["hello"], Some(payment)).await;
    assert_eq!((paid.code.as_str(), paid.answers.concat().as_str()), ("OK", "you said hello"));
    assert!(paid.head.contains_key("payment-response"), "{paid:?}");
    assert_ne!(paid.trailers["payer"], "none");
    assert_eq!(paid.trailers["proof"], "no");
    // What only the gateway may say is not said in a trailer either.
    assert!(!paid.trailers.contains_key("payment-response"), "{paid:?}");
    assert_eq!(gateway.state(payment).await, "settled");
}

#[tokio::test]
async fn grpc_is_paid_for_by_the_call() {
    let (_server, plan) = plan();
    let plan = plan.section("[[certificates]]\nchain = \"one.pem\"\nkey = \"one.key\"");
    let certify = |dir: &std::path::Path| {
        certificate::certify(dir, "one", &["localhost", "127.0.0.1"]);
    };
    let gateway = plan.start_after(certify).await;
    let unpaid = call(&gateway, "/Paid/Say", &["hello"], None).await;
    assert_eq!((unpaid.code.as_str(), unpaid.answers.len()), ("UNKNOWN", 0));
    assert!(unpaid.message.contains("402"), "{unpaid:?}");

    let payment = Wallet::new(1).pays();
    says_hello(&gateway, &payment).await;
    // No copy has trailers, so none is kept.
    let again = call(&gateway, "/Paid/Say", &["hello"], Some(&payment)).await;
    assert!(again.message.contains("409"), "{again:?}");

    let payment = Wallet::new(1).pays();
    let counted = call(&gateway, "/Paid/Count", &["3"], Some(&payment)).await;
    assert_eq!((counted.code.as_str(), counted.answers.concat().as_str()), ("OK", "012"));
    gateway.comes_to(&payment, "settled").await;

    // An error before any answer is the head of it, and costs nothing.
    let payment = Wallet::new(1).pays();
    let failed = call(&gateway, "/Paid/Fail", &["x"], Some(&payment)).await;
    assert_eq!((&*failed.code, &*failed.message), ("INVALID_ARGUMENT", "not that"));
    gateway.comes_to(&payment, "released").await;

    // One behind an answer is known when that has been paid for.
    let broken = call(&gateway, "/Paid/BreakOff", &["x"], Some(&payment)).await;
    assert_eq!((&*broken.code, &*broken.message), ("DATA_LOSS", "the rest is gone"));
    assert_eq!(broken.answers, ["the first"]);
    gateway.comes_to(&payment, "settled").await;
}

/// Each message is sent when the answer to the one before it is there.
#[tokio::test]
async fn grpc_goes_both_ways_at_once_without_tls() {
    let (_server, plan) = plan();
    let gateway = plan.start().await;
    says_hello(&gateway, &Wallet::new(1).pays()).await;
    let said = ["you said a", "you said b", "you said c"];
    let free = call(&gateway, "/Free/Converse", &["a", "b", "c"], None).await;
    assert_eq!((free.code.as_str(), &*free.answers), ("OK", &said.map(str::to_owned)[..]));
    let payment = Wallet::new(1).pays();
    let paid = call(&gateway, "/Paid/Converse", &["a", "b", "c"], Some(&payment)).await;
    assert_eq!((paid.code.as_str(), paid.answers), ("OK", free.answers));
    assert!(paid.head.contains_key("payment-response"), "{:?}", paid.head);
    gateway.comes_to(&payment, "settled").await;
}
