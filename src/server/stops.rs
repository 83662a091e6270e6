//! What stops a gateway, and how much time that leaves.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::End;
use super::leave::Pace;

/// What stops it. Signals are caught from the moment this is made.
pub(super) enum Stops {
    Signals { terminate: Signal, interrupt: Signal },
    Told(oneshot::Receiver<()>),
}

impl Stops {
    pub(super) fn new(end: End) -> std::io::Result<Self> {
        let (terminate, interrupt) = match end {
            End::Signal => (SignalKind::terminate(), SignalKind::interrupt()),
            End::Told(told) => return Ok(Self::Told(told)),
        };
        Ok(Self::Signals { terminate: signal(terminate)?, interrupt: signal(interrupt)? })
    }

    /// Waits for it. Whoever sits at a terminal does not wait for clients that do nothing.
    pub(super) async fn next(self, drain: Duration) -> Pace {
        match self {
            Self::Signals { mut terminate, mut interrupt } => tokio::select! {
                _ = terminate.recv() => Pace::draining(drain),
                _ = interrupt.recv() => Pace::HURRIED,
            },
            Self::Told(told) => {
                // An error says that nobody is left to say it.
                drop(told.await);
                Pace::HURRIED
            }
        }
    }
}
