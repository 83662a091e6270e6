//! The demo's own files: a copy of the configuration, the ledger and the simulated chain.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// A folder that lasts as long as the demo, with the configuration that the gateway reads.
#[derive(Debug)]
pub(super) struct State {
    folder: PathBuf,
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
        let state = Self { folder: new_folder()?, source };
        let listen = match listen {
            Some(address) => address,
            None => free(LISTEN)?,
        };
        let copy = state.adapted(&text, listen, free(ADMIN)?)?;
        state.write("gateway.toml", copy.as_bytes())?;
        Ok(state)
    }

    /// The configuration with this demo's addresses and files, and nothing else changed.
    fn adapted(
        &self,
        text: &str,
        listen: SocketAddr,
        admin: SocketAddr,
    ) -> Result<String, StateError> {
        let mut config: Table = text.parse().map_err(StateError::Toml)?;
        let server = section(&mut config, "server")?;
        server.insert("listen".to_owned(), listen.to_string().into());
        server.insert("admin".to_owned(), admin.to_string().into());
        server.insert("public_url".to_owned(), format!("http://{listen}").into());
        let ledger = format!("sqlite://{}", self.folder.join("ledger.db").display());
        section(&mut config, "ledger")?.insert("url".to_owned(), ledger.into());
        for (name, facilitator) in section(&mut config, "facilitators")?.iter_mut() {
            let simulated = facilitator.get_mut("simulated").and_then(Value::as_table_mut);
            if let Some(simulated) = simulated {
                let journal = self.folder.join(format!("{name}.journal"));
                let journal = Value::String(journal.display().to_string());
                simulated.insert("journal".to_owned(), journal);
            }
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
        self.folder.join("gateway.toml")
    }

    /// The folder itself.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the configuration is from.
    pub(super) fn source(&self) -> Source {
        self.source
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, StateError> {
        let path = self.folder.join(name);
        match fs::write(&path, bytes) {
            Ok(()) => Ok(path),
            Err(cause) => Err(StateError::File(path, cause)),
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // What cannot be removed is in the system's folder for such things.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn section<'a>(config: &'a mut Table, name: &'static str) -> Result<&'a mut Table, StateError> {
    let value = config.entry(name).or_insert_with(|| Value::Table(Table::new()));
    value.as_table_mut().ok_or(StateError::Section(name))
}

/// A new folder that nobody else may look into.
fn new_folder() -> Result<PathBuf, StateError> {
    let mut random = [0; 8];
    let named = getrandom::fill(&mut random).map_err(io::Error::other);
    let name = format!("tollgate-demo-{:016x}", u64::from_be_bytes(random));
    let folder = std::env::temp_dir().join(name);
    match named.and_then(|()| fs::DirBuilder::new().mode(0o700).create(&folder)) {
        Ok(()) => Ok(folder),
        Err(cause) => Err(StateError::File(folder, cause)),
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
const BUILT_IN: &str = include_str!("../../../gateway.toml");
const LISTEN: SocketAddr = loopback(8402);
const ADMIN: SocketAddr = loopback(9402);

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_changes_addresses_and_files_and_nothing_else() {
        let folder = std::env::temp_dir().join("tollgate-demo-of-a-test");
        let state = State { folder: folder.clone(), source: Source::BuiltIn };
        let copy = state.adapted(BUILT_IN, loopback(1), loopback(2)).unwrap();
        let (copy, shipped): (Table, Table) = (copy.parse().unwrap(), BUILT_IN.parse().unwrap());
        assert_eq!(copy["server"]["listen"].as_str(), Some("127.0.0.1:1"));
        assert_eq!(copy["server"]["public_url"].as_str(), Some("http://127.0.0.1:1"));
        let ledger = copy["ledger"]["url"].as_str().unwrap();
        assert!(ledger.contains("tollgate-demo-of-a-test"), "{ledger}");
        for same in ["routes", "networks", "limits", "upstreams"] {
            assert_eq!(copy[same], shipped[same]);
        }
    }

    #[test]
    fn a_taken_port_is_left_alone() {
        let taken = TcpListener::bind(loopback(0)).unwrap();
        let address = taken.local_addr().unwrap();
        assert_ne!(free(address).unwrap(), address);
    }
}
