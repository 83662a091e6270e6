//! The gateway of a rehearsal, on a thread of this process.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::SelftestError;
use crate::cli::demo::announced;
use crate::config::Config;
use crate::server::{self, End, ServeError};

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
