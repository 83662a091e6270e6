//! `tollgate check`: says what a configuration means, once it is known to hold no mistake.

use std::io::{self, Write};

use crate::config::Config;

/// Writes what each route charges, where it goes and the 402 it would send, and then the warnings.
///
/// # Errors
/// `out` cannot be written.
pub fn check(config: &Config, out: &mut impl Write) -> io::Result<()> {
    config.explain(out)
}
