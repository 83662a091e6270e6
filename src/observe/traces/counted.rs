//! How many spans the collector has taken, and how many it has not.

use prometheus::{IntCounterVec, Registry};

use crate::metric::{Metric, kept};

/// The row of the metric.
pub const SPANS: Metric = Metric {
    name: "tollgate_spans_total",
    labels: &["outcome"],
    help: "Spans of traces: `exported`, or `dropped` because the collector did not take them",
};

/// The counter of spans.
#[derive(Clone, Debug)]
pub struct Spans(IntCounterVec);

impl Spans {
    /// Shown at zero where there are traces: who watches it grow has seen where it began.
    ///
    /// # Errors
    /// None with the name above; prometheus' own.
    pub(in crate::observe) fn new(
        registry: &Registry,
        traced: bool,
    ) -> Result<Self, prometheus::Error> {
        let spans = kept(registry, IntCounterVec::new(SPANS.opts(), SPANS.labels)?)?;
        for outcome in [EXPORTED, DROPPED].into_iter().filter(|_| traced) {
            spans.with_label_values(&[outcome]);
        }
        Ok(Self(spans))
    }

    /// The collector has taken so many.
    pub(super) fn exported(&self, spans: u64) {
        self.0.with_label_values(&[EXPORTED]).inc_by(spans);
    }

    /// So many were not taken.
    pub(in crate::observe) fn dropped(&self, spans: u64) {
        if spans > 0 {
            self.0.with_label_values(&[DROPPED]).inc_by(spans);
        }
    }
}

const EXPORTED: &str = "exported";
const DROPPED: &str = "dropped";
