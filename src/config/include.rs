//! `include`: routes that stand in files of their own, as those of a team do.
//!
//! Such a file holds routes and nothing else: who may write it sets prices, and neither where money
//! goes, nor what is connected to, nor what is a secret.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use alloy_primitives::{B256, keccak256};
use glob::{MatchOptions, Pattern};
use toml::Spanned;

use super::file::{FileConfig, FileIncluded, FileRoute};
use super::finding::{ConfigError, Finding};
use super::mistake::Mistake;
use super::reader::beside;
use super::source::Sources;
use super::text::{Text, Written};
use super::watched::{Place, Watched};
use crate::bounded;

/// A pattern of files, as typed.
pub(super) struct FilesText(Box<str>);

impl Written for FilesText {
    const EXPECTED: &'static str = "a pattern of files such as \"routes.d/*.toml\"";

    fn read(text: &str) -> Result<Self, Mistake> {
        // `**` is every folder there is below, on a disk that may be large.
        match Pattern::new(text) {
            Ok(_) if !text.is_empty() && !text.contains("**") => Ok(Self(text.into())),
            Ok(_) | Err(_) => {
                Err(Mistake::not("a pattern of files", text, "\"routes.d/*.toml\", or a path"))
            }
        }
    }
}

/// The files that a pattern is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Files {
    /// From the root or from where the process runs.
    pattern: Box<str>,
    /// The file that names it, which is none of them.
    origin: PathBuf,
    /// Whether it names one file, and stands for no other.
    is_path: bool,
}

/// A file of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Included {
    /// Where it is.
    pub path: PathBuf,
    /// How many there are in it.
    pub routes: usize,
}

/// What was found by `include`.
#[derive(Default)]
pub(super) struct Found {
    /// The files, in the order in which their routes are read.
    pub(super) files: Vec<Included>,
    /// Patterns that no file is for.
    pub(super) warnings: Vec<Finding>,
}

/// Reads the files that `typed` includes, and puts their routes behind its own.
///
/// # Errors
/// What is wrong with a pattern, and for each file one finding where it cannot be read, is no TOML,
/// or a key of it is not known, missing or of another kind.
pub(super) fn include(
    typed: &mut FileConfig,
    sources: &mut Sources,
    looked_at: &mut Vec<Watched>,
) -> Result<Found, ConfigError> {
    let (mut found, mut wrong, mut all) = (Found::default(), Vec::new(), BTreeMap::new());
    for Text { span, said } in typed.include.take().map_or_else(Vec::new, |typed| typed.items) {
        let files = said.and_then(|FilesText(text)| Files::of(&text, &sources.first().path));
        let files_found = files.and_then(|files| {
            let there = files.find().map_err(Mistake::IncludedUnlisted)?;
            let missing = there.is_empty() && files.is_path;
            looked_at.push(Watched { digest: digest(&there), place: Place::Files(files) });
            if missing { Err(Mistake::NotIncluded) } else { Ok(there) }
        });
        match files_found {
            Ok(there) if there.is_empty() => {
                found.warnings.push(Finding::at(sources, span, Mistake::NothingIncluded));
            }
            Ok(there) => all.extend(there),
            Err(mistake) => wrong.push(Finding::at(sources, span, mistake)),
        }
    }
    for (path, text) in all {
        match read(path, text, sources) {
            Ok((file, routes)) => {
                found.files.push(file);
                typed.routes.extend(routes);
            }
            Err(error) => wrong.extend(error.into_findings()),
        }
    }
    match wrong.is_empty() {
        true => Ok(found),
        false => Err(ConfigError::new(wrong)),
    }
}

/// The routes of one file.
fn read(
    path: PathBuf,
    text: io::Result<String>,
    sources: &mut Sources,
) -> Result<(Included, Vec<Spanned<FileRoute>>), ConfigError> {
    let text = text.map_err(|error| Finding::of_file(&path, Mistake::Unreadable(error)))?;
    let FileIncluded { routes } = sources.include(path.clone(), text)?;
    Ok((Included { path, routes: routes.len() }, routes))
}

impl Files {
    /// A pattern, seen from the folder of the file that names it.
    fn of(text: &str, origin: &Path) -> Result<Self, Mistake> {
        let folder = beside(origin, Path::new(""));
        let pattern = pattern_in(&folder, text).ok_or(Mistake::FolderName)?;
        let is_path = !text.contains(['*', '?', '[']);
        Ok(Self { pattern, origin: origin.to_owned(), is_path })
    }

    /// Their paths, sorted, and what is in each.
    ///
    /// # Errors
    /// A folder cannot be read, or there are more than [`FILES_MAX`] files.
    pub(super) fn find(&self) -> io::Result<BTreeMap<PathBuf, io::Result<String>>> {
        let mut files = BTreeMap::new();
        for path in glob::glob_with(&self.pattern, HOW).map_err(io::Error::other)? {
            let path = path.map_err(io::Error::from)?;
            // Nobody waits for what a pipe may say one day.
            if self.is_origin(&path) || !path.is_file() {
                continue;
            }
            if files.len() == FILES_MAX {
                return Err(io::Error::other(format!("more than {FILES_MAX} files")));
            }
            let text = bounded::read_text(&path);
            files.insert(path, text);
        }
        Ok(files)
    }

    /// Whether it is the file that names it, however that was named.
    fn is_origin(&self, path: &Path) -> bool {
        let place = |path: &Path| path.canonicalize().ok();
        path.file_name() == self.origin.file_name() && place(path) == place(&self.origin)
    }
}

/// A pattern of files, seen from a folder, whose own name is none. Nothing where that is not UTF-8.
pub fn pattern_in(folder: &Path, text: &str) -> Option<Box<str>> {
    let pattern = Path::new(&Pattern::escape(folder.to_str()?)).join(text);
    pattern.to_str().map(Into::into)
}

/// Keccak-256 of paths and what is in each. A file that cannot be read is an empty one.
pub(super) fn digest(found: &BTreeMap<PathBuf, io::Result<String>>) -> B256 {
    let mut each = Vec::new();
    for (path, text) in found {
        each.extend_from_slice(keccak256(path.as_os_str().as_encoded_bytes()).as_slice());
        each.extend_from_slice(keccak256(text.as_deref().unwrap_or_default()).as_slice());
    }
    keccak256(each)
}

/// As a shell does it: `*` is for no `/`, and for no name that begins with a point, by which
/// editors and Kubernetes hide what is not meant.
const HOW: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// More than teams have, and few enough to be looked at every few seconds.
const FILES_MAX: usize = 1000;
