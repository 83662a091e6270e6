//! One paid request, step by step.
//!
//! ```text
//! listener ─ inspect ─ route ─ limit ─ present ─ screen ─ prove ─┐
//!            400/431   404/405 429     402/400   415/413  402     │
//! ┌───────────────────────────────────────────────────────────────┘
//! └ reserve ─ verify ─ upstream ─ settle ─ receipt ─ log
//!   409/503   402/503  502/504    402/503
//! ```
//!
//! | step | file | what it takes and gives |
//! |---|---|---|
//! | begin | `proxy/exchange.rs` | clock → `Exchange` |
//! | block | `access/block.rs` | an address that is not turned away: else 403 |
//! | inspect | `proxy/inspect.rs` | a request that can be read in one way only |
//! | match | `route/table.rs` | method, host, canonical path → route |
//! | free | `limit.rs` | no payment: one of those that are free at first, or the next step |
//! | present | `payment/present.rs` | headers and terms → `Presented`; none: 402, or 429 |
//! | screen | `route/body.rs` | declared type and length of the body, before any money |
//! | prove | `payment/prove.rs` | `Presented` → `Proven`: payee, amount, window, signature |
//! | class | `limit.rs` | the payer's bucket of the route's class |
//! | reserve | `payment/reserve.rs` | `Proven` → `Reserved`: claimed in the ledger, durable |
//! | identify | `payment/identify.rs` | a `Reserved` with a name → the one that has it |
//! | verify | `payment/verify.rs` | `Reserved` → `Verified`: a facilitator would settle it now |
//! | choose | `proxy/backends.rs` | a backend; another one where it cannot be connected to |
//! | upstream | `proxy/upstream.rs` | payment headers off, payer and exchange on |
//! | settle | `payment/settle.rs` | `Verified` → `Settled`, on the final 2xx head only |
//! | again | `payment/again.rs` | a settled payment that comes back → the answer it has bought |
//! | receipt | `payment/receipt.rs` | `Settled` → `PAYMENT-RESPONSE` |
//! | log | `observe.rs` | one line, the counters, the spans of its trace |
//!
//! A proxy that forwards by itself asks at `[check]` (`proxy/check.rs`): the original request takes
//! the place of the question, goes the same way as far as `verify`, is settled, and 200 is what
//! stands in the place of the upstream.
//!
//! # Where a payment goes when things break
//!
//! - The client leaves before the payment is verified: it is released.
//! - The client leaves an HTTP/1 exchange later: the exchange goes on, the payment is settled.
//! - The upstream fails, refuses or is too slow: the payment is released, the upstream's answer (or
//!   502, 503, 504) is passed on.
//! - The facilitator refuses to settle: the client gets 402, nothing moved. On a route with a
//!   `risk` the client may have its answer already: it is lost, and counted.
//! - A facilitator cannot be reached: the next of the network is asked, for `verify` always, for
//!   `settle` once the ledger names it. None can be: 503, nothing moved, the payment is released.
//! - The facilitator's answer is lost or cannot be believed: 503 `outcome_unknown`. The ledger
//!   keeps the payment; the same payment gets 503 until the outcome is known, never a new 402.
//! - The process dies: at the next start what was held is released; what was settling is looked up.
