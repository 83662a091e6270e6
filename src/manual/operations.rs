//! Running it: what to watch, and what each sign means.
//!
//! # Signals
//!
//! SIGTERM and SIGINT stop it: listeners close, `/readyz` says `stopping`, exchanges and
//! settlements that run are finished within `[server] grace`, the ledger is flushed, bundled
//! workers end.
//!
//! # Health
//!
//! `/livez` answers while the process runs. `/readyz` is 200 when every upstream has an address and
//! something can be sold: else 503 with one line for each reason. At the start it waits until each
//! route has a facilitator that says it settles what the route offers. Later a facilitator that is
//! away is a line behind `ready`, and 503 only when no route at all can be served without it: one
//! outage elsewhere must not take down what does not need it.
//!
//! # An open circuit
//!
//! `tollgate_facilitator_circuit{facilitator, question}` at 2: it failed five times in a row, or
//! sixteen of the last thirty-two times, to `verify` or to `settle`, and is not asked for now. At 1
//! its wait is over and the next payment tries it. The log has a line with `state` for each change,
//! and why under `it did not verify`. The wait is a second at first, doubled up to a minute;
//! `/supported` is asked before a payment is risked.
//!
//! While a network has another facilitator whose circuits are closed, nobody notices. With none,
//! payers get 503 `facilitator_unavailable` with a `Retry-After`; nothing is taken and nothing is
//! lost. Look at the facilitator's own status page, or at `tollgate check --online`. 401 or 403 in
//! the fault: its key has expired. 429: it wants fewer requests, so name a second one.
//!
//! # Payments whose outcome is unknown
//!
//! `tollgate_payments_unknown` above zero: a facilitator took a payment and did not say what became
//! of it. The payer gets 503 with the transaction, if one was named, and is never asked again for
//! the same payment, nor is another facilitator asked to settle it. A few after an outage are what
//! the circuit did not spare; a number that grows is a facilitator that takes orders and loses
//! them: put another one before it in `facilitator = [...]`.
//!
//! The simulated chain is looked up every few seconds. For a hosted facilitator look the payment up
//! by hand: `tollgate ledger list` names payer, nonce and transaction; the asset's
//! `authorizationState(payer, nonce)` on a block explorer says whether the money moved.
//!
//! # Faults by side
//!
//! `tollgate_faults_total{side}`: `upstream`, the API behind; `facilitator`, who settles; `ledger`,
//! the disk; `ours`, a bug. The log line of the exchange carries the chain of causes in `fault`.
//!
//! # Lost log lines
//!
//! `tollgate_log_lines_dropped_total` grows when standard output is not read fast enough. Requests
//! are never delayed for the log.
//!
//! # The ledger
//!
//! One SQLite file in WAL mode, fully synchronous. One gateway at a time may open it; a second one
//! is told so and ends. Back it up with SQLite's own backup or by stopping the gateway.
