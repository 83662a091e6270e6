//! Admission: who may wait, who may work, and how much memory they may take.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The worker's bounds.
#[derive(Clone)]
pub(super) struct Admission {
    places: Arc<Semaphore>,
    desks: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    memory_max: u32,
}

/// The right to send a body and to wait. Dropping it frees the place.
pub(super) struct Place {
    _place: OwnedSemaphorePermit,
    admission: Admission,
}

/// The right to decode one image. Dropping it frees the desk, the memory and the place.
pub(super) struct Desk {
    _place: OwnedSemaphorePermit,
    _desk: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
}

/// A size in whole mebibytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mebibytes(pub(super) u32);

impl Mebibytes {
    /// As many as fit into these megabytes.
    pub(super) fn within_megabytes(megabytes: u32) -> Self {
        let bytes = u64::from(megabytes) * 1_000_000;
        Self(u32::try_from(bytes >> 20).unwrap_or(u32::MAX))
    }

    /// As many as hold these bytes.
    pub(super) fn holding(bytes: u64) -> Self {
        Self(u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX))
    }
}

impl Admission {
    /// At most `parallel` images at work, `queue` waiting, and `memory` taken by those at work.
    pub(super) fn new(parallel: usize, queue: usize, memory: Mebibytes) -> Self {
        let semaphore =
            |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self {
            places: semaphore(parallel.saturating_add(queue)),
            desks: semaphore(parallel),
            memory: semaphore(usize::try_from(memory.0).unwrap_or(usize::MAX)),
            memory_max: memory.0,
        }
    }

    /// A place, or nothing when all are taken.
    pub(super) fn enter(&self) -> Option<Place> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place { _place: place, admission: self.clone() })
    }

    /// Whether somebody could enter now.
    pub(super) fn has_room(&self) -> bool {
        self.places.available_permits() > 0
    }
}

impl Place {
    /// Waits for a desk, then for memory; first come, first served.
    ///
    /// An image that needs more than there is gets all of it and works alone. `None` is for a
    /// semaphore that was closed, which ours never are.
    ///
    /// # Cancel safety
    /// Dropped while waiting, it frees its place and takes nothing.
    pub(super) async fn work(self, memory: Mebibytes) -> Option<Desk> {
        let Admission { desks, memory: all, memory_max, .. } = self.admission;
        let desk = desks.acquire_owned().await.ok()?;
        let memory = all.acquire_many_owned(memory.0.min(memory_max)).await.ok()?;
        Some(Desk { _place: self._place, _desk: desk, _memory: memory })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn now<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn work(admission: &Admission, memory: u32) -> Option<Desk> {
        match now(admission.enter()?.work(Mebibytes(memory))) {
            Poll::Ready(desk) => desk,
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_finds_no_place_is_turned_away() {
        let admission = Admission::new(1, 1, Mebibytes(10));
        let places = (admission.enter(), admission.enter());
        assert!(!admission.has_room());
        assert!(admission.enter().is_none());
        drop(places);
        assert!(admission.enter().is_some());
    }

    #[test]
    fn a_place_is_free_again_when_its_owner_stops_waiting() {
        let admission = Admission::new(1, 1, Mebibytes(10));
        let _working = work(&admission, 1).unwrap();
        assert!(now(admission.enter().unwrap().work(Mebibytes(1))).is_pending());
        assert!(admission.has_room());
    }

    #[test]
    fn memory_is_shared() {
        let admission = Admission::new(3, 0, Mebibytes(10));
        let first = work(&admission, 6).unwrap();
        assert!(work(&admission, 5).is_none());
        let _second = work(&admission, 4).unwrap();
        drop(first);
        assert!(work(&admission, 5).is_some());
    }

    #[test]
    fn who_needs_more_than_there_is_works_alone() {
        let admission = Admission::new(2, 0, Mebibytes(10));
        let alone = work(&admission, 99).unwrap();
        assert!(work(&admission, 1).is_none());
        drop(alone);
        assert!(work(&admission, 1).is_some());
    }

    #[test]
    fn bytes_are_rounded_up() {
        assert_eq!(Mebibytes::holding(0), Mebibytes(0));
        assert_eq!(Mebibytes::holding(1 << 20), Mebibytes(1));
        assert_eq!(Mebibytes::holding((1 << 20) + 1), Mebibytes(2));
        assert_eq!(Mebibytes::holding(u64::MAX), Mebibytes(u32::MAX));
    }
}
