//! Streams for the load test: an API that sends events, and clients that say how old each one is.
//!
//! `streams API TARGET PATH COUNT EVENTS PAUSE_MS [PAYMENTS]` serves events on the port API, opens
//! COUNT streams at the port TARGET, with a payment from each line of the file, and reads EVENTS of
//! each. Prints `open` when each stream has its first event; at the end, in microseconds from the
//! API's write to the client's read, the median and the 99th percentile of the first events and of
//! those that follow.

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

type Wrong = Box<dyn Error + Send + Sync>;

/// How fast events come.
#[derive(Clone, Copy)]
struct Pace {
    began: Instant,
    events: usize,
    pause: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Wrong> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (words, payments) = words.split_at_checked(6).ok_or(USAGE)?;
    let [api, target, path, count, events, pause] = words else { return Err(USAGE.into()) };
    let payments = payments.first().map(std::fs::read_to_string).transpose()?;
    let mut payments = payments.as_deref().unwrap_or_default().lines();
    let (count, pause) = (count.parse::<u32>()?, Duration::from_millis(pause.parse()?));
    let pace = Pace { began: Instant::now(), events: events.parse()?, pause };
    tokio::spawn(serve(TcpListener::bind(("127.0.0.1", api.parse()?)).await?, pace));

    let (target, mut listening) = (target.parse()?, JoinSet::new());
    let (opened, mut opens) = mpsc::unbounded_channel();
    for _ in 0..count {
        let payment = payments.next().map(|value| format!("PAYMENT-SIGNATURE: {value}\r\n"));
        let payment = payment.unwrap_or_default();
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{payment}\r\n");
        listening.spawn(listen(target, head, pace, opened.clone()));
        // They come over one pause, and so do their events.
        tokio::time::sleep(pause / count).await;
    }
    drop(opened);
    while opens.recv().await.is_some() {}
    let mut out = std::io::stdout();
    writeln!(out, "open")?;
    let (mut first, mut others) = (Vec::new(), Vec::new());
    while let Some(ages) = listening.join_next().await {
        let ages = ages??;
        let (one, rest) = ages.split_first().ok_or("no event came")?;
        first.push(*one);
        others.extend_from_slice(rest);
    }
    writeln!(out, "{} {}", percentiles(&mut first)?, percentiles(&mut others)?)?;
    Ok(())
}

/// The API: whatever it is asked, it sends events that say when they were written.
async fn serve(listener: TcpListener, pace: Pace) -> Result<(), Wrong> {
    loop {
        let (connection, _) = listener.accept().await?;
        tokio::spawn(answer(connection, pace));
    }
}

async fn answer(connection: TcpStream, pace: Pace) -> Result<(), Wrong> {
    connection.set_nodelay(true)?;
    let mut connection = BufReader::with_capacity(2048, connection);
    let mut line = String::new();
    // One connection carries one request after the other.
    while connection.read_line(&mut line).await? > 0 {
        if line != "\r\n" {
            line.clear();
            continue;
        }
        connection.write_all(HEAD).await?;
        for event in 0..pace.events {
            if event > 0 {
                tokio::time::sleep(pace.pause).await;
            }
            let data = format!("data: {}\n\n", pace.began.elapsed().as_nanos());
            let chunk = format!("{:x}\r\n{data}\r\n", data.len());
            connection.write_all(chunk.as_bytes()).await?;
        }
        connection.write_all(b"0\r\n\r\n").await?;
        line.clear();
    }
    Ok(())
}

/// The age of each event of one stream, in nanoseconds.
async fn listen(
    target: u16,
    head: String,
    pace: Pace,
    opened: mpsc::UnboundedSender<()>,
) -> Result<Vec<u128>, Wrong> {
    let mut connection = TcpStream::connect(("127.0.0.1", target)).await?;
    connection.set_nodelay(true)?;
    connection.write_all(head.as_bytes()).await?;
    let mut opened = Some(opened);
    let mut lines = BufReader::with_capacity(2048, connection).lines();
    let status = lines.next_line().await?.unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200") {
        return Err(format!("it answers {status}").into());
    }
    let mut ages = Vec::with_capacity(pace.events);
    while let Some(line) = lines.next_line().await? {
        if line == "0" {
            break; // the last chunk
        }
        let Some(stamp) = line.strip_prefix("data: ") else { continue };
        ages.push(pace.began.elapsed().as_nanos().saturating_sub(stamp.parse()?));
        opened = None;
    }
    drop(opened);
    match ages.len() == pace.events {
        true => Ok(ages),
        false => Err(format!("{} of {} events came", ages.len(), pace.events).into()),
    }
}

/// The median and the 99th percentile, in microseconds.
fn percentiles(ages: &mut [u128]) -> Result<String, Wrong> {
    ages.sort_unstable();
    let at = |share: usize| ages.get(ages.len() * share / 100).map(|nanos| nanos / 1_000);
    let (half, most) = at(50).zip(at(99)).ok_or("nothing was measured")?;
    Ok(format!("{half} {most}"))
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n";
const USAGE: &str = "streams API TARGET PATH COUNT EVENTS PAUSE_MS [PAYMENTS]";
