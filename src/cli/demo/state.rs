//! The demo's own files: a copy of the configuration, the ledger and the simulated chain.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::cli::scratch::Scratch;
use crate::config::pattern_in;

/// A folder that lasts as long as the demo, with the configuration that the gateway reads.
#[derive(Debug)]
pub(super) struct State {
    folder: Scratch,
    source: Source,
}

/// Where the configuration is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// `gateway.toml` of the current folder.
    Here,
    /// The one that this program was built with.
    BuiltIn,
}

/// Why the demo has no place to run in.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or folder cannot be made or read.
    #[error("cannot use {0}")]
    File(PathBuf, #[source] io::Error),
    /// `gateway.toml` is not TOML.
    #[error("gateway.toml is not TOML")]
    Toml(#[source] toml::de::Error),
    /// A name that stands for a section stands for something else.
    #[error("gateway.toml: `{0}` is not a section")]
    Section(&'static str),
    /// A `gateway.toml` of somebody who takes real money, with a key or an account of theirs.
    #[error("gateway.toml: facilitator `{0}` is not simulated; run the demo in another folder")]
    NotSimulated(Box<str>),
    /// The copy cannot be written as TOML.
    #[error("gateway.toml cannot be copied")]
    Copy(#[source] toml::ser::Error),
    /// No free port.
    #[error("there is no address to listen on")]
    Listen(#[source] io::Error),
}

impl State {
    /// Makes the folder and the demo's copy of the configuration.
    ///
    /// # Errors
    /// See [`StateError`].
    pub(super) fn create(listen: Option<SocketAddr>) -> Result<Self, StateError> {
        let (text, source) = match fs::read_to_string(FILE) {
            Ok(text) => (text, Source::Here),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (BUILT_IN.to_owned(), Source::BuiltIn)
            }
            Err(error) => return Err(StateError::File(FILE.into(), error)),
        };
        let folder =
            Scratch::create("demo").map_err(|(path, cause)| StateError::File(path, cause))?;
        let state = Self { folder, source };
        let listen = match listen {
            Some(address) => address,
            None => free(LISTEN)?,
        };
        let here = std::env::current_dir().map_err(|cause| StateError::File(".".into(), cause))?;
        let copy = state.adapted(&text, (listen, free(ADMIN)?), &here)?;
        state.write("gateway.toml", copy.as_bytes())?;
        Ok(state)
    }

    /// The configuration with this demo's addresses and files, and nothing else changed: the files
    /// that it names are still those beside it. It speaks no TLS, to this machine alone.
    ///
    /// # Errors
    /// `NotSimulated` where it could do more than play, and what is no configuration at all.
    fn adapted(
        &self,
        text: &str,
        (listen, admin): (SocketAddr, SocketAddr),
        beside: &Path,
    ) -> Result<String, StateError> {
        let mut config: Table = text.parse().map_err(StateError::Toml)?;
        let server = section(&mut config, "server")?;
        server.insert("listen".to_owned(), listen.to_string().into());
        server.insert("admin".to_owned(), admin.to_string().into());
        server.insert("public_url".to_owned(), format!("http://{listen}").into());
        let ledger = format!("sqlite://{}", self.folder.path().join("ledger.db").display());
        section(&mut config, "ledger")?.insert("url".to_owned(), ledger.into());
        for (name, facilitator) in section(&mut config, "facilitators")?.iter_mut() {
            let simulated = facilitator.get_mut("simulated").and_then(Value::as_table_mut);
            let simulated = simulated.ok_or_else(|| StateError::NotSimulated((&**name).into()))?;
            let journal = self.folder.path().join(format!("{name}.journal"));
            simulated.insert("journal".to_owned(), journal.display().to_string().into());
        }
        config.remove("certificates");
        config.iter_mut().for_each(|(_, value)| find_files(value, beside));
        if let Some(included) = config.get_mut("include") {
            find_included(included, beside);
        }
        toml::to_string(&config).map_err(StateError::Copy)
    }

    /// Writes the sample photo, for the reader's own requests.
    pub(super) fn sample(&self, photo: &[u8]) -> Result<PathBuf, StateError> {
        let shipped = Path::new("tests/photos/sample.jpg");
        if shipped.exists() {
            return Ok(shipped.to_owned());
        }
        self.write("sample.jpg", photo)
    }

    /// The configuration that the gateway reads.
    pub(super) fn config(&self) -> PathBuf {
        self.folder.path().join("gateway.toml")
    }

    /// The folder itself.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the configuration is from.
    pub(super) fn source(&self) -> Source {
        self.source
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, StateError> {
        let path = self.folder.path().join(name);
        match fs::write(&path, bytes) {
            Ok(()) => Ok(path),
            Err(cause) => Err(StateError::File(path, cause)),
        }
    }
}

fn section<'a>(config: &'a mut Table, name: &'static str) -> Result<&'a mut Table, StateError> {
    let value = config.entry(name).or_insert_with(|| Value::Table(Table::new()));
    value.as_table_mut().ok_or(StateError::Section(name))
}

/// Has each file that is read be found from anywhere.
fn find_files(value: &mut Value, beside: &Path) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                match value {
                    Value::String(path) if FILES.contains(&key.as_str()) => {
                        *path = beside.join(path.as_str()).display().to_string();
                    }
                    // Names of headers, with their values.
                    Value::Table(headers) if key == "headers" => {
                        let secrets = headers.iter_mut().filter(|(_, value)| value.is_table());
                        secrets.for_each(|(_, secret)| find_files(secret, beside));
                    }
                    value => find_files(value, beside),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| find_files(value, beside)),
        _ => {}
    }
}

/// The same of files that it includes, of which a path may be a pattern.
fn find_included(value: &mut Value, beside: &Path) {
    match value {
        Value::String(pattern) => {
            // In a folder that no pattern can name it stays as it is, and finds nothing.
            if let Some(found) = pattern_in(beside, pattern) {
                *pattern = found.into();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| find_included(value, beside)),
        _ => {}
    }
}

/// The address when nobody has it, else one on a free port.
fn free(preferred: SocketAddr) -> Result<SocketAddr, StateError> {
    let listener = TcpListener::bind(preferred)
        .or_else(|_| TcpListener::bind(SocketAddr::new(preferred.ip(), 0)))
        .map_err(StateError::Listen)?;
    listener.local_addr().map_err(StateError::Listen)
}

const FILE: &str = "gateway.toml";
/// Keys whose text is the path of a file to read. Those of facilitators that are not simulated are
/// not among them.
const FILES: [&str; 3] = ["file", "model", "openapi"];
const BUILT_IN: &str = include_str!("../../../gateway.toml");
const LISTEN: SocketAddr = loopback(8402);
const ADMIN: SocketAddr = loopback(9402);

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(source: Source) -> State {
        State { folder: Scratch::create("demo").unwrap(), source }
    }

    #[test]
    fn the_copy_changes_addresses_and_files_and_nothing_else() {
        let state = state(Source::BuiltIn);
        let addresses = (loopback(1), loopback(2));
        let copy = state.adapted(BUILT_IN, addresses, Path::new("/here")).unwrap();
        let (copy, shipped): (Table, Table) = (copy.parse().unwrap(), BUILT_IN.parse().unwrap());
        assert_eq!(copy["server"]["listen"].as_str(), Some("127.0.0.1:1"));
        assert_eq!(copy["server"]["public_url"].as_str(), Some("http://127.0.0.1:1"));
        let ledger = copy["ledger"]["url"].as_str().unwrap();
        assert!(ledger.contains("/tollgate-demo-"), "{ledger}");
        for same in ["routes", "networks", "limits", "upstreams"] {
            assert_eq!(copy[same], shipped[same]);
        }
    }

    fn adapted(text: &str) -> Result<Table, StateError> {
        let copy =
            state(Source::Here).adapted(text, (loopback(1), loopback(2)), Path::new("/here"));
        copy.map(|copy| copy.parse().unwrap())
    }

    /// A second process with a signer's key would take its nonces.
    #[test]
    fn a_gateway_that_moves_real_money_is_not_copied() {
        for own in ["chain = { signer = { env = \"KEY\" } }", "http = { url = \"https://a\" }"] {
            let text = format!("[facilitators.dev.simulated]\n[facilitators.own]\n{own}");
            let refused = adapted(&text).unwrap_err();
            assert!(matches!(&refused, StateError::NotSimulated(name) if &**name == "own"));
        }
    }

    #[test]
    fn the_copy_names_the_files_beside_the_original() {
        let copy = adapted(
            r#"
            include = ["routes.d/*.toml", "/else/where.toml"]
            [[certificates]]
            chain = "a.pem"
            key = "b.pem"
            [upstreams.model]
            model = "models/u2netp.onnx"
            headers = { file = "literal", key = { file = "key.txt" }, away = { file = "/a" } }
            [[routes]]
            openapi = "api.yaml"
            description = "file"
            "#,
        );
        let copy = copy.unwrap();
        let included = ["/here/routes.d/*.toml", "/else/where.toml"].map(Value::from);
        assert_eq!(copy["include"].as_array().unwrap(), &included);
        assert!(!copy.contains_key("certificates"));
        let upstream = &copy["upstreams"]["model"];
        assert_eq!(upstream["model"].as_str(), Some("/here/models/u2netp.onnx"));
        let headers = &upstream["headers"];
        assert_eq!(headers["file"].as_str(), Some("literal"));
        assert_eq!(headers["key"]["file"].as_str(), Some("/here/key.txt"));
        assert_eq!(headers["away"]["file"].as_str(), Some("/a"));
        assert_eq!(copy["routes"][0]["openapi"].as_str(), Some("/here/api.yaml"));
        assert_eq!(copy["routes"][0]["description"].as_str(), Some("file"));
    }

    #[test]
    fn a_taken_port_is_left_alone() {
        let taken = TcpListener::bind(loopback(0)).unwrap();
        let address = taken.local_addr().unwrap();
        assert_ne!(free(address).unwrap(), address);
    }
}
