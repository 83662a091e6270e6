//! Decisions on streams, on HTTP/2 to an upstream, and on gRPC.
//!
//! # Which HTTP an upstream speaks is said and not found out
//!
//! `http = "2"` or nothing. What is negotiated by TLS would be HTTP/2 at one deployment and not at
//! the next, and with it would go the WebSockets, which HTTP/2 does not carry here; without TLS
//! there is nothing to negotiate with. One word in the file says what works.
//!
//! # gRPC is settled on its head, as everything else is
//!
//! A call that fails before its first message is answered by one head with `grpc-status` in it:
//! nothing is charged, and the client sees that status. A call that fails behind a message has been
//! paid for by then, like a body that breaks off: the status comes behind what was sold. To hold a
//! message back until the trailers tell would end streaming, and servers that fail a call of one
//! message send no message. With `settle = "before-upstream"` a call that failed is still owed.
//!
//! An answer of gRPC is not kept for its return: what it came to stands in its trailers, and
//! no copy has those. Whoever sends the payment again hears 409.
//!
//! # Whoever calls by gRPC is refused by HTTP
//!
//! A 402 is a 402. gRPC's clients make `UNKNOWN` of it, with the status in its text, and show
//! neither its headers nor its body; so the terms are asked for by an ordinary `POST` of the same
//! path, or read in `/openapi.json`, and the payment goes into the metadata `payment-signature`.
//! A `grpc-status` in place of the status would hide the refusal from every log and proxy between.
//!
//! # Trailers pass from the upstream, not to it
//!
//! Those of an answer go from HTTP/2 to HTTP/2, without the names that only we may say. Those of a
//! request are dropped by pingora; no client of gRPC sends any. HTTP/1.1 gets none either way.
//!
//! # Without TLS a connection may begin in HTTP/2
//!
//! What ends TLS before us speaks it to us so. pingora's own look waits for 24 bytes, without an
//! end: a whole request of HTTP/1.0 may be shorter, and whoever sends nothing would keep a place
//! for ever. Ours stops at the first byte that no preface has there, and after `client_timeout`. An
//! idle connection of HTTP/2 is closed after `keepalive` now; pingora's default is never.
//!
//! # An upstream may send 256 KiB of one answer ahead
//!
//! pingora would take eight megabytes, of each answer. The window of a connection has room for all
//! of its 32 answers at once, so that a client who reads slowly stops nobody else's.
