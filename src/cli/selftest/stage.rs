//! Where a rehearsal takes place: a folder of its own and a gateway on a thread of this process.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::SelftestError;
use crate::cli::demo::announced;
use crate::config::Config;
use crate::server::{self, End, ServeError};

/// A folder for nobody else, removed with all that is in it when this is dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn create() -> io::Result<Self> {
        let number = getrandom::u64().map_err(io::Error::other)?;
        let path = std::env::temp_dir().join(format!("tollgate-selftest-{number:016x}"));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a folder is left behind");
        }
    }
}

/// A gateway that serves.
pub(super) struct Gateway {
    /// Where it listens.
    pub(super) address: SocketAddr,
    end: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), ServeError>>,
}

impl Gateway {
    /// Starts it and waits until it listens.
    pub(super) async fn start(config: Config) -> Result<Self, SelftestError> {
        let (said, mut out) = io::pipe()?;
        let (end, told) = oneshot::channel();
        let serve = move || server::serve(config, End::Told(told), &mut out);
        let thread = thread::Builder::new().name("rehearsal".to_owned()).spawn(serve)?;
        let first = move || {
            let mut line = String::new();
            BufReader::new(said.take(LINE_BYTES_MAX)).read_line(&mut line).map(|_| line)
        };
        let line = spawn_blocking(first).await.map_err(io::Error::other)??;
        let listens = announced(line.trim_end()).and_then(|(listen, _)| listen.parse().ok());
        match listens {
            Some(address) => Ok(Self { address, end, thread }),
            None => {
                joined(thread).await?;
                Err(SelftestError::Ended)
            }
        }
    }

    /// Ends it as a signal would, and waits until everything is written.
    pub(super) async fn stop(self) -> Result<(), SelftestError> {
        drop(self.end);
        joined(self.thread).await
    }
}

async fn joined(thread: JoinHandle<Result<(), ServeError>>) -> Result<(), SelftestError> {
    let ended = spawn_blocking(move || thread.join()).await.map_err(io::Error::other)?;
    ended.map_err(|_| SelftestError::Ended)?.map_err(SelftestError::Serve)
}

const LINE_BYTES_MAX: u64 = 1024;
