//! The worker's own counters, behind its `/metrics`. It knows nothing of the gateway's.

use std::time::Instant;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Registry, TextEncoder,
};

use super::admission::Load;
use super::problem::Problem;
use crate::metric::{Metric, kept};

const IMAGES: Metric = Metric {
    name: "tollgate_worker_images_total",
    labels: &["outcome"],
    help: "Images by what became of them: `done`, `gone` with their client, or why refused",
};
const STAGES: Metric = Metric {
    name: "tollgate_worker_stage_seconds",
    labels: &["stage"],
    help: "Seconds by stage: `receive`, `wait`, `decode`, `segment`, `refine`, `encode`",
};
const WAITING: Metric = Metric {
    name: "tollgate_worker_images_waiting",
    labels: &[],
    help: "Images that are received or wait for their turn",
};
const WORKING: Metric =
    Metric { name: "tollgate_worker_images_working", labels: &[], help: "Images at work" };
const MEMORY: Metric = Metric {
    name: "tollgate_worker_memory_bytes",
    labels: &[],
    help: "Memory that images at work may take, as predicted, and that files take until read",
};

/// Every metric of the worker's `/metrics`.
pub const METRICS: [Metric; 5] = [IMAGES, STAGES, WAITING, WORKING, MEMORY];

/// What an image goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its body arrives.
    Receive,
    /// Its header is read, and it waits for its turn.
    Wait,
    Decode,
    /// Its subject is found on a small copy.
    Segment,
    /// Each pixel gets its opacity and colour.
    Refine,
    Encode,
}

/// The counters of one worker.
pub(super) struct Metrics {
    registry: Registry,
    images: IntCounterVec,
    stages: HistogramVec,
    waiting: IntGauge,
    working: IntGauge,
    memory: IntGauge,
}

/// A stage that takes until this is dropped, whatever becomes of it.
pub(super) struct Taking<'a> {
    metrics: &'a Metrics,
    stage: Stage,
    begun: Instant,
}

/// An image that is counted once, whatever becomes of it.
pub(super) struct Counting<'a> {
    images: &'a IntCounterVec,
    outcome: &'static str,
}

impl Metrics {
    /// Counters at zero.
    ///
    /// # Errors
    /// None with the names above; prometheus' own.
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let stages = HistogramOpts::new(STAGES.name, STAGES.help).buckets(BUCKETS.to_vec());
        Ok(Self {
            images: kept(&registry, IntCounterVec::new(IMAGES.opts(), IMAGES.labels)?)?,
            stages: kept(&registry, HistogramVec::new(stages, STAGES.labels)?)?,
            waiting: kept(&registry, IntGauge::with_opts(WAITING.opts())?)?,
            working: kept(&registry, IntGauge::with_opts(WORKING.opts())?)?,
            memory: kept(&registry, IntGauge::with_opts(MEMORY.opts())?)?,
            registry,
        })
    }

    /// An image has come. It counts as gone with its client unless it is said otherwise.
    pub(super) fn count(&self) -> Counting<'_> {
        Counting { images: &self.images, outcome: "gone" }
    }

    /// Measures one stage, however it ends.
    pub(super) fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let _taking = self.begin(stage);
        work()
    }

    /// A stage begins.
    pub(super) fn begin(&self, stage: Stage) -> Taking<'_> {
        Taking { metrics: self, stage, begun: Instant::now() }
    }

    /// The page of `/metrics`, in the text format of Prometheus.
    ///
    /// # Errors
    /// None with the metrics above; prometheus' own.
    pub(super) fn page(&self, load: Load) -> Result<String, prometheus::Error> {
        self.waiting.set(number(load.waiting));
        self.working.set(number(load.working));
        self.memory.set(number(load.memory_bytes));
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl Counting<'_> {
    /// What became of it.
    pub(super) fn ended<T>(&mut self, answer: &Result<T, Problem>) {
        self.outcome = answer.as_ref().map_or_else(Problem::label, |_| "done");
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        let stage: Histogram = self.metrics.stages.with_label_values(&[self.stage.name()]);
        stage.observe(self.begun.elapsed().as_secs_f64());
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        self.images.with_label_values(&[self.outcome]).inc();
    }
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Wait => "wait",
            Self::Decode => "decode",
            Self::Segment => "segment",
            Self::Refine => "refine",
            Self::Encode => "encode",
        }
    }
}

fn number(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_counted_once_whatever_becomes_of_it() {
        let metrics = Metrics::new().unwrap();
        drop(metrics.count());
        metrics.count().ended(&Ok(()));
        metrics.count().ended(&Err::<(), _>(Problem::Busy));
        let load = Load { waiting: 3, working: 2, memory_bytes: 5 };
        let page = metrics.page(load).unwrap();
        for line in [
            "tollgate_worker_images_total{outcome=\"gone\"} 1",
            "tollgate_worker_images_total{outcome=\"done\"} 1",
            "tollgate_worker_images_total{outcome=\"busy\"} 1",
            "tollgate_worker_images_waiting 3",
            "tollgate_worker_images_working 2",
            "tollgate_worker_memory_bytes 5",
        ] {
            assert!(page.lines().any(|told| told == line), "{line}\n{page}");
        }
    }
}
