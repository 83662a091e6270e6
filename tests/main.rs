//! The one test target: everything that needs real files, real processes or real sockets.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test that is wrong about its own fixture should stop, and say where"
)]

mod blackbox;
mod crash;
mod readme;
mod support;
#[cfg(feature = "worker")]
mod worker;
