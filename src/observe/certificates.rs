//! What is counted of certificates that an authority issues.

use prometheus::{Error, IntCounterVec, IntGaugeVec, Registry};

use crate::metric::{Metric, kept};

pub(super) const ENDS: Metric = Metric {
    name: "tollgate_certificate_ends_seconds",
    labels: &["authority"],
    help: "When the certificate of `[acme]` ends, in seconds since 1970; 0 while there is none",
};
pub(super) const DUE: Metric = Metric {
    name: "tollgate_certificate_due_seconds",
    labels: &["authority"],
    help: "From when on it is to be ordered anew, in the same seconds",
};
pub(super) const ORDERS: Metric = Metric {
    name: "tollgate_certificate_orders_total",
    labels: &["outcome"],
    help: "Orders of certificates: `issued`, `refused` and `away` by the authority, or `ours`",
};

/// The counters of certificates. An authority is named by its host.
#[derive(Debug)]
pub struct Certificates {
    ends: IntGaugeVec,
    due: IntGaugeVec,
    orders: IntCounterVec,
}

impl Certificates {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            ends: kept(registry, IntGaugeVec::new(ENDS.opts(), ENDS.labels)?)?,
            due: kept(registry, IntGaugeVec::new(DUE.opts(), DUE.labels)?)?,
            orders: kept(registry, IntCounterVec::new(ORDERS.opts(), ORDERS.labels)?)?,
        })
    }

    /// When the certificate of an authority ends, in seconds since 1970, and from when on it is to
    /// be ordered anew.
    pub fn set(&self, authority: &str, ends: u64, due: u64) {
        for (gauge, seconds) in [(&self.ends, ends), (&self.due, due)] {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            gauge.with_label_values(&[authority]).set(seconds);
        }
    }

    /// Nothing is ordered of an authority any more.
    pub fn forget(&self, authority: &str) {
        for gauge in [&self.ends, &self.due] {
            // One that was never told of is forgotten already.
            let _ = gauge.remove_label_values(&[authority]);
        }
    }

    /// An order is over.
    pub fn ordered(&self, outcome: &str) {
        self.orders.with_label_values(&[outcome]).inc();
    }
}
