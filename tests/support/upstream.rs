//! The API behind the gateway: answers by a rule and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::eventually;
use super::server::{Reply, Seen, Server};

/// An API that answers everything by one rule. A [`Server`] is one that is answered by hand.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: AbortHandle,
}

impl Upstream {
    /// One that answers 200 and the text `served`.
    pub async fn start() -> Self {
        Self::answering(|_| Reply::new(200).header("content-type", "text/plain").body("served"))
            .await
    }

    /// One that answers by `rule`.
    pub async fn answering(rule: impl Fn(&Seen) -> Reply + Send + 'static) -> Self {
        Self::answering_at("127.0.0.1:0".parse().unwrap(), rule).await
    }

    /// The same at this address.
    pub async fn answering_at(
        address: SocketAddr,
        rule: impl Fn(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        let mut server = Server::start_at(address).await;
        let address = server.address;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let answering = async move {
            while let Some(call) = server.next().await {
                record.lock().unwrap().push(call.seen.clone());
                let reply = rule(&call.seen);
                tokio::spawn(call.answer(reply));
            }
        };
        Self { address, seen, task: tokio::spawn(answering).abort_handle() }
    }

    /// Ends it: nothing listens any more where it was, and what it was asked has no answer.
    pub async fn dies(self) {
        let address = self.address;
        drop(self);
        eventually("its end", async || TcpStream::connect(address).await.err()).await;
    }

    /// What it was asked, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// What it was asked since this was last looked at, in order.
    pub fn taken(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}
