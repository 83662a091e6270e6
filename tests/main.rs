//! The one test target: everything that needs real files, real processes or real sockets.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::float_arithmetic,
    reason = "a test that cannot go on says where; its helpers too"
)]

mod blackbox;
mod config;
mod crash;
mod deploy;
#[cfg(feature = "worker")]
mod e2e;
mod hostile;
mod readme;
mod support;
mod tidy;
mod wire;
#[cfg(feature = "worker")]
mod worker;
