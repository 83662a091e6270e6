//! What a selftest has found, a line for each thing as soon as it is known.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// What is wrong, in words for the operator.
pub(super) type Wrong = String;

/// Writes and counts.
pub(super) struct Report<W> {
    out: W,
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl<W: Write> Report<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, passed: 0, failed: 0, skipped: 0 }
    }

    pub(super) fn title(&mut self, file: &Path, routes: usize) -> io::Result<()> {
        let routes = if routes == 1 { "1 route".to_owned() } else { format!("{routes} routes") };
        writeln!(self.out, "selftest of {}: {routes}, simulated chains", file.display())?;
        self.out.flush()
    }

    /// What the next lines are of.
    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n{text}")
    }

    /// One thing that was looked at.
    pub(super) fn check(&mut self, what: &str, found: Result<(), Wrong>) -> io::Result<()> {
        match found {
            Ok(()) => {
                self.passed = self.passed.saturating_add(1);
                writeln!(self.out, "  ok       {what}")?;
            }
            Err(wrong) => {
                self.failed = self.failed.saturating_add(1);
                writeln!(self.out, "  FAILED   {what}: {wrong}")?;
            }
        }
        self.out.flush()
    }

    /// One thing that could not be looked at.
    pub(super) fn skip(&mut self, what: &str, why: &str) -> io::Result<()> {
        self.skipped = self.skipped.saturating_add(1);
        writeln!(self.out, "  skipped  {what}: {why}")?;
        self.out.flush()
    }

    /// The sum of it, and the exit code.
    pub(super) fn end(mut self) -> io::Result<ExitCode> {
        let Self { passed, failed, skipped, .. } = self;
        writeln!(self.out, "\n{passed} passed, {skipped} skipped, {failed} failed")?;
        self.out.flush()?;
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_fails_it() {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out);
        report.check("this", Ok(())).unwrap();
        report.skip("that", "no wallet").unwrap();
        report.check("the other", Err("it is open".to_owned())).unwrap();
        assert_eq!(format!("{:?}", report.end().unwrap()), format!("{:?}", ExitCode::FAILURE));
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("  FAILED   the other: it is open\n"), "{text}");
        assert!(text.ends_with("\n1 passed, 1 skipped, 1 failed\n"), "{text}");
        let report = Report::new(Vec::new());
        assert_eq!(format!("{:?}", report.end().unwrap()), format!("{:?}", ExitCode::SUCCESS));
    }
}
