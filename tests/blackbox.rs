//! The real binary from outside: real sockets, real files, fakes on the other side.

mod again;
#[cfg(feature = "worker")]
mod assistant;
mod bad_payments;
mod books;
#[cfg(feature = "worker")]
mod bundled;
mod bypass;
mod check;
mod discovery;
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
mod several;
mod shapes;
mod shared;
mod shutdown;
mod solana;
mod streams;
pub mod tls;
mod unpaid;
mod upstream;
mod usage;
