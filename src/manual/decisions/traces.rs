//! Traces.
//!
//! # OTLP's messages are a crate's, and their way to the collector is ours
//! `opentelemetry-proto` is what goes over the wire. The SDK's batches and the exporter of
//! `opentelemetry-otlp` were left: what they drop is counted nowhere that can be read, they wait on
//! a thread of their own, and they read `OTEL_…` of the environment behind `gateway.toml`. What is
//! ours is a bounded queue, a task that posts batches by the one HTTP client, and the reading of
//! `traceparent`: the SDK's takes ids of any length and versions such as `+0`.
//! Their code adds half a minute to a build from nothing.
//!
//! # An exchange's spans are made once it is over
//! A step notes when it began and ended, in a box that only exchanges in a trace have; spans, their
//! names and attributes are made at the end, of those that are kept. Without `[traces]` a request
//! asks once whether there are any. `tracing`'s spans would have cost all requests, and its layer
//! for OpenTelemetry a lock.
//!
//! # A caller's flag is not believed
//! `traceparent` is anyone's to send, and most proxies hand it on as it came. If its `sampled` flag
//! decided, a client could have every exchange of its own exported, or none. So our own dice
//! decide, not the id either, which is the client's as well; `trusted_parents` names whose flag is
//! believed. It is not `trusted_proxies`: a proxy that writes `X-Forwarded-For` is not yet one
//! that writes `traceparent`. A caller's trace id goes on in any case: it costs nothing, and a
//! client that traces finds us in its trace.
//!
//! # Who asked and who paid is not in a span
//! Spans go to a system of somebody else's, and payers are people. The log has address and payer
//! beside the same `trace_id` and exchange. Paths are there as in the log, queries are not, and no
//! name of a span is made of a path: they have to be few.
//!
//! # An amount is text
//! A number of theirs ends at 9.2 units of an asset with 18 decimals.
//!
//! # The upstream's span ends with its header
//! As `Server-Timing` has it. What follows is settlement, and the client's pace.
//!
//! # Hosted facilitators are told of the trace, and nodes are not
//! `/verify` and `/settle` carry a `traceparent` whose parent is that step's span: whoever runs the
//! facilitator finds the question in the same trace. It goes with the order, so that a settlement
//! behind its answer carries it too. `tracestate` stays here: it is what other vendors say of the
//! client, and a facilitator is somebody else's. A node of ours is told nothing: a transaction may
//! settle a batch of payments, and what is read of a chain is read for all of them; there is no one
//! parent, and `settle` says how long they took.
