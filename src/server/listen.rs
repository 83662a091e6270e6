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

use super::handover::Heir;

/// A bound listener that nobody serves yet.
#[derive(Debug)]
pub(super) struct Bound {
    name: &'static str,
    asked: SocketAddr,
    listener: TcpListener,
    address: SocketAddr,
}

/// Another handle of a listener, for a successor. While there is one, clients can connect.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) name: Box<str>,
    /// As the configuration says it.
    pub(super) asked: SocketAddr,
    pub(super) listener: TcpListener,
}

/// Takes over the listener of this name from a predecessor, or binds `asked`; port 0 takes a free
/// one.
///
/// # Errors
/// The system's own: the address is in use, is not ours, or needs more rights.
pub(super) fn bind(
    name: &'static str,
    asked: SocketAddr,
    heir: Option<&mut Heir>,
) -> std::io::Result<Bound> {
    let given = heir.and_then(|heir| heir.takes(name, asked));
    let listener = given.map_or_else(|| TcpListener::bind(asked), Ok)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok(Bound { name, asked, listener, address })
}

impl Bound {
    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Another handle, for a successor.
    ///
    /// # Errors
    /// The process has too many files open.
    pub(super) fn spare(&self) -> std::io::Result<Spare> {
        let listener = self.listener.try_clone()?;
        Ok(Spare { name: self.name.into(), asked: self.asked, listener })
    }

    /// Serves its connections with `app` on the current runtime until `shutdown` says so. Ends when
    /// no more are accepted and `app` has cleaned up; those that are open go on.
    pub(super) async fn serve<A: ServerApp + Send + Sync + 'static>(
        self,
        app: A,
        shutdown: ShutdownWatch,
    ) {
        // pingora takes a listener over by the text of its address.
        let text = self.address.to_string();
        let mut inherited = Fds::new();
        inherited.add(text.clone(), self.listener.into_raw_fd());
        let inherited = Arc::new(Mutex::new(inherited));
        let mut service = Service::new(self.name.to_owned(), app);
        let buffers = L4BufferSettings::new(0, WRITE_BUFFER_BYTES);
        service.add_listener(ListenerConfig::tcp(text).l4_buffer(buffers));
        service.start_service(Some(inherited), shutdown, 1).await;
    }
}

/// Head and body of a refusal leave in one write. What is read goes to the buffers of heads and
/// bodies, without one before them: it would be held by each connection, idle ones too.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;
