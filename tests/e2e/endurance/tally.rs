//! What was asked, and what came of it: answers by status, and how long they took.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::support::wallet::Payment;

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Free,
    Unpaid,
    Paid,
    Again,
    Stream,
    Photo,
    Attack,
    Reload,
}

const KINDS: [Kind; 8] = [
    Kind::Free,
    Kind::Unpaid,
    Kind::Paid,
    Kind::Again,
    Kind::Stream,
    Kind::Photo,
    Kind::Attack,
    Kind::Reload,
];

#[derive(Default)]
pub(super) struct Tally {
    /// By what was wanted and the status, 0 for no answer.
    answers: BTreeMap<(Kind, u16), usize>,
    /// Microseconds of good answers.
    took: BTreeMap<Kind, Vec<u32>>,
    /// Payments that clients have been told of, with their transactions.
    pub(super) paid: BTreeMap<String, String>,
    /// Payments of which clients were told that nothing was taken.
    pub(super) not_taken: Vec<String>,
    /// Payments that were taken and whose answer was lost on its way.
    pub(super) lost: usize,
    /// Payments that have no answer yet.
    pub(super) left: Vec<(Kind, Payment)>,
    pub(super) left_for_the_end: usize,
    pub(super) kills: BTreeMap<&'static str, usize>,
}

impl Tally {
    pub(super) fn count(&mut self, kind: Kind, status: u16, took: Option<Duration>) {
        *self.answers.entry((kind, status)).or_default() += 1;
        if let Some(took) = took {
            let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
            self.took.entry(kind).or_default().push(micros);
        }
    }

    fn good(&self, kind: Kind) -> usize {
        self.took.get(&kind).map_or(0, Vec::len)
    }

    /// Each kind has been answered well, and each part has been killed.
    pub(super) fn is_worth_it(&self) {
        for kind in KINDS {
            assert!(self.good(kind) >= 10, "{kind:?}: too few to mean anything");
        }
        assert_eq!(self.kills.len(), 4, "{:?}", self.kills);
    }

    /// A line for each kind.
    pub(super) fn table(&self) -> String {
        let mut table = format!("kills: {:?}\n", self.kills);
        let head = ["good", "p50 ms", "p99 ms"];
        let _ = writeln!(table, "{:8}{:>9}{:>9}{:>9}  answers", "", head[0], head[1], head[2]);
        for kind in KINDS {
            let mut took = self.took.get(&kind).cloned().unwrap_or_default();
            took.sort_unstable();
            let (p50, p99) = (part(&took, 50), part(&took, 99));
            let answers = self.answers.iter().filter(|((of, _), _)| *of == kind);
            let answers = answers.map(|((_, status), count)| format!(" {status}: {count}"));
            let answers = answers.collect::<String>();
            let name = format!("{kind:?}").to_lowercase();
            let _ = writeln!(table, "{name:8}{:>9}{p50:>9.1}{p99:>9.1} {answers}", took.len());
        }
        let Self { lost, left_for_the_end, .. } = self;
        let _ = writeln!(table, "paid, and the answer lost on its way: {lost}");
        let _ = writeln!(table, "clear when the payment's window had closed: {left_for_the_end}");
        table
    }
}

/// In milliseconds, how long so many of a hundred took at most.
fn part(sorted: &[u32], of_a_hundred: usize) -> f64 {
    let at = (sorted.len() * of_a_hundred / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |micros| f64::from(*micros) / 1e3)
}
