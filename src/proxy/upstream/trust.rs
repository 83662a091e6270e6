//! Whom the system trusts, for connections to upstreams: read once, and handed to pingora as a file
//! in memory. By itself pingora reads hundreds of files for each connector, and panics at the first
//! certificate that is none.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::OnceLock;

use pem::{EncodeConfig, LineEnding, Pem};
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use rustls::RootCertStore;
use rustls_native_certs::load_native_certs;

/// The file, once it is read; nothing where the system has no files in memory.
static FILE: OnceLock<Option<File>> = OnceLock::new();

/// Reads it beside the caller, who has something else to do first: it takes some milliseconds.
pub fn read_ahead() {
    // Without a thread for it, whoever needs it reads it.
    let _ = std::thread::Builder::new().spawn(file);
}

/// Where the certificates are that the system trusts, in PEM. Whoever comes first reads them on
/// this thread, whoever comes meanwhile waits. With nothing pingora reads for itself.
pub fn file() -> Option<String> {
    let file = FILE.get_or_init(|| in_memory(&trusted()).inspect_err(tell).ok());
    let path = format!("/proc/self/fd/{}", file.as_ref()?.as_raw_fd());
    Path::new(&path).exists().then_some(path)
}

/// What opens connections to upstreams beside the proxy.
pub fn connector() -> Connector {
    let mut options = ConnectorOptions::new(POOL);
    options.ca_file = file();
    Connector::new(Some(options))
}

/// The certificates that can vouch for somebody, in PEM.
fn trusted() -> String {
    let read = load_native_certs();
    for error in &read.errors {
        tracing::warn!(%error, "a certificate that the system trusts cannot be read");
    }
    let (mut store, mut found) = (RootCertStore::empty(), Vec::new());
    for certificate in read.certs {
        let pem = Pem::new("CERTIFICATE", &*certificate);
        match store.add(certificate) {
            Ok(()) => found.push(pem),
            Err(error) => tracing::warn!(%error, "the system trusts a certificate that is none"),
        }
    }
    pem::encode_many_config(&found, EncodeConfig::new().set_line_ending(LineEnding::LF))
}

#[cfg(target_os = "linux")]
fn in_memory(text: &str) -> io::Result<File> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("trusted", flags)?);
    file.write_all(text.as_bytes())?;
    // From here on nobody can change it.
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
fn in_memory(_: &str) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

fn tell(error: &io::Error) {
    tracing::warn!(%error, "whom the system trusts is read anew for each connector");
}

/// Idle connections that are kept.
const POOL: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_whom_the_system_trusts() {
        let read = std::fs::read(file().unwrap()).unwrap();
        let known = load_native_certs().certs;
        let found = pem::parse_many(read).unwrap();
        assert!(!known.is_empty(), "this system trusts nobody");
        assert!(found.iter().zip(&known).all(|(found, known)| found.contents() == &**known));
        assert_eq!(found.len(), known.len());
        // Sealed.
        assert!(File::options().write(true).open(file().unwrap()).unwrap().write(b"x").is_err());
    }
}
