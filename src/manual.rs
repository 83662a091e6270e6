//! How tollgate works, how it is run, and why it is as it is.

pub mod decisions;
pub mod kubernetes;
pub mod operations;
pub mod request_path;
pub mod security;
pub mod upgrade;
