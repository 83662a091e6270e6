//! The real binary from outside: real sockets, real files, fakes on the other side.

mod bad_payments;
#[cfg(feature = "worker")]
mod bundled;
mod hang_ups;
mod hostile;
mod limits;
mod paid;
mod paths;
pub mod refusals;
mod replay;
mod settlement;
mod several;
mod shutdown;
mod unpaid;
mod upstream;
