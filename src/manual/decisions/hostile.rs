//! Decisions on clients that mean harm, and why.
//!
//! # pingora bounds each pause, we bound their sum
//!
//! A head that comes a byte a minute, a body a byte in twenty seconds, an HTTP/2 connection that is
//! agreed on and says nothing: pingora waits for all of them, for as long as each single pause is
//! short, and for the last without any bound. So the connection itself (`proxy/opening.rs`), which
//! sees the bytes before pingora does, gives a head `client_timeout` in all and twice
//! `header_bytes_max`, and HTTP/2's first bytes the same time. Within the bytes a head is refused
//! in words; beyond them the connection ends: each piece that comes makes pingora read a head from
//! its start, so a long one in small pieces is dear as well as large. The size counts the
//! request's line, which pingora gives a megabyte.
//!
//! A body has a pace, 1 KiB a second once it has taken longer than one pause: far below any uplink,
//! and a bound for whoever would hold a payment and a place with a byte now and then. The whole
//! time of an upload is not bounded by the route's `timeout`, which is the upstream's. Once the
//! upstream has begun to answer, the pace is no concern any more: streams go both ways.
//!
//! # What can be read in two ways closes the connection
//!
//! Where a request ends is in doubt then, and so is where the next one begins.
//!
//! # `5, 5`, `gzip, chunked` and a `Connection` that names headers are refused
//!
//! All are allowed. pingora takes the first for 5 and hands it on as it is, hands the second on as
//! `chunked` alone, and takes off what `Connection` names after we have judged it: a price that
//! went by a header, or a type that was screened, would be another for the upstream. Options of a
//! connection, and headers that go no further in any case, may be named.
//!
//! # `Content_Length` goes no further than `X_Payment`
//!
//! Servers that read `_` as `-` would find two of what we judge or write: of them only ours is
//! forwarded.
//!
//! # A 101 that nobody asked for is no answer
//!
//! It would have been paid for, and pingora drops the connection behind it.
//!
//! # Random tests are loops with a seed, and no libFuzzer
//!
//! cargo-fuzz needs a nightly compiler and builds all that we use once more with a sanitizer, an
//! hour on two cores; there is no unsafe code of ours that it would watch. Changed copies of the
//! vectors, from one printed seed, run with every test, and a hundred times as many by
//! `tests/run fuzz`.
