//! A client connection as the proxy sees it. It may outlast its client: while an answer is copied,
//! what the client does not take any more is swallowed, so that the answer is read to its end and
//! kept for its return. And it bounds what comes before a request can be judged.

use std::fmt;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
};
use pingora::proxy::Session;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::opening::{Bounds, Opening, PREFACE, Speaks};
use crate::clock;

/// A connection that can be told to swallow what its client does not take.
pub(super) struct Patient {
    inner: Stream,
    leash: Arc<Leash>,
    opening: Opening,
    /// How its exchanges find the leash: pingora hands this through to each session.
    digest: Arc<ProxyDigest>,
    client: Client,
    bounds: Bounds,
    stalled: Option<Pin<Box<Sleep>>>,
    /// What was read to see which protocol is spoken; it is read again before anything else.
    peeked: Bytes,
}

/// What a connection and its exchanges tell one another.
#[derive(Debug, Default)]
pub(super) struct Leash {
    swallows: AtomicBool,
    gone: AtomicBool,
    /// The head of a request is here, and its exchange is not over.
    judging: AtomicBool,
}

/// While it lives, the connection swallows what its client does not take.
#[derive(Debug)]
pub(super) struct Swallowing(Arc<Leash>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Here,
    Gone { since: Instant },
}

impl Patient {
    pub(super) fn new(inner: Stream, bounds: Bounds) -> Self {
        let leash = Arc::new(Leash::default());
        let found = Box::new(Arc::clone(&leash));
        // An answer that nobody has sent, around the place for what is ours.
        let head = ResponseHeader::from(http::Response::new(()).into_parts().0);
        let digest = Arc::new(ProxyDigest::new(Box::new(head), Some(found)));
        let (client, stalled) = (Client::Here, None);
        let speaks = match inner.selected_alpn_proto() {
            Some(ALPN::H2) => Speaks::Http2,
            _ => Speaks::Http1,
        };
        let opening = Opening::new(bounds, speaks);
        let peeked = Bytes::new();
        Self { inner, leash, opening, digest, client, bounds, stalled, peeked }
    }

    /// What came before an exchange is over once it runs.
    fn opened(&mut self) {
        if self.leash.is_judging() {
            self.opening.is_over();
        }
    }

    /// Makes of what became of a write what the proxy shall believe; `taken` is what it hears when
    /// the client has gone.
    fn told<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<Result<T>>,
        taken: T,
    ) -> Poll<Result<T>> {
        match written {
            Poll::Ready(Ok(done)) => {
                self.stalled = None;
                Poll::Ready(Ok(done))
            }
            written if !self.leash.swallows.load(Ordering::Relaxed) => written,
            Poll::Ready(Err(_)) => self.left(taken),
            Poll::Pending => {
                let stall_max = self.bounds.stall_max;
                let stalled = || Box::pin(tokio::time::sleep(stall_max));
                ready!(self.stalled.get_or_insert_with(stalled).as_mut().poll(context));
                self.left(taken)
            }
        }
    }

    fn left<T>(&mut self, taken: T) -> Poll<Result<T>> {
        self.client = Client::Gone { since: clock::steady() };
        self.leash.gone.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(taken))
    }

    /// What the proxy hears when it writes to a client that has gone; nothing while it is here.
    fn after_it_left<T>(&self, taken: T) -> Option<Poll<Result<T>>> {
        let Client::Gone { since } = self.client else { return None };
        let swallows = self.leash.swallows.load(Ordering::Relaxed);
        let told = match swallows && since.elapsed() < GONE_WAIT_MAX {
            true => Ok(taken),
            false => Err(Error::new(ErrorKind::BrokenPipe, "the client has left")),
        };
        Some(Poll::Ready(told))
    }
}

impl Leash {
    /// The leash of a session's connection. HTTP/2 has none: its requests share a connection.
    pub(super) fn of(session: &Session) -> Option<Arc<Self>> {
        if session.is_http2() {
            return None;
        }
        let digest = session.digest()?.proxy_digest.as_ref()?;
        digest.user_data.as_ref()?.downcast_ref::<Arc<Self>>().cloned()
    }

