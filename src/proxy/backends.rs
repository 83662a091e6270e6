//! The backends of one upstream: which there are, and which of them a request goes to.

mod check;
mod rest;
#[cfg(test)]
mod tests;
mod tries;

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use http::HeaderValue;

use crate::clock;
use crate::route::upstream::{Balance, Health};

use check::Check;
pub use check::Turned;
use rest::{Rest, Standing};
pub use tries::{More, Tries};

/// The backends of now. Requests choose among them without a lock.
#[derive(Debug)]
pub struct Backends {
    balance: Balance,
    /// How many there are.
    places: usize,
    now: ArcSwap<Set>,
    turn: AtomicUsize,
}

/// The backends of one moment, in the order of the file. An exchange keeps those it began with.
#[derive(Debug, Default)]
pub struct Set(Box<[Arc<Backend>]>);

/// One address that requests can go to.
#[derive(Debug)]
pub struct Backend {
    /// Where it is.
    pub address: SocketAddr,
    /// What it is an address of.
    pub place: Arc<Place>,
    /// Its own share in the hash of a key.
    seed: u64,
    in_flight: AtomicUsize,
    check: Check,
    rest: Rest,
}

/// One origin of an upstream. Its addresses come and go.
#[derive(Debug)]
pub struct Place {
    /// Its number among the upstream's.
    pub at: usize,
    /// What it is called in the `Host` it is sent.
    pub authority: HeaderValue,
    /// The name its certificate must have; nothing: plain HTTP.
    pub server_name: Option<Box<str>>,
}

/// How many backends stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// They get requests.
    pub up: usize,
    /// They could not be connected to lately: the others are asked first.
    pub resting: usize,
    /// Their checks fail: they get none.
    pub failed: usize,
    /// Not backends, but places that have none.
    pub empty: usize,
}

/// By what one of several backends is chosen.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// This many have been chosen before.
    Turn(usize),
    /// The same, but what is under way counts first.
    Fewest(usize),
    /// This is the hash of what stays with one of them.
    Nearest(u64),
}

impl Backends {
    /// None yet, of so many places.
    pub fn new(balance: Balance, places: usize) -> Self {
        Self { balance, places, now: ArcSwap::default(), turn: AtomicUsize::new(0) }
    }

    /// By what one is chosen.
    pub fn balance(&self) -> Balance {
        self.balance
    }

    /// A place has these addresses now. Backends that stay keep their health. Says whether
    /// anything has changed. Of all together the first [`BACKENDS_MAX`] are used.
    pub fn found(&self, place: &Arc<Place>, addresses: &[SocketAddr]) -> bool {
        let mut addresses = addresses.to_vec();
        addresses.sort_unstable();
        addresses.dedup();
        let now = self.now.load();
        let here = now.0.iter().filter(|backend| Arc::ptr_eq(&backend.place, place));
        if here.map(|backend| &backend.address).eq(&addresses) {
            return false;
        }
        self.now.rcu(|now| now.with(place, &addresses));
        true
    }

    /// Those of now.
    pub fn all(&self) -> Arc<Set> {
        self.now.load_full()
    }

    /// Whether one of them can be asked.
    pub fn is_up(&self) -> bool {
        self.now.load().0.iter().any(|backend| !backend.check.has_failed())
    }

    /// How many stand how.
    pub fn counted(&self, now: Instant) -> Counted {
        let here = self.now.load();
        // Those of one place stand together.
        let mut places: Vec<usize> = here.0.iter().map(|backend| backend.place.at).collect();
        places.dedup();
        let empty = self.places.saturating_sub(places.len());
        here.0.iter().fold(Counted { empty, ..Counted::default() }, |mut counted, backend| {
            let count = match backend.rest.standing(now) {
                _ if backend.check.has_failed() => &mut counted.failed,
                Standing::Rests { .. } => &mut counted.resting,
                Standing::In | Standing::OnTrial => &mut counted.up,
            };
            *count = count.saturating_add(1);
            counted
        })
    }

    /// `key` is the hash of what stays with one backend, where something does.
    fn order(&self, key: u64) -> Order {
        let turn = || self.turn.fetch_add(1, Ordering::Relaxed);
        match self.balance {
            Balance::RoundRobin => Order::Turn(turn()),
            Balance::LeastConnections => Order::Fewest(turn()),
            Balance::HashPayer | Balance::HashIp => Order::Nearest(key),
        }
    }
}

