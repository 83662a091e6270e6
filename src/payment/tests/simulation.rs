//! Payments, ledger and a chain under chance: lost and late answers, clients that leave, crashes.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::wallet::{FACILITATORS, NOW, presented};
use crate::clock::Clock;
use crate::digest::Digesting;
use crate::facilitator::Facilitator;
use crate::facilitator::scripted::{Dice, Scripted, Tracing};
use crate::ledger::answers::{Answers, Bounds};
use crate::ledger::tests::{open_after_a_crash, postgres, seeds};
use crate::ledger::{ExchangeId, LedgerUrl, State};
use crate::payment::recover::Recovery;
use crate::payment::{ContractWallets, Given, Payments, Presented, Settled, Standing};
use crate::refusal::Refusal;
use crate::x402::PaymentIdentity;

#[test]
fn in_memory_the_promises_are_kept() {
    let payments = presented(PAYMENTS);
    let (seeds, mut given) = (seeds(150), 0);
    for seed in &seeds {
        let runtime = runtime();
        let mut world = World::new(&runtime, *seed, LedgerUrl::Memory, &payments);
        (0..40).for_each(|_| world.step(&runtime));
        world.end(&runtime);
        given += world.given;
    }
    assert!(given > 0 || seeds.len() == 1, "nobody who came back was given an answer");
}

#[test]
fn in_sqlite_the_promises_are_kept_through_crashes() {
    let payments = presented(PAYMENTS);
    for seed in seeds(50) {
        let folder = tempfile::tempdir().unwrap();
        let url = LedgerUrl::Sqlite(folder.path().join("ledger.db"));
        let mut runtime = runtime();
        let mut world = World::new(&runtime, seed, url, &payments);
        for _ in 0..3 {
            (0..world.dice.below(8)).for_each(|_| world.step(&runtime));
            runtime = world.crash(runtime);
        }
        world.end(&runtime);
    }
}

#[test]
fn in_postgres_the_promises_are_kept_through_crashes() {
    let payments = presented(PAYMENTS);
    for seed in seeds(5) {
        let mut runtime = runtime();
        let url = runtime.block_on(postgres::database()).parse().unwrap();
        let mut world = World::new(&runtime, seed, url, &payments);
        for _ in 0..2 {
            (0..world.dice.below(8)).for_each(|_| world.step(&runtime));
            runtime = world.crash(runtime);
        }
        world.end(&runtime);
    }
}

/// A gateway, its clients and a chain, on their way from one seed.
struct World {
    chain: Arc<Scripted>,
    payments: Payments,
    url: LedgerUrl,
    clock: Clock,
    hand: Arc<AtomicI64>,
    presented: Vec<Presented>,
    /// How often each payment has bought an answer.
    bought: HashMap<PaymentIdentity, u32>,
    /// Answers that were given again.
    given: u32,
    exchange: u128,
    dice: Dice,
}

/// A request on its way, and how many turns its client waits.
struct Visitor {
    visit: Pin<Box<dyn Future<Output = Answer>>>,
    patience: u64,
}

/// What a client was told.
struct Answer {
    identity: PaymentIdentity,
    /// Whether its money had moved when it came.
    paid_before: bool,
    request: &'static str,
    result: Result<Served, Refusal>,
}

/// What the upstream does.
#[derive(Clone, Copy, Debug)]
enum Upstream {
    Answers { turns: u64 },
    Fails,
}

impl Upstream {
    async fn asked(self) -> Result<(), Refusal> {
        match self {
            Self::Fails => Err(Refusal::UpstreamUnavailable),
            Self::Answers { turns } => {
                for _ in 0..turns {
                    yield_now().await;
                }
                Ok(())
            }
        }
    }
}

impl World {
    fn new(runtime: &Runtime, seed: u64, url: LedgerUrl, presented: &[Presented]) -> Self {
        eprintln!("SEED={seed}");
        let chain = Arc::new(Scripted::new(seed ^ 1));
        let (clock, hand) = Clock::set_to(NOW);
        let payments = open(runtime, &url, &chain, &clock);
        Self {
            chain,
            payments,
            url,
            clock,
            hand,
            presented: presented.to_vec(),
            bought: HashMap::new(),
            given: 0,
            exchange: 0,
            dice: Dice(seed),
        }
    }

