//! The answers of one commit on their way to whoever waits for them.

use std::collections::HashMap;

use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

use crate::fault::Fault;

/// Where somebody waits for the answer to one op.
#[derive(Debug)]
pub(super) struct Answer<T> {
    sender: oneshot::Sender<Result<T, Fault>>,
    /// The runtime that the one who waits runs on.
    home: Handle,
}

/// Answers by the runtime on which they are waited for. To wake a runtime of another thread is a
/// call of the system's: it is woken once for all of them, and wakes its own tasks itself.
#[derive(Default)]
pub(super) struct Mail(HashMap<Id, (Handle, Vec<Letter>)>);

/// Gives one answer.
type Letter = Box<dyn FnOnce() + Send>;

/// An answer, and who waits for it on the current runtime.
pub(super) fn answer<T>() -> (Answer<T>, oneshot::Receiver<Result<T, Fault>>) {
    let (sender, receiver) = oneshot::channel();
    (Answer { sender, home: Handle::current() }, receiver)
}

impl<T> Answer<T> {
    /// Gives it at once.
    pub(super) fn give(self, said: Result<T, Fault>) {
        give(self.sender, said);
    }
}

fn give<T>(to: oneshot::Sender<Result<T, Fault>>, said: Result<T, Fault>) {
    // Who does not wait any more has queued a release.
    let _gone = to.send(said);
}

impl Mail {
    /// Adds an answer.
    pub(super) fn put<T: Send + 'static>(&mut self, answer: Answer<T>, said: Result<T, Fault>) {
        let Answer { sender, home } = answer;
        let (_, letters) = self.0.entry(home.id()).or_insert_with(|| (home, Vec::new()));
        letters.push(Box::new(move || give(sender, said)));
    }

    /// Sends all. A runtime that has ended has nobody who waits.
    pub(super) fn send(self) {
        for (home, letters) in self.0.into_values() {
            home.spawn(async move { letters.into_iter().for_each(|letter| letter()) });
        }
    }
}
