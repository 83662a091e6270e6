//! The bound on client connections: whoever comes when the house is full is turned away at once.

use std::sync::Arc;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use tokio::sync::Semaphore;

use super::Gateway;
use super::opening::Bounds;
use super::patient::Patient;

/// The proxy behind a counted door.
pub struct Door {
    proxy: Arc<HttpProxy<Gateway>>,
    places: Arc<Semaphore>,
    bounds: Bounds,
}

impl Door {
    /// A door to `proxy` that lets `connections_max` in at a time, each within `bounds`.
    pub fn new(proxy: HttpProxy<Gateway>, connections_max: usize, bounds: Bounds) -> Self {
        let places = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
        Self { proxy: Arc::new(proxy), places, bounds }
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
        let patient = Patient::new(connection, self.bounds);
        self.proxy.process_new(Box::new(patient), shutdown).await
    }

    async fn cleanup(&self) {
        ServerApp::cleanup(&*self.proxy).await;
    }
}
