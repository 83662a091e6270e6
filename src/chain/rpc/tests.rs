//! The pool against small servers with scripts.

mod lies;

use std::task::Poll;

use parking_lot::Mutex;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::chain::rpc::socket::{heard, nobody, node, say};

/// A node that answers each question with its own first parameter, and how many questions were in
/// each request.
struct Clerk {
    url: RpcUrl,
    requests: Arc<Mutex<Vec<usize>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Batches {
    Taken,
    Refused,
}

impl Clerk {
    async fn start(batches: Batches) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let counts = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let counts = Arc::clone(&counts);
                tokio::spawn(async move {
                    let question = heard(&mut socket).await;
                    let several = question.as_array().cloned();
                    let count = several.as_ref().map_or(1, Vec::len);
                    counts.lock().push(count);
                    let one = |ask: &Value| json!({ "id": ask["id"], "result": ask["params"][0] });
                    let answer = match several {
                        Some(_) if batches == Batches::Refused => {
                            json!({ "id": null, "error": { "code": -32600, "message": "batch" } })
                        }
                        Some(asks) => asks.iter().rev().map(one).collect(),
                        None => one(&question),
                    };
                    say(&mut socket, &answer.to_string()).await.unwrap();
                });
            }
        });
        Self { url, requests }
    }

    /// Asks so many questions at once.
    async fn asked(&self, rpc: &Rpc, count: usize) -> Vec<usize> {
        let asks = (0..count).map(|at| rpc.ask_for(Ask::new("echo", json!([at]))));
        for (at, answer) in futures(asks).await.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), at);
        }
        let mut requests = std::mem::take(&mut *self.requests.lock());
        requests.sort_unstable();
        requests
    }
}

async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        for (one, done) in &mut all {
            if done.is_none()
                && let Poll::Ready(output) = one.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        match all.iter().all(|(_, done)| done.is_some()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    all.into_iter().filter_map(|(_, done)| done).collect()
}

#[tokio::test]
async fn questions_that_come_together_share_a_request() {
    let clerk = Clerk::start(Batches::Taken).await;
    let rpc = rpc(vec![clerk.url.clone()]);
    assert_eq!(clerk.asked(&rpc, 1).await, [1]);
    assert_eq!(clerk.asked(&rpc, 25).await, [5, 10, 10]);
    assert_eq!(clerk.asked(&rpc, 105).await, [vec![5], vec![10; 10]].concat());
}

#[tokio::test]
async fn a_node_that_takes_no_batch_is_asked_one_by_one() {
    let clerk = Clerk::start(Batches::Refused).await;
    let rpc = rpc(vec![clerk.url.clone()]);
    assert_eq!(clerk.asked(&rpc, 15).await, [vec![1; 15], vec![5, 10]].concat());
    assert_eq!(clerk.asked(&rpc, 80).await, vec![1; 80]);
    assert_eq!(rpc.up(), (1, 1));
}

#[tokio::test]
async fn who_shares_a_request_shares_its_fault_and_nothing_waits_behind_it() {
    let gone = rpc(vec![nobody().await]);
    let asks = (0..32).map(|_| gone.ask_for(height()));
    assert!(futures(asks).await.iter().all(Result::is_err));
    assert!(gone.ask_for(height()).await.unwrap_err().to_string().contains("127.0.0.1"));
}

fn rpc(urls: Vec<RpcUrl>) -> Rpc {
    Rpc::unchecked(urls, Duration::from_secs(5))
}

const HEIGHT: &str = r#"{"jsonrpc":"2.0","id":0,"result":"0x10"}"#;
const HERE: &str = r#"{"jsonrpc":"2.0","id":0,"result":"0x11"}"#;
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
async fn a_node_of_another_chain_is_asked_for_nothing_even_when_no_other_is_left() {
    let home = || Home { ask: height(), is_told: Box::new(|told| told == "0x11") };
    let of = |urls| Rpc::new(urls, Duration::from_secs(5), home()).unwrap();
    let ((elsewhere, asked), (here, _)) = (node(HEIGHT).await, node(HERE).await);
    let rpc = of(vec![elsewhere.clone(), here]);
    for _ in 0..3 {
        assert_eq!(rpc.ask_for(height()).await.unwrap(), "0x11");
    }
    assert_eq!((asked.load(Ordering::Relaxed), rpc.up()), (1, (2, 1)));
    let alone = of(vec![elsewhere, nobody().await]);
    for _ in 0..2 {
        alone.ask_for(height()).await.unwrap_err();
        let taken = alone.hand_in(height(), |_| Said::No).await;
        assert!(matches!(taken, Taken::Perhaps(_)), "{taken:?}");
    }
    assert_eq!((asked.load(Ordering::Relaxed), alone.up()), (2, (2, 0)));
}
