//! `gateway.toml`: read as typed, checked, and handed on as domain types.

mod accounts;
mod acme;
mod answers;
mod block;
mod bypass;
mod certificates;
mod chains;
mod check;
mod clusters;
mod contracts;
mod dashboard;
mod discovery;
mod explain;
mod facilitators;
mod file;
mod finding;
mod hidden;
mod hint;
mod include;
pub mod keys;
mod limits;
mod mistake;
mod networks;
mod offers;
mod prices;
mod pricing;
mod reader;
mod rehearsal;
mod routes;
mod server;
mod servers;
mod sign_in;
mod source;
mod text;
mod traces;
mod transfer;
mod units;
mod upstreams;
mod usage;
mod watched;
mod words;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_primitives::{B256, keccak256};
use serde::Deserialize as _;
use toml::Spanned;
use toml::de::DeTable;

use crate::access::{Block, Bypass};
use crate::acme::Settings as Acme;
use crate::bounded;
use crate::digest::Digest;
use crate::discovery::About;
use crate::ledger::{Keep, LedgerUrl};
use crate::limit;
use crate::observe::traces::Settings as TraceSettings;
use crate::route::upstream::Upstream;
use crate::route::{Route, Shape};
use crate::x402::network::Worth;

use self::facilitators::moved_by;
use self::file::FileConfig;
use self::include::Found;
use self::reader::{Environment, Kind, Reader};
use self::routes::Around;
use self::source::Sources;
use self::text::Text;

pub use self::answers::Answers;
pub use self::certificates::Certificate;
pub use self::check::Check;
pub use self::facilitators::FacilitatorSettings;
pub use self::finding::{ConfigError, Finding};
pub use self::include::{Included, pattern_in};
pub use self::mistake::Mistake;
pub use self::networks::NetworkSettings;
pub use self::rehearsal::Stage;
pub use self::server::{Server, Switch};
pub use self::transfer::Transfer;
pub use self::watched::{Place, Watched};

/// A configuration without a mistake: everything in it refers to something that is there.
#[derive(Debug)]
pub struct Config {
    /// The file that it was read from.
    pub origin: PathBuf,
    /// Those that it includes.
    pub included: Vec<Included>,
    /// Where the gateway listens, and its bounds.
    pub server: Server,
    /// Where a proxy asks before it forwards, if one does.
    pub check: Option<Check>,
    /// What is shown to clients, who come by TLS where there is any.
    pub certificates: Vec<Certificate>,
    /// What is ordered of an authority, and shown to them too.
    pub acme: Option<Acme>,
    /// Where payments are kept.
    pub ledger: LedgerUrl,
    /// How long payments are kept there after their end.
    pub keep: Keep,
    /// What is kept of paid answers.
    pub answers: Answers,
    /// In whose words is refused where a route does not say.
    pub refusals: Shape,
    /// What agents find.
    pub discovery: About,
    /// Which traces there are and where they go, if there are any.
    pub traces: Option<TraceSettings>,
    /// Of the token that shows operators the dashboard, if there is one.
    pub dashboard: Option<Digest>,
    /// Where money moves, by name.
    pub networks: BTreeMap<Box<str>, NetworkSettings>,
    /// Who verifies and settles, by name.
    pub facilitators: BTreeMap<Box<str>, FacilitatorSettings>,
    /// How much is let through.
    pub limits: limit::Settings,
    /// Where requests go, by name.
    pub upstreams: BTreeMap<Box<str>, Upstream>,
    /// What is served, in the order of the files. A [`RouteTable`](crate::route::RouteTable) takes
    /// them.
    pub routes: Vec<Arc<Route>>,
    /// Who need not pay for them.
    pub bypasses: Vec<Bypass>,
    /// Who is turned away.
    pub block: Arc<Block>,
    /// What is odd, but no mistake.
    pub warnings: Vec<Finding>,
    /// What it was read from, but for certificates of its own.
    watched: Vec<Watched>,
    /// A digest of each section of [`READ_ONCE`]: the text itself may hold secrets.
    read_once: ReadOnce,
}

