//! What each metric is called, and what it says.

use super::traces::SPANS;
use super::{certificates, ledger};
use crate::metric::Metric;

pub(super) const EXCHANGES: Metric = Metric {
    name: "tollgate_exchanges_total",
    labels: &["route", "outcome"],
    help: "Finished exchanges by route and outcome",
};
pub(super) const SETTLED: Metric = Metric {
    name: "tollgate_settled_amount_total",
    labels: &["route", "network"],
    help: "Money settled, in atomic units of the asset",
};
pub(super) const LOST: Metric = Metric {
    name: "tollgate_lost_amount_total",
    labels: &["route", "network"],
    help: "Money of answers given before their payment, which did not settle, in atomic units",
};
pub(super) const UNREAD: Metric = Metric {
    name: "tollgate_usage_unread_total",
    labels: &["route", "reason"],
    help: "Whole answers, priced by usage, that do not say how much was used, by why",
};
pub(super) const STAGES: Metric = Metric {
    name: "tollgate_stage_seconds",
    labels: &["stage"],
    help: "Time in each stage of paid exchanges",
};
pub(super) const RUNNING: Metric = Metric {
    name: "tollgate_exchanges_running",
    labels: &[],
    help: "Exchanges that have begun and are not over",
};
pub(super) const FAULTS: Metric = Metric {
    name: "tollgate_faults_total",
    labels: &["side"],
    help: "What broke, by whose side it is on",
};
pub(super) const UNKNOWN: Metric = Metric {
    name: "tollgate_payments_unknown",
    labels: &[],
    help: "Payments whose outcome is not known",
};
pub(super) const LIMITER: Metric = Metric {
    name: "tollgate_limiter_keys",
    labels: &["table"],
    help: "Clients and payers that the limiter remembers",
};
pub(super) const SHARED: Metric = Metric {
    name: "tollgate_limits_shared",
    labels: &["store"],
    help: "1 while gateways count limits together in `redis`, 0 while each counts for itself",
};
pub(super) const UPSTREAM: Metric = Metric {
    name: "tollgate_upstream_up",
    labels: &["upstream"],
    help: "1 while an upstream has a backend that can be asked",
};
pub(super) const BACKENDS: Metric = Metric {
    name: "tollgate_upstream_backends",
    labels: &["upstream", "state"],
    help: "Backends of an upstream: up, resting (no connection of late), failed (by their check)",
};
pub(super) const CIRCUIT: Metric = Metric {
    name: "tollgate_facilitator_circuit",
    labels: &["facilitator", "question"],
    help: "0 while a facilitator is asked, 1 while one question tries it, 2 while it is not asked",
};
pub(super) const PURSE: Metric = Metric {
    name: "tollgate_signer_balance_gwei",
    labels: &["facilitator", "signer"],
    help: "What a signer has left for gas, in 10^9 wei; on Solana in lamports",
};
pub(super) const NODES: Metric = Metric {
    name: "tollgate_chain_nodes",
    labels: &["facilitator", "state"],
    help: "Nodes of a chain that answer (up) and that do not (down)",
};
pub(super) const RELOADS: Metric = Metric {
    name: "tollgate_reloads_total",
    labels: &["outcome"],
    help: "Reloads of the configuration: `done`, or `refused` for what was wrong with it",
};
pub(super) const STALE: Metric = Metric {
    name: "tollgate_configuration_stale",
    labels: &[],
    help: "1 while the last reload was refused, and what is served is not what the file says",
};
pub(super) const DROPPED: Metric = Metric {
    name: "tollgate_log_lines_dropped_total",
    labels: &[],
    help: "Log lines lost because they were not read fast enough, or not any more",
};
pub(super) const ANSWERS: Metric = Metric {
    name: "tollgate_answers_total",
    labels: &["outcome"],
    help: "Paid answers by what became of their copy: `whole` is kept",
};
pub(super) const ANSWERS_BYTES: Metric = Metric {
    name: "tollgate_answers_bytes",
    labels: &[],
    help: "Bytes of paid answers that are kept now",
};

/// Every metric of `/metrics`.
pub const METRICS: [Metric; 25] = [
    EXCHANGES,
    SETTLED,
    LOST,
    UNREAD,
    STAGES,
    RUNNING,
    FAULTS,
    UNKNOWN,
    ledger::LAG,
    LIMITER,
    SHARED,
    UPSTREAM,
    BACKENDS,
    CIRCUIT,
    PURSE,
    NODES,
    RELOADS,
    STALE,
    certificates::ENDS,
    certificates::DUE,
    certificates::ORDERS,
    DROPPED,
    SPANS,
    ANSWERS,
    ANSWERS_BYTES,
];
