//! A changed `gateway.toml`, taken over while requests run.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use alloy_primitives::B256;
use arc_swap::ArcSwap;
use pingora::connectors::http::Connector;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, interval};

use super::ServeError;
use super::assemble::{connected, documents, lets_in, needs_answers, snapshot, told};
use super::certified::Certified;
use super::settling::Settling;
use super::upstreams::Upstreams;
use crate::clock::Clock;
use crate::config::{Config, Place, Switch, Watched};
use crate::fault;
use crate::limit::{Store, StoreUrl};
use crate::proxy::Snapshot;
use crate::proxy::admin::Order;

/// What is served, and what it was made from.
pub(super) struct Reloader {
    pub(super) now: Arc<ArcSwap<Snapshot>>,
    pub(super) config: Config,
    /// What was looked at when the file was read last, also where that was refused: a change of any
    /// may be the end of a mistake.
    pub(super) files: Vec<Watched>,
    pub(super) upstreams: Upstreams,
    /// What clients who come by TLS are shown.
    pub(super) certified: Certified,
    /// Whoever settles, and says who pays fees.
    pub(super) settling: Settling,
    /// Connections to upstreams whose answers say what they cost.
    pub(super) wires: Arc<OnceLock<Connector>>,
}

/// What asks for a reload.
pub(super) struct Occasions {
    signal: Signal,
    requests: mpsc::Receiver<Order>,
    watch: Option<Watch>,
}

/// The files, looked at now and then.
struct Watch {
    every: Interval,
    /// What was found at each.
    seen: HashMap<Place, B256>,
}

impl Occasions {
    /// Reloads are asked for by `SIGHUP`, by operators, and, where that is configured, by the file.
    ///
    /// # Errors
    /// The signal cannot be listened to.
    pub(super) fn new(
        config: &Config,
        requests: mpsc::Receiver<Order>,
    ) -> Result<Self, ServeError> {
        let signal = signal(SignalKind::hangup()).map_err(ServeError::Process)?;
        let watched = config.server.watch == Switch::On;
        let watch = watched.then(|| Watch { every: interval(WATCH_EVERY), seen: HashMap::new() });
        Ok(Self { signal, requests, watch })
    }

    /// Waits for the next one; who asked for it, if somebody waits for what becomes of it.
    async fn next(&mut self, files: &[Watched]) -> Option<oneshot::Sender<Result<String, String>>> {
        let Self { signal, requests, watch } = self;
        let changed = async {
            match watch {
                Some(watch) => watch.changed(files).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = signal.recv() => None,
            () = changed => None,
            Some(Order { told }) = requests.recv() => Some(told),
        }
    }
}

impl Watch {
    async fn changed(&mut self, files: &[Watched]) {
        loop {
            self.every.tick().await;
            let mut changed = false;
            for Watched { place, digest } in files {
                let there = place.clone();
                let looked = tokio::task::spawn_blocking(move || there.look());
                // A file that is not there is about to be: editors and mounts exchange it.
                let Ok(Ok(found)) = looked.await else { continue };
                let seen = self.seen.insert(place.clone(), found).unwrap_or(*digest);
                changed |= found != seen;
            }
            if changed {
                return;
            }
        }
    }
}

impl Reloader {
    /// Takes over what has changed, whenever that is asked for, and who pays fees as soon as
    /// somebody else does.
    pub(super) async fn keep_reloading(mut self, mut occasions: Occasions) {
        let mut looks = interval(TELL_EVERY);
        loop {
            let files = self.files.clone();
            let mut next = pin!(occasions.next(&files));
            let asked = loop {
                tokio::select! {
                    asked = &mut next => break asked,
                    _ = looks.tick() => self.tell_again(),
                }
            };
            let done = self.reload().await;
            self.settling.metrics.reloaded(done.is_ok());
            match &done {
                Ok(what) => tracing::info!(what, "the configuration was reloaded"),
                Err(why) => tracing::error!(why, "the configuration was not reloaded"),
            }
            if let Some(asked) = asked {
                // Who has asked may be gone by now.
                let _ = asked.send(done);
            }
        }
    }

