//! A real authority of ACME for one test: Let's Encrypt's Pebble, which connects to the gateway
//! before it issues anything. Every name leads to the address of the test.

use std::fs;
use std::net::SocketAddr;

use reqwest::{Certificate, Client};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::authority::Authority;
use super::eventually;
use super::kept::{Kept, free};

/// Where an authority can be, and looks whether names lead there.
pub struct Place {
    own: SocketAddr,
    folder: TempDir,
    /// What names lead to.
    _names: Kept,
}

/// A running authority. It knows nothing of what another at its place has done.
pub struct Pebble(Kept);

impl Place {
    pub fn new() -> Self {
        let own = free(PORT);
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.write(folder.path(), CA);
        authority.certify(folder.path(), &own.ip().to_string());
        let (host, names) = (own.ip().to_string(), near(own, NAMES).to_string());
        let nowhere = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", ""];
        let answers = ["-defaultIPv4", &host, "-defaultIPv6", "", "-dns01", &names];
        let names = Kept::start(&[&["pebble-challtestsrv"][..], &answers, &nowhere].concat(), &[]);
        Self { own, folder, _names: names }
    }

    /// Where its directory is.
    pub fn own(&self) -> SocketAddr {
        self.own
    }

    /// Where it connects to by TLS.
    pub fn tls(&self) -> SocketAddr {
        near(self.own, TLS)
    }

    /// Where it asks without TLS.
    pub fn http(&self) -> SocketAddr {
        near(self.own, HTTP)
    }

    /// `[acme]` for these names in TOML, with lines of the test's own.
    pub fn section(&self, names: &str, more: &str) -> String {
        let ca = self.folder.path().join(format!("{CA}.pem"));
        let (own, ca) = (self.own, ca.display());
        format!(
            "[acme]\ndomains = {names}\nterms = \"agreed\"\nstorage = \"{STORAGE}\"\n\
             directory = \"https://{own}/dir\"\nca = \"{ca}\"\n{more}"
        )
    }

    /// The folder in the storage for this authority.
    pub fn folder(&self) -> String {
        format!("{STORAGE}/{}_dir", self.own.to_string().replace(':', "_"))
    }

    /// Starts it, with this in its configuration.
    pub async fn opens(&self, more: Value) -> Pebble {
        let file = |kind: &str| {
            self.folder.path().join(format!("{}.{kind}", self.own.ip())).display().to_string()
        };
        let mut settings = json!({
            "listenAddress": self.own.to_string(),
            "managementListenAddress": near(self.own, MANAGEMENT).to_string(),
            "certificate": file("pem"),
            "privateKey": file("key"),
            "httpPort": self.http().port(),
            "tlsPort": self.tls().port(),
        });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let path = self.folder.path().join("pebble.json");
        fs::write(&path, json!({ "pebble": settings }).to_string()).unwrap();
        let names = near(self.own, NAMES).to_string();
        let words = ["pebble", "-config", path.to_str().unwrap(), "-dnsserver", &names];
        let pebble = Pebble(Kept::start(&words, &[("PEBBLE_VA_NOSLEEP", "1")]));
        for address in [self.own, near(self.own, MANAGEMENT)] {
            let connects = async || TcpStream::connect(address).await.ok().map(drop);
            eventually("pebble, which tests/run installs", connects).await;
        }
        pebble
    }

    /// Who vouches for what the running one issues, in PEM.
    pub async fn root(&self) -> Vec<u8> {
        let pem = fs::read(self.folder.path().join(format!("{CA}.pem"))).unwrap();
        let trusted = [Certificate::from_pem(&pem).unwrap()];
        let client = Client::builder().no_proxy().tls_certs_only(trusted).build().unwrap();
        let url = format!("https://{}/roots/0", near(self.own, MANAGEMENT));
        client.get(url).send().await.unwrap().bytes().await.unwrap().to_vec()
    }
}

impl Pebble {
    /// Ends it.
    pub async fn closes(self, place: &Place) {
        drop(self.0);
        eventually("its end", async || TcpStream::connect(place.own).await.err()).await;
    }
}

/// Another port of the same host.
fn near(address: SocketAddr, further: u16) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port() + further)
}

/// In the gateway's folder.
pub const STORAGE: &str = "certified";
const CA: &str = "ca";
const PORT: u16 = 14_000;
const NAMES: u16 = 1_000;
const HTTP: u16 = 2_000;
const TLS: u16 = 3_000;
const MANAGEMENT: u16 = 4_000;