    /// A request is here and can be judged, however long that takes.
    pub(super) fn judge(self: &Arc<Self>) {
        self.judging.store(true, Ordering::Relaxed);
    }

    /// Its exchange is over; another head may come.
    pub(super) fn rest(&self) {
        self.judging.store(false, Ordering::Relaxed);
    }

    fn is_judging(&self) -> bool {
        self.judging.load(Ordering::Relaxed)
    }

    /// From now on the connection swallows what its client does not take.
    pub(super) fn swallow(self: &Arc<Self>) -> Swallowing {
        self.swallows.store(true, Ordering::Relaxed);
        Swallowing(Arc::clone(self))
    }
}

impl Swallowing {
    /// Whether the client has left meanwhile.
    pub(super) fn client_left(&self) -> bool {
        self.0.gone.load(Ordering::Relaxed)
    }
}

impl Drop for Swallowing {
    fn drop(&mut self) {
        self.0.swallows.store(false, Ordering::Relaxed);
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if !self.peeked.is_empty() {
            let length = self.peeked.len().min(buffer.remaining());
            buffer.put_slice(&self.peeked.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        if !self.leash.is_judging() {
            let bytes = buffer.filled().len().saturating_sub(before);
            return self.opening.read(context, read.map_ok(|()| bytes)).map_ok(drop);
        }
        self.opened();
        match read {
            // Who resets its connection has left as one who closes it: what runs is not ended.
            Poll::Ready(Err(_)) if self.leash.swallows.load(Ordering::Relaxed) => {
                Poll::Ready(Ok(()))
            }
            read => read,
        }
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        self.opened();
        if let Some(told) = self.after_it_left(bytes.len()) {
            return told;
        }
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.told(context, written, bytes.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        if let Some(told) = self.after_it_left(()) {
            return told;
        }
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        self.told(context, flushed, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.opened();
        let bytes = pieces.iter().map(|piece| piece.len()).sum();
        if let Some(told) = self.after_it_left(bytes) {
            return told;
        }
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, pieces);
        self.told(context, written, bytes)
    }
}

#[async_trait]
impl Shutdown for Patient {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

#[async_trait]
impl Peek for Patient {
    /// Reads as far as a connection looks like one of HTTP/2, and no further: a short request of
    /// HTTP/1.0 is all that its client sends.
    async fn try_peek(&mut self, buffer: &mut [u8]) -> Result<bool> {
        let Self { inner, bounds, .. } = self;
        let mut length = 0;
        let looking = async {
            while let Some(room) = buffer.get_mut(length..).filter(|room| !room.is_empty()) {
                let read = inner.read(room).await?;
                length = length.saturating_add(read);
                let so_far = buffer.get(..length).unwrap_or_default();
                if read == 0 || !PREFACE.starts_with(so_far) {
                    break;
                }
            }
            Ok::<(), Error>(())
        };
        let looked = tokio::time::timeout(bounds.stall_max, looking).await;
        looked.map_err(|_| Error::new(ErrorKind::TimedOut, "the client says nothing"))??;
        self.peeked = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
        let speaks = if *self.peeked == *PREFACE { Speaks::Http2 } else { Speaks::Http1 };
        self.opening.peeked(length, speaks);
        Ok(true)
    }
}

impl UniqueID for Patient {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for Patient {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.inner.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for Patient {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.inner.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.inner.get_write_pending_time()
    }
}

impl GetProxyDigest for Patient {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.digest))
    }
}

impl GetSocketDigest for Patient {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.inner.set_socket_digest(digest);
    }
}

impl fmt::Debug for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patient").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// How long an answer is read on for a client that has gone: as long as it would be kept. Each
/// pause of the upstream is bounded by the route's own timeout.
const GONE_WAIT_MAX: Duration = Duration::from_secs(600);
