//! The start of a gateway that takes over from another.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::handover::{Heir, Word};
use super::{ServeError, upgrade};
use crate::config::Config;
use crate::ledger::LedgerUrl;
use crate::proxy::admin::Readiness;

/// A gateway whose turn has come.
pub(super) struct Taking<'a> {
    heir: &'a mut Heir,
    before: Before,
}

/// Who serves until it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// Its predecessor.
    Another,
    /// Nobody: clients wait.
    Nobody,
}

impl<'a> Taking<'a> {
    /// Waits until a gateway with this configuration may open its ledger.
    ///
    /// # Errors
    /// It never may.
    pub(super) fn await_turn(heir: &'a mut Heir, config: &Config) -> Result<Self, ServeError> {
        heir.leaves_the_rest();
        if config.ledger == LedgerUrl::Memory {
            let why = "a ledger in memory is handed over to nobody: restart";
            return Err(ServeError::Setting(why.into(), None));
        }
        let before = match upgrade::alone(config) {
            Some(why) => {
                heir.waits(why).map_err(ServeError::Process)?;
                Before::Nobody
            }
            None => Before::Another,
        };
        Ok(Self { heir, before })
    }

    /// Waits until requests can be served well. While nobody serves, not for long.
    ///
    /// # Errors
    /// Its predecessor serves better.
    pub(super) async fn get_ready(
        &self,
        mut ready: watch::Receiver<Readiness>,
    ) -> Result<(), ServeError> {
        let wait = match self.before {
            Before::Another => READY_WAIT,
            Before::Nobody => READY_WAIT_ALONE,
        };
        let so = ready.wait_for(|readiness| matches!(readiness, Readiness::Ready(_)));
        // An error says that nobody looks any more, which is not ready either.
        if matches!(timeout(wait, so).await, Ok(Ok(_))) {
            return Ok(());
        }
        let reasons = match &*ready.borrow() {
            Readiness::Not(reasons) => reasons.join("; "),
            Readiness::Ready(_) => return Ok(()),
        };
        if self.before == Before::Another {
            return Err(ServeError::Setting(format!("it is not ready: {reasons}").into(), None));
        }
        tracing::warn!(reasons, "it is not ready, and serves because nobody else does");
        Ok(())
    }

    /// Tells its predecessor that it serves.
    pub(super) fn serves(self) {
        if self.before == Before::Another {
            self.heir.says(&Word::Serves);
        }
    }
}

/// Longer than a bundled service may take to load its model.
const READY_WAIT: Duration = Duration::from_secs(200);
const READY_WAIT_ALONE: Duration = Duration::from_secs(10);
