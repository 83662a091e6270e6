//! Admission: who may wait, who may work, and how much memory they may take.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The worker's bounds.
#[derive(Clone)]
pub(super) struct Admission {
    places: Arc<Semaphore>,
    places_max: usize,
    desks: Arc<Semaphore>,
    desks_max: usize,
    memory: Arc<Semaphore>,
    memory_max: u32,
}

/// What is taken of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    /// Images that have a place and no desk.
    pub(super) waiting: u64,
    /// Images that have a desk.
    pub(super) working: u64,
    pub(super) memory_bytes: u64,
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
    memory: OwnedSemaphorePermit,
}

/// A file that waits to be read. Dropping it frees its memory.
pub(super) struct Finished {
    file: Vec<u8>,
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
        let places_max = parallel.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Self {
            places: semaphore(places_max),
            places_max,
            desks: semaphore(parallel),
            desks_max: parallel,
            memory: semaphore(usize::try_from(memory.0).unwrap_or(usize::MAX)),
            memory_max: memory.0,
        }
    }

    /// A place, or nothing when all are taken.
    pub(super) fn enter(&self) -> Option<Place> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place { _place: place, admission: self.clone() })
    }

    /// What is taken now.
    pub(super) fn load(&self) -> Load {
        let taken = |max: usize, left: &Semaphore| {
            u64::try_from(max.saturating_sub(left.available_permits())).unwrap_or(u64::MAX)
        };
        let working = taken(self.desks_max, &self.desks);
        let memory_max = usize::try_from(self.memory_max).unwrap_or(usize::MAX);
        Load {
            waiting: taken(self.places_max, &self.places).saturating_sub(working),
            working,
            memory_bytes: taken(memory_max, &self.memory).saturating_mul(1 << 20),
        }
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
        Some(Desk { _place: self._place, _desk: desk, memory })
    }
}

impl Desk {
    /// Frees all but the memory that the file takes.
    pub(super) fn finish(self, mut file: Vec<u8>) -> Finished {
        let Self { mut memory, .. } = self;
        file.shrink_to_fit();
        let Mebibytes(taken) = Mebibytes::holding(u64::try_from(file.len()).unwrap_or(u64::MAX));
        let kept = memory.split(usize::try_from(taken).unwrap_or(usize::MAX));
        // One that takes more than its image was to take keeps what there is.
        Finished { file, _memory: kept.unwrap_or(memory) }
    }
}

impl AsRef<[u8]> for Finished {
    fn as_ref(&self) -> &[u8] {
        &self.file
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
        assert!(admission.enter().is_none());
        drop(places);
        assert!(admission.enter().is_some());
    }

    #[test]
    fn a_place_is_free_again_when_its_owner_stops_waiting() {
        let admission = Admission::new(1, 1, Mebibytes(10));
        let _working = work(&admission, 1).unwrap();
        assert!(now(admission.enter().unwrap().work(Mebibytes(1))).is_pending());
        assert!(admission.enter().is_some());
    }

    #[test]
    fn the_load_is_what_is_taken() {
        let admission = Admission::new(1, 2, Mebibytes(10));
        let _working = work(&admission, 6);
        let _waiting = admission.enter();
        let load = Load { waiting: 1, working: 1, memory_bytes: 6 << 20 };
        assert_eq!(admission.load(), load);
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
    fn a_finished_file_keeps_its_memory_until_it_is_read() {
        let admission = Admission::new(1, 0, Mebibytes(10));
        let mut file = vec![7; 3 << 20];
        file.reserve_exact(9 << 20);
        let finished = work(&admission, 8).unwrap().finish(file);
        assert_eq!(finished.file.capacity(), 3 << 20);
        let load = |memory: u64| Load { waiting: 0, working: 0, memory_bytes: memory << 20 };
        assert_eq!(admission.load(), load(3));
        assert!(work(&admission, 8).is_none() && work(&admission, 7).is_some());
        drop(finished);
        assert_eq!(admission.load(), load(0));
        let larger = work(&admission, 1).unwrap().finish(vec![7; 2 << 20]);
        assert_eq!(admission.load(), load(1));
        assert_eq!(larger.as_ref().len(), 2 << 20);
    }

    #[test]
    fn bytes_are_rounded_up() {
        assert_eq!(Mebibytes::holding(0), Mebibytes(0));
        assert_eq!(Mebibytes::holding(1 << 20), Mebibytes(1));
        assert_eq!(Mebibytes::holding((1 << 20) + 1), Mebibytes(2));
        assert_eq!(Mebibytes::holding(u64::MAX), Mebibytes(u32::MAX));
    }
}
