//! A reverse proxy that puts a price on an existing API.

pub mod clock;
pub mod fault;
pub mod refusal;
pub mod x402;
