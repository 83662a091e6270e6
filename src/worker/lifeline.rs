//! When to stop: SIGTERM, SIGINT, or the end of standard input where a supervisor holds it.

use std::io::{self, Read};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Who tells the worker to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifeline {
    /// Signals alone.
    Signals,
    /// Signals, and a supervisor that holds our standard input open as long as it lives.
    Supervisor,
}

impl Lifeline {
    /// Ends when the worker is to stop. Signals are caught from now on.
    ///
    /// # Errors
    /// When the signals cannot be caught, or the thread that watches the input not started.
    pub(super) fn watch(self) -> io::Result<impl Future<Output = ()>> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (held, mut released) = oneshot::channel::<()>();
        let kept = match self {
            Self::Signals => Some(held),
            Self::Supervisor => {
                // Not tokio's standard input: its pending read would hold up our exit.
                std::thread::Builder::new().name("lifeline".into()).spawn(|| until_end(held))?;
                None
            }
        };
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = &mut released => {}
            }
            drop(kept);
        })
    }
}

/// Reads standard input to its end, then lets go of `held`.
fn until_end(held: oneshot::Sender<()>) {
    let mut input = io::stdin().lock();
    let mut heard = [0; 64];
    loop {
        match input.read(&mut heard) {
            Ok(0) => break,
            Ok(_) => {}
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    drop(held);
}
