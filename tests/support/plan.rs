//! A `gateway.toml` for a test: a priced route, a free one, and what the test changes.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use tempfile::TempDir;

use super::facilitator::Facilitator;
use super::gateway::{FILE, Gateway};
use super::redis::Redis;
use super::wallet::PAY_TO;

/// A configuration, section by section. Its simulated chain has a journal, its limits are off.
pub struct Plan {
    listen: SocketAddr,
    server: String,
    ledger: Option<String>,
    network: String,
    facilitator: String,
    spare: Option<String>,
    limits: String,
    upstream: String,
    routes: String,
    sections: String,
}

impl Plan {
    /// `/paid` costs $0.05 with `GET` and `POST`, `GET /free` nothing; both go to this address.
    pub fn to(upstream: SocketAddr) -> Self {
        Self::to_upstream(&format!("url = \"http://{upstream}\""))
    }

    /// The same with the upstream's section written out.
    pub fn to_upstream(section: &str) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            server: String::new(),
            ledger: None,
            network: String::new(),
            facilitator: "simulated = { journal = \"JOURNAL\" }".to_owned(),
            spare: None,
            limits: "unpaid = \"off\"\nrefused = \"off\"".to_owned(),
            upstream: section.to_owned(),
            routes: String::new(),
            sections: String::new(),
        }
        .route("match = \"GET,POST /paid\"", PRICED)
        .route("match = \"GET /free\"", "price = \"free\"")
    }

    /// Clients come here in place of a free port.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// A line more in `[server]`.
    pub fn server(mut self, line: &str) -> Self {
        self.server = format!("{}\n{line}", self.server);
        self
    }

    /// Recorded here in place of a file of its own.
    pub fn ledger(mut self, url: &str) -> Self {
        self.ledger = Some(url.to_owned());
        self
    }

    /// A line more in the network's section.
    pub fn network(mut self, line: &str) -> Self {
        self.network = format!("{}\n{line}", self.network);
        self
    }

    /// Settled by this one in place of the simulated chain.
    pub fn settled_by(self, facilitator: &Facilitator) -> Self {
        let url = facilitator.url();
        self.facilitator(&format!("http = {{ url = \"{url}\" }}"))
    }

    /// The facilitator's section. `JOURNAL` stands for the path of the simulated chain's journal.
    pub fn facilitator(mut self, section: &str) -> Self {
        self.facilitator = section.to_owned();
        self
    }

    /// Another facilitator, asked after the first.
    pub fn spare(mut self, facilitator: &Facilitator) -> Self {
        self.spare = Some(format!("http = {{ url = \"{}\" }}", facilitator.url()));
        self
    }

    /// Recorded there, with limits at this Redis, as other gateways are; none of them is reached.
    pub fn shared(self, ledger: &str, redis: &Redis) -> Self {
        let store = redis.url();
        let limits = format!("unpaid = \"off\"\nrefused = \"off\"\nstore = \"{store}\"");
        self.ledger(ledger).limits(&limits)
    }

    /// The section `[limits]`; empty: as nobody has configured it.
    pub fn limits(mut self, section: &str) -> Self {
        self.limits = section.to_owned();
        self
    }

    /// A line more in the upstream's section.
    pub fn upstream(mut self, line: &str) -> Self {
        self.upstream = format!("{}\n{line}", self.upstream);
        self
    }

    /// One more section, with its name.
    pub fn section(mut self, text: &str) -> Self {
        self.sections = format!("{}\n{text}", self.sections);
        self
    }

    /// One more route.
    pub fn route(mut self, pattern: &str, rest: &str) -> Self {
        let routes = &self.routes;
        self.routes = format!("{routes}\n[[routes]]\n{pattern}\nupstream = \"api\"\n{rest}\n");
        self
    }

    /// A proxy of this kind on this machine asks about `/asked` for $0.05 with `GET` and `POST`,
    /// and about `GET /open` for nothing.
    pub fn asked_by(self, kind: &str) -> Self {
        self.asked_from("127.0.0.0/8", kind)
    }

    /// The same of a proxy at one of these addresses.
    pub fn asked_from(self, addresses: &str, kind: &str) -> Self {
        let check = format!("[check]\nlisten = \"127.0.0.1:0\"\nasked_by = \"{kind}\"");
        self.server(&format!("trusted_proxies = [\"{addresses}\"]"))
            .section(&check)
            .asked("match = \"GET,POST /asked\"", PRICED)
            .asked("match = \"GET /open\"", "price = \"free\"")
    }

    /// One more route that a proxy asks about.
    pub fn asked(mut self, pattern: &str, rest: &str) -> Self {
        let routes = &self.routes;
        self.routes = format!("{routes}\n[[routes]]\n{pattern}\nmode = \"check\"\n{rest}\n");
        self
    }

    /// No routes but those that follow.
    pub fn no_routes(mut self) -> Self {
        self.routes.clear();
        self
    }

    /// Starts a gateway with it.
    pub async fn start(self) -> Gateway {
        self.start_after(|_| {}).await
    }

    /// Starts a gateway with it, in a folder that `prepare` has put something into.
    pub async fn start_after(self, prepare: impl FnOnce(&Path)) -> Gateway {
        let dir = self.folder();
        prepare(dir.path());
        Gateway::start(Rc::new(dir)).await
    }

    /// A folder with this `gateway.toml` in it.
    pub fn folder(&self) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), self.text(&dir)).unwrap();
        dir
    }

    fn text(&self, dir: &TempDir) -> String {
        let Self {
            listen,
            server,
            network,
            ledger,
            facilitator,
            spare,
            limits,
            upstream,
            routes,
            sections,
        } = self;
        let (names, spare) = match spare {
            Some(section) => ("[\"peer\", \"spare\"]", format!("[facilitators.spare]\n{section}")),
            None => ("\"peer\"", String::new()),
        };
        let file = format!("sqlite://{}", dir.path().join(LEDGER).display());
        let ledger = ledger.as_deref().unwrap_or(&file);
        let journal = dir.path().join(JOURNAL);
        let facilitator = facilitator.replace("JOURNAL", journal.to_str().unwrap());
        format!(
            r#"
            [server]
            listen = "{listen}"
            admin = "127.0.0.1:0"
            public_url = "{PUBLIC_URL}"
            threads = 1
            {server}

            [ledger]
            url = "{ledger}"

            [networks.base-sepolia]
            pay_to = "{PAY_TO}"
            facilitator = {names}
            {network}

            [facilitators.peer]
            {facilitator}

            {spare}

            [limits]
            {limits}

            [upstreams.api]
            {upstream}

            {sections}

            {routes}
            "#
        )
    }
}

/// What a route needs to cost [`PRICE`](super::wallet::PRICE).
pub const PRICED: &str = "price = \"$0.05\"\nnetworks = [\"base-sepolia\"]";
pub const PUBLIC_URL: &str = "https://api.example.com";
/// Names in the gateway's folder.
pub const LEDGER: &str = "tollgate.db";
pub const JOURNAL: &str = "chain.jsonl";
