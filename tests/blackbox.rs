//! The real binary from outside: real sockets, real files, fakes on the other side.

mod again;
mod bad_payments;
mod books;
#[cfg(feature = "worker")]
mod bundled;
mod hang_ups;
mod hostile;
mod limits;
mod names;
mod paid;
mod paths;
mod prepaid;
pub mod refusals;
mod reload;
mod replay;
mod risk;
mod senders;
mod settlement;
mod several;
mod shared;
mod shutdown;
mod unpaid;
mod upstream;
