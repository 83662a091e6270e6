//! The bound on client connections: whoever comes when the house is full is turned away at once.

use std::sync::Arc;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use tokio::sync::Semaphore;

use super::Gateway;

/// The proxy behind a counted door.
pub struct Door {
    proxy: Arc<HttpProxy<Gateway>>,
    places: Arc<Semaphore>,
}

impl Door {
    /// A door to `proxy` that lets `connections_max` in at a time.
    pub fn new(proxy: HttpProxy<Gateway>, connections_max: usize) -> Self {
        let places = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
        Self { proxy: Arc::new(proxy), places }
    }
}

#[async_trait]
impl ServerApp for Door {
    async fn process_new(
        self: &Arc<Self>,
        connection: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        // No place: the connection is dropped, which closes it. A queue would only hide it.
        let _place = self.places.try_acquire().ok()?;
        self.proxy.process_new(connection, shutdown).await
    }

    async fn cleanup(&self) {
        ServerApp::cleanup(&*self.proxy).await;
    }
}
