//! The ledger against a model of a few lines: random operations, batches and crashes from one seed.

use std::collections::HashMap;
use std::pin::Pin;

use tokio::runtime::{Builder, Runtime};

use super::*;

#[test]
fn in_memory_it_does_what_the_model_does() {
    for seed in seeds(200) {
        let runtime = runtime();
        let mut run = Run::new(&runtime, seed, LedgerUrl::Memory);
        (0..40).for_each(|_| run.batch(&runtime));
    }
}

#[test]
fn in_sqlite_it_does_what_the_model_does_and_crashes_forget_nothing() {
    for seed in seeds(15) {
        let folder = tempfile::tempdir().unwrap();
        let url = LedgerUrl::Sqlite(folder.path().join("ledger.db"));
        let mut runtime = runtime();
        let mut run = Run::new(&runtime, seed, url);
        for _ in 0..12 {
            (0..run.dice.below(8)).for_each(|_| run.batch(&runtime));
            runtime = run.crash(runtime);
        }
    }
}

#[test]
fn in_postgres_it_does_what_the_model_does_and_crashes_forget_nothing() {
    for seed in seeds(5) {
        let mut runtime = runtime();
        let url = runtime.block_on(postgres::database());
        let mut run = Run::new(&runtime, seed, url.parse().unwrap());
        for _ in 0..12 {
            (0..run.dice.below(8)).for_each(|_| run.batch(&runtime));
            runtime = run.crash(runtime);
        }
    }
}

/// What the ledger promises, in the fewest words: payment → exchange, state, transaction.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model(HashMap<u64, (u128, State, Option<Box<str>>)>);

impl Model {
    /// Whether it is ours.
    fn claim(&mut self, payment: u64, exchange: u128) -> bool {
        let free = match self.0.get(&payment) {
            None | Some((_, State::Released | State::Refused, _)) => true,
            Some((_, State::Held | State::Settling | State::Settled | State::Unknown, _)) => false,
        };
        if free {
            self.0.insert(payment, (exchange, State::Held, None));
        }
        free
    }

    /// Whether it stands there now.
    fn advance(&mut self, payment: u64, exchange: u128, step: &Step) -> bool {
        let Some((holder, state, transaction)) = self.0.get_mut(&payment) else { return false };
        let (named, to) = (step.transaction().map(Box::from), step.state());
        let legal = match (*state, to) {
            (from, _) if *step == Step::Orphaned => from == State::Held,
            (State::Held, State::Settling | State::Released) => true,
            (State::Settling, to) => to != State::Held,
            (State::Unknown, State::Settled | State::Refused | State::Released) => true,
            _ => false,
        };
        let repeated = *state == to && (named.is_none() || named == *transaction);
        if *holder == exchange && legal {
            *state = to;
            *transaction = named.or(transaction.take());
        }
        *holder == exchange && (legal || repeated)
    }
}

#[derive(Clone, Debug)]
enum Deed {
    Claim(u64, u128),
    Advance(u64, u128, Step),
    ReleaseLater(u64, u128),
}

/// A ledger and its model, on their way from one seed.
struct Run {
    ledger: Ledger,
    model: Model,
    url: LedgerUrl,
    dice: Dice,
    now: i64,
    exchange: u128,
}

impl Run {
    fn new(runtime: &Runtime, seed: u64, url: LedgerUrl) -> Self {
        eprintln!("SEED={seed}");
        let ledger = runtime.block_on(open_after_a_crash(&url));
        Self { ledger, model: Model::default(), url, dice: Dice(seed), now: 0, exchange: 0 }
    }

    /// Hands in some deeds at once, in order, and compares every answer and every entry.
    fn batch(&mut self, runtime: &Runtime) {
        let deeds = self.deeds();
        let now = UnixMillis::new(self.now);
        runtime.block_on(async {
            let answers = in_order(deeds.iter().map(|deed| act(&self.ledger, deed, now)));
            for (answer, deed) in answers.await.into_iter().zip(&deeds) {
                let expected = expect(&mut self.model, deed);
                assert!(expected.is_none_or(|expected| answer == expected), "{deed:?} {answer:?}");
            }
            fence(&self.ledger).await;
            assert_eq!(contents(&self.ledger).await, self.model);
        });
    }

