//! The bound on memory that answers take while they are copied, written and read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes for all answers together.
#[derive(Debug)]
pub(super) struct Room {
    free: AtomicUsize,
}

/// A part of it, given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    room: Arc<Room>,
    bytes: usize,
}

/// There is no room left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Room {
    pub(super) fn of(bytes: usize) -> Arc<Self> {
        Arc::new(Self { free: AtomicUsize::new(bytes) })
    }

    /// A share of nothing, which can grow.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        Share { room: Arc::clone(self), bytes: 0 }
    }

    /// Bytes that are not taken.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Takes more, or nothing.
    ///
    /// # Errors
    /// There is not so much left.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let taken = self
            .room
            .free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(bytes));
        taken.map_err(|_| Full)?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Gives all of it back.
    pub(super) fn empty(&mut self) {
        self.room.free.fetch_add(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let room = Room::of(10);
        let (mut one, mut other) = (room.share(), room.share());
        assert_eq!(one.grow(6), Ok(()));
        assert_eq!(other.grow(5), Err(Full));
        assert_eq!(other.grow(4), Ok(()));
        assert_eq!(room.free(), 0);
        one.empty();
        assert_eq!(other.grow(6), Ok(()));
        drop((one, other));
        assert_eq!(room.free(), 10);
    }
}
