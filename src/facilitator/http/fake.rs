//! A facilitator that follows a script, misbehaviour included.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens to one request, once it has been read.
pub(super) enum Act {
    /// These bytes go out and the connection stays open.
    Say(String),
    /// These bytes go out and the connection is closed.
    SayAndClose(String),
    /// One byte each 10 ms; never to the end.
    Drip(String),
    /// This head, then zeros for as long as they are taken.
    Flood(String),
    /// Nothing, for ever.
    Hang,
    /// The connection is closed without a word.
    Close,
}

/// A listening fake. Dropped, it stops.
pub(super) struct Fake {
    pub(super) url: String,
    script: Arc<Script>,
    server: JoinHandle<()>,
}

struct Script {
    acts: Mutex<VecDeque<Act>>,
    requests: Mutex<Vec<String>>,
}

impl Fake {
    /// Starts on a port of its own. Each request takes the next act; without one it hangs.
    pub(super) async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        let script = Arc::new(Script {
            acts: Mutex::new(acts.into_iter().collect()),
            requests: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&script);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&shared)));
            }
        });
        Self { url, script, server }
    }

    /// Every request so far, head and body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.script.requests.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An answer with its length.
pub(super) fn http(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn converse(mut stream: TcpStream, script: Arc<Script>) {
    while let Some(request) = read_request(&mut stream).await {
        script.requests.lock().unwrap().push(request);
        let act = script.acts.lock().unwrap().pop_front().unwrap_or(Act::Hang);
        match act {
            Act::Say(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Act::SayAndClose(text) => return stream.write_all(text.as_bytes()).await.unwrap(),
            Act::Close => return,
            Act::Hang => std::future::pending().await,
            Act::Drip(text) => {
                for byte in text.bytes() {
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                std::future::pending().await
            }
            Act::Flood(head) => {
                stream.write_all(head.as_bytes()).await.unwrap();
                while stream.write_all(&[b'0'; 4096]).await.is_ok() {}
                return;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.map_or(0, |length| length.parse().unwrap()) {
            return Some(text);
        }
    }
}