    /// Reads the file again, and exchanges everything at once or nothing.
    async fn reload(&mut self) -> Result<String, String> {
        let origin = self.config.origin.clone();
        let loaded = tokio::task::spawn_blocking(move || Config::load(&origin)).await;
        let mut next = match loaded {
            Ok(Ok(config)) => config,
            Ok(Err(wrong)) => {
                self.files = wrong.files().to_vec();
                return Err(wrong.to_string().trim_end().to_owned());
            }
            Err(error) => return Err(error.to_string()),
        };
        self.files = next.files().to_vec();
        let fixed = self.config.changed_for_good(&next);
        if !fixed.is_empty() {
            let sections = fixed.join("], [");
            return Err(format!("[{sections}] changed, and is read at the start only: {UPGRADE}"));
        }
        if needs_answers(&next) && !needs_answers(&self.config) {
            return Err(format!("no route kept answers before, and one does now: {UPGRADE}"));
        }
        if lets_in(&next) && !lets_in(&self.config) {
            return Err(format!("no route had `sign_in` before, and one does now: {UPGRADE}"));
        }
        if next.speaks_tls() != self.config.speaks_tls() {
            return Err(format!("clients come by TLS from now on, or no longer: {UPGRADE}"));
        }
        if without_tls(&next) != without_tls(&self.config) {
            return Err(format!("`acme.http` changed: {UPGRADE}"));
        }
        if next.limits.store.as_ref().map(place) != self.config.limits.store.as_ref().map(place) {
            return Err(format!("`limits.store` or its `timeout` changed: {UPGRADE}"));
        }
        let settlers = self.settling.next(&self.config, &next).await;
        let settlers = settlers.map_err(|error| fault::with_causes(&error))?;
        let told = told(&next.routes, settlers.pool(), Clock::System.now());
        next.routes = told.unwrap_or(next.routes);
        self.honour(&mut next);
        let upstreams = self.upstreams.changed(&next.upstreams).await;
        let upstreams = upstreams.map_err(|error| format!("{error}: {UPGRADE}"))?;
        let limiter = self.now.load().limiter.changed(&next.limits);
        let snapshot = snapshot(&next, &upstreams, limiter).map_err(|error| error.to_string())?;
        documents(&snapshot).await.map_err(|error| error.to_string())?;
        connected(&self.wires, &next.routes).await;
        self.certified.exchange(&next).map_err(|error| fault::with_causes(&error))?;
        self.settling.reload(settlers, &next);
        self.now.store(Arc::new(snapshot));
        self.upstreams = upstreams;
        self.config = next;
        let (routes, warnings) = (self.config.routes.len(), self.config.warnings.len());
        Ok(format!("{routes} routes, {warnings} warnings"))
    }

    /// Tells the routes of now who pays fees, where that has changed.
    fn tell_again(&mut self) {
        let pool = self.settling.payments.pool();
        let routes = told(&self.config.routes, &pool, Clock::System.now());
        let Some(routes) = routes else { return };
        let before = std::mem::replace(&mut self.config.routes, routes);
        let limiter = self.now.load().limiter.changed(&self.config.limits);
        match snapshot(&self.config, &self.upstreams, limiter) {
            Ok(snapshot) => {
                drop(documents(&snapshot));
                self.now.store(Arc::new(snapshot));
            }
            Err(error) => {
                tracing::error!(%error, "who pays fees has changed, and cannot be told");
                self.config.routes = before;
            }
        }
    }

    /// Lets the routes of `next` take the prices of now for a while.
    fn honour(&self, next: &mut Config) {
        let now = Clock::System.now();
        let until = now.plus(next.server.price_grace);
        for route in &mut next.routes {
            let before = self.config.routes.iter().find(|before| before.name == route.name);
            // Nobody else holds a route that was just read.
            let Some((route, before)) = Arc::get_mut(route).zip(before) else { continue };
            route.charge.honour(&before.charge, until, now);
        }
    }
}

/// Where clients come without TLS.
fn without_tls(config: &Config) -> Option<SocketAddr> {
    config.acme.as_ref()?.http
}

/// What is connected to at the start only.
fn place(store: &Store) -> (&StoreUrl, Duration) {
    (&store.url, store.timeout)
}

/// What takes over everything.
const UPGRADE: &str = "run `tollgate upgrade`, or restart";

/// Between two looks at who pays fees.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// Between two looks at the file.
const WATCH_EVERY: Duration = Duration::from_secs(2);