    /// Lets one thing happen, and looks whether a promise was broken.
    fn step(&mut self, runtime: &Runtime) {
        match self.dice.below(10) {
            0..=5 => {
                let visitors = self.visitors();
                runtime.block_on(self.serve(visitors, u64::MAX));
            }
            6 => {
                let millis = i64::try_from(self.dice.below(60_000)).unwrap();
                self.hand.fetch_add(millis, Ordering::Relaxed);
            }
            7 => self.chain.decide(),
            _ => {
                runtime.block_on(self.payments.recover(&mut Recovery::default())).unwrap();
            }
        }
        assert_eq!(self.chain.broken(), Vec::<String>::new());
    }

    /// A few clients at once, each with one of few payments.
    fn visitors(&mut self) -> Vec<Visitor> {
        (0..=self.dice.below(4)).map(|_| self.visitor()).collect()
    }

    fn visitor(&mut self) -> Visitor {
        let number = usize::try_from(self.dice.below(PAYMENTS)).unwrap();
        let presented = self.presented[number].clone();
        self.exchange += 1;
        let exchange = ExchangeId::new(self.exchange);
        let upstream = match self.dice.below(8) {
            0 => Upstream::Fails,
            turns => Upstream::Answers { turns },
        };
        let request = REQUESTS[usize::from(self.dice.below(4) == 0)];
        let patience = match self.dice.below(3) {
            0 => 1 + self.dice.below(20),
            _ => u64::MAX,
        };
        let (payments, chain) = (self.payments.clone(), Arc::clone(&self.chain));
        let visit = Box::pin(async move {
            let identity = presented.identity();
            let paid_before = chain.moved(&identity).is_some();
            let asked = (exchange, request);
            let result = visit(&payments, presented, asked, upstream.asked()).await;
            Answer { identity, paid_before, request, result }
        });
        Visitor { visit, patience }
    }

    /// Serves them in turns until all are gone, or for this many turns; gives back who is left.
    async fn serve(&mut self, mut visitors: Vec<Visitor>, turns: u64) -> Vec<Visitor> {
        let mut turn = 0;
        while turn < turns && !visitors.is_empty() {
            let mut answers = Vec::new();
            poll_fn(|context| {
                visitors.retain_mut(|visitor| visitor.stays(context, &mut answers));
                Poll::Ready(())
            })
            .await;
            answers.into_iter().for_each(|answer| self.judge(answer));
            yield_now().await;
            turn += 1;
        }
        visitors
    }

    /// Promises about what a client is told.
    fn judge(&mut self, answer: Answer) {
        let Answer { identity, paid_before, request, result } = answer;
        match result {
            Ok(Served::Again(given)) => {
                let moved = self.chain.moved(&identity).expect("an answer was given for nothing");
                assert_eq!(*given.answer.body, *body(request, &moved).as_bytes(), "{identity}");
                self.given += 1;
            }
            Ok(Served::Now(settled)) => {
                let moved = self.chain.moved(&identity);
                assert_eq!(Some(settled.transaction()), moved.as_deref(), "{identity}");
                let bought = self.bought.entry(identity.clone()).or_default();
                *bought += 1;
                assert_eq!(*bought, 1, "{identity} has bought two answers");
            }
            Err(refusal) => {
                let asked = refusal.row().status == 402;
                assert!(!(asked && paid_before), "{identity} is asked to pay again: {refusal:?}");
            }
        }
    }

    /// The process dies in the middle of some visits; another one opens its file.
    fn crash(&mut self, runtime: Runtime) -> Runtime {
        let (visitors, turns) = (self.visitors(), self.dice.below(40));
        let visitors = runtime.block_on(self.serve(visitors, turns));
        // A dropped future of a living process would release its claim: these die with it.
        std::mem::forget(visitors);
        runtime.shutdown_background();
        self.chain.crash();
        let runtime = self::runtime();
        if let LedgerUrl::Postgres(_) = &self.url {
            let url = self.url.to_string();
            runtime.block_on(async {
                postgres::is_left(&url).await;
                postgres::leases_are_over(&url).await;
            });
        }
        self.payments = open(&runtime, &self.url, &self.chain, &self.clock);
        runtime.block_on(self.payments.recover(&mut Recovery::default())).unwrap();
        let left = runtime.block_on(self.payments.ledger().unfinished(None, 100)).unwrap();
        assert!(left.iter().all(|left| left.entry.state == State::Unknown), "{left:?}");
        runtime
    }

