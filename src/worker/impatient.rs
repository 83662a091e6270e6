//! Connections that end when their client reads nothing for too long.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};

/// A listener, or a connection of it, that is not patient.
pub(super) struct Impatient<T> {
    inner: T,
    patience: Duration,
    /// Runs while a write waits for the client.
    waits: Option<Pin<Box<Sleep>>>,
}

impl<T> Impatient<T> {
    /// A write waits for `patience` at most, then it fails.
    pub(super) fn new(inner: T, patience: Duration) -> Self {
        Self { inner, patience, waits: None }
    }

    fn bounded<D>(
        &mut self,
        context: &mut Context<'_>,
        done: Poll<io::Result<D>>,
    ) -> Poll<io::Result<D>> {
        if done.is_ready() {
            self.waits = None;
            return done;
        }
        let patience = self.patience;
        let waits = self.waits.get_or_insert_with(|| Box::pin(sleep(patience)));
        waits.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Listener for Impatient<TcpListener> {
    type Io = Impatient<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.inner).await;
        (Impatient::new(stream, self.patience), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Impatient<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Impatient<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.bounded(context, done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_flush(context);
        self.bounded(context, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_shutdown(context);
        self.bounded(context, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.inner).poll_write_vectored(context, pieces);
        self.bounded(context, done)
    }

    /// Without it a whole answer would be copied before it is sent.
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// An answer is written to a client that reads this many bytes of it, one after the other.
    async fn written(patience: Duration, reads: usize) -> io::Result<()> {
        let (mut client, server) = duplex(1);
        let reading = async {
            let mut seen = [0];
            for _ in 0..reads {
                client.read_exact(&mut seen).await.unwrap();
            }
        };
        let mut server = Impatient::new(server, patience);
        let (done, ()) = tokio::join!(server.write_all(&[7; 100]), reading);
        drop(client);
        done
    }

    #[tokio::test]
    async fn who_reads_nothing_any_more_is_not_waited_for() {
        let done = written(Duration::from_millis(10), 50).await;
        assert_eq!(done.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_reads_on_gets_all() {
        assert!(written(Duration::from_secs(3600), 100).await.is_ok());
    }
}
