//! Nodes that pour, drip, redirect and lie: each is left for the next, and nobody's word is taken
//! for what it is not.

use tokio::io::AsyncWriteExt as _;

use super::*;

/// What a node does with each connection's first request: these pieces, with a pause behind each,
/// for as long as they are taken.
#[derive(Clone)]
struct Act {
    head: String,
    piece: Vec<u8>,
    count: usize,
    pause: Duration,
}

impl Act {
    fn says(head: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}");
        Self { head, piece: Vec::new(), count: 0, pause: Duration::ZERO }
    }

    fn pours(head: &str, piece: &[u8], (count, millis): (usize, u64)) -> Self {
        let (head, piece) = (format!("HTTP/1.1 200 OK\r\n{head}"), piece.to_vec());
        Self { head, piece, count, pause: Duration::from_millis(millis) }
    }

    async fn start(self) -> RpcUrl {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/secret", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let act = self.clone();
                tokio::spawn(async move {
                    let _ = heard(&mut socket).await;
                    let mut sent = socket.write_all(act.head.as_bytes()).await;
                    for _ in 0..act.count {
                        if sent.is_err() {
                            return;
                        }
                        tokio::time::sleep(act.pause).await;
                        sent = socket.write_all(&act.piece).await;
                    }
                });
            }
        });
        url
    }
}

/// Everything that a node may answer with and that is not an answer.
fn lies(elsewhere: &str) -> Vec<(&'static str, Act)> {
    let long = "content-length: 10000000\r\n\r\n";
    let to = |status: u16| Act::says(&format!("{status} Moved\r\nlocation: {elsewhere}"), "");
    let ok = |body: &str| Act::says("200 OK", body);
    let deep = format!("{{\"id\":0,\"result\":{}", "[".repeat(100_000));
    vec![
        ("ten megabytes", Act::pours(long, &[b' '; 100_000], (100, 0))),
        ("ten megabytes in a string", {
            let begin = format!("{long}{{\"id\":0,\"result\":\"");
            Act::pours(&begin, &[b'x'; 100_000], (100, 0))
        }),
        ("a drip", Act::pours(long, b" ", (1_000, 50))),
        ("headers without end", Act::pours("", &b"x: y\r\n".repeat(1_000), (1_000, 0))),
        ("headers that drip", Act::pours("", b"x: y\r\n", (1_000, 50))),
        ("half an answer", Act::pours(long, b"{\"id\":0,", (1, 0))),
        ("a redirect", to(302)),
        ("a redirect that keeps the question", to(307)),
        ("a redirect for good", to(308)),
        ("an answer behind an error", Act::says("500 Oops", HEIGHT)),
        ("an answer behind a refusal", Act::says("403 No", HEIGHT)),
        ("nothing", ok("")),
        ("no JSON", ok("<html>")),
        ("a list of none", ok("[]")),
        ("two answers", ok(&format!("[{HEIGHT},{HEIGHT}]"))),
        ("another's answer", ok(r#"{"jsonrpc":"2.0","id":7,"result":"0x10"}"#)),
        ("nobody's answer", ok(r#"{"jsonrpc":"2.0","id":null,"result":"0x10"}"#)),
        ("depth", ok(&deep)),
    ]
}

/// Who lies is left for the next, within the time that a question has; alone it is a fault, which
/// names nobody's key.
#[tokio::test]
async fn a_node_that_does_not_answer_like_one_is_left_for_the_next() {
    let (elsewhere, asked_elsewhere) = node(HEIGHT).await;
    for (name, act) in lies(elsewhere.url().as_str()) {
        let lying = act.start().await;
        let (good, _) = node(HEIGHT).await;
        let begun = steady();
        let both = patient(vec![lying.clone(), good.clone()]);
        assert_eq!(both.ask_for(height()).await.unwrap(), "0x10", "{name}");
        assert_eq!(both.up(), (2, 1), "{name}");
        let alone = patient(vec![lying.clone()]);
        let fault = alone.ask_for(height()).await.expect_err(name).to_string();
        assert!(!fault.contains("secret"), "{name}: {fault}");

        // What was handed in to such a node may be under way.
        let hands_in = Ask::new("eth_sendRawTransaction", json!(["0x"]));
        let means = |_: &RpcError| Said::No;
        let taken = patient(vec![lying.clone()]).hand_in(hands_in.clone(), means).await;
        assert!(matches!(taken, Taken::Perhaps(_)), "{name}: {taken:?}");
        let (refusing, _) = node(REFUSAL).await;
        let taken = patient(vec![lying, refusing]).hand_in(hands_in.clone(), means).await;
        assert!(matches!(taken, Taken::Perhaps(_)), "{name}: {taken:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{name} took {:?}", begun.elapsed());
    }
    assert_eq!(asked_elsewhere.load(Ordering::Relaxed), 0, "a redirect was followed");
}

/// Nodes, each of which has a second for an answer.
fn patient(urls: Vec<RpcUrl>) -> Rpc {
    Rpc::unchecked(urls, Duration::from_secs(1))
}
