//! Everything that listens, and what is behind it.

use std::net::SocketAddr;
use std::sync::Arc;

use pingora::apps::HttpServerOptions;
use pingora::apps::http_app::HttpServer;
use pingora::listeners::tls::TlsSettings;
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::ServeError;
use super::handover::Heir;
use super::leave::Exit;
use super::listen::{self, Bound, Spare};
use crate::config::Config;
use crate::proxy::admin::Admin;
use crate::proxy::upstream::TRIES_MAX;
use crate::proxy::{Bounds, Door, Gateway, Hall};

/// Listeners that nobody serves yet.
pub(super) struct Listeners {
    public: Bound,
    admin: Bound,
    check: Option<Bound>,
}

/// Who is met behind them.
pub(super) struct Hosts {
    /// By clients, by TLS where that is set up.
    pub(super) public: (Gateway, Option<TlsSettings>),
    /// By operators.
    pub(super) admin: Admin,
    /// By proxies that ask.
    pub(super) check: Option<Gateway>,
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
        Ok(Self {
            public: bind("gateway", config.server.listen)?,
            admin: bind("admin", config.server.admin)?,
            check: config.check.map(|check| bind("check", check.listen)).transpose()?,
        })
    }

    /// Where they are: clients', operators', and the one for proxies that ask.
    pub(super) fn addresses(&self) -> (SocketAddr, SocketAddr, Option<SocketAddr>) {
        let check = self.check.as_ref().map(Bound::address);
        (self.public.address(), self.admin.address(), check)
    }

    /// Other handles of all of them.
    ///
    /// # Errors
    /// The process has too many files open.
    pub(super) fn spares(&self) -> Result<Vec<Spare>, ServeError> {
        let all = [Some(&self.public), Some(&self.admin), self.check.as_ref()];
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
        let clients =
            |gateway| Hall::new(door(gateway, config), exit.clients.clone(), exit.leaving());
        let operators = HttpServer::new_app(hosts.admin);
        let operators = Hall::new(operators, exit.operators.clone(), exit.leaving());
        let (gateway, encrypted) = hosts.public;
        let mut serving = JoinSet::new();
        serving.spawn_on(self.public.serve(clients(gateway), encrypted, exit.listeners()), traffic);
        serving.spawn_on(self.admin.serve(operators, None, exit.listeners()), traffic);
        if let Some((bound, gateway)) = self.check.zip(hosts.check) {
            serving.spawn_on(bound.serve(clients(gateway), None, exit.listeners()), traffic);
        }
        serving
    }
}

/// The proxy, behind its counted door.
fn door(gateway: Gateway, config: &Config) -> Door {
    let conf = ServerConf {
        threads: config.server.threads.get(),
        max_retries: TRIES_MAX,
        upstream_keepalive_pool_size: UPSTREAM_POOL,
        ..ServerConf::default()
    };
    let bounds = Bounds {
        stall_max: config.server.client_timeout,
        head_bytes_max: gateway.settings.header_bytes_max,
    };
    let mut proxy = HttpProxy::new(gateway, Arc::new(conf));
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    options.h2_idle_timeout = Some(config.server.keepalive);
    proxy.server_options = Some(options);
    proxy.handle_init_modules();
    Door::new(proxy, config.server.connections_max.get(), bounds)
}

const UPSTREAM_POOL: usize = 1_024;
