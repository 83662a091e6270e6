//! The bound on client connections: whoever comes when the house is full is turned away at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::l4::stream::Stream as Socket;
use pingora::protocols::{ALPN, Shutdown as _, Ssl as _, Stream};
use pingora::server::ShutdownWatch;
use tokio::sync::Semaphore;

use super::opening::Bounds;
use super::patient::Patient;

/// What answers, behind a counted door.
pub struct Door<A> {
    inside: Arc<A>,
    places: Arc<Semaphore>,
    bounds: Bounds,
    tls: Option<Acceptor>,
}

impl<A> Door<A> {
    /// A door that lets `connections_max` in at a time, each within `bounds`, by TLS where that is
    /// set up.
    pub fn new(inside: A, connections_max: usize, bounds: Bounds, tls: Option<Acceptor>) -> Self {
        let places = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
        Self { inside: Arc::new(inside), places, bounds, tls }
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> ServerApp for Door<A> {
    async fn process_new(
        self: &Arc<Self>,
        connection: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        // No place: the connection is dropped, which closes it. A queue would only hide it.
        let _place = self.places.try_acquire().ok()?;
        let connection = match &self.tls {
            // In a box: a connection would have room for its handshake for as long as it is open.
            Some(tls) => Box::pin(encrypted(tls, connection, self.bounds.stall_max)).await?,
            None => connection,
        };
        let patient = Patient::new(connection, self.bounds);
        self.inside.process_new(Box::new(patient), shutdown).await
    }

    async fn cleanup(&self) {
        self.inside.cleanup().await;
    }
}

/// The connection by TLS; nothing when the client does not come so far, or only wanted to see a
/// certificate. pingora's own handshake offers one protocol, or those of HTTP.
async fn encrypted(tls: &Acceptor, connection: Stream, wait_max: Duration) -> Option<Stream> {
    let socket: Box<Socket> = connection.into_any().downcast().ok()?;
    let shaken = tokio::time::timeout(wait_max, tls.tls_handshake(*socket)).await;
    match shaken {
        Ok(Ok(mut encrypted)) => match encrypted.selected_alpn_proto() {
            Some(ALPN::Custom(_)) => {
                encrypted.shutdown().await;
                None
            }
            Some(ALPN::H1 | ALPN::H2 | ALPN::H2H1) | None => Some(Box::new(encrypted)),
        },
        Ok(Err(error)) => {
            tracing::debug!(%error, "a client did not come to speak TLS");
            None
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    #[async_trait]
    impl ServerApp for Nobody {
        async fn process_new(self: &Arc<Self>, _: Stream, _: &ShutdownWatch) -> Option<Stream> {
            None
        }
    }

    #[test]
    fn a_door_takes_little_of_each_connection() {
        let bounds = Bounds { stall_max: Duration::from_secs(1), head_bytes_max: 1_024 };
        let door = Arc::new(Door::new(Nobody, 1, bounds, None));
        let (_, shutdown) = tokio::sync::watch::channel(false);
        let (here, _there) = tokio::io::duplex(1);
        let open = door.process_new(Box::new(here), &shutdown);
        assert!(size_of_val(&*open) <= 1_024, "{}", size_of_val(&*open));
    }
}
