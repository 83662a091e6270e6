//! The texts of a configuration, `gateway.toml` and what it includes, as one run of bytes: a place
//! in any of them is a stretch of that run.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::finding::{ConfigError, Finding};
use super::mistake::Mistake;

/// The texts, `gateway.toml` first.
pub(super) struct Sources {
    first: Source,
    included: Vec<Source>,
}

/// One file.
pub(super) struct Source {
    /// As findings name it.
    pub(super) path: PathBuf,
    /// All of it.
    pub(super) text: String,
    /// Where it begins in the run.
    start: usize,
}

impl Sources {
    /// `gateway.toml` alone.
    pub(super) fn new(path: &Path, text: &str) -> Self {
        let first = Source { path: path.to_owned(), text: text.to_owned(), start: 0 };
        Self { first, included: Vec::new() }
    }

    /// `gateway.toml`.
    pub(super) fn first(&self) -> &Source {
        &self.first
    }

    /// Reads the next file.
    pub(super) fn include<T: DeserializeOwned>(
        &mut self,
        path: PathBuf,
        text: String,
    ) -> Result<T, ConfigError> {
        // An end of file is a place too: no place belongs to two files.
        let start = self.included.last().unwrap_or(&self.first).end() + 1;
        self.included.push(Source { path, text, start });
        let source = self.included.last().unwrap_or(&self.first);
        self.typed(source, self.table(source)?)
    }

    /// All that stands in `gateway.toml`.
    pub(super) fn first_table(&self) -> Result<Spanned<DeTable<'_>>, ConfigError> {
        self.table(&self.first)
    }

    /// The same as what it is for.
    pub(super) fn first_typed<T: DeserializeOwned>(
        &self,
        table: Spanned<DeTable<'_>>,
    ) -> Result<T, ConfigError> {
        self.typed(&self.first, table)
    }

    /// The file of a place.
    pub(super) fn of(&self, span: &Range<usize>) -> &Source {
        let begun = self.included.partition_point(|source| source.start <= span.start);
        begun.checked_sub(1).and_then(|at| self.included.get(at)).unwrap_or(&self.first)
    }

    /// Whether a place is in a file that is included.
    pub(super) fn is_included(&self, span: &Range<usize>) -> bool {
        span.start > self.first.end()
    }

    fn table<'a>(&self, source: &'a Source) -> Result<Spanned<DeTable<'a>>, ConfigError> {
        let table = DeTable::parse(&source.text).map_err(|error| {
            let span = error.span().map(|span| moved(span, source.start));
            self.wrong(source, span, error.message())
        })?;
        Ok(of_the_run(table, source.start))
    }

    fn typed<T: DeserializeOwned>(
        &self,
        source: &Source,
        table: Spanned<DeTable<'_>>,
    ) -> Result<T, ConfigError> {
        T::deserialize(toml::Deserializer::from(table))
            .map_err(|error| self.wrong(source, error.span(), error.message()))
    }

    /// What the TOML reader says of a file.
    fn wrong(&self, source: &Source, span: Option<Range<usize>>, message: &str) -> ConfigError {
        let mistake = Mistake::of_toml(message);
        let Some(span) = span else { return Finding::of_file(&source.path, mistake).into() };
        // The reader's words may quote the value.
        let hidden = Finding::is_hidden(&source.text, &source.local(&span));
        let mistake = if hidden { mistake.without_quotes() } else { mistake };
        // What is missing from the whole file has no place in it.
        let finding = match mistake.is_missing() && span.start == source.start {
            true => Finding::of_file(&source.path, mistake),
            false => Finding::at(self, span, mistake),
        };
        finding.into()
    }
}

/// A table of a file that begins at `start`, with its places as those of the run.
fn of_the_run(table: Spanned<DeTable<'_>>, start: usize) -> Spanned<DeTable<'_>> {
    match start {
        0 => table,
        start => Spanned::new(moved(table.span(), start), table_moved(table.into_inner(), start)),
    }
}

fn table_moved(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let moved = table.into_iter().map(|(key, value)| {
        (Spanned::new(moved(key.span(), by), key.into_inner()), value_moved(value, by))
    });
    moved.collect()
}

fn value_moved(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = moved(value.span(), by);
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(table_moved(table, by)),
        DeValue::Array(items) => {
            DeValue::Array(items.into_iter().map(|item| value_moved(item, by)).collect())
        }
        plain => plain,
    };
    Spanned::new(span, value)
}

fn moved(span: Range<usize>, by: usize) -> Range<usize> {
    span.start + by..span.end + by
}

impl Source {
    /// A place of the run as one of this file.
    pub(super) fn local(&self, span: &Range<usize>) -> Range<usize> {
        let local = |at: usize| at.saturating_sub(self.start).min(self.text.len());
        local(span.start)..local(span.end)
    }

    /// The line, from 1, of a place of this file.
    pub(super) fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }

    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}
