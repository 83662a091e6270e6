//! Starts a successor of this process, which takes over its listeners.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::handover::{Line, Word};
use super::leave::{Listening, Pace};
use super::listen::Spare;
use super::{ServeError, tell};
use crate::config::{Config, FacilitatorSettings};
use crate::facilitator::chain::Settings as Chain;
use crate::ledger::LedgerUrl;
use crate::proxy::admin::Order;

/// Starts successors when operators ask for one.
pub(super) struct Upgrader {
    pub(super) orders: mpsc::Receiver<Order>,
    /// What is given to them.
    pub(super) listeners: Vec<Spare>,
    /// The configuration that they read.
    pub(super) origin: PathBuf,
}

/// A process that takes over. Dropped before it does so, it is ended.
pub(super) struct Successor {
    raised: Raised,
    line: Line,
    order: Option<Order>,
    turn: Turn,
}

/// When a successor begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It serves already.
    Beside,
    /// When this process has ended.
    After,
}

/// A process that is ended again unless it takes over.
struct Raised(Option<Child>);

impl Upgrader {
    /// Waits until a successor serves, or waits for the end of this process. One that fails leaves
    /// everything as it was.
    ///
    /// # Cancel safety
    /// A successor that is about to start is ended.
    pub(super) async fn next(&mut self) -> Successor {
        loop {
            let Some(order) = self.orders.recv().await else { return std::future::pending().await };
            match self.raise().await {
                Ok((raised, line, turn)) => {
                    let mut next = Successor { raised, line, order: Some(order), turn };
                    if turn == Turn::After || next.takes_over().await.is_ok() {
                        return next;
                    }
                }
                Err(why) => {
                    tracing::error!(why, "nobody takes over");
                    // Who has asked may be gone by now.
                    let _ = order.told.send(Err(why));
                }
            }
        }
    }

    async fn raise(&self) -> Result<(Raised, Line, Turn), String> {
        if std::process::id() == 1 {
            return Err(INIT.to_owned());
        }
        let (mut line, theirs) =
            Line::giving(&self.listeners).map_err(|error| error.to_string())?;
        let raised = self.spawn(theirs.into()).map_err(|error| error.to_string())?;
        let word = timeout(WORD_WAIT, line.next()).await;
        match word.map_err(|_| "it was not ready in time; its log says why".to_owned())? {
            Some(Word::Serves) => Ok((raised, line, Turn::Beside)),
            Some(Word::Waits(why)) => {
                tracing::info!(why, "the successor begins when this process has ended");
                Ok((raised, line, Turn::After))
            }
            Some(Word::Fails(why)) => Err(why),
            None => Err(ENDED.to_owned()),
        }
    }

    /// Starts what this process was started as, which may be another file by now. Its log and its
    /// lines go where ours go.
    fn spawn(&self, line: Stdio) -> std::io::Result<Raised> {
        let itself = std::env::args_os().next().unwrap_or_else(|| "tollgate".into());
        let mut command = Command::new(itself);
        command.arg("serve").arg(&self.origin).arg("--take-over").stdin(line);
        command.spawn().map(|child| Raised(Some(child)))
    }
}

impl Successor {
    /// How this process ends for it. Who waits for its turn is not to wait for connections that do
    /// nothing, so these are told while new ones are still taken.
    pub(super) fn pace(&self) -> Pace {
        match self.turn {
            Turn::Beside => Pace::draining(Duration::ZERO),
            Turn::After => {
                Pace { listening: Listening::WhileSomebodyIsHere(TELL_WAIT), idle: IDLE_WAIT }
            }
        }
    }

    /// Leaves the place to it, if that is not done: whoever looks after this process looks after
    /// that one from now on.
    ///
    /// # Errors
    /// It has ended meanwhile, and takes nothing over.
    pub(super) async fn takes_over(&mut self) -> Result<(), ServeError> {
        let Some(child) = self.raised.0.take() else { return Ok(()) };
        let order = self.order.take();
        // Who has asked may be gone by now.
        let tell_operator = |said| order.map(|order| order.told.send(said));
        if timeout(Duration::ZERO, self.line.ends()).await.is_ok() {
            drop(Raised(Some(child)));
            tell_operator(Err(ENDED.to_owned()));
            return Err(ServeError::Setting(ENDED.into(), None));
        }
        let (process, own) = (child.id(), std::process::id());
        tell(&[NotifyState::MainPid(process)]);
        tracing::info!(process, "another process takes over");
        let what = match self.turn {
            Turn::Beside => format!("process {process} serves, process {own} finishes what runs"),
            Turn::After => format!("process {process} takes over, process {own} has finished"),
        };
        tell_operator(Ok(what));
        Ok(())
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        // It may have ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Why a gateway with this configuration cannot serve beside its predecessor, if it cannot.
pub(super) fn alone(config: &Config) -> Option<&'static str> {
    if let LedgerUrl::Sqlite(_) = config.ledger {
        return Some("a ledger in SQLite has one writer");
    }
    config.facilitators.values().find_map(|facilitator| match facilitator {
        FacilitatorSettings::Chain(Chain::Evm(_)) => {
            Some("the numbers of a signer's transactions are counted by one gateway")
        }
        FacilitatorSettings::Simulated(simulated) if simulated.journal.is_some() => {
            Some("a simulated chain's journal has one writer")
        }
        FacilitatorSettings::Chain(Chain::Svm(_))
        | FacilitatorSettings::Http(_)
        | FacilitatorSettings::Simulated(_) => None,
    })
}

/// Longer than a bundled service may take to load its model.
const WORD_WAIT: Duration = Duration::from_secs(240);
/// For those who are connected, before nobody is let in for a moment.
const TELL_WAIT: Duration = Duration::from_secs(5);
/// For those who came last.
const IDLE_WAIT: Duration = Duration::from_millis(500);

const ENDED: &str = "the process that was to take over ended; its log says why";
const INIT: &str = "this is process 1 of a container, which ends with it: start another container";
