//! What nodes say to a transaction, and of themselves.

use std::time::Duration;

use super::*;
use crate::chain::rpc::RpcUrl;
use crate::chain::rpc::socket::{nobody, node};

fn rpc(urls: Vec<RpcUrl>) -> Rpc {
    Rpc::unchecked(urls, LONG)
}

const LONG: Duration = Duration::from_secs(5);
const HEIGHT: &str = r#"{"jsonrpc":"2.0","id":0,"result":"0x10"}"#;

#[tokio::test]
async fn a_transaction_that_one_node_may_have_is_not_refused() {
    const FUNDS: &str =
        r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32000,"message":"insufficient funds"}}"#;
    let (refusing, _) = node(FUNDS).await;
    assert!(matches!(rpc(vec![refusing.clone()]).broadcast(&[1]).await, Taken::No(_)));
    let doubtful = rpc(vec![refusing, nobody().await]);
    assert!(matches!(doubtful.broadcast(&[1]).await, Taken::Perhaps(_)));
    let (good, _) = node(HEIGHT).await;
    assert!(matches!(rpc(vec![nobody().await, good]).broadcast(&[1]).await, Taken::Yes));
}

#[tokio::test]
async fn a_used_nonce_is_no_proof_when_another_node_may_have_the_transaction() {
    const LOW: &str =
        r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32000,"message":"nonce too low"}}"#;
    let (low, _) = node(LOW).await;
    assert!(matches!(rpc(vec![low.clone()]).broadcast(&[1]).await, Taken::Spent));
    let doubtful = rpc(vec![nobody().await, low]);
    assert!(matches!(doubtful.broadcast(&[1]).await, Taken::Perhaps(_)));
}

#[tokio::test]
async fn a_node_that_has_given_up_may_have_the_transaction() {
    for answer in [
        r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32002,"message":"request timed out"}}"#,
        r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32603,"message":"Internal error"}}"#,
    ] {
        let (given_up, _) = node(answer).await;
        assert!(matches!(rpc(vec![given_up]).broadcast(&[1]).await, Taken::Perhaps(_)));
    }
}

#[tokio::test]
async fn a_node_of_another_chain_is_put_aside() {
    const BASE: &str = r#"[{"id":0,"result":"0x2105"},{"id":1,"result":"0x64"}]"#;
    const BEHIND: &str = r#"[{"id":0,"result":"0x2105"},{"id":1,"result":"0x10"}]"#;
    let ((base, _), (behind, _)) = (node(BASE).await, node(BEHIND).await);
    let of_chain = |urls, id| Rpc::new(urls, LONG, Home::of_chain(id)).unwrap();
    let two = of_chain(vec![behind, base.clone()], 8453);
    two.look().await.unwrap();
    assert_eq!(two.up(), (2, 1));
    let other = of_chain(vec![base], 137);
    let fault = other.look().await.unwrap_err();
    assert!(fault.to_string().contains("another chain"), "{fault}");
}

#[test]
fn what_a_node_says_to_a_transaction_is_understood() {
    let error = |message: &str| -> RpcError {
        serde_json::from_value(json!({ "code": -32000, "message": message })).unwrap()
    };
    assert_eq!(error("already known").to_transaction(), Said::Has);
    assert_eq!(error("Nonce too low: next nonce 5").to_transaction(), Said::Spent);
    assert!(error("replacement transaction underpriced").is_underpriced());
    assert_eq!(error("insufficient funds for gas * price + value").to_transaction(), Said::No);
}
