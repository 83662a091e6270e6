//! The tests that look at tollgate from outside: real files, real processes, real sockets.

#![allow(
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
mod e2e;
mod readme;
mod support;
mod tidy;
mod wire;
mod worker;
