//! Open files: each client is one, and so is each connection that is made for it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many clients each of `doors` may let in, where `wanted` are: fewer if the system does not
/// allow so many open files. Asks the system for as many as it grants first, which starts a process
/// with 1,024 for the sake of old programs.
pub(super) fn places(wanted: usize, doors: usize) -> usize {
    let shares = doors.saturating_add(1);
    let files = raised(wanted.saturating_mul(shares).saturating_add(OTHERS));
    let others = OTHERS.min(files / 4);
    let places = (files.saturating_sub(others) / shares).clamp(1, wanted);
    if places < wanted {
        tracing::warn!(
            connections_max = wanted,
            files,
            "only {places} clients are let in at once: the system allows so few open files"
        );
    }
    places
}

/// How many files may be open, once `needed` have been asked for.
fn raised(needed: usize) -> usize {
    let known = |limit: Option<u64>| {
        limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
    };
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (now, most) = (known(current), known(maximum));
    if now >= needed || now >= most {
        return now;
    }
    let wish = needed.min(most);
    let limit = Rlimit { current: u64::try_from(wish).ok(), maximum };
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => wish,
        Err(error) => {
            tracing::warn!(%error, "no more files may be open");
            now
        }
    }
}

/// Files that are neither a client nor led to by one: listeners, the ledger, operators,
/// facilitators, nodes.
const OTHERS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_shared() {
        // Nobody is granted so many.
        let places = places(usize::MAX, 1);
        let allowed = raised(0);
        assert!(places >= 1 && places <= allowed / 2, "{places} of {allowed}");
        assert_eq!(super::places(1, 3), 1);
    }
}
