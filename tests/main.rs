//! The tests that look at tollgate from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::float_arithmetic,
    reason = "a test that cannot go on says where; its helpers too"
)]

mod config;
mod tidy;
mod wire;
