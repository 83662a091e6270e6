//! `tollgate check`: says what a configuration means, once it is known to hold no mistake.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::Config;
#[cfg(feature = "worker")]
use crate::route::upstream::{Kind, Work};
use crate::server::ServeError;
use crate::server::online::{self, Online};
#[cfg(feature = "worker")]
use crate::worker;

/// Writes what each route charges, where it goes and the 402 it would send, and then the warnings.
///
/// # Errors
/// `out` cannot be written.
pub fn check(config: &Config, out: &mut impl Write) -> io::Result<()> {
    config.explain(out)
}

/// Looks for the manifest of each model, names its licence, and warns of those that forbid what a
/// gateway does with them.
///
/// # Errors
/// A model without a manifest, or `out` cannot be written.
#[cfg(feature = "worker")]
pub fn models(config: &Config, out: &mut impl Write) -> Result<(), Box<dyn std::error::Error>> {
    for (name, upstream) in &config.upstreams {
        let Kind::Bundled { work: Work { model: Some(model), .. }, .. } = &upstream.kind else {
            continue;
        };
        let (license, model) = (worker::license(model)?, model.display());
        writeln!(out, "upstream `{name}`: the licence of {model} is {}", license.name)?;
        if !license.commercial_use {
            writeln!(out, "warning: it does not let what {model} makes be sold")?;
        }
    }
    Ok(())
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
