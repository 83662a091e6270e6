//! Decisions on upstreams of several backends, their health, and TLS to them.
//!
//! # The choice among backends is ours, not pingora's
//!
//! `pingora-load-balancing` 0.9.1 was read for it. It has no least connections. Each choice clones
//! a backend and fills a set of hashes; ours takes a few atomic counts and no memory. Its health
//! hears of checks alone: what a request finds, that nothing listens there, it cannot be told. Its
//! HTTP check reads a body to its end, however long that is. Its hash is a ring of 160 points for
//! each backend, built anew with each change; of at most 64 backends the nearest to a key is found
//! as fast by looking at all (rendezvous hashing), spreads better, and moves nobody else when one
//! goes. What opens connections for checks is pingora's connector: they come as requests do,
//! certificates and HTTP/2 included, on connections of their own.
//!
//! # What a check says is believed, what a request finds is only remembered
//!
//! A backend that answers its health path with 500 says itself that it wants no requests: while all
//! do, payers get 503 before their payment is reserved, so that not even `settle =
//! "before-upstream"` takes any. That a connection failed a moment ago says little about the next
//! one: such backends go to the end of the queue, and are asked where no other is left. Trying
//! costs a connection and nobody is charged for it; refusing would turn one lost packet into a
//! second of outage of whoever has one backend.
//!
//! After a rest one request goes first and the others wait for what it finds. Requests that failed
//! at the same time count once: else fifty at a restart would make a rest of half a minute.
//!
//! # A request goes on to another backend only before its first byte
//!
//! Where no connection stood, nothing was done, and the payment that is held, or settled early,
//! goes along: one reservation, one settlement. Three backends at most: each may take
//! `connect_timeout`. Behind the first byte the rule of before holds: methods without effect, on
//! connections that were reused, as long as no money has moved. A POST that was written to a
//! connection that a dying backend closes is 502 and costs nothing: nobody knows whether it was
//! carried out.
//!
//! # All addresses of a name are backends
//!
//! It was the first one. A headless service of Kubernetes and a record with several addresses are
//! meant so. An exchange keeps the addresses that it began with; those that stay keep their health.
//! There are 64 at most: one word of bits says which of them an exchange has tried.
//!
//! # Connections by TLS are shared within one upstream
//!
//! pingora's pool tells connections apart by the serial numbers of client certificates, and not at
//! all by who vouches for the server. Upstreams that say either have a number of their own in that
//! key, and a new one with each change, so that a renewed certificate is not shown by old
//! connections. pingora builds such a client anew for each connection: none resumes a session, and
//! each new connection costs a whole handshake; they are kept for a minute. It also panics on
//! certificates that it cannot parse, so they are parsed when the file is read.
