//! The backends that one exchange was given to so far.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Backend, Backends, Set, bit};

/// None at first. While one is asked it has a request more under way; dropping this ends it. In a
/// box: connections that are idle have room for it, too.
#[derive(Debug, Default)]
pub struct Tries(Option<Box<Trying>>);

/// Whether a backend is left that was not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// One is.
    Some,
    /// None is.
    None,
}

#[derive(Debug)]
struct Trying {
    among: Arc<Set>,
    at: usize,
    /// The bits of all, this one's too.
    tried: u64,
    /// When a connection stood first.
    since: Option<Instant>,
}

impl Tries {
    /// The backend to ask next: one that was not, as long as there is one. Nothing while none can
    /// be asked.
    ///
    /// `key` is the hash of what stays with one backend, where something does.
    pub fn next(&mut self, backends: &Backends, key: u64, now: Instant) -> Option<&Backend> {
        let (among, tried, since) = match self.0.take() {
            Some(trying) => (Arc::clone(&trying.among), trying.tried, trying.since),
            None => (backends.all(), 0, None),
        };
        let order = backends.order(key);
        let at = among.choose(tried, order, now).or_else(|| among.choose(0, order, now))?;
        among.get(at)?.in_flight.fetch_add(1, Ordering::Relaxed);
        self.0 = Some(Box::new(Trying { among, at, tried: tried | bit(at), since }));
        self.backend()
    }

    /// The one that is asked now.
    pub fn backend(&self) -> Option<&Backend> {
        let trying = self.0.as_ref()?;
        trying.among.get(trying.at)
    }

    /// When the exchange was handed to one for the first time.
    pub fn since(&self) -> Option<Instant> {
        self.0.as_ref()?.since
    }

    /// A connection to it stands.
    pub fn reached(&mut self, now: Instant) {
        if let Some(trying) = &mut self.0 {
            trying.since.get_or_insert(now);
        }
        if let Some(backend) = self.backend()
            && backend.rest.reached()
        {
            let (host, address) = (backend.place.name(), backend.address);
            tracing::info!(%host, %address, "a backend can be connected to again");
        }
    }

    /// It could not be connected to, so that nothing was sent.
    pub fn missed(&self, now: Instant, why: &dyn std::fmt::Display) -> More {
        let Some(trying) = &self.0 else { return More::None };
        if let Some(backend) = self.backend()
            && backend.rest.missed(now)
        {
            let (host, address) = (backend.place.name(), backend.address);
            tracing::warn!(%host, %address, %why, "a backend cannot be connected to");
        }
        if trying.among.has_more(trying.tried) { More::Some } else { More::None }
    }
}

impl Drop for Trying {
    fn drop(&mut self) {
        if let Some(backend) = self.among.get(self.at) {
            backend.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
