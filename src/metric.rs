//! A metric: its row in the README's table, from which its counter is made.

use prometheus::core::Collector;
use prometheus::{Opts, Registry};

/// A row of one of the README's tables of metrics.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Name in `/metrics`.
    pub name: &'static str,
    /// Labels, in order.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub help: &'static str,
}

impl Metric {
    /// As its counter wants it.
    pub(crate) fn opts(self) -> Opts {
        Opts::new(self.name, self.help)
    }
}

/// The counter, which the page shows from now on.
///
/// # Errors
/// Its name or its labels are none, or another has them; prometheus' own.
pub(crate) fn kept<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
