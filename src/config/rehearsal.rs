//! A configuration without the world: the same routes, prices and bounds, and nothing real behind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Config, FacilitatorSettings, Switch};
use crate::facilitator::simulated::{self, Play};
use crate::ledger::LedgerUrl;
use crate::route::upstream::{Balance, Http, Kind, Origin, Servers};
use crate::x402::AtomicAmount;

/// What stands in for the world in a rehearsal.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// Answers in the place of every upstream, by HTTP/1.1.
    pub upstream: SocketAddr,
    /// Has the ledger and the chains of the rehearsal.
    pub folder: &'a Path,
}

impl Config {
    /// The same routes, prices, networks, limits and bounds, for a gateway that reaches nobody: its
    /// ledger is a new file, each facilitator a simulated chain on which everybody is rich, every
    /// upstream is the stage's, without the headers that it is sent. It listens on free ports of
    /// this machine without TLS, believes no proxy there and is asked by none, lets nobody pass
    /// free, turns nobody away, counts for itself, and is followed by nobody.
    pub fn rehearsed(mut self, stage: &Stage<'_>) -> Self {
        let here = |net: &ipnet::IpNet| LOOPBACK.iter().any(|address| net.contains(address));
        self.server.listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        self.server.admin = self.server.listen;
        self.server.trusted_proxies.retain(|net| !here(net));
        self.server.grace = GRACE;
        self.server.access_log = None;
        self.server.watch = Switch::Off;
        self.check = None;
        self.certificates.clear();
        self.acme = None;
        self.bypasses.clear();
        self.block = Arc::default();
        self.limits.store = None;
        self.limits.free.clear();
        for route in &mut self.routes {
            Arc::make_mut(route).free = None;
        }
        self.dashboard = None;
        self.traces = None;
        self.ledger = LedgerUrl::Sqlite(stage.folder.join("ledger.db"));
        for (place, settings) in self.facilitators.values_mut().enumerate() {
            let journal = Some(stage.folder.join(format!("chain-{place}")));
            let (play, balance) = (Play::Rehearsal, RICH);
            let settings_of = simulated::Settings::default();
            *settings = FacilitatorSettings::Simulated(simulated::Settings {
                play,
                balance,
                journal,
                ..settings_of
            });
        }
        for network in self.networks.values_mut() {
            network.rpc.clear();
        }
        for upstream in self.upstreams.values_mut() {
            let host = stage.upstream.ip().to_string().into();
            let origin = Origin { host, port: stage.upstream.port() };
            upstream.kind = Kind::Servers(Servers {
                origins: [origin].into(),
                tls: None,
                balance: Balance::default(),
                health: None,
            });
            upstream.http = Http::One;
            upstream.headers.clear();
        }
        self
    }
}

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
const GRACE: Duration = Duration::from_secs(2);
/// More than any price, and room above it.
const RICH: AtomicAmount = AtomicAmount::new(1 << 100);
