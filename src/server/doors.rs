//! Everything that listens, and what is behind it.

use std::sync::Arc;

use pingora::apps::HttpServerOptions;
use pingora::apps::http_app::HttpServer;
use pingora::listeners::tls::Acceptor;
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::ServeError;
use super::files;
use super::handover::Heir;
use super::leave::Exit;
use super::listen::{self, Bound, Spare};
use crate::config::Config;
use crate::proxy::admin::Admin;
use crate::proxy::upstream::{TRIES_MAX, trust};
use crate::proxy::{Bounds, Door, Gateway, Hall, Plain};

/// Listeners that nobody serves yet.
pub(super) struct Listeners {
    public: Bound,
    admin: Bound,
    /// For proxies that ask.
    check: Option<Bound>,
    /// For whoever comes without TLS, and an authority that looks whether a name leads here.
    http: Option<Bound>,
}

/// Who is met behind them.
pub(super) struct Hosts {
    /// By clients, by TLS where that is set up.
    pub(super) public: (Gateway, Option<Acceptor>),
    /// By operators.
    pub(super) admin: Admin,
    /// By proxies that ask.
    pub(super) check: Option<Gateway>,
    /// By whoever comes without TLS, where there is a listener for it.
    pub(super) plain: Plain,
}

impl Listeners {
    /// Binds them, or takes them over.
    ///
    /// # Errors
    /// One cannot be had. None is kept then.
    pub(super) fn bind(config: &Config, mut heir: Option<&mut Heir>) -> Result<Self, ServeError> {
        let mut bind = |name, address| {
            listen::bind(name, address, heir.as_deref_mut())
                .map_err(|error| ServeError::Listen(address, error))
        };
        let http = config.acme.as_ref().and_then(|acme| acme.http);
        Ok(Self {
            public: bind("gateway", config.server.listen)?,
            admin: bind("admin", config.server.admin)?,
            check: config.check.map(|check| bind("check", check.listen)).transpose()?,
            http: http.map(|address| bind("http", address)).transpose()?,
        })
    }

    /// Where they are, in words.
    pub(super) fn said(&self) -> String {
        let Self { public, admin, check, http } = self;
        let more = |name, bound: &Option<Bound>| {
            bound.as_ref().map(|bound| format!(", {name} {}", bound.address())).unwrap_or_default()
        };
        let (public, admin) = (public.address(), admin.address());
        let (check, http) = (more("check", check), more("http", http));
        format!("tollgate listening on {public}, admin {admin}{check}{http}")
    }

    /// Other handles of all of them.
    ///
    /// # Errors
    /// The process has too many files open.
    pub(super) fn spares(&self) -> Result<Vec<Spare>, ServeError> {
        let (check, http) = (self.check.as_ref(), self.http.as_ref());
        let all = [Some(&self.public), Some(&self.admin), check, http];
        let spare = |bound: &Bound| {
            bound.spare().map_err(|error| ServeError::Listen(bound.address(), error))
        };
        all.into_iter().flatten().map(spare).collect()
    }

    /// Serves until `exit` says that they close. Whoever drops what this gives ends them at once.
    pub(super) fn serve(
        self,
        hosts: Hosts,
        config: &Config,
        exit: &Exit,
        traffic: &Handle,
    ) -> JoinSet<()> {
        let doors = 1 + usize::from(self.check.is_some()) + usize::from(self.http.is_some());
        let places = files::places(config.server.connections_max.get(), doors);
        let present = &exit.clients;
        let (gateway, encrypted) = hosts.public;
        let clients =
            Hall::new(door(gateway, config, places, encrypted), present.clone(), exit.leaving());
        let operators = HttpServer::new_app(hosts.admin);
        let operators = Hall::new(operators, exit.operators.clone(), exit.leaving());
        let mut serving = JoinSet::new();
        serving.spawn_on(self.public.serve(clients, exit.listeners()), traffic);
        serving.spawn_on(self.admin.serve(operators, exit.listeners()), traffic);
        if let Some((bound, gateway)) = self.check.zip(hosts.check) {
            let proxies =
                Hall::new(door(gateway, config, places, None), present.clone(), exit.leaving());
            serving.spawn_on(bound.serve(proxies, exit.listeners()), traffic);
        }
        if let Some(bound) = self.http {
            let plain = HttpServer::new_app(hosts.plain);
            let plain = Door::new(plain, places, bounds(config), None);
            let plain = Hall::new(plain, present.clone(), exit.leaving());
            serving.spawn_on(bound.serve(plain, exit.listeners()), traffic);
        }
        serving
    }
}

/// The proxy, behind its counted door.
fn door(
    gateway: Gateway,
    config: &Config,
    places: usize,
    tls: Option<Acceptor>,
) -> Door<HttpProxy<Gateway>> {
    let conf = ServerConf {
        threads: config.server.threads.get(),
        max_retries: TRIES_MAX,
        upstream_keepalive_pool_size: UPSTREAM_POOL,
        ca_file: trust::file(),
        ..ServerConf::default()
    };
    let mut proxy = HttpProxy::new(gateway, Arc::new(conf));
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    options.h2_idle_timeout = Some(config.server.keepalive);
    proxy.server_options = Some(options);
    proxy.handle_init_modules();
    Door::new(proxy, places, bounds(config), tls)
}

fn bounds(config: &Config) -> Bounds {
    let head_bytes_max = usize::try_from(config.server.header_bytes_max).unwrap_or(usize::MAX);
    Bounds { stall_max: config.server.client_timeout, head_bytes_max }
}

const UPSTREAM_POOL: usize = 1_024;