impl Counted {
    /// All backends.
    pub fn all(self) -> usize {
        self.up.saturating_add(self.resting).saturating_add(self.failed)
    }
}

impl Set {
    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.0.iter()
    }

    fn get(&self, at: usize) -> Option<&Backend> {
        self.0.get(at).map(|backend| &**backend)
    }

    /// The same with these addresses of a place, in their order and each once.
    fn with(&self, place: &Arc<Place>, addresses: &[SocketAddr]) -> Self {
        let (own, others): (Vec<_>, Vec<_>) =
            self.0.iter().cloned().partition(|backend| Arc::ptr_eq(&backend.place, place));
        let stays = |address| own.iter().find(|backend| backend.address == address).cloned();
        let own = addresses.iter().map(|address| {
            stays(*address).unwrap_or_else(|| Arc::new(Backend::new(*address, Arc::clone(place))))
        });
        let mut all: Vec<_> = others.into_iter().chain(own).collect();
        all.sort_by_key(|backend| backend.place.at);
        all.truncate(BACKENDS_MAX);
        Self(all.into())
    }

    /// The one to ask that is in no bit of `tried`: of those that are well, by `order`; where none
    /// is, the one that has rested longest. Never one whose check fails.
    fn choose(&self, tried: u64, order: Order, now: Instant) -> Option<usize> {
        let mut chosen = None;
        // A rest that is over is tried by one request alone. Whoever comes second chooses again,
        // and sees it resting.
        for _ in &self.0 {
            chosen = self.best(tried, order, now);
            if self.get(chosen?)?.rest.claim(now) {
                break;
            }
        }
        chosen
    }

    fn best(&self, tried: u64, order: Order, now: Instant) -> Option<usize> {
        let open = self
            .0
            .iter()
            .enumerate()
            .filter(move |(at, backend)| tried & bit(*at) == 0 && !backend.check.has_failed());
        let well = open.clone().filter(move |(_, backend)| {
            matches!(backend.rest.standing(now), Standing::In | Standing::OnTrial)
        });
        let best = match order {
            Order::Turn(turn) => {
                let nth = turn.checked_rem(well.clone().count());
                nth.and_then(|nth| well.clone().nth(nth))
            }
            Order::Fewest(turn) => {
                let all = self.0.len();
                // Of those with the same number not always the first.
                let behind = |at: usize| {
                    let turn = turn.checked_rem(all).unwrap_or_default();
                    (at + all - turn).checked_rem(all)
                };
                let under_way = |backend: &Backend| backend.in_flight.load(Ordering::Relaxed);
                well.min_by_key(|(at, backend)| (under_way(backend), behind(*at)))
            }
            Order::Nearest(key) => well.max_by_key(|(_, backend)| mixed(key ^ backend.seed)),
        };
        let rested = || {
            open.min_by_key(|(_, backend)| match backend.rest.standing(now) {
                Standing::Rests { until } => until,
                Standing::In | Standing::OnTrial => 0,
            })
        };
        best.or_else(rested).map(|(at, _)| at)
    }

    /// Whether one is neither in `tried` nor fails its check.
    fn has_more(&self, tried: u64) -> bool {
        let mut all = self.0.iter().enumerate();
        all.any(|(at, backend)| tried & bit(at) == 0 && !backend.check.has_failed())
    }
}

impl Place {
    /// As the log calls it.
    fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.authority.as_bytes())
    }
}

impl Backend {
    fn new(address: SocketAddr, place: Arc<Place>) -> Self {
        Self {
            address,
            place,
            seed: hash_of(&address),
            in_flight: AtomicUsize::new(0),
            check: Check::default(),
            rest: Rest::new(clock::steady()),
        }
    }

    /// A look at it has come to this. Says whether that takes it out or back in.
    pub fn checked(&self, passed: bool, health: &Health) -> Option<Turned> {
        if passed {
            self.rest.reached();
        }
        self.check.seen(passed, health)
    }
}

/// The hash by which something stays with a backend: the same in each process.
pub fn hash_of(key: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Spreads bits. Whatever is nearest to a key by it stays so when others come and go (rendezvous
/// hashing). Source: the last step of SplitMix64.
fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A backend in a set of numbers.
fn bit(at: usize) -> u64 {
    u32::try_from(at).ok().and_then(|at| 1_u64.checked_shl(at)).unwrap_or_default()
}

/// As many as there are bits for.
pub const BACKENDS_MAX: usize = 64;
