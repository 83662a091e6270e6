//! The upstreams of a gateway, each with what keeps its address.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use tokio::sync::watch as channel;
use tokio::task::JoinHandle;

use super::assemble::setting;
use super::supervise::{Patience, Program, Supervisor};
use super::{ServeError, resolve};
use crate::proxy::upstream::Backend;
use crate::route::upstream::{Kind, Tls, Upstream};

/// All upstreams, by name.
#[derive(Default)]
pub(super) struct Upstreams(BTreeMap<Box<str>, Running>);

/// The bundled services that this process has started.
#[derive(Default)]
pub(super) struct Workers(Vec<Supervisor>);

/// One upstream, as it was configured and as it is.
#[derive(Clone)]
struct Running {
    told: Upstream,
    backend: Arc<Backend>,
    _follows: Arc<Following>,
}

/// Keeps an address up to date until it is dropped.
struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Upstreams {
    /// Starts bundled services, looks names up once and follows both.
    ///
    /// # Errors
    /// What cannot be had: a service's program, or a header value.
    pub(super) async fn start(
        told: &BTreeMap<Box<str>, Upstream>,
    ) -> Result<(Self, Workers), ServeError> {
        let (mut running, mut workers) = (BTreeMap::new(), Workers::default());
        for (name, upstream) in told {
            running.insert(name.clone(), workers.run(upstream).await?);
        }
        Ok((Self(running), workers))
    }

    /// Other upstreams: those that stay the same go on.
    ///
    /// # Errors
    /// As [`Upstreams::start`]. A bundled service cannot be started, ended or changed.
    pub(super) async fn changed(
        &self,
        told: &BTreeMap<Box<str>, Upstream>,
    ) -> Result<Self, ServeError> {
        let mut next = BTreeMap::new();
        for (name, upstream) in told {
            let same = self.0.get(name).filter(|running| running.told == *upstream);
            let running = match (same, &upstream.kind) {
                (Some(running), _) => running.clone(),
                (None, Kind::Url { .. }) => Workers::default().run(upstream).await?,
                (None, Kind::Bundled { .. }) => return Err(bundled(name)),
            };
            next.insert(name.clone(), running);
        }
        let gone = self.0.iter().find(|(name, running)| {
            matches!(running.told.kind, Kind::Bundled { .. }) && !next.contains_key(*name)
        });
        match gone {
            Some((name, _)) => Err(bundled(name)),
            None => Ok(Self(next)),
        }
    }

    /// As the proxy uses them.
    pub(super) fn backends(&self) -> HashMap<Box<str>, Arc<Backend>> {
        let each = self.0.iter();
        each.map(|(name, running)| (name.clone(), Arc::clone(&running.backend))).collect()
    }
}

impl Workers {
    async fn run(&mut self, upstream: &Upstream) -> Result<Running, ServeError> {
        let address = Arc::new(ArcSwapOption::default());
        let to = Arc::clone(&address);
        let (authority, server_name, follows) = match &upstream.kind {
            Kind::Url { host, port, tls, sni } => {
                resolve::resolve_once(host, *port, &address).await;
                let server_name = (*tls == Tls::Verified).then(|| sni.clone());
                let follows = tokio::spawn(resolve::keep_resolved(host.clone(), *port, to));
                (authority(host, *port, *tls), server_name, follows)
            }
            Kind::Bundled { service, work } => {
                let program = Program::bundled(*service, work).map_err(ServeError::Process)?;
                let patience = match work.model {
                    Some(_) => Patience { start: LOAD_TIMEOUT, ..Patience::default() },
                    None => Patience::default(),
                };
                let supervisor = Supervisor::start(program, patience);
                let follows = tokio::spawn(follow(supervisor.address(), to));
                self.0.push(supervisor);
                (service.name().to_owned(), None, follows)
            }
        };
        let follows = Following(follows);
        let authority = HeaderValue::try_from(authority)
            .map_err(|error| setting("an upstream's host is not a header value", error))?;
        let headers = upstream.headers.iter();
        let backend = Backend {
            address,
            authority,
            server_name,
            http: upstream.http,
            headers: headers.map(|(name, value)| (name.clone(), value.value().clone())).collect(),
            connect_timeout: upstream.connect_timeout,
        };
        let (told, backend) = (upstream.clone(), Arc::new(backend));
        Ok(Running { told, backend, _follows: Arc::new(follows) })
    }

    /// Stops them all and waits for it.
    pub(super) async fn stop(self) {
        for supervisor in self.0 {
            supervisor.stop().await;
        }
    }
}

/// Copies a worker's address to where requests look for it.
async fn follow(
    mut from: channel::Receiver<Option<SocketAddr>>,
    to: Arc<ArcSwapOption<SocketAddr>>,
) {
    loop {
        let address = *from.borrow_and_update();
        to.store(address.map(Arc::new));
        if from.changed().await.is_err() {
            to.store(None);
            return;
        }
    }
}

/// `host:port`, without the port that its scheme has anyway.
fn authority(host: &str, port: u16, tls: Tls) -> String {
    let usual = match tls {
        Tls::Plain => 80,
        Tls::Verified => 443,
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == usual { host } else { format!("{host}:{port}") }
}

/// The longest that a model may take to be loaded and tried.
const LOAD_TIMEOUT: Duration = Duration::from_secs(180);

fn bundled(name: &str) -> ServeError {
    ServeError::Setting(format!("the bundled service [upstreams.{name}] has changed").into(), None)
}
