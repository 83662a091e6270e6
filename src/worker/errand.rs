//! An errand: work that somebody waits for, until a deadline.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::problem::Problem;

/// Whoever waits. When this is dropped, the work is for nobody.
pub(super) struct Client(#[expect(dead_code, reason = "what counts is that it is there")] Arc<()>);

/// What the work looks at between its stages.
pub(super) struct Errand {
    client: Weak<()>,
    deadline: Instant,
}

/// Starts an errand that has `patience`.
pub(super) fn errand(patience: Duration) -> (Client, Errand) {
    let client = Arc::new(());
    // As far off as it gets, if it is further than that.
    let now = Instant::now();
    let deadline = now.checked_add(patience).unwrap_or(now + FAR);
    let errand = Errand { client: Arc::downgrade(&client), deadline };
    (Client(client), errand)
}

impl Errand {
    /// Whether the next stage is worth it.
    ///
    /// # Errors
    /// `Late` after the deadline, and when nobody waits any more: who has gone reads nothing.
    pub(super) fn go_on(&self) -> Result<(), Problem> {
        let awaited = self.client.strong_count() > 0 && Instant::now() < self.deadline;
        if awaited { Ok(()) } else { Err(Problem::Late) }
    }

    /// When it is too late.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }
}

const FAR: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_while_somebody_waits() {
        let (client, errand) = errand(Duration::from_secs(60));
        assert_eq!(errand.go_on(), Ok(()));
        drop(client);
        assert_eq!(errand.go_on(), Err(Problem::Late));
    }

    #[test]
    fn it_stops_at_its_deadline() {
        let (_client, errand) = errand(Duration::ZERO);
        assert_eq!(errand.go_on(), Err(Problem::Late));
    }

    #[test]
    fn patience_has_no_end_that_overflows() {
        let (_client, errand) = errand(Duration::MAX);
        assert_eq!(errand.go_on(), Ok(()));
    }
}
