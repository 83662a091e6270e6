//! A reverse proxy that puts a price on an existing API.
//!
//! A request without payment gets HTTP 402 with x402 terms. A request with a signed stablecoin
//! payment is verified, held, forwarded, settled when the upstream has answered well, and streamed
//! back with a receipt. The modules, in the order in which a request meets them:
//!
//! | module | what it owns |
//! |---|---|
//! | [`cli`] | what may be typed |
//! | [`config`] | `gateway.toml`, checked before anything listens |
//! | [`server`] | from a configuration to a running process, and to its end |
//! | [`proxy`] | the phases of one exchange; all that knows pingora |
//! | [`route`] | which paths there are, and what they cost |
//! | [`limit`] | who asks too often |
//! | [`access`] | who need not pay |
//! | [`payment`] | the stages of a payment, from header to receipt |
//! | [`discovery`] | what agents find: the API's document, its prices, how to pay |
//! | [`x402`] | the protocol's nouns and bytes |
//! | [`facilitator`] | who verifies and settles for us |
//! | [`chain`] | chains that we read and write ourselves |
//! | [`ledger`] | which payments are held, settling, settled |
//! | [`observe`] | one line for each exchange, and the counters |
//! | [`dashboard`] | a page for operators that shows the money |
//! | [`refusal`] | every way of saying no |
//! | [`fault`] | everything that breaks |
//! | [`metric`] | one row of what is counted |
//! | [`acme`] | certificates that an authority issues by itself |
//! | [`certificate`] | a certificate and its key, which belong together |
//! | [`outgoing`] | the HTTP client of whatever the gateway asks |
//! | [`bounded`] | files that an operator names, within a bound |
//! | [`digest`] | SHA-256, compared in constant time |
//! | [`clock`] | the only clock |
//! | `worker` | the bundled image service; knows nothing of payments |
//! | [`manual`] | how it works, how it is run, why it is so |

pub mod access;
pub mod acme;
pub mod bounded;
pub mod certificate;
pub mod chain;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dashboard;
pub mod digest;
pub mod discovery;
pub mod facilitator;
pub mod fault;
pub mod ledger;
pub mod limit;
pub mod manual;
pub mod metric;
pub mod observe;
pub mod outgoing;
pub mod payment;
pub mod proxy;
pub mod refusal;
pub mod route;
pub mod server;
#[cfg(feature = "worker")]
pub mod worker;
pub mod x402;
