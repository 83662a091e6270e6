//! A settlement on its way through the batches, and who may still call it off.

use std::sync::Arc;
use std::time::Instant;

use alloy_primitives::B256;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Outcome;
use super::payment::Payment;
use crate::chain::evm::Sought;

/// A payment to be settled.
pub(super) struct Job {
    pub(super) payment: Payment,
    pub(super) sought: Sought,
    pub(super) company: Company,
    pub(super) claim: Arc<Claim>,
    pub(super) reply: oneshot::Sender<Outcome>,
    pub(super) asked_at: Instant,
}

/// With whom a payment may share a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// With any others.
    Any,
    /// With nobody: code that is not the asset's takes part, or it has failed in company.
    None,
}

/// How far a job has come. Whoever waits for it may call it off only before it is sent.
#[derive(Debug, Default)]
pub(super) struct Claim(Mutex<Stage>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Waiting,
    Sent(Option<B256>),
    CalledOff,
}

/// What whoever gives up waiting is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// It was not sent and will not be.
    CalledOff,
    /// It may have been sent, in this transaction if it is named.
    Sent(Option<B256>),
}

impl Claim {
    /// Whether the job may be sent now. From here on nobody can call it off.
    pub(super) fn take(&self) -> bool {
        let mut stage = self.0.lock();
        match *stage {
            Stage::Waiting => {
                *stage = Stage::Sent(None);
                true
            }
            Stage::Sent(_) => true,
            Stage::CalledOff => false,
        }
    }

    /// It was not sent after all, or what was sent has failed for good.
    pub(super) fn put_back(&self) {
        let mut stage = self.0.lock();
        if let Stage::Sent(_) = *stage {
            *stage = Stage::Waiting;
        }
    }

    /// It was sent in this transaction.
    pub(super) fn name(&self, transaction: B256) {
        let mut stage = self.0.lock();
        if let Stage::Sent(named) = &mut *stage {
            *named = Some(transaction);
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn give_up(&self) -> Late {
        let mut stage = self.0.lock();
        match *stage {
            Stage::Waiting | Stage::CalledOff => {
                *stage = Stage::CalledOff;
                Late::CalledOff
            }
            Stage::Sent(named) => Late::Sent(named),
        }
    }
}

impl Job {
    /// Tells whoever waits for it, if somebody does.
    pub(super) fn end(self, outcome: Outcome) {
        let _gone = self.reply.send(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_called_off_is_never_sent() {
        let claim = Claim::default();
        assert_eq!(claim.give_up(), Late::CalledOff);
        assert!(!claim.take());
        assert_eq!(claim.give_up(), Late::CalledOff);
    }

    #[test]
    fn what_may_have_been_sent_cannot_be_called_off() {
        let claim = Claim::default();
        assert!(claim.take());
        assert_eq!(claim.give_up(), Late::Sent(None));
        claim.name(B256::repeat_byte(1));
        assert_eq!(claim.give_up(), Late::Sent(Some(B256::repeat_byte(1))));
        claim.put_back();
        assert_eq!(claim.give_up(), Late::CalledOff);
    }
}
