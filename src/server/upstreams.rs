//! The upstreams of a gateway, each with what keeps its address.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::watch as channel;
use tokio::task::JoinSet;

use super::assemble::setting;
use super::resolve::Sought;
use super::supervise::{Patience, Program, Supervisor};
use super::{ServeError, health};
use crate::proxy::backends::{Backends, Place};
use crate::proxy::upstream::{Target, Trust};
use crate::route::upstream::{Balance, Bundled, Kind, Origin, Servers, Tls, Upstream, Work};

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
    target: Arc<Target>,
    /// What keeps its backends and their health up to date until it is dropped.
    _follows: Arc<JoinSet<()>>,
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
            running.insert(name.clone(), workers.run(name, upstream).await?);
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
                (None, Kind::Servers(_)) => Workers::default().run(name, upstream).await?,
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
    pub(super) fn targets(&self) -> HashMap<Box<str>, Arc<Target>> {
        let each = self.0.iter();
        each.map(|(name, running)| (name.clone(), Arc::clone(&running.target))).collect()
    }
}

impl Workers {
    async fn run(&mut self, name: &str, told: &Upstream) -> Result<Running, ServeError> {
        let mut follows = JoinSet::new();
        let target = match &told.kind {
            Kind::Servers(servers) => Arc::new(follow_names(told, servers, &mut follows).await?),
            Kind::Bundled { service, work } => {
                Arc::new(self.start(told, (*service, work), &mut follows)?)
            }
        };
        if let Kind::Servers(Servers { health: Some(health), .. }) = &told.kind {
            let (target, health) = (Arc::clone(&target), health.clone());
            follows.spawn(health::keep_looking(name.into(), target, health));
        }
        Ok(Running { told: told.clone(), target, _follows: Arc::new(follows) })
    }

    /// Starts a bundled service and follows its address.
    fn start(
        &mut self,
        told: &Upstream,
        (service, work): (Bundled, &Work),
        follows: &mut JoinSet<()>,
    ) -> Result<Target, ServeError> {
        let program = Program::bundled(service, work).map_err(ServeError::Process)?;
        let patience = match work.model {
            Some(_) => Patience { start: LOAD_TIMEOUT, ..Patience::default() },
            None => Patience::default(),
        };
        let supervisor = Supervisor::start(program, patience);
        let place = Arc::new(place(0, service.name().to_owned(), None)?);
        let target = target(told, (Balance::default(), 1), Trust::default());
        follows.spawn(follow(supervisor.address(), Arc::clone(&target.backends), place));
        self.0.push(supervisor);
        Ok(target)
    }

    /// Stops them all and waits for it.
    pub(super) async fn stop(self) {
        for supervisor in self.0 {
            supervisor.stop().await;
        }
    }
}

/// Looks all names up at once and waits for it; then follows them.
async fn follow_names(
    told: &Upstream,
    servers: &Servers,
    follows: &mut JoinSet<()>,
) -> Result<Target, ServeError> {
    let Servers { origins, tls, balance, .. } = servers;
    let trust = tls.as_ref().map(Trust::new).unwrap_or_default();
    let target = target(told, (*balance, origins.len()), trust);
    let mut first = JoinSet::new();
    for (at, origin) in origins.iter().enumerate() {
        let place = place(at, origin.authority(tls.as_ref()), server_name(origin, tls.as_ref()))?;
        let backends = Arc::clone(&target.backends);
        let sought = Sought { origin: origin.clone(), place: Arc::new(place), backends };
        follows.spawn(sought.clone().keep_resolved());
        first.spawn(async move { sought.resolve().await });
    }
    while first.join_next().await.is_some() {}
    Ok(target)
}

fn target(told: &Upstream, (balance, places): (Balance, usize), trust: Trust) -> Target {
    let headers = told.headers.iter();
    Target {
        backends: Arc::new(Backends::new(balance, places)),
        http: told.http,
        trust,
        headers: headers.map(|(name, value)| (name.clone(), value.value().clone())).collect(),
        connect_timeout: told.connect_timeout,
    }
}

fn place(at: usize, authority: String, server_name: Option<Box<str>>) -> Result<Place, ServeError> {
    let authority = HeaderValue::try_from(authority)
        .map_err(|error| setting("an upstream's host is not a header value", error))?;
    Ok(Place { at, authority, server_name })
}

/// The name that the certificate of an origin must have.
fn server_name(origin: &Origin, tls: Option<&Tls>) -> Option<Box<str>> {
    tls.map(|tls| tls.server_name.clone().unwrap_or_else(|| origin.host.clone()))
}

/// Copies a worker's address to where requests look for it.
async fn follow(
    mut from: channel::Receiver<Option<SocketAddr>>,
    to: Arc<Backends>,
    place: Arc<Place>,
) {
    loop {
        let address = *from.borrow_and_update();
        to.found(&place, address.as_slice());
        if from.changed().await.is_err() {
            to.found(&place, &[]);
            return;
        }
    }
}

/// The longest that a model may take to be loaded and tried.
const LOAD_TIMEOUT: Duration = Duration::from_secs(180);

fn bundled(name: &str) -> ServeError {
    ServeError::Setting(format!("the bundled service [upstreams.{name}] has changed").into(), None)
}
