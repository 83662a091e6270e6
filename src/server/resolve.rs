//! Where an upstream's names point, looked up beside the requests and not in them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::proxy::backends::{BACKENDS_MAX, Backends, Place};
use crate::route::upstream::Origin;

/// A name, and whose backends its addresses are.
#[derive(Clone, Debug)]
pub(super) struct Sought {
    pub(super) origin: Origin,
    pub(super) place: Arc<Place>,
    pub(super) backends: Arc<Backends>,
}

impl Sought {
    /// Looks it up now and again. Between the end of one look-up and the next there is a pause,
    /// however slow the servers of names are.
    ///
    /// A look-up that fails keeps the last addresses: old ones are better than none.
    pub(super) async fn keep_resolved(self) {
        loop {
            tokio::time::sleep(RESOLVE_EVERY).await;
            self.resolve().await;
        }
    }

    /// Looks it up once.
    pub(super) async fn resolve(&self) {
        let Origin { host, port } = &self.origin;
        let found: Vec<SocketAddr> = match tokio::net::lookup_host((&**host, *port)).await {
            Ok(found) => found.take(BACKENDS_MAX).collect(),
            Err(error) => {
                tracing::warn!(host, %error, "an upstream's name could not be looked up");
                return;
            }
        };
        if found.is_empty() {
            tracing::warn!(host, "an upstream's name has no address");
        } else if self.backends.found(&self.place, &found) {
            tracing::info!(host, ?found, "an upstream has other addresses");
        }
    }
}

const RESOLVE_EVERY: Duration = Duration::from_secs(30);
