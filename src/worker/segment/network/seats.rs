//! Seats: things that serve one image at a time, as many as there are images at work.

use std::sync::{Mutex, PoisonError};

/// A few things of a kind.
pub(super) struct Seats<T>(Mutex<Vec<T>>);

/// One of them, put back when dropped, whatever happened.
struct Taken<'a, T> {
    seats: &'a Seats<T>,
    thing: Option<T>,
}

impl<T> Seats<T> {
    pub(super) fn new(things: Vec<T>) -> Self {
        Self(Mutex::new(things))
    }

    /// Lends one; nothing if all are lent, which admission prevents.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut taken = Taken { seats: self, thing: self.free().pop() };
        taken.thing.as_mut().map(work)
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<T>> {
        // A push or a pop cannot be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        self.seats.free().extend(self.thing.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_serves_one_at_a_time() {
        let seats = Seats::new(vec![1]);
        assert_eq!(seats.with(|one| (*one, seats.with(|_| ()))), Some((1, None)));
        assert_eq!(seats.with(|one| *one), Some(1));
    }

    #[test]
    fn one_comes_back_from_a_panic() {
        let seats = Seats::new(vec![1]);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            seats.with(|_| panic!("an image that nobody thought of"))
        }));
        assert!(panicked.is_err());
        assert_eq!(seats.with(|one| *one), Some(1));
    }
}
