//! Collects what is wrong while typed values become domain types.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use toml::Spanned;

use crate::bounded;
use crate::route::Document;
use crate::route::upstream::{Secret, SecretSource};

use super::file::{FileSecret, Sections};
use super::finding::Finding;
use super::mistake::Mistake;
use super::source::Sources;
use super::text::{Text, Written};
use super::watched::Watched;
use super::words::Name;

/// Reads the environment.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The files that are read, and what was found in it so far.
pub(super) struct Reader<'a> {
    /// The texts of all files.
    sources: &'a Sources,
    /// Where secrets may be.
    env: Environment<'a>,
    /// Mistakes, which stop the start.
    pub(super) wrong: Vec<Finding>,
    /// Oddities, which do not.
    pub(super) warnings: Vec<Finding>,
    /// The sections that there are, with the place of their names.
    defined: BTreeMap<(Kind, Box<str>), Range<usize>>,
    /// Those that something refers to.
    used: BTreeSet<(Kind, Box<str>)>,
    /// Documents of OpenAPI that were read, by path.
    pub(super) documents: BTreeMap<PathBuf, Arc<Document>>,
    /// Files that a change of them should be noticed of.
    pub(super) watched: Vec<Watched>,
}

/// The kinds of sections that others refer to by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// `[facilitators.NAME]`
    Facilitator,
    /// `[networks.NAME]`
    Network,
    /// `[upstreams.NAME]`
    Upstream,
    /// `[limits.class]`
    Class,
}

impl Reader<'_> {
    /// The file that is read first.
    pub(super) fn origin(&self) -> &Path {
        &self.sources.first().path
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Facilitator => "facilitator",
            Self::Network => "network",
            Self::Upstream => "upstream",
            Self::Class => "class",
        }
    }

    /// Who refers to it.
    const fn referrer(self) -> &'static str {
        match self {
            Self::Facilitator => "network",
            Self::Network | Self::Upstream | Self::Class => "route",
        }
    }
}

impl<'a> Reader<'a> {
    /// Nothing found yet.
    pub(super) fn new(sources: &'a Sources, env: Environment<'a>) -> Self {
        let (wrong, warnings) = (Vec::new(), Vec::new());
        let (defined, used, documents) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let watched = Vec::new();
        Self { sources, env, wrong, warnings, defined, used, documents, watched }
    }

    /// Notes a mistake.
    pub(super) fn wrong(&mut self, span: Range<usize>, mistake: Mistake) {
        let span = self.part(span, &mistake);
        self.wrong.push(Finding::at(self.sources, span, mistake));
    }

    /// Notes an oddity of the whole file.
    pub(super) fn warn_of_file(&mut self, mistake: Mistake) {
        self.warnings.push(Finding::of_file(self.origin(), mistake));
    }

    /// Notes an oddity.
    pub(super) fn warn(&mut self, span: Range<usize>, oddity: Mistake) {
        self.warnings.push(Finding::at(self.sources, span, oddity));
    }

    /// What a string stands for; a mistake is noted.
    pub(super) fn take<T>(&mut self, text: Text<T>) -> Option<T> {
        match text.said {
            Ok(value) => Some(value),
            Err(mistake) => {
                self.wrong(text.span, mistake);
                None
            }
        }
    }

    /// What a string that may be missing stands for.
    pub(super) fn take_if<T>(&mut self, text: Option<Text<T>>) -> Option<T> {
        text.and_then(|text| self.take(text))
    }

    /// What each string stands for.
    pub(super) fn take_all<T>(&mut self, texts: Vec<Text<T>>) -> Vec<T> {
        texts.into_iter().filter_map(|text| self.take(text)).collect()
    }

    /// A table by its names; names that are none are noted and their sections left out.
    pub(super) fn sections<T>(
        &mut self,
        kind: Kind,
        sections: Sections<T>,
    ) -> BTreeMap<Box<str>, Section<T>> {
        let mut named = BTreeMap::new();
        for (name, typed) in sections {
            let span = name.span();
            match Name::read(name.get_ref()) {
                Ok(Name(name)) => {
                    self.defined.insert((kind, name.clone()), span.clone());
                    named.insert(name, Section { span, typed });
                }
                Err(mistake) => self.wrong(span, mistake),
            }
        }
        named
    }

    /// The name of a section that is there. All sections have been read before.
    pub(super) fn refer(&mut self, kind: Kind, typed: Text<Name>) -> Option<Box<str>> {
        let span = typed.span.clone();
        let Name(name) = self.take(typed)?;
        let key = (kind, name.clone());
        if self.defined.contains_key(&key) {
            self.used.insert(key);
            return Some(name);
        }
        let known = self.defined.keys().filter(|(of, _)| *of == kind).map(|(_, name)| &**name);
        let mistake = Mistake::unknown_name(kind.name(), &name, known);
        self.wrong(span, mistake);
        None
    }

    /// Notes the sections that nothing refers to.
    pub(super) fn warn_of_unused(&mut self) {
        for ((kind, name), span) in &self.defined {
            if !self.used.contains(&(*kind, name.clone())) {
                let (kind, by, name) = (kind.name(), kind.referrer(), name.clone());
                let mistake = Mistake::Unused { kind, by, name };
                self.warnings.push(Finding::at(self.sources, span.clone(), mistake));
            }
        }
    }

