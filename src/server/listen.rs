//! Listeners: bound at once or not at all, then handed to pingora.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;

use parking_lot::Mutex;
use pingora::apps::ServerApp;
use pingora::listeners::ListenerConfig;
use pingora::protocols::l4::stream::L4BufferSettings;
use pingora::server::{Fds, ShutdownWatch};
use pingora::services::Service as _;
use pingora::services::listening::Service;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// A bound listener that nobody serves yet.
#[derive(Debug)]
pub(super) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Binds `address`; port 0 takes a free one.
///
/// # Errors
/// The system's own: the address is in use, is not ours, or needs more rights.
pub(super) fn bind(address: SocketAddr) -> std::io::Result<Bound> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok(Bound { listener, address })
}

impl Bound {
    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves its connections with `app` on `runtime` until `shutdown` says so. The task ends when
    /// no more are accepted; those that are open go on.
    pub(super) fn serve<A: ServerApp + Send + Sync + 'static>(
        self,
        name: &str,
        app: A,
        (shutdown, runtime): (ShutdownWatch, &Handle),
    ) -> JoinHandle<()> {
        // pingora takes a listener over by the text of its address.
        let text = self.address.to_string();
        let mut inherited = Fds::new();
        inherited.add(text.clone(), self.listener.into_raw_fd());
        let inherited = Arc::new(Mutex::new(inherited));
        let mut service = Service::new(name.to_owned(), app);
        let buffers = L4BufferSettings::new(0, WRITE_BUFFER_BYTES);
        service.add_listener(ListenerConfig::tcp(text).l4_buffer(buffers));
        runtime.spawn(async move { service.start_service(Some(inherited), shutdown, 1).await })
    }
}

/// Head and body of a refusal leave in one write. What is read goes to the buffers of heads and
/// bodies, without one before them: it would be held by each connection, idle ones too.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;
