//! Whether requests can be served well, as `/readyz` and the gauges tell it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::assemble::House;
use super::certified::Certified;
use crate::clock;
use crate::facilitator::Question;
use crate::limit::Shared;
use crate::limit::shared::Counting;
use crate::observe::Metrics;
use crate::payment::Payments;
use crate::proxy::Snapshot;
use crate::proxy::admin::Readiness;
use crate::proxy::backends::Counted;
use crate::route::Route;

/// What readiness depends on.
pub(super) struct Look {
    payments: Payments,
    metrics: Arc<Metrics>,
    now: Arc<ArcSwap<Snapshot>>,
    shared: Option<Arc<Shared>>,
    certified: Certified,
    start: Start,
    /// The upstreams that the gauges tell of.
    told: HashSet<Box<str>>,
}

/// How far the start has come.
enum Start {
    /// Routes of these names could be served once.
    Begun(HashSet<Box<str>>),
    /// Each could.
    Over,
}

impl Look {
    pub(super) fn at(house: &House) -> Self {
        Self {
            payments: house.payments.clone(),
            metrics: Arc::clone(&house.metrics),
            now: Arc::clone(&house.now),
            shared: house.shared.clone(),
            certified: house.certified.clone(),
            start: Start::Begun(HashSet::new()),
            told: HashSet::new(),
        }
    }

    pub(super) async fn keep_looking(
        mut self,
        readiness: watch::Sender<Readiness>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                _ = stopped.changed() => {
                    readiness.send_replace(Readiness::Not(vec!["stopping".to_owned()]));
                    return;
                }
            }
            readiness.send_replace(self.look());
        }
    }

    fn look(&mut self) -> Readiness {
        let now = self.now.load_full();
        let (mut reasons, mut troubles) = self.upstreams(&now);
        if let Err(fault) = self.payments.ledger().ready() {
            reasons.push(fault.to_string());
        }
        self.metrics.set_answers(&self.payments.answers().counted());
        let (away, of_facilitators) = self.facilitators();
        troubles.extend(of_facilitators);
        let shared = self.shared.as_ref();
        if shared.is_some_and(|shared| shared.counting() == Counting::Alone) {
            troubles.push("limits are counted by this gateway alone: Redis is away".to_owned());
        }
        // Else the balancer in front would send nobody, and so not the authority that looks whether
        // the names lead here.
        troubles.extend(self.certified.troubles());
        // A facilitator that is away must not take down what does not need it. So once everything
        // has been well, its trouble is only told, until nothing can be served any more.
        let routes = now.routes.routes();
        let mut served = routes.iter().filter(|route| is_served(route, &away)).peekable();
        let some_served = routes.is_empty() || served.peek().is_some();
        if let Start::Begun(once) = &mut self.start {
            once.extend(served.map(|route| route.name.clone()));
            if routes.iter().all(|route| once.contains(&route.name)) {
                self.start = Start::Over;
            }
        }
        if reasons.is_empty() && some_served && matches!(self.start, Start::Over) {
            return Readiness::Ready(troubles);
        }
        reasons.extend(troubles);
        Readiness::Not(reasons)
    }

    /// Why upstreams cannot be asked, and a line for each that is in some trouble.
    fn upstreams(&mut self, now: &Snapshot) -> (Vec<String>, Vec<String>) {
        // One that a reload took away would be down for ever, and an alert with it.
        self.told.retain(|name| {
            let stays = now.upstreams.contains_key(name);
            if !stays {
                self.metrics.forget_upstream(name);
            }
            stays
        });
        let (mut reasons, mut troubles) = (Vec::new(), Vec::new());
        for (name, target) in &now.upstreams {
            let counted = target.backends.counted(clock::steady());
            self.metrics.set_upstream_up(name, target.is_up());
            self.metrics.set_backends(name, [counted.up, counted.resting, counted.failed]);
            if !self.told.contains(name) {
                self.told.insert(name.clone());
            }
            let Counted { resting, failed, empty, .. } = counted;
            match counted.all() {
                0 => reasons.push(format!("upstream {name} has no address")),
                all if failed == all => {
                    reasons.push(format!("upstream {name}: the checks of all its backends fail"));
                }
                all => {
                    if empty > 0 {
                        troubles.push(format!("upstream {name}: {empty} of its urls lead nowhere"));
                    }
                    let of = [(resting, "cannot be connected to"), (failed, "failed their check")];
                    let some = of.into_iter().filter(|(count, _)| *count > 0);
                    troubles.extend(some.map(|(count, what)| {
                        format!("upstream {name}: {count} of {all} backends {what}")
                    }));
                }
            }
        }
        reasons.sort();
        troubles.sort();
        (reasons, troubles)
    }

    /// The names of those that cannot settle now, and a line for each trouble.
    fn facilitators(&self) -> (Vec<Arc<str>>, Vec<String>) {
        let (mut away, mut troubles) = (Vec::new(), Vec::new());
        for member in self.payments.pool().members() {
            let (name, now) = (member.name(), self.payments.clock().now());
            for question in Question::ALL {
                let level = member.health().circuit(question, now).level();
                self.metrics.set_circuit(name, question.name(), level);
            }
            let ready = member.facilitator().ready();
            if ready.is_err() || member.health().wait_of_everyone(Question::Verify, now).is_some() {
                away.push(Arc::clone(name));
            }
            troubles.extend(ready.err().map(|fault| format!("facilitator {name}: {fault}")));
            troubles.extend(member.open_circuits(now));
        }
        troubles.sort();
        (away, troubles)
    }
}

/// Whether a route can be paid, or need not be.
fn is_served(route: &Route, away: &[Arc<str>]) -> bool {
    let offers = route.charge.all().flat_map(|terms| &terms.offers);
    let mut names = offers.flat_map(|offer| offer.facilitators.iter());
    !route.charge.is_priced() || names.any(|name| !away.contains(name))
}

const LOOK_EVERY: Duration = Duration::from_millis(250);