    /// Everybody leaves and the chain tells what it knows: the ledger agrees with it.
    fn end(&mut self, runtime: &Runtime) {
        runtime.block_on(async {
            timeout(QUIET_WAIT_MAX, self.quiet()).await.expect("a payment stays held or settling");
            self.chain.decide();
            self.chain.set_tracing(Tracing::Always);
            self.payments.recover(&mut Recovery::default()).await.unwrap();
            for presented in &self.presented {
                let identity = presented.identity();
                let entry = self.payments.ledger().get(&identity).await.unwrap();
                let state = entry.as_ref().map(|entry| entry.state);
                let moved = self.chain.moved(&identity);
                match (state, &moved) {
                    (Some(State::Settled), Some(_)) => {
                        assert_eq!(entry.and_then(|entry| entry.transaction), moved);
                    }
                    (None | Some(State::Released | State::Refused), None) => {}
                    _ => panic!("{identity} is {state:?} and on the chain {moved:?}"),
                }
            }
        });
        assert_eq!(self.chain.broken(), Vec::<String>::new());
        let left = runtime.block_on(self.payments.ledger().unfinished(None, 100)).unwrap();
        assert_eq!(left, []);
    }

    /// Until nothing is held or settling.
    async fn quiet(&self) {
        loop {
            let left = self.payments.ledger().unfinished(None, 100).await.unwrap();
            let busy = left.iter().any(|left| left.entry.state != State::Unknown);
            if !busy && self.payments.under_way() == 0 {
                return;
            }
            yield_now().await;
        }
    }
}

impl Visitor {
    /// One turn; false when the visitor has been answered or has lost patience.
    fn stays(&mut self, context: &mut Context<'_>, answers: &mut Vec<Answer>) -> bool {
        match self.visit.as_mut().poll(context) {
            Poll::Ready(answer) => {
                answers.push(answer);
                false
            }
            Poll::Pending => {
                self.patience -= 1;
                self.patience > 0
            }
        }
    }
}

/// What a request was answered with.
#[derive(Debug)]
pub(super) enum Served {
    /// A new answer, for money that has just moved.
    Now(Box<Settled>),
    /// The answer of before, word for word, and what the payer is told of its payment.
    Again(Given),
}

/// One request, as the proxy serves it.
pub(super) async fn visit(
    payments: &Payments,
    presented: Presented,
    (exchange, request): (ExchangeId, &str),
    upstream: impl Future<Output = Result<(), Refusal>>,
) -> Result<Served, Refusal> {
    let clock = payments.clock();
    let asked = Digesting::of(&[request.as_bytes()]).end();
    let proven = presented.prove(clock.now(), ANSWER_TIMEOUT, ContractWallets::Refused)?;
    let reserved = match payments.reserve(proven, exchange, "paid", clock.now()).await {
        Ok(reserved) => reserved,
        Err(Standing::Taken(by)) => {
            let bought = payments.bought(&by, clock.now()).await.map_err(|no| no.refusal)?;
            let given = payments.give(bought, &by, &asked).await;
            return given.map(Served::Again).map_err(|no| no.refusal);
        }
        Err(standing) => return Err(standing.refusal()),
    };
    let verified = payments.verify(reserved).await.map_err(|error| error.refusal())?;
    upstream.await?;
    let mut copying = payments.copy(&verified, BODY_BYTES_MAX);
    let settled = payments.settle(verified).await.map_err(|unsettled| unsettled.refusal())?;
    copying.head(200, Vec::new(), None);
    copying.add(body(request, settled.transaction()).as_bytes());
    copying.end(asked);
    Ok(Served::Now(settled.into()))
}

/// What the upstream answers.
fn body(request: &str, transaction: &str) -> String {
    format!("{request} for {transaction}")
}

fn open(runtime: &Runtime, url: &LedgerUrl, chain: &Arc<Scripted>, clock: &Clock) -> Payments {
    let ledger = runtime.block_on(open_after_a_crash(url));
    let facilitator = Facilitator::Scripted(Arc::clone(chain));
    let both = FACILITATORS.map(|name| (name.into(), facilitator.clone()));
    let payments = Payments::new(ledger.clone(), HashMap::from(both), clock.clone());
    match url {
        LedgerUrl::Memory => {
            let answers = runtime.block_on(Answers::open(url, &ledger, ANSWERS, clock.clone()));
            payments.keeping(answers.unwrap())
        }
        LedgerUrl::Sqlite(_) | LedgerUrl::Postgres(_) => payments,
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Few, so that they meet.
const PAYMENTS: u64 = 5;

/// What is asked for a payment: mostly the same.
const REQUESTS: [&str; 2] = ["one thing", "another thing"];

const BODY_BYTES_MAX: usize = 1_000;

const ANSWERS: Bounds =
    Bounds { total_bytes_max: 1 << 20, memory_bytes_max: 1 << 20, age: Duration::from_secs(600) };

const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// The machine may be busy.
const QUIET_WAIT_MAX: Duration = Duration::from_secs(20);
