//! The folder in which an account, a certificate and the last orders outlive the process.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use instant_acme::AccountCredentials;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::issued::Unreadable;
use super::{Issued, Orders, Settings};
use crate::bounded;

/// A folder for one authority. What is in it is for its owner alone, and each file is there whole
/// or as it was before.
#[derive(Clone, Debug)]
pub struct Storage {
    folder: PathBuf,
}

impl Storage {
    /// Makes the folder where there is none, and writes to it.
    ///
    /// # Errors
    /// It cannot be made, or nothing can be written there.
    pub fn open(settings: &Settings) -> io::Result<Self> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let place = settings.directory.trim_start_matches("https://");
        let place: String = place.chars().take(PLACE_CHARS_MAX).collect();
        let folder = settings.storage.join(place.replace(|c| !fits(c), "_"));
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let storage = Self { folder };
        storage.keep_orders(&storage.orders())?;
        Ok(storage)
    }

    /// The certificate that was kept, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn certificate(&self) -> Result<Option<Issued>, Unkept> {
        match bounded::read(&self.folder.join(CERTIFICATE)) {
            Ok(pem) => Ok(Some(Issued::read(&pem)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps a certificate and its key, in PEM.
    pub(super) fn keep_certificate(&self, pem: &str) -> io::Result<()> {
        self.keep(CERTIFICATE, pem.as_bytes())
    }

    /// The last orders; none where it is not known.
    pub fn orders(&self) -> Orders {
        self.read(ORDERS).ok().flatten().unwrap_or_default()
    }

    /// Keeps when the last orders were begun.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_orders(&self, orders: &Orders) -> io::Result<()> {
        self.write(ORDERS, orders)
    }

    pub(super) fn account(&self) -> io::Result<Option<AccountCredentials>> {
        self.read(ACCOUNT)
    }

    pub(super) fn keep_account(&self, account: &AccountCredentials) -> io::Result<()> {
        self.write(ACCOUNT, account)
    }

    /// The authority knows it no more.
    pub(super) fn forget_account(&self) -> io::Result<()> {
        fs::remove_file(self.folder.join(ACCOUNT))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match bounded::read(&self.folder.join(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, name: &str, what: &impl Serialize) -> io::Result<()> {
        self.keep(name, &serde_json::to_vec(what)?)
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let next = self.folder.join(format!("{name}.next"));
        // One that a power cut has left may be anybody's to read.
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&next, self.folder.join(name))?;
        File::open(&self.folder)?.sync_all()
    }
}

/// Why a certificate that was kept is not there.
#[derive(Debug, thiserror::Error)]
pub enum Unkept {
    /// The file.
    #[error("its file cannot be read")]
    File(#[from] io::Error),
    /// What is in it.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

const ACCOUNT: &str = "account.json";
const CERTIFICATE: &str = "certificate.pem";
const ORDERS: &str = "orders.json";
const PLACE_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::super::Challenge;
    use super::*;
    use crate::clock::UnixMillis;

    fn storage(folder: &Path, directory: &str) -> Storage {
        let settings = Settings {
            names: ["one.example".into()].into(),
            contact: Box::default(),
            storage: folder.to_owned(),
            directory: directory.into(),
            authorities: Box::default(),
            challenge: Challenge::default(),
            http: None,
            external: None,
        };
        Storage::open(&settings).unwrap()
    }

    #[test]
    fn each_authority_has_a_folder_that_others_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("acme");
        let one = storage(&top, "https://one.example:1/acme/directory");
        storage(&top, "https://other.example/../..");
        let mut names: Vec<_> = fs::read_dir(&top).unwrap().map(|one| one.unwrap()).collect();
        names.sort_by_key(fs::DirEntry::file_name);
        let names: Vec<_> = names.iter().map(fs::DirEntry::file_name).collect();
        assert_eq!(names, ["one.example_1_acme_directory", "other.example_.._.."]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&one.folder), 0o700);
        assert_eq!(mode(&one.folder.join(ORDERS)), 0o600);
    }

    #[test]
    fn what_was_kept_is_there_whole_after_a_power_cut() {
        let folder = tempfile::tempdir().unwrap();
        let kept = storage(folder.path(), "https://one.example");
        let mut orders = Orders::default();
        orders.begins(UnixMillis::new(1_000));
        kept.keep_orders(&orders).unwrap();
        // Half of the next one, for all to read.
        fs::write(kept.folder.join("orders.json.next"), "{").unwrap();
        let again = storage(folder.path(), "https://one.example");
        assert_eq!(again.orders(), orders);
        let mode = fs::metadata(kept.folder.join(ORDERS)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_no_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let kept = storage(folder.path(), "https://one.example");
        assert!(kept.certificate().unwrap().is_none());
        let made = rcgen::generate_simple_self_signed(vec!["One.example".to_owned()]).unwrap();
        let pem = format!("{}{}", made.signing_key.serialize_pem(), made.cert.pem());
        kept.keep_certificate(&pem).unwrap();
        let issued = kept.certificate().unwrap().unwrap();
        assert!(issued.is_for(&["one.example".into()]) && issued.from < issued.until);
        assert!(!issued.is_for(&["one.example".into(), "two.example".into()]));
        let other = rcgen::generate_simple_self_signed(vec!["one.example".to_owned()]).unwrap();
        let pem = format!("{}{}", other.signing_key.serialize_pem(), made.cert.pem());
        kept.keep_certificate(&pem).unwrap();
        assert_eq!(kept.certificate().unwrap_err().to_string(), "the key is another's");
        kept.keep_certificate(&pem[..40]).unwrap();
        assert!(kept.certificate().is_err());
    }
}
