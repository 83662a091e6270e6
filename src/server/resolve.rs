//! Where an upstream's name points, looked up beside the requests and not in them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;

/// Looks `host` up now and again, and keeps the first address in `address`. Between the end of one
/// look-up and the next there is a pause, however slow the servers of names are.
///
/// A look-up that fails keeps the last address: an old one is better than none.
pub(super) async fn keep_resolved(
    host: Box<str>,
    port: u16,
    address: Arc<ArcSwapOption<SocketAddr>>,
) {
    loop {
        tokio::time::sleep(RESOLVE_EVERY).await;
        resolve_once(&host, port, &address).await;
    }
}

/// Looks `host` up once.
pub(super) async fn resolve_once(host: &str, port: u16, address: &ArcSwapOption<SocketAddr>) {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match tokio::net::lookup_host((bare, port)).await.map(|mut found| found.next()) {
        Ok(Some(found)) if address.load().as_deref() != Some(&found) => {
            tracing::info!(host, %found, "an upstream has an address");
            address.store(Some(Arc::new(found)));
        }
        Ok(Some(_)) => {}
        Ok(None) => tracing::warn!(host, "an upstream's name has no address"),
        Err(error) => tracing::warn!(host, %error, "an upstream's name could not be looked up"),
    }
}

const RESOLVE_EVERY: Duration = Duration::from_secs(30);
