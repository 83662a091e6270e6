//! The pool against small servers with scripts.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers every connection's first request with the same text, and counts them.
async fn node(answer: &'static str) -> (RpcUrl, std::sync::Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret", listener.local_addr().unwrap()).parse().unwrap();
    let asked = std::sync::Arc::new(AtomicU32::new(0));
    let count = std::sync::Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let mut buffer = [0; 4096];
            let _ = socket.read(&mut buffer).await;
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ";
            let _ = socket
                .write_all(format!("{head}{}\r\n\r\n{answer}", answer.len()).as_bytes())
                .await;
        }
    });
    (url, asked)
}

async fn nobody() -> RpcUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/secret", listener.local_addr().unwrap()).parse().unwrap()
}

fn rpc(urls: Vec<RpcUrl>) -> Rpc {
    rustls::crypto::ring::default_provider().install_default().ok();
    Rpc::new(urls, Duration::from_secs(5)).unwrap()
}

const HEIGHT: &str = r#"{"jsonrpc":"2.0","id":0,"result":"0x10"}"#;
const REFUSAL: &str = r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32005,"message":"too many"}}"#;

fn height() -> Ask {
    Ask::new("eth_blockNumber", json!([]))
}

#[tokio::test]
async fn a_node_that_is_gone_is_left_for_the_next_and_asked_last_from_then_on() {
    let (good, asked) = node(HEIGHT).await;
    let rpc = rpc(vec![nobody().await, good]);
    for _ in 0..3 {
        assert_eq!(rpc.ask_for(height()).await.unwrap(), "0x10");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    assert_eq!(rpc.up(), (2, 1));
}

#[tokio::test]
async fn a_refusal_is_handed_on_only_when_nobody_does_better() {
    let ((refusing, _), (good, _)) = (node(REFUSAL).await, node(HEIGHT).await);
    assert!(rpc(vec![refusing.clone(), good]).ask_for(height()).await.is_ok());
    let fault = rpc(vec![refusing]).ask_for(height()).await.unwrap_err().to_string();
    assert!(fault.contains("too many"), "{fault}");
}

#[tokio::test]
async fn a_fault_names_the_host_and_not_the_key() {
    let fault = rpc(vec![nobody().await]).ask_for(height()).await.unwrap_err().to_string();
    assert!(fault.contains("127.0.0.1") && !fault.contains("secret"), "{fault}");
}

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
async fn a_node_of_another_chain_is_put_aside() {
    const BASE: &str = r#"[{"id":0,"result":"0x2105"},{"id":1,"result":"0x64"}]"#;
    const BEHIND: &str = r#"[{"id":0,"result":"0x2105"},{"id":1,"result":"0x10"}]"#;
    let ((base, _), (behind, _)) = (node(BASE).await, node(BEHIND).await);
    let two = rpc(vec![behind, base.clone()]);
    two.look(8453).await.unwrap();
    assert_eq!(two.up(), (2, 1));
    let other = rpc(vec![base]);
    let fault = other.look(137).await.unwrap_err();
    assert!(fault.to_string().contains("another chain"), "{fault}");
}
