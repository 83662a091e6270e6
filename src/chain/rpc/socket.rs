//! A node's side of a connection, for tests whose node has a script.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::RpcUrl;

/// The JSON of one request.
pub(crate) async fn heard(socket: &mut TcpStream) -> Value {
    let mut text = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = socket.read(&mut buffer).await.unwrap();
        assert_ne!(count, 0, "a request that ends early");
        text.extend_from_slice(&buffer[..count]);
        let end = text.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(value) = end.and_then(|end| serde_json::from_slice(&text[end + 4..]).ok()) {
            return value;
        }
    }
}

/// Answers it, and means to close the connection.
pub(crate) async fn say(socket: &mut TcpStream, body: &str) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ";
    socket.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).await
}

/// Answers every connection's first request with the same text, and counts them.
pub(crate) async fn node(answer: &'static str) -> (RpcUrl, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret", listener.local_addr().unwrap()).parse().unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let mut buffer = [0; 4096];
            let _ = socket.read(&mut buffer).await;
            let _ = say(&mut socket, answer).await;
        }
    });
    (url, asked)
}

/// An address at which nothing listens.
pub(crate) async fn nobody() -> RpcUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/secret", listener.local_addr().unwrap()).parse().unwrap()
}
