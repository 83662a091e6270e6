//! `tollgate reload`: has a running gateway read its configuration again.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::DEFAULT_FILE;
use crate::server::RELOAD_HEADER;

/// What may be typed behind `tollgate reload`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration that the gateway runs with
    #[arg(default_value = DEFAULT_FILE)]
    pub config: PathBuf,
    /// Its admin listener, if that is not where the configuration says
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub admin: Option<SocketAddr>,
}

/// Why nothing is known of a reload.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Nobody was asked.
    #[error("no gateway answers on its admin listener {0}")]
    NoGateway(SocketAddr, #[source] reqwest::Error),
    /// The answer cannot be shown.
    #[error("the answer cannot be written")]
    Write(#[from] io::Error),
}

/// Asks the gateway behind this admin listener and writes what it says. Fails when it goes on with
/// what it had.
///
/// # Errors
/// Nobody answers within [`ANSWER_TIMEOUT`], or `out` cannot be written.
pub async fn run(admin: SocketAddr, mut out: impl Write) -> Result<ExitCode, ReloadError> {
    let ask = async {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build()?;
        let ask = client.post(format!("http://{admin}/reload")).header(RELOAD_HEADER, "yes");
        let answer = ask.send().await?;
        Ok((answer.status(), answer.text().await?))
    };
    let (status, text) = ask.await.map_err(|error| ReloadError::NoGateway(admin, error))?;
    out.write_all(text.as_bytes())?;
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Names of upstreams are looked up before a gateway answers.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
