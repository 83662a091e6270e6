//! `[server]`: where the gateway listens, and the bounds of what it takes from clients.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use ipnet::IpNet;

use super::file::FileServer;
use super::mistake::Mistake;
use super::reader::Reader;
use super::units::{Delay, Size, Timeout};
use super::words::Lines;
use crate::observe::access::Form;

/// Where the gateway listens, and the bounds of what it takes from clients.
#[derive(Clone, Debug)]
pub struct Server {
    /// For clients.
    pub listen: SocketAddr,
    /// For operators: metrics and health.
    pub admin: SocketAddr,
    /// What 402s put before a path, without a final slash. Nothing when no route is priced and
    /// the address says nothing to others.
    pub public_url: Option<Box<str>>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long connections are still accepted after a stop was asked for.
    pub drain: Duration,
    /// How long running exchanges may go on after that.
    pub grace: Duration,
    /// Threads of the proxy.
    pub threads: NonZeroUsize,
    /// Whether each exchange is written to the standard output as one line, and for whom.
    pub access_log: Option<Form>,
    /// Bytes of a request's line and headers.
    pub header_bytes_max: u64,
    /// Bytes of a request's body where the route names no bound.
    pub body_bytes_max: u64,
    /// Client connections at once.
    pub connections_max: NonZeroUsize,
    /// How long an idle client connection is kept.
    pub keepalive: Duration,
    /// The longest pause of a client within a request or an answer.
    pub client_timeout: Duration,
    /// Whether the file is looked at for changes.
    pub watch: Switch,
    /// How long payments for a price of before a reload are taken.
    pub price_grace: Duration,
}

/// Whether something is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// It is.
    #[default]
    On,
    /// It is not.
    Off,
}

/// Reads `[server]`, where clients come by this scheme. Whether `public_url` is needed is the
/// routes' to say.
pub(super) fn server(typed: FileServer, scheme: &str, reader: &mut Reader<'_>) -> Server {
    let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let time = |timeout: Option<Timeout>, seconds| {
        timeout.map_or(Duration::from_secs(seconds), |timeout| timeout.0)
    };
    let span = typed.admin.as_ref().or(typed.listen.as_ref()).map(|text| text.span.clone());
    let listen = reader.take_if(typed.listen).unwrap_or_else(|| loopback(LISTEN_PORT));
    let admin = reader.take_if(typed.admin).unwrap_or_else(|| loopback(ADMIN_PORT));
    if listen == admin && listen.port() != 0 {
        reader.wrong(span.unwrap_or_default(), Mistake::SameAddress);
    }
    let named = reader.take_if(typed.public_url).map(|url| url.0);
    Server {
        listen,
        admin,
        public_url: named.or_else(|| own_url(listen, scheme)),
        trusted_proxies: reader.take_all(typed.trusted_proxies),
        drain: reader.take_if(typed.drain).map_or(Duration::ZERO, |Delay(drain)| drain),
        grace: reader.take_if(typed.grace).map_or(GRACE, |Delay(grace)| grace),
        threads: typed.threads.unwrap_or_else(cores),
        access_log: reader.take_if(typed.access_log).map_or(Some(Form::Json), |Lines(form)| form),
        header_bytes_max: size(reader.take_if(typed.header_bytes_max), HEADER_BYTES),
        body_bytes_max: size(reader.take_if(typed.body_bytes_max), BODY_BYTES),
        connections_max: typed.connections_max.unwrap_or(CONNECTIONS),
        keepalive: time(reader.take_if(typed.keepalive), 60),
        client_timeout: time(reader.take_if(typed.client_timeout), 30),
        watch: reader.take_if(typed.watch).unwrap_or(Switch::Off),
        price_grace: reader.take_if(typed.price_grace).map_or(PRICE_GRACE, |Delay(grace)| grace),
    }
}

/// The URL of a listener that only this machine reaches.
fn own_url(listen: SocketAddr, scheme: &str) -> Option<Box<str>> {
    listen.ip().is_loopback().then(|| format!("{scheme}://{listen}").into())
}

fn size(typed: Option<Size>, default: u64) -> u64 {
    typed.map_or(default, |Size(bytes)| bytes)
}

fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

const LISTEN_PORT: u16 = 8402;
const ADMIN_PORT: u16 = 9402;
const PRICE_GRACE: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(30);
const HEADER_BYTES: u64 = 32 * 1024;
const BODY_BYTES: u64 = 32_000_000;
const CONNECTIONS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);