impl Config {
    /// Reads a file, with secrets from this process's environment.
    ///
    /// # Errors
    /// The file cannot be read, or holds mistakes.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        match bounded::read_text(path) {
            Ok(text) => Self::parse(&text, path, &|name| std::env::var(name).ok()),
            Err(error) => {
                let wrong = ConfigError::from(Finding::of_file(path, Mistake::Unreadable(error)));
                Err(wrong.about(vec![Watched::missing(path)]))
            }
        }
    }

    /// Reads `text` as the file `origin`, and what it includes. Files are looked for in `origin`'s
    /// folder.
    ///
    /// # Errors
    /// One finding for each text that is not TOML, or has a key that is not known, missing or of
    /// another kind; otherwise every mistake there is.
    pub fn parse(text: &str, origin: &Path, env: Environment<'_>) -> Result<Self, ConfigError> {
        let mut looked_at = vec![Watched::file(origin, text)];
        let read = Self::read(Sources::new(origin, text), env, &mut looked_at);
        read.map_err(|wrong| wrong.about(looked_at))
    }

    fn read(
        mut sources: Sources,
        env: Environment<'_>,
        looked_at: &mut Vec<Watched>,
    ) -> Result<Self, ConfigError> {
        let (mut typed, read_once) = first(&sources)?;
        let Found { files, warnings } = include::include(&mut typed, &mut sources, looked_at)?;
        let mut reader = Reader::new(&sources, env);
        (reader.watched, reader.warnings) = (std::mem::take(looked_at), warnings);
        let read = config(typed, Texts { included: files, read_once }, &mut reader);
        if reader.wrong.is_empty()
            && let Some(config) = read
        {
            return Ok(config);
        }
        *looked_at = read.map_or(reader.watched, |config| config.watched);
        Err(ConfigError::new(reader.wrong))
    }

    /// The sections in which another configuration differs from this one and that are read once,
    /// when a gateway starts.
    pub fn changed_for_good(&self, other: &Self) -> Vec<&'static str> {
        let both = self.read_once.iter().zip(&other.read_once);
        let differs = READ_ONCE.iter().zip(both).filter(|(_, (here, there))| here != there);
        let mut sections: Vec<_> = differs.map(|(section, _)| *section).collect();
        // What its networks say is told to whoever stands in for their chain.
        for (name, told) in &self.facilitators {
            let Some(other) = other.facilitators.get(name) else { continue };
            let kind = match told {
                FacilitatorSettings::Http(_) | FacilitatorSettings::Chain(_) => continue,
                FacilitatorSettings::Simulated(_) => "facilitators.NAME.simulated",
            };
            if format!("{told:?}") != format!("{other:?}") && !sections.contains(&kind) {
                sections.push(kind);
            }
        }
        sections
    }

    /// Whether clients come by TLS.
    pub fn speaks_tls(&self) -> bool {
        !self.certificates.is_empty() || self.acme.is_some()
    }

    /// Everything that it was read from.
    pub fn files(&self) -> &[Watched] {
        &self.watched
    }

    /// Writes what it means: what each route charges, where it goes and the 402 it would send, and
    /// then the warnings. Of a secret it writes only where it comes from.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn explain(&self, out: &mut impl Write) -> io::Result<()> {
        explain::explain(self, out)
    }
}

/// What is known of the texts themselves.
struct Texts {
    included: Vec<Included>,
    read_once: ReadOnce,
}

/// What is typed in `gateway.toml`, and what of it is read once.
fn first(sources: &Sources) -> Result<(FileConfig, ReadOnce), ConfigError> {
    let table = sources.first_table()?;
    let read_once = digests(table.get_ref());
    Ok((sources.first_typed(table)?, read_once))
}

