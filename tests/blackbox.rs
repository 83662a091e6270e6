//! The real binary from outside: real sockets, real files, fakes on the other side.

mod again;
#[cfg(feature = "worker")]
mod assistant;
mod backends;
mod bad_payments;
mod blocked;
mod books;
#[cfg(feature = "worker")]
mod bundled;
mod bypass;
mod check;
mod discovery;
mod free_first;
mod hang_ups;
mod init;
mod limits;
mod names;
mod paid;
mod paths;
mod permit2;
mod prepaid;
mod prices;
pub mod refusals;
mod reload;
mod replay;
mod risk;
mod screening;
mod selftest;
mod senders;
mod settlement;
mod settlers;
mod several;
mod shapes;
mod shared;
mod shutdown;
mod solana;
mod streams;
pub mod tls;
mod together;
mod traces;
mod unpaid;
mod upstream;
mod upstream_tls;
mod usage;
