//! The counters behind `/metrics`. Labels are bounded: names from the configuration, never paths.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Registry, TextEncoder,
};

use super::certificates::Certificates;
use super::ledger::Lagging;
pub use super::rows::METRICS;
use super::rows::{
    ANSWERS, ANSWERS_BYTES, BACKENDS, CIRCUIT, DROPPED, EXCHANGES, FAULTS, LIMITER, LOST, NODES,
    PURSE, RELOADS, RUNNING, SETTLED, SHARED, STAGES, STALE, UNKNOWN, UNREAD, UPSTREAM,
};
use super::traces::{Behind, Spans, Traces};
use super::{AccessLog, Observed, access::Written};
use crate::fault::Side;
use crate::ledger::Lag;
use crate::ledger::answers::Counted;
use crate::limit::shared::Counting;
use crate::metric::kept;
use crate::x402::AtomicAmount;

/// The counters, the access log and the traces of one process.
#[derive(Debug)]
pub struct Metrics {
    /// What an authority issues.
    pub certificates: Certificates,
    registry: Registry,
    log: AccessLog,
    traces: Option<Traces>,
    exchanges: IntCounterVec,
    settled: IntCounterVec,
    lost: IntCounterVec,
    unread: IntCounterVec,
    stages: [Histogram; 3],
    running: IntGauge,
    faults: IntCounterVec,
    unknown: IntGauge,
    limiter: IntGaugeVec,
    shared: IntGaugeVec,
    upstream: IntGaugeVec,
    backends: IntGaugeVec,
    circuit: IntGaugeVec,
    purse: IntGaugeVec,
    nodes: IntGaugeVec,
    reloads: IntCounterVec,
    stale: IntGauge,
    dropped: IntCounter,
    spans: Spans,
    answers: IntCounterVec,
    answers_bytes: IntGauge,
}

