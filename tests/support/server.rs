//! A small HTTP/1.1 server that hands each request to the test, connection included.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::in_time;

type Connection = BufReader<TcpStream>;

/// A server whose every answer the test gives by hand. Stops when dropped.
pub struct Server {
    pub address: SocketAddr,
    calls: mpsc::UnboundedReceiver<Call>,
    begun: watch::Receiver<usize>,
    task: AbortHandle,
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub method: String,
    pub target: String,
    /// In their order and spelling.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A request and the connection on which it waits. Dropped, the connection is closed.
pub struct Call {
    pub seen: Seen,
    connection: Connection,
    back: oneshot::Sender<Connection>,
}

/// An answer to give.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer that is given piece by piece.
pub struct Streaming(Connection);

impl Server {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    /// At this address, which another one may just have left.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, calls) = mpsc::unbounded_channel();
        let (count, begun) = watch::channel(0);
        let task = tokio::spawn(accept(listener, sender, count)).abort_handle();
        Self { address, calls, begun, task }
    }

    /// The next request, once all of it is here.
    pub async fn call(&mut self) -> Call {
        self.try_call().await.expect("the server runs")
    }

    /// The same, for a task that answers everything.
    pub async fn next(&mut self) -> Option<Call> {
        self.calls.recv().await
    }

    async fn try_call(&mut self) -> Option<Call> {
        in_time("a request at the fake server", self.calls.recv()).await
    }

    /// Waits until so many requests have begun: their heads are here, their bodies may not be.
    pub async fn begun(&self, requests: usize) {
        let mut begun = self.begun.clone();
        in_time("the head of a request", begun.wait_for(|n| *n >= requests)).await.unwrap();
    }

    /// How many requests have begun.
    pub fn count(&self) -> usize {
        *self.begun.borrow()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    calls: mpsc::UnboundedSender<Call>,
    begun: watch::Sender<usize>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(BufReader::new(stream), calls.clone(), begun.clone()));
    }
}

/// Hands over request after request until the connection is closed by either side.
async fn serve(
    mut connection: Connection,
    calls: mpsc::UnboundedSender<Call>,
    begun: watch::Sender<usize>,
) {
    while let Some(mut seen) = read_head(&mut connection).await {
        begun.send_modify(|n| *n += 1);
        if seen.header("expect") == "100-continue" {
            let _ = connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        let Some(body) = read_body(&mut connection, &seen).await else { return };
        seen.body = body;
        let (back, returned) = oneshot::channel();
        if calls.send(Call { seen, connection, back }).is_err() {
            return;
        }
        let Ok(returned) = returned.await else { return };
        connection = returned;
    }
}

async fn read_head(connection: &mut Connection) -> Option<Seen> {
    let first = line(connection).await?;
    let mut words = first.split(' ').map(str::to_owned);
    // A line that is none is told as it is, so that a test sees it.
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut seen = Seen { method, target, ..Seen::default() };
    loop {
        let line = line(connection).await?;
        let Some((name, value)) = line.split_once(':') else { return Some(seen) };
        seen.headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

async fn read_body(connection: &mut Connection, seen: &Seen) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    if seen.header("transfer-encoding").is_empty() {
        body.resize(seen.header("content-length").parse().unwrap_or(0), 0);
        connection.read_exact(&mut body).await.ok()?;
        return Some(body);
    }
    loop {
        let length = usize::from_str_radix(&line(connection).await?, 16).ok()?;
        let mut piece = vec![0; length + 2];
        connection.read_exact(&mut piece).await.ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(&piece[..length]);
    }
}

/// One line without its end; nothing when the connection is closed.
async fn line(connection: &mut Connection) -> Option<String> {
    let mut line = Vec::new();
    let read = connection.read_until(b'\n', &mut line).await.ok()?;
    (read > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
}

impl Seen {
    /// The first header of this name; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name));
        found.next().map_or("", |(_, value)| value)
    }

    /// Every header of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).collect()
    }
}

impl Call {
    /// Sends an informational head.
    pub async fn inform(&mut self, reply: Reply) {
        self.connection.write_all(reply.head("").as_bytes()).await.unwrap();
    }

    /// Answers, and waits for the next request on the connection.
    pub async fn answer(mut self, reply: Reply) {
        let length = format!("content-length: {}\r\n", reply.body.len());
        let bytes = [reply.head(&length).as_bytes(), &reply.body].concat();
        // The other side may be gone; then it is told nothing.
        if self.connection.write_all(&bytes).await.is_ok() {
            let _ = self.back.send(self.connection);
        }
    }

    /// Begins an answer whose pieces follow.
    pub async fn stream(mut self, reply: Reply) -> Streaming {
        let head = reply.head("transfer-encoding: chunked\r\n");
        self.connection.write_all(head.as_bytes()).await.unwrap();
        Streaming(self.connection)
    }

    /// Sends pieces as they are, for as long as they are taken, and closes the connection.
    pub async fn pour(mut self, pieces: impl IntoIterator<Item = Vec<u8>>, pause: Duration) {
        for piece in pieces {
            if self.connection.write_all(&piece).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Switches protocols, and sends back what comes until the other side closes.
    pub async fn echo(mut self, protocol: &str) {
        let switching = Reply::new(101).header("connection", "upgrade").header("upgrade", protocol);
        self.connection.write_all(switching.head("").as_bytes()).await.unwrap();
        let mut piece = vec![0; 4096];
        while let Ok(read @ 1..) = self.connection.read(&mut piece).await {
            self.connection.write_all(&piece[..read]).await.unwrap();
        }
    }

    /// Sends bytes as they are and closes the connection.
    pub async fn say_and_close(mut self, bytes: &[u8]) {
        self.connection.write_all(bytes).await.unwrap();
        self.connection.shutdown().await.unwrap();
    }
}

impl Streaming {
    /// Sends one piece.
    pub async fn send(&mut self, piece: impl AsRef<[u8]>) {
        let piece = piece.as_ref();
        let length = format!("{:x}\r\n", piece.len());
        let chunk = [length.as_bytes(), piece, b"\r\n"].concat();
        self.0.write_all(&chunk).await.unwrap();
    }

    /// Sends one piece and says whether the other side has closed.
    pub async fn refused(&mut self, piece: &str) -> bool {
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        self.0.write_all(chunk.as_bytes()).await.is_err()
    }

    /// Ends the answer and closes the connection.
    pub async fn end(mut self) {
        self.0.write_all(b"0\r\n\r\n").await.unwrap();
        self.0.shutdown().await.unwrap();
    }
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn head(&self, framing: &str) -> String {
        let line = |(name, value): &(String, String)| format!("{name}: {value}\r\n");
        let headers: String = self.headers.iter().map(line).collect();
        format!("HTTP/1.1 {} As scripted\r\n{headers}{framing}\r\n", self.status)
    }
}