/// Reads section after section. Nothing only when `reader` has noted why.
fn config(typed: FileConfig, texts: Texts, reader: &mut Reader<'_>) -> Option<Config> {
    let FileConfig { server, certificates, acme, ledger, answers, .. } = typed;
    let (defaults, networks, facilitators) = (typed.defaults, typed.networks, typed.facilitators);
    let (mut limits, upstreams, routes) = (typed.limits, typed.upstreams, typed.routes);
    let answers = answers::answers(answers, reader);
    let discovery = discovery::discovery(typed.discovery, reader);
    let dashboard = dashboard::dashboard(typed.dashboard, reader);
    let refusals = reader.take_if(defaults.refusals).unwrap_or_default();
    let free = defaults.free.and_then(|free| limits::of_clients(free, reader));
    let facilitators = reader.sections(Kind::Facilitator, facilitators);
    let networks = reader.sections(Kind::Network, networks);
    let upstreams = reader.sections(Kind::Upstream, upstreams);
    let classes = reader.sections(Kind::Class, std::mem::take(&mut limits.class));

    let listen = server.listen.as_ref().map(|listen| listen.span.clone());
    let certificates = certificates::certificates(certificates, reader);
    let speaks_tls = !certificates.is_empty() || acme.is_some();
    let server = server::server(server, if speaks_tls { "https" } else { "http" }, reader);
    let traces = traces::traces(typed.traces, &server, speaks_tls, reader);
    let asks = typed.check.as_ref().map(|check| check.listen.span.clone());
    let check = check::check(typed.check, &server, reader);
    let taken = [server.listen, server.admin, check.map_or(server.admin, |check| check.listen)];
    let acme = acme::acme(acme, &certificates, &taken, reader);
    let networks = networks::networks(networks, &moved_by(&facilitators), reader);
    let mut facilitators = facilitators::facilitators(facilitators, &networks, reader);
    let mut limits = limits::limits(limits, classes, reader);
    let upstreams = upstreams::upstreams(upstreams, reader);
    let keep = reader.take_if(ledger.keep).unwrap_or_default();
    let public_url = server.public_url.as_deref();
    let (networks_of, upstreams_of) = (&networks, &upstreams);
    let asked_by = check::asked_by(check, asks.as_ref());
    let around =
        Around { public_url, networks_of, upstreams_of, answers, refusals, free, keep, asked_by };
    let routes = routes::routes(routes, &around, reader);
    facilitators::want_upto(&mut facilitators, &routes);
    if public_url.is_none() && routes.iter().any(|route| route.charge.is_priced()) {
        reader.wrong(listen.unwrap_or_default(), Mistake::NoPublicUrl);
    }
    let bypasses = bypass::bypasses(typed.bypass, &routes, reader);
    let block = Arc::new(block::block(typed.block, reader));
    limits.free = limits::free(&routes);
    let ledger = ledger_for(&networks, ledger.url, reader);
    reader.warn_of_unused();
    warn_of_routes(&routes, asks, reader);
    Some(Config {
        origin: reader.origin().to_owned(),
        included: texts.included,
        read_once: texts.read_once,
        server,
        check,
        certificates,
        acme,
        ledger: ledger?,
        keep,
        answers,
        refusals,
        discovery,
        traces,
        dashboard,
        networks: whole(networks)?,
        facilitators: whole(facilitators)?,
        limits,
        upstreams: whole(upstreams)?,
        routes,
        bypasses,
        block,
        warnings: std::mem::take(&mut reader.warnings),
        watched: std::mem::take(&mut reader.watched),
    })
}

/// Nothing to serve, or nothing to ask about where a proxy asks.
fn warn_of_routes(routes: &[Arc<Route>], asks: Option<Range<usize>>, reader: &mut Reader<'_>) {
    if routes.is_empty() {
        reader.warn_of_file(Mistake::NoRoutes);
    }
    let asks = asks.filter(|_| routes.iter().all(|route| route.upstream.is_some()));
    if let Some(span) = asks {
        reader.warn(span, Mistake::NothingAsked);
    }
}

/// A digest of each section of [`READ_ONCE`].
type ReadOnce = [B256; READ_ONCE.len()];

/// Sections that a reload does not read again.
const READ_ONCE: [&str; 7] =
    ["server", "check", "ledger", "answers", "traces", "dashboard", "facilitators.NAME.simulated"];

/// Of [`READ_ONCE`], as one reads it: spaces, comments and places do not count.
fn digests(table: &DeTable<'_>) -> ReadOnce {
    let once = |key: &str| READ_ONCE.iter().any(|name| name.split('.').next() == Some(key));
    let some = table.iter().filter(|(key, _)| once(key.get_ref()));
    let some: DeTable<'_> = some.map(|(key, value)| (key.clone(), value.clone())).collect();
    let some = toml::Deserializer::from(Spanned::new(0..0, some));
    let typed = toml::Table::deserialize(some).unwrap_or_default();
    let section = |name: &str| match name.split_once(".NAME.") {
        Some((all, kind)) => {
            let all = typed.get(all).and_then(toml::Value::as_table).into_iter().flatten();
            let of_kind = all.filter(|(_, one)| one.get(kind).is_some());
            of_kind.map(|(name, one)| format!("{name} {one}\n")).collect()
        }
        None => typed.get(name).map(ToString::to_string).unwrap_or_default(),
    };
    READ_ONCE.map(|name| keccak256(section(name)))
}

/// A ledger that forgets nothing where money is real.
fn ledger_for(
    networks: &Named<NetworkSettings>,
    typed: Text<LedgerUrl>,
    reader: &mut Reader<'_>,
) -> Option<LedgerUrl> {
    let span = typed.span.clone();
    let ledger = reader.take(typed)?;
    let mainnet = networks.values().flatten().find(|network| network.worth == Worth::Mainnet);
    if let (LedgerUrl::Memory, Some(network)) = (&ledger, mainnet) {
        reader.wrong(span, Mistake::MemoryMainnet { network: network.name.clone() });
    }
    Some(ledger)
}

/// Sections by name; one with a mistake is there as nothing, so that its name is known.
type Named<T> = BTreeMap<Box<str>, Option<T>>;

/// The sections, if all are good.
fn whole<T>(sections: Named<T>) -> Option<BTreeMap<Box<str>, T>> {
    sections.into_iter().map(|(name, section)| Some((name, section?))).collect()
}