impl Metrics {
    /// Counters at zero, and how far a ledger is behind.
    ///
    /// # Errors
    /// None with the names above; prometheus' own.
    pub fn new(
        log: AccessLog,
        traces: Option<Traces>,
        lag: Lag,
    ) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        kept(&registry, Lagging::new(lag)?)?;
        let stages = kept(&registry, HistogramVec::new(buckets(), STAGES.labels)?)?;
        Ok(Self {
            certificates: Certificates::new(&registry)?,
            exchanges: kept(&registry, IntCounterVec::new(EXCHANGES.opts(), EXCHANGES.labels)?)?,
            settled: kept(&registry, IntCounterVec::new(SETTLED.opts(), SETTLED.labels)?)?,
            lost: kept(&registry, IntCounterVec::new(LOST.opts(), LOST.labels)?)?,
            unread: kept(&registry, IntCounterVec::new(UNREAD.opts(), UNREAD.labels)?)?,
            stages: STAGE_NAMES.map(|stage| stages.with_label_values(&[stage])),
            running: kept(&registry, IntGauge::with_opts(RUNNING.opts())?)?,
            faults: kept(&registry, IntCounterVec::new(FAULTS.opts(), FAULTS.labels)?)?,
            unknown: kept(&registry, IntGauge::with_opts(UNKNOWN.opts())?)?,
            limiter: kept(&registry, IntGaugeVec::new(LIMITER.opts(), LIMITER.labels)?)?,
            shared: kept(&registry, IntGaugeVec::new(SHARED.opts(), SHARED.labels)?)?,
            upstream: kept(&registry, IntGaugeVec::new(UPSTREAM.opts(), UPSTREAM.labels)?)?,
            backends: kept(&registry, IntGaugeVec::new(BACKENDS.opts(), BACKENDS.labels)?)?,
            circuit: kept(&registry, IntGaugeVec::new(CIRCUIT.opts(), CIRCUIT.labels)?)?,
            purse: kept(&registry, IntGaugeVec::new(PURSE.opts(), PURSE.labels)?)?,
            nodes: kept(&registry, IntGaugeVec::new(NODES.opts(), NODES.labels)?)?,
            reloads: kept(&registry, IntCounterVec::new(RELOADS.opts(), RELOADS.labels)?)?,
            stale: kept(&registry, IntGauge::with_opts(STALE.opts())?)?,
            dropped: kept(&registry, IntCounter::with_opts(DROPPED.opts())?)?,
            spans: Spans::new(&registry, traces.is_some())?,
            answers: kept(&registry, IntCounterVec::new(ANSWERS.opts(), ANSWERS.labels)?)?,
            answers_bytes: kept(&registry, IntGauge::with_opts(ANSWERS_BYTES.opts())?)?,
            registry,
            log,
            traces,
        })
    }

    /// An exchange has begun. Each is followed by one [`Metrics::ended`].
    pub fn began(&self) {
        self.running.inc();
    }

    /// An exchange is over.
    pub fn ended(&self, observed: &Observed<'_>) {
        let route = observed.route.unwrap_or("none");
        self.exchanges.with_label_values(&[route, observed.outcome]).inc();
        if let Some(payment) = observed.payment.as_ref().filter(|payment| payment.moved) {
            self.settled(route, payment.network, AtomicAmount::new(payment.amount));
        }
        if observed.payment.is_some() {
            let stages = observed.stages;
            let lengths = [stages.verify, stages.upstream, stages.settle];
            for (stage, length) in self.stages.iter().zip(lengths) {
                if let Some(length) = length {
                    stage.observe(length.as_secs_f64());
                }
            }
        }
        if self.log.write(observed) == Written::Dropped {
            self.dropped.inc();
        }
        if let Some((traces, trace)) = self.traces.as_ref().zip(observed.trace) {
            self.spans.dropped(traces.ended(trace, observed));
        }
        // Last: who waits for the end of all exchanges finds their lines queued.
        self.running.dec();
    }

    /// Waits until the lines of all exchanges that are over are written, at most for `patience`.
    /// How many are not.
    pub fn finish(&self, patience: Duration) -> u64 {
        self.log.finish(patience)
    }

    /// What begins traces, where there are any.
    pub fn traces(&self) -> Option<&Traces> {
        self.traces.as_ref()
    }

    /// What counts their spans.
    pub fn spans(&self) -> Spans {
        self.spans.clone()
    }

    /// Nothing more comes for the traces: what is left is sent at once.
    pub fn close_traces(&self) {
        self.traces.iter().for_each(Traces::close);
    }

    /// A settlement behind its answer has ended: with this transaction, or for this reason.
    pub fn settled_behind(&self, behind: Option<&Behind>, outcome: Result<&str, &'static str>) {
        if let Some((traces, behind)) = self.traces.as_ref().zip(behind) {
            self.spans.dropped(traces.settled(behind, outcome));
        }
    }

    /// Money has moved.
    pub fn settled(&self, route: &str, network: &str, amount: AtomicAmount) {
        self.settled.with_label_values(&[route, network]).inc_by(counted(amount));
    }

    /// An answer was given for money that did not move.
    pub fn lost(&self, route: &str, network: &str, amount: AtomicAmount) {
        self.lost.with_label_values(&[route, network]).inc_by(counted(amount));
    }

    /// A whole answer did not say how much was used.
    pub fn unread(&self, route: &str, reason: &str) {
        self.unread.with_label_values(&[route, reason]).inc();
    }

    /// Something broke.
    pub fn fault(&self, side: Side) {
        self.faults.with_label_values(&[side.name()]).inc();
    }

    /// How many exchanges run now.
    pub fn running(&self) -> i64 {
        self.running.get()
    }

    /// So many payments are unknown now.
    pub fn set_unknown(&self, payments: i64) {
        self.unknown.set(payments);
    }

    /// So many keys are in a table of the limiter.
    pub fn set_limiter_keys(&self, table: &str, keys: i64) {
        self.limiter.with_label_values(&[table]).set(keys);
    }

    /// Who counts the limits.
    pub fn set_limits(&self, counting: Counting) {
        let together = counting == Counting::Together;
        self.shared.with_label_values(&["redis"]).set(i64::from(together));
    }

    /// So many answers were kept, or were not, since the start, and so much is kept now.
    pub fn set_answers(&self, counted: &Counted) {
        for (outcome, answers) in &counted.outcomes {
            let counter = self.answers.with_label_values(&[*outcome]);
            counter.inc_by(answers.saturating_sub(counter.get()));
        }
        self.answers_bytes.set(i64::try_from(counted.bytes).unwrap_or(i64::MAX));
    }

    /// The configuration was read again, and taken over or not.
    pub fn reloaded(&self, done: bool) {
        self.reloads.with_label_values(&[if done { "done" } else { "refused" }]).inc();
        self.stale.set(i64::from(!done));
    }

    /// Whether an upstream can be reached.
    pub fn set_upstream_up(&self, upstream: &str, up: bool) {
        self.upstream.with_label_values(&[upstream]).set(i64::from(up));
    }

    /// So many backends of an upstream are up, resting and failed.
    pub fn set_backends(&self, upstream: &str, counts: [usize; BACKEND_STATES.len()]) {
        for (state, count) in BACKEND_STATES.into_iter().zip(counts) {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.backends.with_label_values(&[upstream, state]).set(count);
        }
    }

    /// An upstream is not there any more, and so neither up nor down.
    pub fn forget_upstream(&self, upstream: &str) {
        // One that was never told of is forgotten already.
        let _ = self.upstream.remove_label_values(&[upstream]);
        for state in BACKEND_STATES {
            let _ = self.backends.remove_label_values(&[upstream, state]);
        }
    }

    /// A table of the limiter is not there any more.
    pub fn forget_limiter(&self, table: &str) {
        let _ = self.limiter.remove_label_values(&[table]);
    }

    /// How a facilitator's circuit stands, the worse the higher.
    pub fn set_circuit(&self, facilitator: &str, question: &str, level: i64) {
        self.circuit.with_label_values(&[facilitator, question]).set(level);
    }

    /// A facilitator is not of the configuration any more.
    pub fn forget_circuit(&self, facilitator: &str, question: &str) {
        // One that was never told of is forgotten already.
        let _ = self.circuit.remove_label_values(&[facilitator, question]);
    }

    /// What a signer has left for gas.
    pub fn set_purse(&self, facilitator: &str, signer: &str, gwei: u64) {
        let gwei = i64::try_from(gwei).unwrap_or(i64::MAX);
        self.purse.with_label_values(&[facilitator, signer]).set(gwei);
    }

    /// A signer is not of the configuration any more.
    pub fn forget_purse(&self, facilitator: &str, signer: &str) {
        // One that was never told of is forgotten already.
        let _ = self.purse.remove_label_values(&[facilitator, signer]);
    }

    /// A chain is not of the configuration any more.
    pub fn forget_nodes(&self, facilitator: &str) {
        for state in ["up", "down"] {
            let _ = self.nodes.remove_label_values(&[facilitator, state]);
        }
    }

    /// How many nodes of a chain there are, and how many of them answer.
    pub fn set_nodes(&self, facilitator: &str, nodes: usize, up: usize) {
        for (state, count) in [("up", up), ("down", nodes.saturating_sub(up))] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.nodes.with_label_values(&[facilitator, state]).set(count);
        }
    }

    /// The page of `/metrics`, in the text format of Prometheus.
    ///
    /// # Errors
    /// None with the metrics above; prometheus' own.
    pub fn page(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Labels of [`STAGES`], in the order of an exchange.
const STAGE_NAMES: [&str; 3] = ["verify", "upstream", "settle"];

/// Labels of [`BACKENDS`].
const BACKEND_STATES: [&str; 3] = ["up", "resting", "failed"];

fn counted(amount: AtomicAmount) -> u64 {
    u64::try_from(amount.units()).unwrap_or(u64::MAX)
}

fn buckets() -> HistogramOpts {
    HistogramOpts::new(STAGES.name, STAGES.help)
        .buckets(vec![0.000_1, 0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}
