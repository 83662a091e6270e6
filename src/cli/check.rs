//! `tollgate check`: says what a configuration means, once it is known to hold no mistake.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::Config;
use crate::server::ServeError;
use crate::server::online::{self, Online};

/// Writes what each route charges, where it goes and the 402 it would send, and then the warnings.
///
/// # Errors
/// `out` cannot be written.
pub fn check(config: &Config, out: &mut impl Write) -> io::Result<()> {
    config.explain(out)
}

/// Writes what the facilitators say of themselves. Fails when nobody settles for a network.
///
/// # Errors
/// A facilitator cannot be set up, or `out` cannot be written.
pub async fn online(config: Config, mut out: impl Write) -> Result<ExitCode, ServeError> {
    Ok(match online::check(&config, &mut out).await? {
        Online::Good => ExitCode::SUCCESS,
        Online::Bad => ExitCode::FAILURE,
    })
}
