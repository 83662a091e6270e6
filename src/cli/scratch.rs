//! A folder that lasts as long as a command.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// A folder for nobody else in the system's folder for such things, removed with all that is in it
/// when this is dropped.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// A new one, in whose name `purpose` stands.
    ///
    /// # Errors
    /// It cannot be made, with the path where it was to be.
    pub(super) fn create(purpose: &str) -> Result<Self, (PathBuf, io::Error)> {
        let mut random = [0; 8];
        let named = getrandom::fill(&mut random).map_err(io::Error::other);
        let name = format!("tollgate-{purpose}-{:016x}", u64::from_be_bytes(random));
        let path = std::env::temp_dir().join(name);
        match named.and_then(|()| DirBuilder::new().mode(0o700).create(&path)) {
            Ok(()) => Ok(Self(path)),
            Err(cause) => Err((path, cause)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a folder is left behind");
        }
    }
}
