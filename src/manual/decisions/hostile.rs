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
//! # `5, 5` and `gzip, chunked` are refused, and a `Connection` that names what a body is
//!
//! All are allowed. pingora takes the first for 5 and hands it on as it is, hands the second on as
//! `chunked` alone, and takes off what `Connection` names after we have judged it: a type that was
//! screened would be another for the upstream, or none. Prices that go by a header refuse to be
//! without it by themselves; any other header may be named, and is the client's own loss.
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
//! # A body that ends with an empty piece ends without it
//!
//! Clients of HTTP/2 end a stream so. pingora 0.9.1 writes each piece of the end as a chunk, and a
//! chunk without bytes is the end: the upstream would read a second one as the beginning of the
//! next request on that connection, and its answer would go to whoever asks next.
//!
//! # Random tests are loops with a seed, and no libFuzzer
//!
//! cargo-fuzz needs a nightly compiler and builds all that we use once more with a sanitizer, an
//! hour on two cores; there is no unsafe code of ours that it would watch. Changed copies of the
//! vectors, from one printed seed, run with every test, and a hundred times as many by
//! `tests/run fuzz`.
//!
//! # A selftest replaces the world, and nothing else
//!
//! `tollgate selftest` proves an operator's own file, so routes, prices, limits and bounds stay as
//! they are; facilitators, upstreams, ledger, listeners and whoever passes free are replaced. The
//! gateway runs in the same process, not as another one: a simulated chain that stands in for a
//! mainnet must not be had from a configuration, and so there is no file that says it. It comes
//! from addresses of 127.0.0.0/8 that it has not used, each with buckets of its own, which is why
//! it wants Linux. What a document of OpenAPI gives as example is what it sends; where nothing is
//! known that a route takes, or no wallet of ours signs on a network, it says so.
//!
//! # Open files are shared out before they run out
//!
//! A client is a file, and so is the connection that is made for it. Without a bound of its own a
//! crowd takes all there are, and then no probe is answered, no facilitator asked and no payment
//! written. So the limit is raised as far as the system grants it (containers begin with 1,024),
//! and where that is less than `connections_max` needs, fewer clients are let in: a quarter of the
//! files, at most 256, is for all else. A client of HTTP/2 may lead to more than one upstream
//! connection; nothing is kept back for that.
