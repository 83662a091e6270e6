//! The real binary from outside: real sockets, real files, fakes on the other side.

mod again;
mod bad_payments;
mod books;
#[cfg(feature = "worker")]
mod bundled;
mod hang_ups;
mod hostile;
mod limits;
mod paid;
mod paths;
mod prepaid;
pub mod refusals;
mod reload;
mod replay;
mod risk;
mod settlement;
mod several;
mod shutdown;
mod unpaid;
mod upstream;
