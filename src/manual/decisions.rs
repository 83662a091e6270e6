//! What was decided, why, and what was left. Newest last.
//!
//! # A payment is reserved before the facilitator is asked
//!
//! The plan had verify before reserve. A payment sent fifty times at once would then cost fifty
//! questions at a facilitator; claimed first, it costs one. A claim is a row in the ledger, so
//! garbage costs us a row: only a payment with a good signature gets that far, and each address
//! gets thirty bad ones a minute.
//!
//! # A claim may be taken again after `released` and `refused`
//!
//! In both nothing has moved. The payer may top up its account and send the same authorization
//! again; the asset's contract takes each nonce once, whatever we believe.
//!
//! # Work that must outlive a request takes its first step in place
//!
//! `payment/outlive.rs` polls once on the request's task and moves the rest to the money runtime.
//! A settlement that never waits costs no hop; everything else survives the client.
//!
//! # The simulated chain keeps a file of its own
//!
//! It stands for another system. Its journal is what tests compare the ledger with after a crash,
//! so it must not be the ledger.
//!
//! # Listeners are bound by us
//!
//! pingora retries an address that is in use for 30 seconds. We bind, fail at once, learn the port
//! when it was 0, and hand the socket over through pingora's own table of inherited listeners.
//!
//! # pingora's `Server` is not used
//!
//! Its services are. `Server` parses its own configuration, handles signals its own way and always
//! sleeps its whole grace period; ours ends when nothing runs any more.
//!
//! # Path escapes must be upper-case and necessary
//!
//! One spelling of each path is forwarded, so the path that was matched is the path that any
//! upstream sees. Clients' URL libraries write upper-case escapes.
//!
//! # A WebSocket upgrade on a priced route is settled on its 101
//!
//! It is the answer that was paid for; passing it unsettled would serve it unpaid.
