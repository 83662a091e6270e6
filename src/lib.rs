//! A reverse proxy that puts a price on an existing API.

pub mod clock;
pub mod facilitator;
pub mod fault;
pub mod ledger;
pub mod refusal;
pub mod route;
pub mod x402;
