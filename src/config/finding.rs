//! A mistake and its place in the file, as an operator reads it.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use super::hidden::hidden;
use super::mistake::Mistake;
use super::source::Sources;
use super::watched::Watched;

/// Everything that was wrong with a configuration; never empty.
///
/// Displayed as one block for each mistake, in the order of the file:
///
/// ```text
/// gateway.toml:14:9: `5 cents` is not a price
///    |
/// 14 | price = "5 cents"
///    |         ^^^^^^^^^
///    = write "$0.05" instead
/// ```
#[derive(Debug)]
pub struct ConfigError {
    findings: Vec<Finding>,
    looked_at: Vec<Watched>,
}

impl ConfigError {
    /// The mistakes in the order of the file, and of those that it includes.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The same, for whoever finds more.
    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    pub(super) fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.at);
        Self { findings, looked_at: Vec::new() }
    }

    /// The same, found by looking at these files.
    pub(super) fn about(self, looked_at: Vec<Watched>) -> Self {
        Self { looked_at, ..self }
    }

    /// What was looked at, of which a change may be the end of a mistake.
    pub fn files(&self) -> &[Watched] {
        &self.looked_at
    }
}

impl From<Finding> for ConfigError {
    fn from(finding: Finding) -> Self {
        Self::new(vec![finding])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            write!(f, "{}{finding}", if index == 0 { "" } else { "\n\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// One mistake or warning, with its place when it has one.
#[derive(Debug)]
pub struct Finding {
    file: Box<str>,
    /// Where its place begins, among the bytes of all files.
    at: Option<usize>,
    place: Option<Place>,
    mistake: Mistake,
}

impl Finding {
    /// What is wrong.
    pub fn mistake(&self) -> &Mistake {
        &self.mistake
    }

    /// A finding about the bytes `span` of `sources`.
    pub(super) fn at(sources: &Sources, span: Range<usize>, mistake: Mistake) -> Self {
        let (at, source) = (Some(span.start), sources.of(&span));
        let (text, span) = (&source.text, source.local(&span));
        let line = source.line(span.start);
        let mut hidden = hidden(text, mistake.hides_value().then_some(&span));
        if mistake.is_of_a_secret() {
            hidden.push(span.clone());
        }
        let place = Some(Place::of(text, line, span, &hidden));
        Self { file: source.path.display().to_string().into(), at, place, mistake }
    }

    /// Whether bytes of `text` may not be shown.
    pub(super) fn is_hidden(text: &str, span: &Range<usize>) -> bool {
        hidden(text, None).iter().any(|hidden| hidden.start < span.end && span.start < hidden.end)
    }

    /// A finding about the file itself.
    pub(super) fn of_file(file: &Path, mistake: Mistake) -> Self {
        Self { file: file.display().to_string().into(), at: None, place: None, mistake }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, mistake) = (&self.file, &self.mistake);
        let Some(Place { line, column, indent, source, marked }) = &self.place else {
            write!(f, "{file}: {mistake}")?;
            return mistake.hint().map_or(Ok(()), |hint| write!(f, "\n = {hint}"));
        };
        let number = line.to_string();
        let (gutter, before, carets) =
            (" ".repeat(number.len()), " ".repeat(*indent), "^".repeat(*marked));
        write!(f, "{file}:{line}:{column}: {mistake}\n{gutter} |\n")?;
        write!(f, "{number} | {source}\n{gutter} | {before}{carets}")?;
        match mistake.hint() {
            Some(hint) => write!(f, "\n{gutter} = {hint}"),
            None => Ok(()),
        }
    }
}

/// A stretch of one line.
#[derive(Debug)]
struct Place {
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
    /// Characters before the marked ones.
    indent: usize,
    /// The line, secrets as `…`, and tabs as single spaces so that the carets stand right.
    source: Box<str>,
    /// Characters marked, at least 1.
    marked: usize,
}

impl Place {
    fn of(text: &str, line: usize, span: Range<usize>, hidden: &[Range<usize>]) -> Self {
        let (before, after) = text.split_at_checked(span.start).unwrap_or((text, ""));
        let at = before.len();
        let head = before.rsplit('\n').next().unwrap_or_default();
        let tail = after.split('\n').next().unwrap_or_default().trim_end();
        let stretch = after.get(..span.end.saturating_sub(span.start)).unwrap_or(tail);
        let marked = stretch.lines().next().unwrap_or_default().trim_end();
        let rest = tail.strip_prefix(marked).unwrap_or_default();
        let shown = |piece: &str, start: usize| without(hidden, piece, start).replace('\t', " ");
        let (before, after) = (shown(head, at - head.len()), shown(rest, at + marked.len()));
        let between = shown(marked, at);
        Self {
            line,
            column: head.chars().count() + 1,
            indent: before.chars().count(),
            marked: between.chars().count().max(1),
            source: format!("{before}{between}{after}").into(),
        }
    }
}

/// A piece of the text that begins at this byte, with `…` for each stretch that is hidden.
fn without(hidden: &[Range<usize>], piece: &str, start: usize) -> String {
    let is_hidden = |at: usize| hidden.iter().any(|span| span.contains(&(start + at)));
    let (mut shown, mut before) = (String::new(), false);
    for (at, c) in piece.char_indices() {
        let now = is_hidden(at);
        match (before, now) {
            (_, false) => shown.push(c),
            (false, true) => shown.push('…'),
            (true, true) => {}
        }
        before = now;
    }
    shown
}
