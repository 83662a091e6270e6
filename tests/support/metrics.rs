//! Every metric of ours by its README table: the gateway's and the worker's.

use tollgate::observe;

/// Name, labels and what it counts.
pub type Row = (&'static str, &'static [&'static str], &'static str);

/// Those of the gateway.
pub fn gateway() -> Vec<Row> {
    observe::METRICS.iter().map(|metric| (metric.name, metric.labels, metric.help)).collect()
}

/// Those of the worker.
#[cfg(feature = "worker")]
pub fn worker() -> Vec<Row> {
    let metrics = tollgate::worker::METRICS;
    metrics.iter().map(|metric| (metric.name, metric.labels, metric.help)).collect()
}
