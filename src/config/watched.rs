//! What a configuration was read from, so that a change of it is noticed.

use std::io;
use std::path::{Path, PathBuf};

use alloy_primitives::{B256, keccak256};

use super::include::{Files, digest};
use crate::bounded;

/// A place, and a digest of what was there when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Where to look.
    pub place: Place,
    /// Keccak-256 of what was found.
    pub digest: B256,
}

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// At all of a file.
    File(PathBuf),
    /// At the files that a pattern is for, whichever these are.
    Files(Files),
}

impl Watched {
    /// A file, and what was in it.
    pub(super) fn file(path: &Path, bytes: impl AsRef<[u8]>) -> Self {
        Self { place: Place::File(path.to_owned()), digest: keccak256(bytes) }
    }

    /// A file that was read, or could not be.
    pub(super) fn found(path: &Path, read: &io::Result<impl AsRef<[u8]>>) -> Self {
        read.as_ref().map_or_else(|_| Self::missing(path), |bytes| Self::file(path, bytes))
    }

    /// A file that could not be read: whatever will be there is a change.
    pub(super) fn missing(path: &Path) -> Self {
        Self { place: Place::File(path.to_owned()), digest: B256::ZERO }
    }
}

impl Place {
    /// What is there now.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn look(&self) -> io::Result<B256> {
        match self {
            Self::File(path) => bounded::read(path).map(keccak256),
            Self::Files(files) => files.find().map(|found| digest(&found)),
        }
    }
}
