//! What is measured of the ledger whenever the metrics are read.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, Gauge};

use crate::clock;
use crate::ledger::Lag;
use crate::metric::Metric;

pub(super) const LAG: Metric = Metric {
    name: "tollgate_ledger_lag_seconds",
    labels: &[],
    help: "Age of the oldest step that waits to be written to the ledger; 0 while none does",
};

/// A gauge of how far the ledger is behind. It is set when it is read: a commit that hangs changes
/// nothing by itself.
#[derive(Clone, Debug)]
pub(super) struct Lagging {
    gauge: Gauge,
    lag: Lag,
}

impl Lagging {
    pub(super) fn new(lag: Lag) -> Result<Self, Error> {
        Ok(Self { gauge: Gauge::with_opts(LAG.opts())?, lag })
    }
}

impl Collector for Lagging {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gauge.set(self.lag.at(clock::steady()).as_secs_f64());
        self.gauge.collect()
    }
}
