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
//! Where the gateway settles by itself, or the network has `rpc`, the chain is looked at every few
//! seconds: the named transaction, the authorization's state, the event of its use. A payment whose
//! window has closed unused in a block that stays is released.
//!
//! # Our own signers
//!
//! `/readyz` says `all signers are low on gas` when every signer has less than `gas.low`; one alone
//! shows in `tollgate_signer_balance_gwei` and is used last. Send it coins: nothing else helps.
//! `gas is too dear` in the log: the chain asks for more than `gas.fee_max`, and payments get 503
//! until it is cheaper or the cap is raised. `a transaction was replaced`: it was in no block for
//! `replace_after`, and was sent again for an eighth more. `another program uses the signer's key`:
//! give each gateway a signer of its own; two programs with one key take each other's nonces.
//! `tollgate_chain_nodes{state="down"}`: nodes that do not answer, are ten blocks behind, or are on
//! another chain; the others are asked instead.
//!
//! # Faults by side
//!
//! `tollgate_faults_total{side}`: `upstream`, the API behind; `facilitator`, who settles; `chain`,
//! a node; `ledger`, the disk; `ours`, a bug. The log line of the exchange carries the chain of
//! causes in `fault`.
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
