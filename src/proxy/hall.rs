//! Whoever is connected: counted, and told in time that the gateway ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;

/// An app whose connections are counted, and end in two steps behind the end of its listener.
pub struct Hall<A> {
    app: Arc<A>,
    present: Present,
    leaving: Leaving,
}

/// How many connections are open.
#[derive(Clone, Debug, Default)]
pub struct Present(Arc<AtomicUsize>);

/// What connections hear of the end.
#[derive(Clone, Debug)]
pub struct Leaving {
    /// From now on each answer is the last of its connection: it says `Connection: close`, and
    /// HTTP/2 has its GOAWAY.
    pub last_answers: ShutdownWatch,
    /// Connections on which nothing runs are closed.
    pub idle_close: ShutdownWatch,
}

impl<A> Hall<A> {
    /// Lets in whoever comes to `app`.
    pub fn new(app: A, present: Present, leaving: Leaving) -> Self {
        Self { app: Arc::new(app), present, leaving }
    }
}

impl Present {
    /// Connections that are open now.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    fn comes(&self) -> Guest {
        self.0.fetch_add(1, Ordering::AcqRel);
        Guest(self.clone())
    }
}

/// One connection, for as long as it is open.
struct Guest(Present);

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> ServerApp for Hall<A> {
    async fn process_new(
        self: &Arc<Self>,
        connection: Stream,
        _: &ShutdownWatch,
    ) -> Option<Stream> {
        let _guest = self.present.comes();
        self.app.process_new(connection, &self.leaving.last_answers).await
    }

    /// Its listener is closed. A client may just be sending on a connection that looked idle, so
    /// these stay open until it is time.
    async fn cleanup(&self) {
        // An error says that nobody is left to say it.
        let _ = self.leaving.idle_close.clone().wait_for(|now| *now).await;
        self.app.cleanup().await;
    }
}
