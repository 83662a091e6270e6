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
//! every facilitator has lately said that it can settle what the routes offer; else 503 with one
//! line for each reason.
//!
//! # Payments whose outcome is unknown
//!
//! `tollgate_payments_unknown` above zero: a facilitator took a payment and did not say what became
//! of it. The payer gets 503 with the transaction, if one was named, and is never asked again for
//! the same payment. The simulated chain is looked up every few seconds. For a hosted facilitator
//! look the payment up by hand: `tollgate ledger list` names payer, nonce and transaction; the
//! asset's `authorizationState(payer, nonce)` on a block explorer says whether the money moved.
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
//!
//! # Kept answers
//!
//! `LEDGER.answers` holds answers that were paid for, for `[answers] age`, readable by the
//! gateway's user only. It may be deleted while the gateway is stopped: payers who come back then
//! hear 409 with their transaction in place of their answer, and debts of `settle = "before-upstream"` are
//! forgotten. `tollgate_answers_total{outcome}`: `whole` are kept; `too_long` beyond `max`;
//! `no_room` when `memory` was used up: raise it; `broken_off` by the upstream or an HTTP/2 client;
//! `part` answers with 206. The file does not shrink below what it once needed.