    /// Drops everything while deeds are under way, and opens the file again: it stands where the
    /// model stood after all that was answered and a first part of what was not.
    fn crash(&mut self, runtime: Runtime) -> Runtime {
        let deeds = self.deeds();
        let now = UnixMillis::new(self.now);
        let polls = self.dice.below(40);
        let answered = runtime.block_on(async {
            let mut started: Vec<_> =
                deeds.iter().map(|deed| (act(&self.ledger, deed, now), None)).collect();
            for _ in 0..=polls {
                poll_each(&mut started).await;
                tokio::task::yield_now().await;
            }
            // A dropped future of a living process would release its claim: these die with it.
            // A release is answered before it is written.
            let written =
                |n: &usize| started[*n].1.is_some() && !matches!(deeds[*n], Deed::ReleaseLater(..));
            let answered = (0..deeds.len()).rfind(written);
            std::mem::forget(started);
            answered.map_or(0, |last| last + 1)
        });
        runtime.shutdown_background();
        let runtime = self::runtime();
        if let LedgerUrl::Postgres(_) = &self.url {
            // What the old connection has sent may still be under way at the server.
            runtime.block_on(postgres::is_left(&self.url.to_string()));
        }
        self.ledger = runtime.block_on(open_after_a_crash(&self.url));
        let found = runtime.block_on(contents(&self.ledger));
        for (done, deed) in deeds.iter().enumerate() {
            if done >= answered && self.model == found {
                return runtime;
            }
            expect(&mut self.model, deed);
        }
        assert_eq!(found, self.model, "after {answered} answers to {deeds:?}");
        runtime
    }

    fn deeds(&mut self) -> Vec<Deed> {
        self.now += 1;
        (0..=self.dice.below(12)).map(|_| self.deed()).collect()
    }

    fn deed(&mut self) -> Deed {
        let payment = self.dice.below(6);
        let held = self.model.0.get(&payment).map_or(0, |(exchange, ..)| *exchange);
        // Mostly the exchange that has the payment, sometimes one that had it or gets it just now.
        let exchange = if self.dice.below(5) == 0 { self.exchange } else { held };
        match self.dice.below(10) {
            0..=2 => {
                self.exchange += 1;
                Deed::Claim(payment, self.exchange)
            }
            3 => Deed::ReleaseLater(payment, exchange),
            step => Deed::Advance(payment, exchange, self.step(step)),
        }
    }

    fn step(&mut self, number: u64) -> Step {
        let transaction = format!("0x{}", self.dice.below(2)).into();
        match number {
            4 | 5 => settling(["dev", "spare"][usize::from(self.dice.below(2) == 0)]),
            6 => Step::Settled { transaction },
            7 => Step::Refused(ErrorReason::InsufficientFunds),
            8 if self.dice.below(2) == 0 => Step::Orphaned,
            8 => Step::Released,
            _ => {
                let named = self.dice.below(2) == 0;
                Step::Unknown { transaction: named.then_some(transaction) }
            }
        }
    }
}

/// Whether the deed was done.
type Deeds<'a> = Pin<Box<dyn Future<Output = bool> + 'a>>;

fn act<'a>(ledger: &'a Ledger, deed: &'a Deed, now: UnixMillis) -> Deeds<'a> {
    Box::pin(async move {
        match deed {
            Deed::Claim(payment, exchange) => {
                ledger.claim(claim(*payment, *exchange), now).await.unwrap() == Claimed::Ours
            }
            Deed::Advance(payment, exchange, step) => {
                let (identity, exchange) = (identity(*payment), ExchangeId::new(*exchange));
                ledger.advance(&identity, exchange, step.clone(), now).await.is_ok()
            }
            Deed::ReleaseLater(payment, exchange) => {
                ledger.release_later(identity(*payment), ExchangeId::new(*exchange), now);
                true
            }
        }
    })
}

/// Does the deed in the model. Nothing where the ledger does not say how it went.
fn expect(model: &mut Model, deed: &Deed) -> Option<bool> {
    match deed {
        Deed::Claim(payment, exchange) => Some(model.claim(*payment, *exchange)),
        Deed::Advance(payment, exchange, step) => Some(model.advance(*payment, *exchange, step)),
        Deed::ReleaseLater(payment, exchange) => {
            model.advance(*payment, *exchange, &Step::Released);
            None
        }
    }
}

/// The ledger in the words of the model, by each way to read it.
async fn contents(ledger: &Ledger) -> Model {
    let number =
        |identity: &PaymentIdentity| u64::from_be_bytes(identity.nonce[24..].try_into().unwrap());
    let line = |entry: &Entry| {
        let exchange = u128::from_str_radix(&entry.exchange.to_string(), 16).unwrap();
        (number(&entry.identity), (exchange, entry.state, entry.transaction.clone()))
    };
    let listed = ledger.list(100).await.unwrap();
    assert!(listed.is_sorted_by(|a, b| a.claimed_at >= b.claimed_at));
    for entry in &listed {
        assert_eq!(ledger.get(&entry.identity).await.unwrap().as_ref(), Some(entry));
    }
    let unfinished = ledger.unfinished(None, 100).await.unwrap();
    let unfinished: Vec<_> = unfinished.into_iter().map(|left| left.entry).collect();
    assert!(unfinished.is_sorted_by(|a, b| a.claimed_at <= b.claimed_at));
    assert_eq!(unfinished.len(), listed.iter().filter(|entry| entry.state.is_unfinished()).count());
    assert!(unfinished.iter().all(|entry| listed.contains(entry)));
    Model(listed.iter().map(line).collect())
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