    /// Headers whose values are secrets.
    pub(super) fn headers(
        &mut self,
        typed: Sections<Spanned<FileSecret>>,
    ) -> Vec<(HeaderName, Secret)> {
        let mut headers = Vec::new();
        for (name, secret) in typed {
            let span = secret.span();
            let secret = self.secret_text(secret).ok_or(()).and_then(|(value, source)| {
                let fits = HeaderValue::from_str(&value).ok();
                let secret = fits.map(|header| Secret::new(header, source));
                secret.ok_or_else(|| self.wrong(span, Mistake::SecretUnfit))
            });
            match (header_name(name.get_ref()), secret) {
                (Ok(name), Ok(secret)) => headers.push((name, secret)),
                (Err(mistake), _) => self.wrong(name.span(), mistake),
                (Ok(_), Err(())) => {}
            }
        }
        headers
    }

    /// A secret that is not empty, without the line breaks at its end; a mistake is noted.
    pub(super) fn secret_text(
        &mut self,
        typed: Spanned<FileSecret>,
    ) -> Option<(String, SecretSource)> {
        let span = typed.span();
        let found = self.secret(typed.into_inner());
        found.map_err(|mistake| self.wrong(span, mistake)).ok()
    }

    /// A secret's own text, in one line.
    pub(super) fn plain(&mut self, typed: FileSecret) -> Result<String, Mistake> {
        self.secret(typed).map(|(value, _)| value)
    }

    fn secret(&mut self, typed: FileSecret) -> Result<(String, SecretSource), Mistake> {
        let (value, source) = match typed {
            FileSecret::Literal(value) => (value.into(), SecretSource::Literal),
            FileSecret::Env(name) => match (self.env)(&name) {
                Some(value) => (value, SecretSource::Env(name)),
                None => return Err(Mistake::SecretUnset(name)),
            },
            FileSecret::File(path) => {
                let found = self.beside(&path);
                let text = bounded::read_text(&found);
                self.watched.push(Watched::found(&found, &text));
                (text.map_err(Mistake::SecretUnreadable)?, SecretSource::File(path))
            }
            FileSecret::Both => return Err(Mistake::Both("`env`", "`file`")),
            FileSecret::Neither => return Err(Mistake::Neither("`env`", "`file`")),
        };
        let value = value.trim_end_matches(['\r', '\n']);
        if value.trim().is_empty() {
            return Err(Mistake::SecretUnfit);
        }
        Ok((value.to_owned(), source))
    }

    /// File and line of a place.
    pub(super) fn place(&self, span: &Range<usize>) -> Box<str> {
        let source = self.sources.of(span);
        let line = source.line(source.local(span).start);
        format!("{}:{line}", source.path.display()).into()
    }

    /// A path of the first file, seen from the file's own folder.
    pub(super) fn beside(&self, path: &Path) -> PathBuf {
        beside(self.origin(), path)
    }

    /// A path that stands at `span`, seen from the folder of the file that names it. A file that is
    /// included names only what is in that folder or below.
    pub(super) fn beside_its_own(
        &self,
        span: &Range<usize>,
        path: &Path,
    ) -> Result<PathBuf, Mistake> {
        let is_below = || {
            path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        };
        match self.sources.is_included(span) && !is_below() {
            true => Err(Mistake::NotBeside),
            false => Ok(beside(&self.sources.of(span).path, path)),
        }
    }

    /// The bytes of a string that a mistake is about, where it says so.
    fn part(&self, span: Range<usize>, mistake: &Mistake) -> Range<usize> {
        let Mistake::Pattern(error) = mistake else { return span };
        let source = self.sources.of(&span);
        let typed = source.text.get(source.local(&span)).unwrap_or_default();
        // Escapes and triple quotes shift the bytes; then the whole string is marked.
        let plain = !typed.contains('\\') && !typed.starts_with("\"\"") && !typed.starts_with("''");
        match plain {
            true => span.start + 1 + error.span.start..span.start + 1 + error.span.end,
            false => span,
        }
    }
}

/// A path, seen from the folder of the file that names it.
pub(super) fn beside(file: &Path, path: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

/// One section of the file.
pub(super) struct Section<T> {
    /// Of its name.
    pub(super) span: Range<usize>,
    /// As typed.
    pub(super) typed: T,
}

/// A header that may be set on requests: not one by which messages are delimited or routed.
pub(super) fn header_name(typed: &str) -> Result<HeaderName, Mistake> {
    let wrong = |kind| Mistake::not(kind, typed, "a name such as \"authorization\"");
    let name: HeaderName = typed.parse().map_err(|_| wrong("a header's name"))?;
    let ours = name.as_str().starts_with("x-tollgate-") || name.as_str().contains("payment");
    if ours || RESERVED.contains(&name.as_str()) {
        return Err(wrong("a header that can be set here"));
    }
    Ok(name)
}

const RESERVED: [&str; 8] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
