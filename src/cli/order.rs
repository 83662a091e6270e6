//! `tollgate reload` and `tollgate upgrade`: what a running gateway is asked to do.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::DEFAULT_FILE;
use crate::server::{RELOAD_HEADER, UPGRADE_HEADER};

/// What may be typed behind `tollgate reload` and `tollgate upgrade`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration that the gateway runs with
    #[arg(default_value = DEFAULT_FILE)]
    pub config: PathBuf,
    /// Its admin listener, if that is not where the configuration says
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub admin: Option<SocketAddr>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// To read the configuration again.
    Reload,
    /// To start another process, which takes over.
    Upgrade,
}

/// Why nothing is known of it.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// Nobody was asked.
    #[error("no gateway answers on its admin listener {0}")]
    NoGateway(SocketAddr, #[source] reqwest::Error),
    /// The answer cannot be shown.
    #[error("the answer cannot be written")]
    Write(#[from] io::Error),
}

impl Order {
    fn path(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Upgrade => "upgrade",
        }
    }

    fn header(self) -> &'static str {
        match self {
            Self::Reload => RELOAD_HEADER,
            Self::Upgrade => UPGRADE_HEADER,
        }
    }

    /// Names of upstreams are looked up before a gateway answers; and a successor may wait until
    /// its predecessor has finished.
    fn timeout(self) -> Duration {
        match self {
            Self::Reload => Duration::from_secs(60),
            Self::Upgrade => Duration::from_secs(60 * 60),
        }
    }
}

/// Asks the gateway behind this admin listener and writes what it says. Fails when it goes on as
/// before.
///
/// # Errors
/// Nobody answers in time, or `out` cannot be written.
pub async fn run(
    order: Order,
    admin: SocketAddr,
    mut out: impl Write,
) -> Result<ExitCode, OrderError> {
    let ask = async {
        let client = reqwest::Client::builder().no_proxy().timeout(order.timeout()).build()?;
        let url = format!("http://{admin}/{}", order.path());
        let answer = client.post(url).header(order.header(), "yes").send().await?;
        Ok((answer.status(), answer.text().await?))
    };
    let (status, text) = ask.await.map_err(|error| OrderError::NoGateway(admin, error))?;
    out.write_all(text.as_bytes())?;
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
