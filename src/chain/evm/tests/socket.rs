//! A node's side of a connection, for tests whose node has a script.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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
